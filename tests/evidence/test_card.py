"""The posterior card: chains that mix, and draws that are worth nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from known import small_data
from torch import nn

import bnnbench as bb
from bnnbench.evidence import card, verdict
from bnnbench.statistics.mixing import INFINITE, Mixing


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
        (1.0504, 500.0, "short", "R-hat 1.051 of {first}, ESS 500"),
        (1.002, 99.9, "short", "R-hat 1.002, ESS 99 of {first}"),
        (1.01, 100.0, "converged", "R-hat 1.010, ESS 100"),
        (1.0096, 100.9, "converged", "R-hat 1.010, ESS 100"),
        (INFINITE, 2.0, "short", "R-hat infinite of {first}, ESS 2"),
    ],
)
def test_the_reason_is_never_on_the_other_side_of_the_rule(
    rhat: float, ess: float, level: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-hat is rounded up and ESS down, so that what is shown fulfils the rule only if the figures do."""

    def known(quantities: np.ndarray) -> Mixing:
        return Mixing(np.full(quantities.shape[-1], rhat), np.full(quantities.shape[-1], ess))

    monkeypatch.setattr(verdict, "mixing_of_each", known)
    found = card_of(2, 100)
    assert (found["level"], found["why"]) == (level, why.format(first=found["worst"]))


def test_the_card_passes_on_what_the_sampler_tells() -> None:
    told = {"start": "from the prior", "advice": "step_size: 0.001, a tenth of it"}
    found = card_of(2, 10, **told)
    assert (found["start"], found["advice"]) == tuple(told.values())
    assert "start" not in card_of(2, 10)
    diverged = card_of(1, 4, divergences=np.ones((1, 4), bool), **told)
    assert diverged["why"] == "every transition diverged: step_size: 0.001, a tenth of it"


@pytest.mark.parametrize(("superchains", "told"), [(4, True), (3, False), (8, False), (0, False), ("two", False)])
def test_nested_rhat_is_given_where_chains_share_their_starts(superchains: object, told: bool) -> None:
    """Eight chains from four starts; three groups are not possible, and eight groups are all chains."""
    assert (card_of(8, 50, superchains=superchains)["nested_rhat"] is not None) == told


def test_one_chain_of_independent_draws_is_short() -> None:
    found = card_of(1, 1000)
    assert found["level"] == "short"
    assert str(found["why"]).startswith("one chain cannot show")


def test_traces_are_those_of_judged_chains_alone() -> None:
    generator = np.random.default_rng(0)
    draws = {name: generator.normal(size=(2, 20, *w.shape)) for name, w in nn.Linear(2, 2).state_dict().items()}
    predictive, data = bb.Predictive(nn.Linear(2, 2), bb.Draws(draws)), small_data(inputs=2)
    made = card.judged(predictive, data)
    assert made.card == bb.posterior_card(predictive, data)
    assert next(iter(made.traces)) == made.card["worst"]
    assert {values.shape for values in made.traces.values()} == {(2, 20)}
    predictive.fitted_by = Independent()
    assert card.judged(predictive, data).traces == {}
