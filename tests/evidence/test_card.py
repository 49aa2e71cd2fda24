"""The posterior card: chains that mix, and draws that are worth nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from known import small_data
from torch import nn

import bnnbench as bb
from bnnbench.evidence import card


def test_chains_that_mix_and_chains_that_do_not() -> None:
    """Independent normal draws mix; chains around different means, one still chain and a random walk do not."""
    generator = np.random.default_rng(0)
    good = generator.normal(size=(4, 1000, 5))
    rhat, ess = card.mixing(good)
    assert rhat is not None
    assert rhat < card.RHAT
    assert ess is not None
    assert ess > 2000
    apart = card.mixing(good + np.arange(4)[:, None, None])
    assert apart[0] is not None
    assert apart[0] > 1.5
    walk = card.mixing(generator.normal(size=(1, 400, 3)).cumsum(1))
    assert walk[0] is not None
    assert walk[0] > 1.2
    assert walk[1] is not None
    assert walk[1] < 40
    assert card.mixing(np.ones((2, 100, 3))) == (None, None)
    assert card.mixing(good[:, :5]) == (None, None)


class Independent(bb.Posterior):
    """Draws that are independent by construction."""

    independent_draws = True


def card_of(
    *shape: int, equal: str = "", independent: bool = False, spread: float = 1.0, **diagnostics: object
) -> dict[str, object]:
    """The card of normal draws of (chains, draws): `equal` ones are all the same, or each chain is the same."""
    generator = np.random.default_rng(0)
    network = nn.Linear(2, 2)
    arrays = {name: 1 + spread * generator.normal(size=(*shape, *w.shape)) for name, w in network.state_dict().items()}
    if equal == "chains":
        arrays = {name: array[:1].repeat(shape[0], 0) for name, array in arrays.items()}
    if equal == "draws":
        arrays = {name: array[:1, :1].repeat(shape[0], 0).repeat(shape[1], 1) for name, array in arrays.items()}
    predictive = bb.Predictive(network, bb.Draws(arrays, diagnostics=diagnostics))
    predictive.fitted_by = Independent() if independent else None
    return bb.posterior_card(predictive, small_data(inputs=2))


def test_chains_that_are_one_and_the_same_are_degenerate() -> None:
    assert card_of(2, 1000)["level"] == "converged"
    for shape in ((2, 1000), (2, 1), (3, 4)):
        assert card_of(*shape, equal="chains")["level"] == "degenerate", shape


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("told", [{}, {"unfinished": "far from the optimum"}])
def test_what_is_degenerate_is_so_whatever_else_is_said_of_it(independent: bool, told: dict[str, str]) -> None:
    for found in (
        card_of(1, 4, equal="draws", independent=independent, **told),
        card_of(1, 4, spread=1e-8, independent=independent, **told),
        card_of(1, 4, divergences=np.ones((1, 4), bool), independent=independent, **told),
    ):
        assert found["level"] == "degenerate", found
    fine = card_of(1, 4, independent=independent, **told)
    assert fine["level"] == ("short" if told or not independent else "independent")
    assert fine["divergences"] == 0


def test_one_draw_is_single_unless_its_transition_diverged() -> None:
    assert card_of(1, 1)["level"] == card_of(1, 1, independent=True)["level"] == "single"
    assert card_of(1, 1, unfinished="too early")["level"] == "single"
    assert card_of(1, 1, divergences=np.ones((1, 3), bool))["level"] == "degenerate"
    assert card_of(2, 1)["level"] == "short"


@pytest.mark.parametrize(
    ("divergences", "all_diverged"),
    [
        (np.array([1]), False),
        (np.array([3]), False),
        (np.array([4]), True),
        (1, False),
        (4, True),
        ([[0, 1, 0, 0]], False),
        ([[1, 1, 1, 1]], True),
        ([], False),
    ],
)
def test_divergences_are_flags_of_transitions_or_counts_of_chains(divergences: object, all_diverged: bool) -> None:
    found = card_of(1, 4, divergences=divergences)
    assert found["why"].startswith("every transition diverged: try a smaller step_size") == all_diverged
    assert found["divergences"] == np.sum(divergences)


def test_counts_of_divergences_are_those_of_each_chain() -> None:
    assert card_of(2, 4, divergences=np.array([8, 0]))["level"] == "short"
    assert card_of(2, 4, divergences=np.array([4, 4]))["level"] == "degenerate"


def test_chains_are_degenerate_if_all_diverge_or_none_moves_and_not_before() -> None:
    data, generator = small_data(inputs=2), np.random.default_rng(0)
    weights = {"weight": generator.normal(size=(1, 20, 2, 2)), "bias": generator.normal(size=(1, 20, 2))}
    share = np.zeros((1, 200), bool)
    share[0, ::10] = True

    def level(arrays: dict[str, np.ndarray], divergences: np.ndarray) -> str:
        draws = bb.Draws(arrays, diagnostics={"divergences": divergences, "acceptance": np.full((1, 200), 0.9)})
        card = bb.posterior_card(bb.Predictive(nn.Linear(2, 2), draws), data)
        assert card["acceptance"] == pytest.approx(0.9)
        return str(card["level"])

    assert level(weights, share) in ("short", "converged")
    assert level(weights, np.ones_like(share)) == "degenerate"
    still = {name: 1 + 1e-8 * array for name, array in weights.items()}
    assert level(still, np.zeros_like(share)) == "degenerate"


def test_a_card_takes_any_diagnostics_and_is_json() -> None:
    data, generator = small_data(inputs=2), np.random.default_rng(0)
    weights = {"weight": generator.normal(size=(2, 10, 2, 2)), "bias": generator.normal(size=(2, 10, 2))}
    told = {"gradients": np.array([3, 4]), "seconds": np.array([1.5, 2.0]), "acceptance": np.array([np.nan, 1.0])}
    card = bb.posterior_card(bb.Predictive(nn.Linear(2, 2), bb.Draws(weights, diagnostics=told)), data)
    assert (card["gradients"], card["seconds"], card["acceptance"]) == (7, 3.5, None)
    json.dumps(card, allow_nan=False)


def test_divergences_are_counted_among_all_transitions_not_among_the_draws_that_were_kept() -> None:
    data, generator = small_data(inputs=2), np.random.default_rng(0)
    weights = {"weight": generator.normal(size=(1, 10, 2, 2)), "bias": generator.normal(size=(1, 10, 2))}
    for count, level in ((10, "short"), (99, "short"), (100, "degenerate")):
        predictive = bb.Predictive(nn.Linear(2, 2), bb.Draws(weights, diagnostics={"divergences": [count]}))
        predictive.fitted_by = bb.posterior("pyro-hmc", draws=10, thin=10)
        assert bb.posterior_card(predictive, data)["level"] == level


def test_a_card_tells_which_argument_is_wrong() -> None:
    data, generator = small_data(inputs=2), np.random.default_rng(0)
    weights = {"weight": generator.normal(size=(10, 2, 2)), "bias": generator.normal(size=(10, 2))}
    predictive = bb.Predictive(nn.Linear(2, 2), weights)
    with pytest.raises(TypeError, match=r"data is a bnnbench.Data, not a tuple of 2"):
        bb.posterior_card(predictive, data.test)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"data is a bnnbench.Data, .*its load\(seed\) gives the data"):
        bb.posterior_card(predictive, bb.dataset("half-moons"))  # type: ignore[arg-type]
    x, _ = data.test
    with pytest.raises(ValueError, match="data have labels up to 3, but the predictive has 2 classes"):
        bb.posterior_card(predictive, bb.Data(test=(x[:8], np.arange(8) % 4)))


def test_networks_that_were_trained_separately_are_independent() -> None:
    generator = np.random.default_rng(0)
    draws = {name: generator.normal(size=(1, 5, *w.shape)) for name, w in nn.Linear(2, 2).state_dict().items()}
    told = {"independent": "5 models that were trained separately"}
    ensemble = bb.Predictive(nn.Linear(2, 2), bb.Draws(draws, diagnostics=told))
    found = bb.posterior_card(ensemble, small_data(inputs=2))
    assert found["level"] == "independent"
    assert found["why"].startswith("5 models that were trained separately: independent draws")
    told["unfinished"] = "stopped early"
    unfinished = bb.Predictive(nn.Linear(2, 2), bb.Draws(draws, diagnostics=told))
    assert bb.posterior_card(unfinished, small_data(inputs=2))["level"] == "short"


@pytest.mark.parametrize(
    ("rhat", "ess", "level", "why"),
    [
        (1.0104, 500.0, "short", "R-hat 1.011, ESS 500"),
        (1.002, 99.9, "short", "R-hat 1.002, ESS 99"),
        (1.01, 100.0, "converged", "R-hat 1.010, ESS 100"),
        (1.0096, 100.9, "converged", "R-hat 1.010, ESS 100"),
        (float("inf"), 2.0, "short", "R-hat inf, ESS 2"),
    ],
)
def test_the_reason_is_never_on_the_other_side_of_the_rule(
    rhat: float, ess: float, level: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-hat is rounded up and ESS down, so that what is shown fulfils the rule if and only if the figures do."""
    monkeypatch.setattr(card, "mixing", lambda quantities: (rhat, ess))
    found = card_of(2, 100)
    assert (found["level"], found["why"]) == (level, why)
