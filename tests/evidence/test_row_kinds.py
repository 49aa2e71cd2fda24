"""Rows of cells, of worst cases and of images, and the frames made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from outcomes import cell, outcome

import bnnbench as bb
from bnnbench.cli.report import Rows
from bnnbench.evidence.results import Results
from bnnbench.evidence.row_kinds import ROWS, card_figures, cell_rows, worst_rows
from bnnbench.report import tables
from bnnbench.store.store import Store

TEXT = """\
seeds: [0, 1]
epsilons: [8/255, 0.1]
evaluate: {images: 40}
datasets: {moons: {use: half-moons, train_size: 100, test_size: 60}}
networks: {fc: {hidden: [4]}}
posteriors: {sgd: {epochs: 2}}
attacks: {random: {use: random-sign}, fgsm: }
measures: {predictions: }
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("rows")
    (folder / "benchmarks.yaml").write_text(TEXT)
    return bb.run(folder / "benchmarks.yaml", store=folder / "store", jobs=0)


def no_card(_: Any) -> dict[str, Any]:
    return {}


def test_rows_of_cells_end_with_the_worst_case_of_their_seed(results: Results) -> None:
    rows = results.rows()
    attacked = [row for row in rows if row["kind"] == "attack"]
    last = ["parameters", "epsilon_text", "worst_accuracy", "worst_low", "worst_high", "worst_partial"]
    assert all(list(row)[-6:] == last for row in attacked)
    assert all(list(row)[-1] == "parameters" for row in rows if row["kind"] == "measure")
    for row in attacked:
        line = [one for one in attacked if (one["epsilon"], one["seed"]) == (row["epsilon"], row["seed"])]
        assert len({one["worst_accuracy"] for one in line}) == 1
        assert row["worst_accuracy"] <= min(one["robust_accuracy"] for one in line)
        assert not row["worst_partial"]
    assert {(row["epsilon_text"], row["epsilon"]) for row in attacked} == {("8/255", 8 / 255), ("0.1", 0.1)}


def test_times_have_rows_of_their_own(results: Results) -> None:
    """Rows of cells are the same for each run of a matrix, and times are not."""
    rows = results.rows()
    assert not {"seconds", "cpu_seconds"} & {name for row in rows for name in row}
    times = results.rows("times")
    for row, time in zip(rows, times, strict=True):
        names = [name for name in row if name in time]
        assert names == list(time)[:-2]
        assert {"dataset", "network", "posterior", row["kind"], "seed", "status", "cell", "kind"} <= set(names)
        assert [time[name] for name in names] == [row[name] for name in names]
        record = results.store.record("cells", row["cell"])
        assert record is not None
        assert (time["seconds"], time["cpu_seconds"]) == (record["seconds"], record["cpu_seconds"])
        assert time["cpu_seconds"] > 0
    missing = Results(results.plan, Store(results.store.path / "none")).rows("times")
    assert {(row["status"], row["seconds"], row["cpu_seconds"]) for row in missing} == {("missing", None, None)}


def test_rows_of_the_worst_case_are_the_last_column_of_the_table(results: Results) -> None:
    rows, (block,) = results.rows("worst"), tables.blocks(results)
    assert [row["epsilon_text"] for row in rows] == [line.threat for line in block.lines] == ["8/255", "0.1"]
    for row, line in zip(rows, block.lines, strict=True):
        clean, *_, worst = line.figures
        assert (row["worst_accuracy"], row["worst_low"], row["worst_high"]) == (worst.mean, worst.low, worst.high)
        assert (row["worst_smallest"], row["worst_largest"]) == (min(worst.seeds), max(worst.seeds))
        assert (row["clean_accuracy"], row["clean_low"], row["clean_high"]) == (clean.mean, clean.low, clean.high)
        assert (row["attacks"], row["attacks_missing"], row["seeds"]) == (["random", "fgsm"], [], [0, 1])
        assert (row["images"], row["card"], row["worst_partial"], row["reasons"]) == (40, "single", False, [])
        assert row["fits"] == list(results.plan.fits)


def test_rows_of_images_add_up_to_the_figures_of_cells(results: Results) -> None:
    rows = results.rows("images")
    assert len(rows) == 2 * 2 * 40
    json.dumps(rows, allow_nan=False)
    for row in (row for row in results.rows() if row["kind"] == "attack"):
        mine = [one for one in rows if (one["epsilon"], one["seed"]) == (row["epsilon"], row["seed"])]
        assert np.mean([not one[f"{row['attack']}.broke"] for one in mine]) == pytest.approx(row["robust_accuracy"])
        assert np.mean([one["clean_right"] for one in mine]) == pytest.approx(row["clean_accuracy"])
        assert np.mean([one["worst_robust"] for one in mine]) == pytest.approx(row["worst_accuracy"])
        assert np.mean([one[f"{row['attack']}.passes"] for one in mine]) == pytest.approx(row["mean_passes"])
        assert max(one[f"{row['attack']}.distance"] for one in mine) <= row["epsilon"] + 1e-6
        assert all(one["fit"] == row["fit"] and 0 <= one["entropy"] <= np.log(2) + 1e-6 for one in mine)
        assert all((one["clean_class"] == one["label"]) == one["clean_right"] for one in mine)


def test_frames_have_the_rows_and_the_figures_of_cards(results: Results) -> None:
    for kind in ("cells", "worst", "images"):
        frame, rows = results.frame(kind), results.rows(kind)
        assert len(frame) == len(rows)
        assert [name for name in frame.columns if name in rows[0]] == list(rows[0])
        assert {"card", "card_why", "card_rhat", "card_ess", "card_divergences"} <= set(frame.columns)
        assert set(frame["card"]) == {"single"}
    assert results.frame().equals(results.frame(rows="cells"))
    with pytest.raises(ValueError, match="there are no rows 'image': choose one of cells, worst, images"):
        results.frame("image")


def test_what_is_missing_is_told() -> None:
    cells = [
        cell("a", 0, outcome("1111110000")),
        cell("b", 0, None, status="failed"),
        cell("a", 1, None, status="timeout"),
    ]
    (row,) = worst_rows(cells, no_card)
    assert (row["attacks"], row["attacks_missing"], row["seeds"]) == (["a"], ["a", "b"], [0])
    assert (row["worst_accuracy"], row["worst_partial"]) == (0.6, True)
    assert row["reasons"] == ["b, seed 0: failed: on purpose", "a, seed 1: timeout: on purpose"]
    found = [(row["worst_accuracy"], row["worst_partial"]) for row in cell_rows(cells, no_card)]
    assert found == [(0.6, True), (0.6, True), (None, True)]
    (row,) = worst_rows(cells[1:], no_card)
    assert (row["clean_accuracy"], row["worst_accuracy"], row["images"]) == (None, None, None)


def test_the_cards_of_several_fits_are_summed_up_by_the_worst() -> None:
    good = {"level": "converged", "why": "R-hat 1.00", "rhat": 1.001, "ess": 400.0, "divergences": 0}
    bad = {"level": "short", "why": "R-hat\x1b 2.10", "rhat": 2.1, "ess": 4.0, "divergences": 3}
    assert card_figures([good, bad]) == {
        "card": "short",
        "card_why": "R-hat? 2.10",
        "card_rhat": 2.1,
        "card_ess": 4.0,
        "card_divergences": 3,
    }
    assert set(card_figures([{"level": []}, {}]).values()) == {None}


def test_a_report_of_each_kind_of_rows(results: Results, tmp_path: Path) -> None:
    from bnnbench.report.formats import ROW_FORMATS

    for kind in ("cells", "worst", "images"):
        assert json.loads(ROW_FORMATS["json"](results, kind)) == results.rows(kind)
        head, *lines = ROW_FORMATS["csv"](results, kind).splitlines()
        assert len(lines) == len(results.rows(kind))
        assert {"worst_partial", "epsilon_text"} <= set(head.split(","))


def test_numbers_that_are_not_finite_are_absent_from_rows_of_images() -> None:
    from bnnbench.evidence.row_kinds import _plain

    assert _plain(np.array([0.5, np.nan, np.inf])) == [0.5, None, None]
    assert _plain(np.array([1, 2])) == [1, 2]
    assert _plain(np.full(2, None)) == [None, None]


def test_the_command_line_offers_every_kind_of_rows() -> None:
    assert [kind.value for kind in Rows] == list(ROWS)
