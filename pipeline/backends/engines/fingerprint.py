"""Which version answered? Compares observed answers with references.

HTTP 200 proves nothing: engines are known to answer with an old adapter, or with none, after a "successful" swap.
"""

from collections.abc import Callable, Mapping, Sequence

from pipeline.backends.engines.interface import Answered, Fingerprint, Proof
from pipeline.lib.records import Message

# Float32 noise between two ways to compute the same logits was at most 0.005 per token; a wrong token counts as 1.
MARGIN = 0.02
LARGEST_NOISE = 0.3  # per token; chosen, not measured: beyond it the engine's base is taken for another model
PROBES = 4


def distance(observed: Answered, reference: Answered) -> float:
    """Mean difference per token: 1 for each position that differs, else how far the log-probabilities lie apart."""
    length = max(len(observed.tokens), len(reference.tokens), 1)
    total = float(abs(len(observed.tokens) - len(reference.tokens)))
    pairs = zip(observed.tokens, reference.tokens, observed.logprobs, reference.logprobs, strict=False)
    for token, expected, logprob, expected_logprob in pairs:
        total += 1.0 if token != expected else min(1.0, abs(logprob - expected_logprob))
    return total / length


def prove(expected: str, fingerprint: Fingerprint, ask: Callable[[list[Message]], Answered]) -> Proof:
    """Ask every probe twice (cold, then warm) and name the nearest version; both rounds must agree.

    Args:
        expected: the version that should be answering.
        fingerprint: what each version answers.
        ask: sends a chat to the server, greedily.
    """
    worst: dict[str, float] = dict.fromkeys(fingerprint.references, 0.0)
    holds = True
    nearest = expected
    for _ in ("cold", "warm"):
        observed = [ask(probe) for probe in fingerprint.probes]
        distances = {
            version: sum(map(distance, observed, references)) / len(observed)
            for version, references in fingerprint.references.items()
        }
        others = [value for version, value in distances.items() if version != expected]
        closest = min(distances, key=lambda version: distances[version])
        nearest = closest if nearest == expected else nearest
        holds &= distances[expected] <= MARGIN + fingerprint.noise and all(
            distances[expected] + MARGIN < other for other in others
        )
        worst = {version: max(worst[version], value) for version, value in distances.items()}
    return Proof(expected, nearest, holds, {version: round(value, 5) for version, value in worst.items()})


def choose_probes(answers: Mapping[str, Sequence[Answered]], lengths: Sequence[int]) -> list[int]:
    """Pick the probes on which the versions differ most, one of them long (stale prefix caches show there).

    Args:
        answers: per version, what it answers to each possible probe.
        lengths: characters of each possible probe.

    Returns: positions of at most `PROBES` probes.
    """

    def separation(position: int) -> float:
        each = [answered[position] for answered in answers.values()]
        return min((distance(a, b) for i, a in enumerate(each) for b in each[:i]), default=0.0)

    ranked = sorted(range(len(lengths)), key=lambda position: (-separation(position), position))
    chosen = ranked[: PROBES - 1]
    rest = [position for position in ranked[PROBES - 1 : 4 * PROBES] if position not in chosen]
    return chosen + ([max(rest, key=lambda position: lengths[position])] if rest else [])
