"""Cells know that draws are independent by construction: a file run and a program give equal numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import bnnbench as bb

pytestmark = pytest.mark.integration
VI = {"epochs": 2, "draws": 10}
FILE = """\
epsilons: [0.01]
evaluate: {images: 20}
datasets: {moons: {use: half-moons, train_size: 60, test_size: 20}}
networks: {fc: {hidden: [4]}}
posteriors: {vi: {use: bayes-by-backprop, epochs: 2, draws: 10}}
certificates: {probability: {use: posterior-probability, probability: 0.5}}
measures: {gradients: }
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of the file by the label of their component."""
    folder: Path = tmp_path_factory.mktemp("independent")
    (folder / "benchmarks.yaml").write_text(FILE, encoding="utf-8")
    found = bb.run(folder / "benchmarks.yaml", store=folder / "store", jobs=0)
    return {cell.spec.label: cell.outcome for cell in found.cells}


@pytest.fixture(scope="module")
def fitted() -> tuple[bb.Predictive, bb.Data]:
    """The same fit in a program, and its data."""
    data = bb.dataset("half-moons", train_size=60, test_size=20).load(seed=0)
    network = bb.network("fc", hidden=(4,)).build(data)
    return bb.fit(bb.posterior("bayes-by-backprop", **VI), network, data, seed=0), data


def test_a_certificate_counts_all_independent_draws_of_a_cell(
    results: dict[str, Any], fitted: tuple[bb.Predictive, bb.Data]
) -> None:
    certificate = bb.certificate("posterior-probability", probability=0.5)
    expected = bb.certify(fitted[0], certificate, fitted[1], epsilon=0.01)
    assert results["probability"].bound.tolist() == expected.bound.tolist()
    assert expected.bound.max() > 0.7  # With all ten draws robust: 0.05 ** (1 / 10) = 0.741.


def test_the_measure_gradients_counts_all_independent_draws_of_a_cell(
    results: dict[str, Any], fitted: tuple[bb.Predictive, bb.Data]
) -> None:
    measure = bb.measure("gradients")
    defence = bb.Defence(*fitted, bb.Threat(epsilon=0.0, bounds=fitted[1].bounds), images=20, draws=None, seed=0)
    assert results["gradients"]["effective"] == measure.measure(defence)["effective"] == 10.0
