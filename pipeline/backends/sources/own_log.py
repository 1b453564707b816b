"""Our own gateway's log: interactions, and the feedback that came later, joined by id."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from pipeline.lib import jsonl
from pipeline.lib.errors import BadRecordError
from pipeline.lib.records import Feedback, Interaction


class OwnLog:
    """See `pipeline.backends.sources.interface.Source`."""

    name = "gateway"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def interactions(self, since: float, until: float) -> Iterator[Interaction]:
        """Feedback is looked for from the first day of the window on: it may come days later."""
        found: dict[str, Interaction] = {}
        said: dict[str, Feedback] = {}
        first_day = (datetime.fromtimestamp(since, UTC) - timedelta(days=1)).strftime("%Y-%m-%d")
        for path in sorted(self.folder.glob("*.jsonl")):
            if path.stem < first_day:
                continue
            for number, record in jsonl.read_numbered(path):
                try:
                    if record.get("kind") == "feedback":
                        identity = str(record["interaction_id"])
                        earlier = said[identity].model_dump(exclude_none=True) if identity in said else {}
                        said[identity] = Feedback.model_validate({**earlier, **record})
                    elif since <= record["at"] < until:
                        interaction = Interaction.model_validate(record)
                        found[interaction.id] = interaction
                except (ValidationError, KeyError, TypeError) as error:
                    raise BadRecordError(
                        f"{path} line {number}: {str(error).splitlines()[0]}", "mend or remove that line"
                    ) from error
        for interaction in found.values():
            yield _joined(interaction, said.get(interaction.id))


def _joined(interaction: Interaction, feedback: Feedback | None) -> Interaction:
    """Feedback overrides the guess that confidence made."""
    if feedback is None:
        return interaction
    success = feedback.success
    if success is None and feedback.thumb is not None:
        success = feedback.thumb > 0
    return interaction.model_copy(
        update={
            "feedback": feedback,
            "success": interaction.success if success is None else success,
            "error": feedback.error or interaction.error,
            "check": feedback.check or interaction.check,
        }
    )
