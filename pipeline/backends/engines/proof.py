"""Proof that a version answers under the public name, by asking like any user would."""

from collections.abc import Iterable
from typing import Any

from pipeline.backends.engines import fingerprint as fingerprints
from pipeline.backends.engines.interface import Answered, EngineError, Fingerprint, Proof
from pipeline.backends.engines.reference import MOST_TOKENS
from pipeline.backends.gateway_client import GatewayClient
from pipeline.lib.files import read_json
from pipeline.lib.generations import DEPLOYMENT, Generation
from pipeline.lib.records import Message


def ask(client: GatewayClient, chat: list[Message], version: str = "") -> Answered:
    """One greedy answer through the public door, token by token."""
    answer = client.chat(chat, "probe", version, temperature=0, logprobs=True, max_tokens=MOST_TOKENS)
    tokens: list[dict[str, Any]] = answer["choices"][0]["logprobs"]["content"]
    return Answered([each["token"] for each in tokens], [each["logprob"] for each in tokens])


def kept(generations: Iterable[Generation], versions: set[str]) -> Fingerprint | None:
    """The fingerprint kept from the deployment of one of these generations, if it knows all these versions."""
    for generation in generations:
        path = generation.folder / DEPLOYMENT
        if path.is_file():
            fingerprint = Fingerprint.from_json(read_json(path)["fingerprint"])
            if versions <= set(fingerprint.references):
                return fingerprint
    return None


def require(client: GatewayClient, version: str, fingerprint: Fingerprint, sha256: str | None) -> dict[str, Proof]:
    """Prove a swap: under the version's own name, through the public name, and by what the server says of itself.

    Raises:
        EngineError: some other version answers, or it cannot be told.
    """
    proofs = {
        "version": fingerprints.prove(version, fingerprint, lambda chat: ask(client, chat, version)),
        "public": fingerprints.prove(version, fingerprint, lambda chat: ask(client, chat)),
    }
    for name, proof in proofs.items():
        if not proof.holds:
            raise EngineError(
                f"swap not proven: under the {name} name the answers are nearest to {proof.nearest}, "
                f"distances {proof.distances}"
            )
    health = client.health()
    if (health["adapter"], health["adapter_sha256"]) != (version, sha256):
        raise EngineError(f"swap not proven: the server says that it serves {health['adapter']}")
    return proofs
