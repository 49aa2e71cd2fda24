"""Bounds of rounding errors, by which proofs hold for predictives as they are computed in floating point.

The bounds of a layer's values are bounds of the values that the predictive computes, in float32 as a rule: each step
adds a bound of its own rounding error, so that the relaxations start from computed values and end at computed logits.

Assumptions: sums of products are evaluated in any order, with or without fused multiply-add, each operation being
rounded to nearest in the type of the weights (no bfloat16 or TF32 products, no Winograd or FFT convolutions); results
that underflow may be flushed to zero. Then the error of a sum of n products is at most gamma(n) times the sum of their
absolute values (Higham 2002, section 3.1). Elementary functions are accurate to `ULPS` units in the last place. `UNIT`
is the rounding unit of the predictive plus 256 times that of float64, in which the bounds are computed: this covers
their own rounding, which is made of the same sums.

These bounds hold where nothing overflows. Where a value or a partial sum may exceed `largest`, nothing is proven: the
predictive may then compute with infinity or NaN, while bounds in float64 stay finite.
"""

from __future__ import annotations

import math

import torch

ULPS = 8
"""Units in the last place by which a computed activation may differ from the exact one. Measured: below 4."""
EXPONENTIAL_ULPS = 32
"""The same for the exponentials in softmax; torch has a faster exponential with 20."""
UNDERFLOW = 1e-37
"""What may be lost where a product underflows, a little more than the smallest normal float32."""


def unit_of(dtype: torch.dtype) -> float:
    """The rounding unit of a floating type, enlarged by what the bounds, computed in float64, themselves may lose."""
    return torch.finfo(dtype).eps / 2 + 256 * torch.finfo(torch.float64).eps / 2


def largest(dtype: torch.dtype) -> float:
    """The absolute value up to which no value of this type overflows.

    A quarter of the largest number leaves room for rounding, and for the differences of logits that softmax computes.
    """
    return torch.finfo(dtype).max / 4


def gamma(operations: int, unit: float) -> float:
    """The largest relative error of a value that went through a number of roundings. Infinite if it is not bounded."""
    return operations * unit / (1 - operations * unit) if operations * unit < 1 else math.inf


def of_probabilities(draws: int, classes: int, unit: float) -> float:
    """A bound of the error of a difference of two predictive probabilities that is made after the logits.

    The predictive computes `log_softmax` of each draw, `logsumexp` over blocks of draws, `logaddexp` over blocks and
    the subtraction of log S, so that each class has a computed L with exp(L) near its probability p. A relative error
    of a value l of size |l| changes exp(l) by at most unit * |l| exp(l) <= unit / e. So each operation costs a few
    units of the probability:

    - log_softmax: subtraction of the largest logit and of the logarithm (1/e each), exponentials (`EXPONENTIAL_ULPS`,
      and 1/e for each argument), a sum of K terms (K), a logarithm;
    - logsumexp over S draws: the same with S terms;
    - logaddexp for each of at most S blocks: a few units each, and log S for the size of the sum;
    - the subtraction of log S.

    The factor 4 is for the two probabilities and for terms of second order.
    """
    softmax = 2 / math.e + EXPONENTIAL_ULPS + 2 * classes + ULPS * (1 + math.log(classes))
    mean = 2 / math.e + EXPONENTIAL_ULPS + 2 * draws + ULPS * (1 + math.log(draws))
    blocks = draws * (EXPONENTIAL_ULPS + ULPS + math.log(draws)) if draws > 1 else 0.0
    return 4 * unit * (softmax + mean + blocks + 2 * math.log(draws) + 2)
