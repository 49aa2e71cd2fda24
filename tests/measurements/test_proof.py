"""The rules for what a certificate returns and leaves alone: a breach of each is told with the certificate's name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from proofs import Linear, data_of, predictive_of
from torch import Tensor

import bnnbench as bb

DATA = data_of()


class Odd(bb.Certificate):
    """Returns or does what its parameter says."""

    how: str = "sound"

    def prove(
        self, predictive: bb.Predictive, draws: Sequence[int], x: Tensor, y: Tensor, threat: bb.Threat
    ) -> bb.Proof:
        proof = Linear().prove(predictive, draws, x, y, threat)
        yes, bound = torch.ones_like(proof.certified), proof.bound
        assert bound is not None
        returned: dict[str, Callable[[], Any]] = {
            "nothing": lambda: None,
            "no tensor": lambda: bb.Proof(yes.numpy()),  # type: ignore[arg-type]
            "fewer": lambda: bb.Proof(yes[1:]),
            "floats": lambda: bb.Proof(yes.float()),
            "bound of integers": lambda: bb.Proof(yes, yes.long()),
            "refuted of floats": lambda: bb.Proof(yes, None, bound),
            "infinite": lambda: bb.Proof(proof.certified, bound / 0),
            "too large": lambda: bb.Proof(proof.certified, bound + 3),
            "both": lambda: bb.Proof(yes, bound, yes),
            "clean errors": lambda: bb.Proof(yes),
            "above clean": lambda: bb.Proof(proof.certified, (bound + 0.7).clamp(max=1)),
        }
        done: dict[str, Callable[[], Any]] = {
            "images": lambda: x.add_(0.1),
            "labels": lambda: y.add_(1),
            "weights": lambda: predictive.draws["weight"].zero_(),
            "random": lambda: torch.rand(3),
            "dtype": lambda: torch.set_default_dtype(torch.float64),
        }
        done.get(self.how, lambda: None)()
        return returned.get(self.how, lambda: proof)()


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("nothing", r"returned NoneType, not a bnnbench\.Proof"),
        ("no tensor", "returned as `certified` ndarray, not a tensor"),
        ("fewer", r"returned as `certified` \(1,\) torch\.bool, not \(2,\) torch\.bool"),
        ("floats", r"returned as `certified` \(2,\) torch\.float32, not \(2,\) torch\.bool"),
        ("bound of integers", r"returned as `bound` \(2,\) torch\.int64, not \(2,\) floats"),
        ("refuted of floats", r"returned as `refuted` \(2,\) torch\.float64, not \(2,\) torch\.bool"),
        ("infinite", r"returned a bound that is not in \[-1, 1\]"),
        ("too large", r"returned a bound that is not in \[-1, 1\]"),
        ("both", "both certified and refuted 2 images"),
        ("clean errors", r"certified \d+ images that the predictive misclassifies unattacked"),
        ("above clean", r"gave \d+ images a bound above the margin of the clean prediction, by up to 0\.\d+"),
        ("images", "changed the images, their labels or the clean predictions"),
        ("labels", "changed the images, their labels or the clean predictions"),
        ("weights", "changed the weights of the predictive"),
        ("random", "drew from the global random state of torch"),
        ("dtype", "changed torch's default dtype for everybody"),
    ],
)
def test_a_breach_names_the_certificate(how: str, told: str) -> None:
    with pytest.raises(bb.ContractBreach, match=f"^certificate .*Odd {told}"):
        bb.certify(predictive_of(), Odd(how=how), DATA, epsilon=0.1)
    assert torch.get_default_dtype() == torch.float32
    assert bb.certify(predictive_of(), Odd(how="sound"), DATA, epsilon=0.1).certified.any()


def test_one_call_gives_one_result() -> None:
    calls: list[int] = []

    class Changing(bb.Certificate):
        def prove(self, predictive, draws, x, y, threat):  # type: ignore[no-untyped-def]
            calls.append(len(y))
            return bb.Proof(torch.zeros(len(y), dtype=torch.bool), torch.full((len(y),), -1 / len(calls)))

    with pytest.raises(bb.ContractBreach, match="Changing gave two results for one call"):
        bb.certify(predictive_of(), Changing(), DATA, epsilon=0.1)
    assert calls == [2, 2]


def test_clean_errors_are_refuted_where_a_certificate_refutes() -> None:
    class Blind(bb.Certificate):
        def prove(self, predictive, draws, x, y, threat):  # type: ignore[no-untyped-def]
            no = torch.zeros(len(y), dtype=torch.bool)
            return bb.Proof(no, None, no)

    found = bb.certify(predictive_of(), Blind(), DATA, epsilon=0.1)
    assert 0 < found.clean_accuracy < 1
    assert np.array_equal(found.refuted, ~found.clean_correct)  # type: ignore[arg-type]
