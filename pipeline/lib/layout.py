"""Where everything lies, below one home folder."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.lib.errors import UsageError

_RUN = re.compile(r"\d{8}T\d{6}Z(-\d+)?$")


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders and files of one installation."""

    home: Path

    @property
    def loras(self) -> Path:
        """One folder a generation, and the symlinks `current` and `latest`."""
        return self.home / "loras"

    @property
    def current(self) -> Path:
        """The symlink that names the incumbent."""
        return self.loras / "current"

    @property
    def latest(self) -> Path:
        """The symlink that names the generation trained last."""
        return self.loras / "latest"

    @property
    def pins(self) -> Path:
        """Which generations stay, whatever happens."""
        return self.loras / "pins.json"

    @property
    def training_data(self) -> Path:
        """Harvests, and one folder a dataset."""
        return self.home / "training_data"

    @property
    def exclusions(self) -> Path:
        """The ledger of what was revoked or put into quarantine."""
        return self.training_data / "exclusions.jsonl"

    @property
    def parts(self) -> Path:
        """What parts of questions mean in answers."""
        return self.training_data / "parts.json"

    @property
    def patterns(self) -> Path:
        """What was tried against which kind of failure, and whether it worked."""
        return self.training_data / "patterns.jsonl"

    @property
    def logs(self) -> Path:
        """Everything that is only ever appended to."""
        return self.home / "logs"

    @property
    def interactions(self) -> Path:
        """One JSONL file a day of what was asked, answered, and thought of it."""
        return self.logs / "interactions"

    @property
    def runs(self) -> Path:
        """One line a stage."""
        return self.logs / "runs.jsonl"

    @property
    def promotions(self) -> Path:
        """The ledger: one line a swap of `current`."""
        return self.logs / "promotions.jsonl"

    @property
    def validation(self) -> Path:
        """One comparison of yesterday's model with today's a morning."""
        return self.logs / "validation"

    @property
    def retrieval(self) -> Path:
        """One line an access of the gateway to the documents."""
        return self.logs / "retrieval.jsonl"

    @property
    def models(self) -> Path:
        """How fast and how healthy the models of `[[providers.models]]` were found."""
        return self.logs / "models.json"

    @property
    def metrics(self) -> Path:
        """The store of everything that is counted (SQLite)."""
        return self.logs / "metrics.sqlite"

    @property
    def control_token(self) -> Path:
        """The secret that opens the server's control endpoints."""
        return self.logs / "control.token"

    def dataset(self, run: str) -> Path:
        """The dataset folder of a run."""
        return self.training_data / run

    def generation(self, identity: str) -> Path:
        """The folder of a generation."""
        return self.loras / identity

    def lock(self, name: str) -> Path:
        """The lock file of a stage."""
        return self.logs / f"{name}.lock"


def new_run(layout: Layout, now: datetime | None = None) -> str:
    """A fresh UTC run id; two within one second get a suffix."""
    stem = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    candidates = [stem, *(f"{stem}-{number}" for number in range(2, 100))]
    return next(each for each in candidates if not (layout.dataset(each).exists() or layout.generation(each).exists()))


def is_run(name: str) -> bool:
    """Whether a name looks like 20261120T020000Z, or a later round of it."""
    return _RUN.match(name) is not None


def checked_run(run: str) -> str:
    """The run id, if it is one.

    Raises:
        UsageError: it does not look like 20261120T020000Z.
    """
    if not is_run(run):
        raise UsageError(f"{run!r} is no run id", "a run id looks like 20261120T020000Z; see `nightschool status`")
    return run
