"""The night tells a webhook and a mailbox how it ended, once; dead ones change nothing."""

from conftest import Home
from receivers import SECRET, mailbox, receiving


def files(home: Home) -> str:
    return "".join(path.read_text(errors="replace") for path in (home.folder / "logs").rglob("*") if path.is_file())


def test_failed_night_is_told_once_with_the_next_step(home: Home) -> None:
    with receiving() as receiver, mailbox() as server:
        home.environment |= {
            "NOTIFICATION_WEBHOOK": receiver.url,
            "NIGHTSCHOOL_NOTIFY__EMAIL_TO": "ada@example.org",
            "NIGHTSCHOOL_NOTIFY__SMTP_HOST": "127.0.0.1",
            "NIGHTSCHOOL_NOTIFY__SMTP_PORT": str(server.port),
        }
        assert home.night().returncode == 69
        again = home.run("notify")
    (told,) = receiver.bodies
    first = str(told["text"]).splitlines()[0]
    assert first.startswith("🔴 failed in doctor: no answer from the gateway")
    assert "nightschool doctor" in str(told["text"])
    assert len(server.envelopes) == 1
    assert again.returncode == 10
    assert "told before" in again.stderr
    assert SECRET not in files(home)


def test_dead_receivers_change_nothing(home: Home) -> None:
    done = home.night(
        NOTIFICATION_WEBHOOK=f"http://127.0.0.1:9/{SECRET}",
        NIGHTSCHOOL_NOTIFY__EMAIL_TO="ada@example.org",
        NIGHTSCHOOL_NOTIFY__SMTP_PORT="9",
    )
    assert done.returncode == 69
    assert SECRET not in done.stdout + done.stderr + files(home)
    assert "nobody listens there" in files(home)


def test_a_training_is_told_in_the_middle_of_the_night_if_that_is_wanted(home: Home) -> None:
    program = home.folder / "nightschool"
    program.write_text(
        '#!/bin/sh\ncase "$*" in "config show notify.events") echo "$EVENTS";; "config show"*) echo 1;; esac\n'
    )
    program.chmod(0o755)
    home.environment["NIGHTSCHOOL"] = str(program)
    for events, expected in (("['trained', 'failed']", 2), ("['failed']", 1)):
        done = home.night(EVENTS=events)
        assert done.returncode == 0
        assert [line.split()[1] for line in done.stdout.splitlines()].count("notify") == expected
