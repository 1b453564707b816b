"""Texts that nearly repeat an earlier one.

MinHash (rensa) only proposes candidates; the exact Jaccard similarity decides, and numbers and signs have to be equal
(`pipeline.hygiene.shingles`). Texts are taken in their order: the first of several stays.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.hygiene.shingles import Shingled, jaccard, shingled

if TYPE_CHECKING:
    from numpy import uint64
    from numpy.typing import NDArray

THRESHOLD = 0.8
# 32 bands of 4: of pairs at the threshold one in 20 million is never proposed, of unrelated ones hardly any is.
_BANDS, _ROWS = 32, 4
_SEED = 1
_FACTOR = 0x9E3779B97F4A7C15  # odd: mixes without loss


def near_duplicates(texts: Sequence[str], threshold: float = THRESHOLD) -> dict[int, int]:
    """What nearly repeats what.

    Args:
        texts: in the order in which the first one stays.
        threshold: Jaccard similarity from which on two texts are the same.

    Returns:
        For each text that should go its index, and the index of the text that stays for it.
    """
    if len(texts) < 2:
        return {}
    data = shingled(texts)
    return _greedy(data, _buckets(minhash(data), data.signatures), threshold)


def minhash(data: Shingled) -> "NDArray[uint64]":
    """One row of `_BANDS` × `_ROWS` minima for each text."""
    import numpy
    from rensa import RMinHash

    matrix = RMinHash.digest_matrix_from_flat_token_hashes(data.hashes, data.starts, _BANDS * _ROWS, _SEED)
    return numpy.array(matrix.to_rows(), dtype=numpy.uint64)


def _buckets(minima: "NDArray[uint64]", signatures: "NDArray[uint64]") -> dict[int, list[int]]:
    """For each text that shares a band with others the buckets that it is in."""
    import numpy

    found: dict[int, list[int]] = {}
    for band in range(_BANDS):
        keys = signatures.copy()
        for column in range(band * _ROWS, (band + 1) * _ROWS):
            keys = keys * numpy.uint64(_FACTOR) + minima[:, column]
        order = numpy.argsort(keys, kind="stable")
        changes = numpy.diff(keys[order]) != 0
        runs = numpy.concatenate(([0], numpy.cumsum(changes))) + band * len(keys)
        alone = numpy.concatenate(([True], changes)) & numpy.concatenate((changes, [True]))
        for index, run in zip(order[~alone].tolist(), runs[~alone].tolist(), strict=True):
            found.setdefault(index, []).append(run)
    return found


def _greedy(data: Shingled, buckets: dict[int, list[int]], threshold: float) -> dict[int, int]:
    repeated: dict[int, int] = {}
    kept: dict[int, list[int]] = {}
    triples: dict[int, set[int]] = {}
    for index in sorted(buckets):
        candidates = sorted({each for bucket in buckets[index] for each in kept.get(bucket, ())})
        mine = data.triples(index)
        original = next((each for each in candidates if jaccard(mine, triples[each]) >= threshold), None)
        if original is not None:
            repeated[index] = original
            continue
        triples[index] = mine
        for bucket in buckets[index]:
            kept.setdefault(bucket, []).append(index)
    return repeated
