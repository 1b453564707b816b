"""What could not be read, while the rest goes on: counted by reason, the first places named."""

from typing import Any

_PLACES = 3  # named for each reason; the others are only counted


class Problems:
    """Collects them for one reader."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._places: dict[str, list[str]] = {}

    def add(self, reason: str, place: str) -> None:
        """One more. `reason` names the kind (few different ones), `place` a file and line, or a row's id."""
        self._counts[reason] = self._counts.get(reason, 0) + 1
        places = self._places.setdefault(reason, [])
        if len(places) < _PLACES:
            places.append(place)

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self._counts.values())

    def to_json(self) -> list[dict[str, Any]]:
        """For manifests: `[{reason, count, places}]`, the most frequent first."""
        reasons = sorted(self._counts, key=lambda reason: -self._counts[reason])
        return [{"reason": reason, "count": self._counts[reason], "places": self._places[reason]} for reason in reasons]

    def __str__(self) -> str:
        return "; ".join(f"{each['count']} × {each['reason']} ({each['places'][0]}, …)" for each in self.to_json())
