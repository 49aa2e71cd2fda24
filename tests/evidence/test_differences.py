"""What is compared with what: posteriors, attacks, and two results."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from outcomes import cell, outcome

import bnnbench as bb
from bnnbench.evidence.cell import Cell
from bnnbench.evidence.difference import Differences
from bnnbench.evidence.differences import between_attacks, between_posteriors, between_results
from bnnbench.evidence.lines import groups
from bnnbench.measurements.findings import REFUTING
from bnnbench.measurements.measurement import Notes

TEXT = """\
seeds: [0, 1]
epsilons: [0.05, 0.1]
evaluate: {images: 40}
datasets: {moons: {use: half-moons, train_size: 100, test_size: 60}}
networks: {fc: {hidden: [4]}}
posteriors: {sgd: {epochs: 2}, long: {use: sgd, epochs: 20}}
attacks: {random: {use: random-sign}, fgsm: }
measures: {predictions: }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("differences")
    (folder / "benchmarks.yaml").write_text(TEXT)
    bb.run(folder / "benchmarks.yaml", store=folder / "store", jobs=0)
    return folder


def test_posteriors_are_compared_in_the_worst_case_of_each_image() -> None:
    cells = [
        cell("a", 0, outcome("1111110000"), posterior="vi"),
        cell("b", 0, outcome("0111111111"), posterior="vi"),
        cell("a", 0, outcome("1000000000")),
        cell("b", 0, outcome("1111111111")),
    ]
    (found,) = between_posteriors(groups(cells))
    assert (found.pair.first, found.pair.second, found.pair.attack, found.pair.posterior) == ("vi", "sgd", "worst", "")
    assert (found.only_first, found.only_second, found.pair.partial) == (5, 1, False)
    assert found.difference == pytest.approx(0.4)


def test_an_attack_that_one_of_them_lacks_is_left_out() -> None:
    cells = [
        cell("a", 0, outcome("1111110000"), posterior="vi"),
        cell("b", 0, outcome("0000000000"), posterior="vi"),
        cell("a", 0, outcome("1000000000")),
        cell("b", 0, None, status="failed"),
    ]
    (found,) = between_posteriors(groups(cells))
    assert (found.first_accuracy, found.second_accuracy, found.pair.partial) == (0.6, 0.1, True)
    nothing = between_posteriors(groups([cells[0], cells[3]]))
    assert (list(nothing), nothing.left_out) == ([], 1)


def test_seeds_that_both_have_are_compared() -> None:
    cells = [cell("a", seed, outcome("1111110000"), posterior="vi") for seed in (0, 1, 2)]
    cells += [cell("a", seed, outcome("1000000000")) for seed in (0, 2)]
    (found,) = between_posteriors(groups(cells))
    assert (found.pair.seeds, found.pair.partial, found.images) == ((0, 2), True, 10)


def test_marks_say_what_is_no_evidence() -> None:
    cells = [
        cell("a", 0, outcome("1111110000"), posterior="vi", card="short"),
        cell("a", 0, outcome("1000000000", zero=True)),
    ]
    (found,) = between_posteriors(groups(cells))
    assert found.pair.marks == ("~", "#")


def far_apart(**marks: Notes) -> list[Cell]:
    """Two posteriors of which every image withstands both attacks `a` and `b` on one alone; marks are by attack."""
    robust = {"sgd": np.zeros(40, bool), "vi": np.ones(40, bool)}
    return [
        dataclasses.replace(
            cell(attack, 0, outcome("1111111111"), posterior=name),
            robust=robust[name],
            marks=marks.get(attack, {}) if name == "vi" else {},
        )
        for name in robust
        for attack in "ab"
    ]


@pytest.mark.parametrize("mark", REFUTING)
def test_a_difference_of_a_number_that_is_no_evidence_does_not_hold(mark: str) -> None:
    refuted = {mark: "on purpose"}
    (sound,) = between_posteriors(groups(far_apart()))
    (found,) = between_posteriors(groups(far_apart(a=refuted, b=refuted)))
    assert (sound.holds, found.holds, found.p_adjusted) == (True, False, sound.p_adjusted)
    assert (sound.pair.marks, found.pair.marks) == (("", ""), ("", mark))
    assert found.row()["holds"] is False
    assert repr(Differences([sound])).endswith(", holds")
    assert repr(Differences([found])).endswith(", no evidence")


def test_one_attack_that_is_evidence_makes_the_worst_case_evidence() -> None:
    """The worst case is no more than what withstands that attack."""
    (found,) = between_posteriors(groups(far_apart(a={"*": "on purpose"})))
    assert (found.pair.marks, found.holds) == (("", ""), True)
    marked = between_attacks(groups(far_apart(a={"*": "on purpose"})))
    assert [one.pair.marks for one in marked if one.pair.posterior == "vi"] == [("*", "")]


def test_of_several_seeds_one_without_evidence_refutes_the_mean() -> None:
    cells = far_apart()
    for one in far_apart(a={"=": "on purpose"}, b={"=": "on purpose"}):
        cells.append(dataclasses.replace(one, spec=dataclasses.replace(one.spec, fit=cell("a", 1, None).spec.fit)))
    (found,) = between_posteriors(groups(cells))
    assert (found.pair.seeds, found.pair.marks, found.holds) == ((0, 1), ("", "="), False)


def test_attacks_on_one_fit_are_compared() -> None:
    cells = [cell("a", seed, outcome("1111110000")) for seed in (0, 1)]
    cells += [cell("b", 0, outcome("1100000000")), cell("b", 1, outcome("1111110000"))]
    cells += [cell("a", 0, outcome("1111111111"), posterior="vi")]
    (found,) = between_attacks(groups(cells))
    assert (found.pair.first, found.pair.second, found.pair.posterior, found.pair.attack) == ("a", "b", "sgd", "")
    assert (found.only_first, found.only_second, found.pair.seeds) == (2, 0, (0, 1))


def test_other_images_are_refused() -> None:
    cells = [cell("a", 0, outcome("1111110000"), posterior="vi"), cell("a", 0, outcome("1000000000"))]
    cells = [dataclasses.replace(one, sample=name) for one, name in zip(cells, "xy", strict=True)]
    with pytest.raises(bb.ConfigError, match=r"^moons / fc: vi and sgd have other test images: nothing is paired$"):
        between_posteriors(groups(cells))


def test_two_results_are_compared_by_their_labels(folder: Path) -> None:
    results = bb.results(folder / "benchmarks.yaml", folder / "store")
    same = results.differences(results)
    assert [(one.pair.posterior, one.pair.threat.epsilon) for one in same] == [
        (name, epsilon) for name in ("sgd", "long") for epsilon in (0.05, 0.1)
    ]
    assert {(one.difference, one.p, one.holds, one.pair.attack) for one in same} == {(0.0, 1.0, False, "worst")}
    only = bb.results(folder / "benchmarks.yaml", folder / "store", only=["fgsm", "long"])
    (first, second) = results.differences(only, attacks=True)
    assert {one.pair.attack for one in (first, second)} == {"fgsm"}
    assert {(one.pair.posterior, one.pair.partial) for one in (first, second)} == {("long", False)}
    assert {one.pair.partial for one in results.differences(only)} == {True}


def test_results_of_other_images_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(TEXT.replace("images: 40", "images: 30"))
    other = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0)
    results = bb.results(folder / "benchmarks.yaml", folder / "store")
    with pytest.raises(bb.ConfigError, match="have other test images"):
        results.differences(other)


def test_stored_differences_are_those_of_the_outcomes(folder: Path) -> None:
    results = bb.results(folder / "benchmarks.yaml", folder / "store")
    robust: dict[tuple[str, float, int], np.ndarray] = {}
    for spec, found in results.outcomes():
        if spec.kind == "attack":
            place = (spec.posterior, spec.threat.epsilon, spec.seed)
            robust[place] = robust.get(place, np.ones(40, bool)) & found.robust
    differences = results.differences()
    assert len(differences) == 2
    for one in differences:
        epsilon = one.pair.threat.epsilon
        means = [np.mean([robust[name, epsilon, seed] for seed in (0, 1)]) for name in ("sgd", "long")]
        assert (one.first_accuracy, one.second_accuracy) == pytest.approx(means)
        assert one.difference == pytest.approx(means[0] - means[1])
        assert one.pair.seeds == (0, 1)
    assert len(results.differences(attacks=True)) == 4


def test_the_checksum_of_images_is_about_positions_and_labels(folder: Path) -> None:
    results = bb.results(folder / "benchmarks.yaml", folder / "store")
    samples = {one.sample for one in results.cells if one.spec.kind == "attack"}
    assert len(samples) == 1
    assert len(samples.pop()) == 64


def test_results_of_certificates_or_measures_alone_have_no_differences(folder: Path) -> None:
    results = bb.results(folder / "benchmarks.yaml", folder / "store", only="predictions")
    assert results.differences() == between_results(results.cells, results.cells, ("a", "b")) == []
