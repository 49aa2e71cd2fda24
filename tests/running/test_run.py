"""Whole runs compute each outcome once."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import bnnbench as bb
from bnnbench.evidence.results import Results
from bnnbench.report.formats import to_csv, to_json, to_latex, to_markdown
from bnnbench.store.store import RECORD

pytestmark = pytest.mark.integration

FILE = """\
epsilons: [0.0, 0.05]
evaluate: {images: 50, draws: 4}
datasets: {moons: {use: half-moons, train_size: 200, test_size: 100}}
networks:
  fc: {hidden: [8]}
posteriors:
  sgd: {epochs: 2}
  vi: {use: bayes-by-backprop, epochs: 2, draws: 4}
attacks: {random: {use: random-sign}, fgsm: , pgd: {steps: 3}}
"""

FIELDS = [
    *("dataset", "network", "posterior", "attack", "epsilon", "norm", "stream", "seed"),
    *("status", "reason", "warnings", "images", "draws", "attack_draws"),
    *("clean_accuracy", "clean_low", "clean_high", "robust_accuracy", "low", "high", "attacked_accuracy"),
    *("softmax_robustness", "zero_gradient_share", "zero_direction_share", "fit", "cell", "card"),
    *("access", "goal", "attack_draws_asked"),
]


def written(folder: Path, text: str) -> Path:
    path = folder / "benchmarks.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("run")
    return bb.run(written(folder, FILE), store=folder / "store", jobs=0)


def test_every_cell_is_ok_and_says_how_sure_it_is(finished: Results) -> None:
    rows = finished.rows()
    assert len(rows) == 12
    for row in rows:
        assert row["status"] == "ok", row
        assert row["clean_low"] <= row["clean_accuracy"] <= row["clean_high"]
        assert row["low"] <= row["robust_accuracy"] <= row["high"]
        assert row["robust_accuracy"] <= row["clean_accuracy"]
        assert row["images"] == 50
        assert row["draws"] == (1 if row["posterior"] == "sgd" else 4)
        if row["epsilon"] == 0:
            assert row["robust_accuracy"] == row["clean_accuracy"]
            assert row["softmax_robustness"] == 1
    assert list(rows[0])[: len(FIELDS)] == FIELDS


def test_the_embedding_gives_what_the_matrix_gives(finished: Results) -> None:
    """A fit and an attack by hand at the same seed agree with the stored cell to float32's rounding."""
    data = bb.dataset("half-moons", train_size=200, test_size=100).load(seed=0)
    network = bb.network("fc", hidden=(8,)).build(data)
    predictive = bb.fit(bb.posterior("bayes-by-backprop", epochs=2, draws=4), network, data, seed=0)
    outcome = bb.evaluate(predictive, bb.attack("pgd", steps=3), data, epsilon=0.05, images=50, seed=0)
    (cell,) = [
        cell
        for cell in finished.cells
        if (cell.spec.posterior, cell.spec.label, cell.spec.threat.epsilon) == ("vi", "pgd", 0.05)
    ]
    assert outcome.clean_log_probs == pytest.approx(cell.outcome.clean_log_probs, abs=1e-4)
    assert outcome.attacked_log_probs == pytest.approx(cell.outcome.attacked_log_probs, abs=1e-2)


def test_a_second_run_computes_nothing_and_an_added_row_only_itself(finished: Results, tmp_path: Path) -> None:
    store = finished.store.path
    stamps = {path: path.stat().st_mtime_ns for path in store.rglob(RECORD)}
    before = to_json(finished)
    again = bb.run(finished.plan.config.path, store=store, jobs=0)
    assert to_json(again) == before
    assert {path: path.stat().st_mtime_ns for path in store.rglob(RECORD)} == stamps
    more = FILE.replace("[0.0, 0.05]", "[0.05, 0.1, 0.0]").replace(
        "fgsm: ,", "fgsm: , margin: {use: fgsm, objective: log-margin},"
    )
    added = bb.run(written(tmp_path, more), store=store, jobs=0)
    assert all(cell.status == "ok" for cell in added.cells)
    now = {path: path.stat().st_mtime_ns for path in store.rglob(RECORD)}
    assert {path: now[path] for path in stamps} == stamps
    assert len(now) == len(stamps) + 6 + 6
    old_rows = {row["cell"]: row for row in finished.rows()}
    assert all(old_rows.get(row["cell"], row) == row for row in added.rows())


def test_reports_for_machines_and_papers(finished: Results) -> None:
    assert json.loads(to_json(finished)) == finished.rows()
    assert len(to_csv(finished).splitlines()) == 13
    markdown = to_markdown(finished)
    assert "| posterior | eps | clean | random | fgsm | pgd | worst |" in markdown
    assert to_latex(finished).count(r"\\") == 5
    assert len(finished.frame()) == 12


def test_a_damaged_outcome_is_quarantined_and_computed_again(finished: Results, tmp_path: Path) -> None:
    before = to_json(finished)
    key = finished.cells[3].spec.key
    arrays = finished.store.place("cells", key) / "arrays.safetensors"
    content = bytearray(arrays.read_bytes())
    content[-5] ^= 4
    arrays.write_bytes(content)
    again = bb.run(finished.plan.config.path, store=finished.store.path, jobs=0)
    assert to_json(again) == before
    assert key in again.store.damaged[0]


def test_a_fit_that_is_lost_is_fitted_again_though_no_outcome_is_missing(finished: Results) -> None:
    before = to_json(finished)
    record = finished.store.place("fits", finished.cells[0].spec.fit.key) / RECORD
    record.write_text(record.read_text().replace('"ok"', '"OK"'))
    again = bb.run(finished.plan.config.path, store=finished.store.path, jobs=0)
    assert to_json(again) == before
    assert again.fit_record(finished.cells[0].spec.fit) is not None


def test_an_attack_that_needs_gradients_is_skipped_where_there_are_scores_alone(tmp_path: Path) -> None:
    text = FILE.replace("  vi: {use: bayes-by-backprop, epochs: 2, draws: 4}\n", "")
    text = re.sub(r"epsilons: .*", "threats: [{epsilon: 0.1, access: scores}]", text)
    results = bb.run(written(tmp_path, text), store=tmp_path / "store", jobs=0)
    reasons = {row["attack"]: (row["status"], row["reason"]) for row in results.rows()}
    assert reasons["random"] == ("ok", "")
    assert reasons["fgsm"] == ("skipped", "this threat gives the attacker scores, not gradients")
    assert results.complete
