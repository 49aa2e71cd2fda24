"""What several certificates prove together, in rows of reports too."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from outcomes import cell, certified, outcome
from proofs import MATRIX, written

import bnnbench as bb
from bnnbench.evidence.results import Results
from bnnbench.evidence.row_kinds import worst_rows
from bnnbench.evidence.stored_figures import figures_of
from bnnbench.evidence.worst_case import certified_case, certified_of
from bnnbench.report.formats import FORMATS, ROW_FORMATS
from bnnbench.statistics.intervals import wilson


def no_card(_: Any) -> dict[str, Any]:
    return {}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("proofs")
    return bb.run(written(folder), store=folder / "store", jobs=0)


def test_an_image_is_certified_if_one_certificate_proves_it() -> None:
    one, other = np.array([True, False, False]), np.array([False, False, True])
    assert certified_case([one, other]).tolist() == [True, False, True]
    cells = [certified("ibp", 0, "1100000000"), certified("crown", 0, "0110000000")]
    found = certified_of(cells, 2, [0])
    assert found.accuracy is not None
    assert (found.accuracy.mean, found.partial) == (0.3, False)
    assert (found.accuracy.low, found.accuracy.high) == wilson(3, 10)
    assert certified_of(cells, 3, [0]).partial
    assert certified_of(cells, 2, [0, 1]).partial
    assert certified_of([], 1, [0]).accuracy is None


def test_seeds_are_averaged() -> None:
    cells = [certified("ibp", 0, "1100000000"), certified("ibp", 1, "1111000000")]
    found = certified_of(cells, 1, [0, 1])
    assert found.accuracy is not None
    assert (found.accuracy.mean, found.accuracy.seeds) == (pytest.approx(0.3), (0.2, 0.4))
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx(wilson(3, 10))


def test_rows_of_cells_have_the_figures_of_their_kind(results: Results) -> None:
    rows = results.rows()
    assert results.complete
    proofs = [row for row in rows if row["kind"] == "certificate"]
    assert [(row["certificate"], row["posterior"], row["epsilon"]) for row in proofs] == [
        ("linear", posterior, epsilon) for posterior in ("sgd", "vi") for epsilon in (0.0, 0.05)
    ]
    for row in proofs:
        assert row["certified_low"] <= row["certified_accuracy"] <= row["certified_high"]
        assert (row["refuted_share"] is None) == (row["posterior"] == "vi")
        assert (list(row)[-1], row["about"]) == ("about", "predictive")
        assert "attack" not in row
        assert "robust_accuracy" not in row
        assert not any(name.startswith("worst") for name in row)
    assert not any(name.startswith(("certified", "about")) for row in rows if row["kind"] == "attack" for name in row)
    probable = certified("probable", 0, "1110000000")
    probable = replace(probable, spec=replace(probable.spec, component=bb.certificate("posterior-probability")))
    assert probable.row()["about"] == "posterior"


def test_a_stored_certification_has_its_figures(results: Results) -> None:
    for row in (row for row in results.rows() if row["kind"] == "certificate"):
        record = results.store.record("cells", row["cell"])
        assert record is not None
        figures, why = figures_of(results.store, row["cell"], record)
        assert why == ""
        assert figures is not None
        assert figures.items() <= row.items()
    proofs = [found for _, found in results.outcomes() if isinstance(found, bb.Certification)]
    assert [(proof.certificate, proof.posterior, len(proof)) for proof in proofs] == [
        ("linear", posterior, 40) for posterior in ("sgd", "sgd", "vi", "vi")
    ]


def test_rows_of_the_worst_case_end_with_what_is_certified(results: Results) -> None:
    cells = {(row["kind"], row["posterior"], row["epsilon"]): row for row in results.rows()}
    names = ["certified_accuracy", "certified_low", "certified_high", "certified_partial"]
    for row in results.rows("worst"):
        assert list(row)[-4:] == names
        proof = cells["certificate", row["posterior"], row["epsilon"]]
        assert [row[name] for name in names] == [*(proof[name] for name in names[:3]), False]
        assert row["certified_accuracy"] <= row["worst_accuracy"]
        assert row["attacks"] == ["pgd"]
    (alone,) = worst_rows([cell("a", 0, outcome("1111110000"))], no_card)
    assert [alone[name] for name in names] == [None] * 4


def test_rows_of_images_say_what_each_certificate_proves(results: Results) -> None:
    rows = results.rows("images")
    assert len(rows) == 4 * 40
    json.dumps(rows, allow_nan=False)
    for row in rows:
        assert row["certified"] is row["linear.certified"]
        assert row["worst_robust"] or not row["certified"]
        assert row["clean_right"] or not row["certified"]
        assert not (row["linear.refuted"] and row["certified"])
    for row in results.rows("worst"):
        mine = [one for one in rows if (one["posterior"], one["epsilon"]) == (row["posterior"], row["epsilon"])]
        assert np.mean([one["certified"] for one in mine]) == pytest.approx(row["certified_accuracy"])


def test_attacks_are_what_they_are_without_certificates(results: Results, tmp_path: Path) -> None:
    path = written(tmp_path, MATRIX[: MATRIX.index("certificates:")])
    alone = bb.run(path, store=tmp_path / "store", jobs=0)
    both, alone_rows = [row for row in results.rows() if row["kind"] == "attack"], alone.rows()
    assert [list(row) for row in both] == [list(row) for row in alone_rows]
    # Keys and parameters are left out: they hold the folder of the network's file, and the files that it imports.
    keyless = [[{**row, "fit": "", "cell": "", "parameters": {}} for row in rows] for rows in (both, alone_rows)]
    assert keyless[0] == keyless[1]
    known = {**alone.rows("images")[0], "fit": ""}
    assert known.pop("certified") is None
    assert known.items() <= (results.rows("images")[0] | {"fit": ""}).items()


def test_a_file_of_certificates_alone(tmp_path: Path) -> None:
    path = written(tmp_path, MATRIX.replace("attacks: {pgd: {steps: 5}}\n", ""))
    found = bb.run(path, store=tmp_path / "store", jobs=0)
    assert found.complete
    rows, images = found.rows("worst"), found.rows("images")
    assert {row["worst_accuracy"] for row in rows} == {None}
    assert rows[0]["clean_accuracy"] == found.rows()[0]["clean_accuracy"]
    assert len(images) == 4 * 40
    assert {row["worst_robust"] for row in images} == {None}
    for as_report in FORMATS.values():
        assert "certified" in as_report(found)
    for as_rows in ROW_FORMATS.values():
        assert all(as_rows(found, kind) for kind in ("cells", "worst", "images"))
    assert "certified" in repr(found)
    assert "worst" not in repr(found)
    assert not [line for line in repr(found).splitlines() if "of the kind" in line]
