"""Keys of fits and cells: what they are made of, and what raising a revision of the core changes."""

from __future__ import annotations

import pytest

import bnnbench as bb
from bnnbench.matrix import specs
from bnnbench.matrix.specs import CellSpec, FitSpec, key_of


def fit() -> FitSpec:
    return FitSpec(bb.dataset("half-moons"), bb.network("fc"), bb.posterior("sgd"), seed=3)


def cell(**changes: object) -> CellSpec:
    given = {"component": bb.attack("fgsm"), "threat": bb.Threat(epsilon=0.1)} | changes
    return CellSpec("d", "n", "p", "l", fit(), images=10, draws=5, keep="few", **given)  # type: ignore[arg-type]


def test_the_identity_of_an_attacks_cell_is_what_stores_hold() -> None:
    assert cell().identity == {
        "schema": 1,
        "fit": fit().key,
        "kind": "attack",
        "attack": bb.attack("fgsm").identity(),
        "threat": {
            "epsilon": 0.1,
            "norm": "linf",
            "stream": "fixed",
            "attack_draws": None,
            "access": "gradient",
            "goal": "untargeted",
        },
        "evaluation": {"images": 10, "draws": 5},
        "seed": 3,
    }
    assert cell().key == key_of(cell().identity)


def test_a_budget_of_queries_is_part_of_the_key_and_a_box_is_not() -> None:
    keys = {cell(threat=bb.Threat(epsilon=0.1, queries=queries)).key for queries in (None, 10, 20)}
    assert len(keys) == 3
    assert cell(threat=bb.Threat(epsilon=0.1, bounds=(-1.0, 2.0))).key == cell().key


def test_a_measure_has_a_cell_without_a_threat() -> None:
    measured = cell(component=bb.measure("predictions"), threat=None)
    assert (measured.kind, measured.identity["threat"]) == ("measure", None)
    assert measured.identity["measure"] == bb.measure("predictions").identity()
    assert "attack" not in measured.identity


def test_a_revision_of_cells_leaves_fits_valid_and_one_of_fits_changes_both(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fit().key, cell().key
    monkeypatch.setattr(specs, "CELL_REVISION", 2)
    assert fit().key == before[0]
    assert cell().key != before[1]
    monkeypatch.setattr(specs, "CELL_REVISION", 1)
    monkeypatch.setattr(specs, "FIT_REVISION", 2)
    assert fit().key != before[0]
    assert cell().key != before[1]


def hamiltonian(**parameters: object) -> FitSpec:
    return FitSpec(bb.dataset("half-moons"), bb.network("fc"), bb.posterior("pyro-hmc", **parameters), seed=3)


def test_chains_begin_alike_if_only_their_length_and_number_differ() -> None:
    short, long = hamiltonian(draws=4, chains=2), hamiltonian(draws=30, chains=3)
    assert [short.beginning(chain) == long.beginning(chain) for chain in range(2)] == [True, True]
    assert short.beginning(0) != short.beginning(1)
    assert short.beginning(0) != hamiltonian(draws=4, chains=2, warmup=101).beginning(0)


def test_chains_with_other_starts_begin_otherwise() -> None:
    """The number of chains decides which of them share a start."""
    few, more = hamiltonian(draws=8, chains=4, superchains=2), hamiltonian(draws=8, chains=8, superchains=2)
    assert [few.beginning(chain) == more.beginning(chain) for chain in range(4)] == [True, True, False, False]
    pairs = hamiltonian(draws=8, chains=8, superchains=4)
    assert [few.beginning(chain) == pairs.beginning(chain) for chain in range(4)] == [True] * 4
