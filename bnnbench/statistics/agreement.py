"""Whether chains agree: what of their differences chance explains, nested R-hat, and the share between chains.

Quantities are arrays (chains, draws, Q). Those of a chain that has converged vary around one mean. The mean of n draws
then varies by v = (sum of the autocovariances at all lags) / n, which the draws inside of the chains tell. So the
variance of the chains' means over v has the distribution F, whatever the autocorrelation; for independent groups of
chains this is the analysis of variance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def varying(quantities: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of the quantities (chains, draws, Q) are finite and have more than one value, (Q,)."""
    flat = quantities.reshape(-1, quantities.shape[-1])
    return np.asarray((flat != flat[0]).any(0) & np.isfinite(flat).all(0))


def in_two(quantities: NDArray[Any]) -> NDArray[Any]:
    """The first and the second halves of all chains, (2 chains, draws // 2, Q); a middle draw is left out."""
    half = quantities.shape[1] // 2
    return np.concatenate([quantities[:, :half], quantities[:, -half:]])


def rank_normalised(quantities: NDArray[Any]) -> Array:
    """The normal scores of the ranks of all draws of each quantity (Vehtari et al. 2021, Eq. 14); ties share a rank."""
    from scipy import special, stats

    flat = quantities.reshape(-1, quantities.shape[-1])
    ranks = stats.rankdata(flat, axis=0)
    return np.asarray(special.ndtri((ranks - 3 / 8) / (len(flat) + 1 / 4))).reshape(quantities.shape)


def bulk_and_folded(quantities: NDArray[Any]) -> tuple[Array, Array]:
    """The rank-normalised quantities, and those of their distances from the median: location, and scale."""
    distances = np.abs(quantities - np.median(quantities, axis=(0, 1)))
    return rank_normalised(quantities), rank_normalised(distances)


def chance_of_chains(chains: Array) -> Array:
    """The probability that the means of stationary chains (M, n, Q) of one distribution differ as much, (Q,).

    Means are compared by F with M - 1 and N / (2 L + 1) / 1.5 degrees of freedom, where N is the number of all draws,
    and L the largest lag whose autocovariance counts (Geyer's initial monotone sequence, 1992). 0 if chains that differ
    do not move, and 1 if they do not differ either.
    """
    from scipy import stats

    count, draws, _ = chains.shape
    between = chains.mean(1).var(0, ddof=1)
    variance, lags = _long_run_variance(chains)
    width = 2 * lags + 1
    # Autocovariances around the mean of a chain miss about variance / draws at each lag.
    of_means = variance / np.clip(1 - width / draws, 0.25, 1) / draws
    # For a given L the divisor 1.5 would be 1. L is estimated too; simulations (`speed/convergence_rule.py`) give it.
    return _tail(stats.f, between, of_means, count - 1, np.maximum(count * draws / width / 1.5, 1))


def chance_of_groups(chains: NDArray[Any], groups: int) -> Array:
    """The probability that the means of groups of consecutive chains (chains, draws, Q) differ as much, (Q,).

    It is that of an analysis of variance of the chains' means: chains of one group are independent given their start.
    With one chain in each group it is NaN.
    """
    from scipy import stats

    means = np.asarray(chains).mean(1).reshape(groups, -1, chains.shape[-1])
    count, size, _ = means.shape
    if size == 1:
        return np.full(means.shape[-1], np.nan)
    between, within = means.mean(1).var(0, ddof=1), means.var(1, ddof=1).mean(0) / size
    return _tail(stats.f, between, within, count - 1, count * (size - 1))


def nested_rhat(chains: NDArray[Any], superchains: int) -> Array:
    """The nested R-hat (Margossian et al. 2024) of quantities (chains, draws, Q), (Q,).

    `superchains` is the number of groups of consecutive chains that share their start. It is sqrt(1 + B / W): B is the
    variance of the groups' means, and W the mean over groups of the variance between the means of their chains and of
    the mean variance within them. A variance of one value counts as 0.
    """
    grouped = np.asarray(chains, np.float64).reshape(superchains, -1, *chains.shape[1:])
    of_chains = grouped.mean(2)
    between = of_chains.mean(1).var(0, ddof=1)
    within = np.zeros(grouped.shape[-1])
    if grouped.shape[1] > 1:
        within += of_chains.var(1, ddof=1).mean(0)
    if grouped.shape[2] > 1:
        within += grouped.var(2, ddof=1).mean((0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt(1 + between / within))


def ess_of_groups(chains: NDArray[Any], groups: int) -> Array:
    """The effective sample size of the mean of all draws of quantities (chains, draws, Q), (Q,), for short chains.

    It compares the variance of all draws with that of the chains' means inside of their groups of consecutive chains,
    and is at most the number of draws.
    """
    values = np.asarray(chains, np.float64)
    means = values.mean(1).reshape(groups, -1, values.shape[-1])
    of_means = means.var(1, ddof=1).mean(0)
    total = values.reshape(-1, values.shape[-1]).var(0, ddof=1)
    size = values.shape[0] * values.shape[1]
    return np.minimum(len(values) * total / np.maximum(of_means, np.finfo(float).tiny), size)


def between_share(chains: NDArray[Any]) -> Array:
    """The share of the variance of all draws that lies between the chains' means, (Q,); 0 for a constant quantity.

    Of N independent draws in M chains it is about (M - 1) / N.
    """
    values = np.asarray(chains, np.float64)
    total = values.reshape(-1, values.shape[-1]).var(0)
    between = values.mean(1).var(0)
    return np.divide(between, total, out=np.zeros_like(total), where=total > 0)


def _long_run_variance(chains: Array) -> tuple[Array, Array]:
    """The sum of the autocovariances of chains (M, n, Q) at all lags, and the largest lag that counts, each (Q,)."""
    from scipy import fft

    draws = chains.shape[1]
    size = fft.next_fast_len(2 * draws, real=True)
    power = np.zeros((size // 2 + 1, chains.shape[-1]))
    for chain in chains:  # One after another: the transform of all together would be the largest array of a card.
        transformed = fft.rfft(chain - chain.mean(0), size, axis=0)
        power += transformed.real**2 + transformed.imag**2
    covariances = fft.irfft(power, size, axis=0)[:draws] / (draws * len(chains))
    pairs = covariances[: draws // 2 * 2].reshape(draws // 2, 2, -1).sum(1)
    positive = np.logical_and.accumulate(pairs > 0, axis=0)
    monotone = np.minimum.accumulate(pairs, axis=0)
    variance = 2 * (monotone * positive).sum(0) - covariances[0]
    # Chains whose draws repel one another have a small sum, which is not known to be below this.
    return np.maximum(variance, covariances[0] / 10), np.maximum(2 * positive.sum(0) - 1, 0)


def _tail(law: Any, between: Array, within: Array, *degrees: Any) -> Array:
    """The probability that F is at least between / within; 0 if only `within` is zero, 1 if both are."""
    tiny = np.finfo(float).tiny
    return np.asarray(law.sf(np.where(between > 0, between / np.maximum(within, tiny), 0.0), *degrees))
