"""The rules for what a certificate returns: its form, and its agreement with the clean predictions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bnnbench.core.certificate import Proof
from bnnbench.errors import ContractBreach
from bnnbench.plugins.described import counted
from bnnbench.statistics import metrics

if TYPE_CHECKING:
    from torch import Tensor

ROUNDING = 1e-4
"""The largest amount by which a bound may exceed the margin of a clean prediction, which is computed in float32."""


def checked_form(made: Any, images: int, name: str) -> Proof:
    """The proof about this number of images, on the CPU; `name` is the certificate in messages.

    Raises `ContractBreach` if it is no `Proof`, an array has another shape or type, a bound is not finite or outside
    [-1, 1], or an image is certified and refuted.
    """
    import torch

    if not isinstance(made, Proof):
        raise ContractBreach(f"{name} returned {type(made).__name__}, not a bnnbench.Proof")
    for field, optional in (("certified", False), ("bound", True), ("refuted", True)):
        value = getattr(made, field)
        if value is None and optional:
            continue
        if not isinstance(value, torch.Tensor):
            raise ContractBreach(f"{name} returned as `{field}` {type(value).__name__}, not a tensor")
        fits = value.is_floating_point() if field == "bound" else value.dtype == torch.bool
        if value.shape != (images,) or not fits:
            found, meant = f"{tuple(value.shape)} {value.dtype}", "floats" if field == "bound" else "torch.bool"
            raise ContractBreach(f"{name} returned as `{field}` {found}, not ({images},) {meant}")
    proof = Proof(
        _plain(made.certified),
        None if made.bound is None else _plain(made.bound).double(),
        None if made.refuted is None else _plain(made.refuted),
    )
    if proof.bound is not None and not (proof.bound.isfinite() & (proof.bound.abs() <= 1 + ROUNDING)).all():
        raise ContractBreach(f"{name} returned a bound that is not in [-1, 1]")
    if proof.refuted is not None and (twice := int((proof.certified & proof.refuted).sum())):
        raise ContractBreach(f"{name} both certified and refuted {counted(twice, 'image')}")
    return proof


def checked_against(clean: np.ndarray, y: np.ndarray, proof: Proof, name: str) -> Proof:
    """The proof, with the images refuted whose clean prediction is wrong: the clean image lies in the ball.

    `clean` (N, K) are log-probabilities of the predictive, and `y` (N,) labels. Raises `ContractBreach` if such an
    image is certified, or a bound is above the margin of the clean prediction.
    """
    import torch

    wrong = ~metrics.correct(clean, y)
    if false := int((proof.certified.numpy() & wrong).sum()):
        raise ContractBreach(f"{name} certified {counted(false, 'image')} that the predictive misclassifies unattacked")
    if proof.bound is not None:
        excess = proof.bound.numpy() - _margin(clean, y)
        if (excess > ROUNDING).any():
            raise ContractBreach(
                f"{name} gave {counted(int((excess > ROUNDING).sum()), 'image')} a bound above the margin of the clean "
                f"prediction, by up to {excess.max():.3g}"
            )
    if proof.refuted is None:
        return proof
    return replace(proof, refuted=proof.refuted | torch.from_numpy(wrong))


def same_proof(one: Proof, other: Proof, *, exact: bool) -> bool:
    """Whether two proofs are equal: to the bit if `exact`, otherwise with bounds that differ by rounding alone.

    Rounding may also decide whether an image is certified, so that this is compared only if `exact`.
    """
    pairs = [(one.certified, other.certified), (one.bound, other.bound), (one.refuted, other.refuted)]
    if any((a is None) != (b is None) for a, b in pairs):
        return False
    if exact:
        return all(a is None or b is None or bool((a == b).all()) for a, b in pairs)
    a, b = one.bound, other.bound
    return a is None or b is None or bool(((a - b).abs() <= ROUNDING).all())


def _margin(clean: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The probability of the label minus the largest one of another class, (N,)."""
    probabilities = np.exp(clean.astype(np.float64))
    own = probabilities[np.arange(len(y)), y]
    probabilities[np.arange(len(y)), y] = -np.inf
    return np.asarray(own - probabilities.max(-1))


def _plain(value: Tensor) -> Tensor:
    """A copy of a tensor on the CPU."""
    return value.detach().cpu().clone().contiguous()
