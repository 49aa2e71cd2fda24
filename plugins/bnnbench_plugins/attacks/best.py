"""Keep the best inputs that an attack has come across."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Best:
    """For each image the best candidate so far: misclassified first, then the highest objective."""

    def __init__(self) -> None:
        self._inputs: Tensor | None = None

    @property
    def inputs(self) -> Tensor:
        """The best inputs (N, *shape) of all that were offered."""
        assert self._inputs is not None, "nothing was offered"
        return self._inputs

    def offer(self, candidates: Tensor, broken: Tensor, value: Tensor) -> None:
        """Candidates (N, *shape), where they reach the attacker's goal (N,), and their objective (N,)."""
        if self._inputs is None:
            self._inputs, self._broken, self._value = candidates.clone(), broken.clone(), value.clone()
            return
        better = (broken & ~self._broken) | ((broken == self._broken) & (value > self._value))
        self._inputs[better] = candidates[better]
        self._broken[better] = broken[better]
        self._value[better] = value[better]
