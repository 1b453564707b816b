"""The served model, or another loaded version, as teacher: many samples, of which executing finds the right one."""

from pipeline.backends.gateway_client import GatewayClient
from pipeline.backends.teachers.interface import Draft
from pipeline.lib.records import Interaction


class ServedModel:
    """See `pipeline.backends.teachers.interface.Teacher`."""

    def __init__(
        self, client: GatewayClient, temperature: float, top_p: float, max_tokens: int, version: str | None = None
    ) -> None:
        """Ask who is serving now; the drafts stay with that version even if another is activated meanwhile.

        Args:
            client: the gateway.
            temperature, top_p, max_tokens: how drafts are drawn.
            version: one that is loaded; none: the one that serves.
        """
        self.client = client
        self.temperature = temperature
        self.top_p = top_p
        self.max_tokens = max_tokens
        health = client.health()
        self.version = version or str(health["adapter"])
        digest = health["loaded"][self.version] or health["base_sha256"]
        self.name = f"{health['model']}@{self.version}:{digest[:12]}"

    def drafts(self, interaction: Interaction, count: int, first: int) -> list[Draft]:
        """Samples at the teaching temperature; seeds depend on the question, so a harvest can be repeated."""
        answer = self.client.chat(
            interaction.messages,
            "teacher",
            self.version,
            n=count,
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            seed=int(interaction.id[:8], 16) + first,
        )
        return [Draft(str(choice["message"]["content"])) for choice in answer["choices"]]
