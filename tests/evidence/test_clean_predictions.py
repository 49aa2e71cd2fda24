"""Cells of one fit whose clean predictions differ are not put into one row."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matrices import ONE_FIT, unsealed

import bnnbench as bb
from bnnbench.core.threat import Threat
from bnnbench.evidence.clean_predictions import CleanPredictions
from bnnbench.evidence.results import Results
from bnnbench.store.store import CELLS, Store


def cell(**changes: object) -> SimpleNamespace:
    plain = {"fit": SimpleNamespace(key="a"), "images": 20, "draws": 4, "label": "fgsm", "threat": Threat(epsilon=0.1)}
    return SimpleNamespace(**(plain | changes))


def result(shift: float = 0.0) -> SimpleNamespace:
    return SimpleNamespace(clean_log_probs=np.full((20, 3), -1.0) - shift)


def told(shift: float, here: dict[str, object] | None = None, **changes: object) -> str | None:
    """What is said of a cell after one with other predictions, in an environment."""
    clean = CleanPredictions()
    assert clean.differing(cell(), {}, result()) is None  # type: ignore[arg-type]
    return clean.differing(cell(**changes), here or {}, result(shift))  # type: ignore[arg-type]


def test_rounding_is_allowed_and_another_network_is_not() -> None:
    assert told(1e-6) is None
    assert "its clean predictions are not those of fgsm" in str(told(1e-2))
    assert told(1e-2, {"cpu": "another"}) is None
    assert told(1.0, {"cpu": "another"}) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"fit": SimpleNamespace(key="b")},
        {"images": 10},
        {"draws": 2},
        {"threat": Threat(epsilon=0.1, stream="fresh", attack_draws=2)},
    ],
)
def test_only_cells_of_one_fit_evaluation_and_stream_are_compared(changes: dict[str, object]) -> None:
    assert told(5.0, **changes) is None


def test_results_without_clean_predictions_are_not_compared() -> None:
    clean = CleanPredictions()
    assert clean.differing(cell(), {}, SimpleNamespace()) is None  # type: ignore[arg-type]
    assert clean.differing(cell(threat=None), {}, result()) is None  # type: ignore[arg-type]


def test_a_report_shows_no_number_for_the_cell_of_another_network(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(ONE_FIT)
    results = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0)
    key = results.cells[-1].spec.key
    shutil.copytree(tmp_path / "store", tmp_path / "mixed")
    store = Store(tmp_path / "mixed")
    with store.held():
        record = store.record(CELLS, key)
        assert record is not None
        arrays = store.arrays(CELLS, key, record)
        arrays["clean_log_probs"] = np.roll(arrays["clean_log_probs"], 1, axis=1)
        store.write_arrays(CELLS, key, unsealed(record), arrays)
    mixed = Results(results.plan, store)
    assert [one.status for one in mixed.cells] == ["ok", "ok", "invalid"]
    assert "not those of random" in mixed.cells[-1].reason
