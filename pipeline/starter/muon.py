"""Muon, in float32: the optimizer that makes a one-minute base model possible.

torch ships one too, but it orthogonalises in bfloat16, which processors without bfloat16 units do eight times slower
than float32 (see LOG.md). Method: K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch

# The quintic Newton-Schulz iteration of the paper: drives every singular value of a matrix towards 1.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Momentum whose update is the nearest orthogonal matrix; for two-dimensional weights only."""

    def __init__(self, matrices: Iterable[torch.nn.Parameter], learning_rate: float, momentum: float = 0.95) -> None:
        super().__init__(matrices, {"lr": learning_rate, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Move every matrix by one orthogonalised momentum step."""
        for group in self.param_groups:
            for matrix in group["params"]:
                momentum = self.state[matrix].setdefault("momentum", torch.zeros_like(matrix))
                momentum.lerp_(matrix.grad, 1 - group["momentum"])
                update = _orthogonalize(matrix.grad.lerp(momentum, group["momentum"]))
                scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                matrix.add_(update, alpha=-group["lr"] * scale)


def _orthogonalize(matrix: torch.Tensor) -> torch.Tensor:
    """The matrix with its singular values pushed to about 1; works on the wide orientation, which is cheaper."""
    if matrix.shape[0] > matrix.shape[1]:
        return _orthogonalize(matrix.T).T
    first, second, third = _COEFFICIENTS
    result: torch.Tensor = matrix / (matrix.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        gram = result @ result.T
        result = first * result + (second * gram + third * gram @ gram) @ result
    return result
