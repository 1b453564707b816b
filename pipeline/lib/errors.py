"""The one error family of Nightschool, and the exit codes a shell sees.

    NightschoolError              70  a stage failed
    ├── UsageError                64  the command line makes no sense
    ├── BadRecordError            65  a file holds something unreadable (file and line named)
    ├── UnavailableError          69  a server is unreachable
    ├── DiskError                 74  the disk is full or refuses
    ├── BusyError                 75  locked or busy, the next night tries again
    ├── ConfigurationError        78  the configuration makes no sense
    └── Ending                        a night that ended early, but quietly
        ├── NothingToDo           10
        ├── Refused               20
        ├── Inconclusive          21
        ├── AwaitingApproval      21
        └── RolledBack            30

Every error carries a message (what and where) and a hint (what to do). `pipeline.cli.main` catches the family once.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells the shell; the table stands in the README."""

    DONE = 0
    NOTHING_TO_DO = 10
    REFUSED = 20
    INCONCLUSIVE = 21
    ROLLED_BACK = 30
    USAGE = 64
    BAD_RECORD = 65
    UNAVAILABLE = 69
    FAILED = 70
    DISK = 74
    BUSY = 75
    CONFIGURATION = 78


class NightschoolError(Exception):
    """A stage failed. `hint` says what a person can do about it."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(NightschoolError):
    """The command line asks for something that cannot be."""

    exit_code = ExitCode.USAGE


class BadRecordError(NightschoolError):
    """A file holds a record that cannot be read; the message names file and line."""

    exit_code = ExitCode.BAD_RECORD


class UnavailableError(NightschoolError):
    """A server does not answer."""

    exit_code = ExitCode.UNAVAILABLE


class DiskError(NightschoolError):
    """Too little disk, or the file system refuses."""

    exit_code = ExitCode.DISK


class BusyError(NightschoolError):
    """Somebody else holds the lock."""

    exit_code = ExitCode.BUSY


class ConfigurationError(NightschoolError):
    """The configuration cannot be used."""

    exit_code = ExitCode.CONFIGURATION


class Ending(NightschoolError):  # noqa: N818 - an ending, not an error
    """Not an error: the stage ended in a way that the night treats specially."""


class NothingToDo(Ending):
    """There is nothing to work on tonight."""

    exit_code = ExitCode.NOTHING_TO_DO


class Refused(Ending):
    """The candidate is worse than the incumbent."""

    exit_code = ExitCode.REFUSED


class Inconclusive(Ending):
    """The evidence does not suffice; the incumbent stays."""

    exit_code = ExitCode.INCONCLUSIVE


class AwaitingApproval(Ending):
    """The candidate passed, and a person has to say yes; the incumbent stays until then."""

    exit_code = ExitCode.INCONCLUSIVE


class RolledBack(Ending):
    """The candidate was deployed, failed, and is gone again."""

    exit_code = ExitCode.ROLLED_BACK
