"""The radii of a benchmarks file: fractions, and balls that hold the whole box."""

from __future__ import annotations

from pathlib import Path

import pytest
from good_file import GOOD, written

import bnnbench as bb
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import Plan, make_plan, restricted
from bnnbench.matrix.radii import check_radii

TOP, OWN = "epsilons: [0.1, 1e-3]", "epsilons: [0.02]"


def planned(folder: Path, *changes: tuple[str, str], more: str = "") -> Plan:
    text = GOOD + more
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return make_plan(read_config(written(folder, text)))


def test_a_fraction_is_the_radius_of_its_float_and_is_shown_as_it_is_written(tmp_path: Path) -> None:
    plan = planned(tmp_path, (TOP, "epsilons: [8/255, 0.5 / 255, 0.1]"), (OWN, "threats: [{epsilon: 4/255, norm: l2}]"))
    found = {cell.epsilon_text: cell.threat for cell in plan.cells}
    assert list(found) == ["4/255", "8/255", "0.5/255", "0.1"]
    assert [threat and threat.epsilon for threat in found.values()] == [4 / 255, 8 / 255, 0.5 / 255, 0.1]
    assert plan.cells[0].name.endswith("fgsm eps 4/255")


def test_the_key_of_a_fraction_is_that_of_its_float(tmp_path: Path) -> None:
    one = planned(tmp_path, (TOP, "epsilons: [8/255]"))
    two = planned(tmp_path, (TOP, f"epsilons: [{8 / 255!r}]"))
    assert [cell.key for cell in one.cells] == [cell.key for cell in two.cells]
    assert {cell.epsilon_text for cell in two.cells} == {"0.02", "0.03137254901960784"}


@pytest.mark.parametrize("word", ["8/255", "8 / 255", repr(8 / 255), "[0.3, 8/255]"])
def test_a_pattern_takes_a_radius_as_a_fraction_or_a_number(tmp_path: Path, word: str) -> None:
    plan = planned(tmp_path, (TOP, "epsilons: [8/255, 0.1]"), more=f"include: [{{epsilon: {word}}}]\n")
    assert {cell.epsilon_text for cell in plan.cells} == {"8/255"}


@pytest.mark.parametrize("word", ["8/255", repr(8 / 255)])
def test_a_radius_selects_cells(tmp_path: Path, word: str) -> None:
    plan = planned(tmp_path, (TOP, "epsilons: [8/255, 0.1]"), more="measures: {predictions: }\n")
    cells = restricted(plan, [word, "sgd"]).cells
    assert {(cell.epsilon_text, cell.posterior, cell.kind) for cell in cells} == {("8/255", "sgd", "attack")}
    with pytest.raises(bb.ConfigError, match=r"--only 9/255: no cell .* \(there are moons, .*, 0.02, 8/255, 0.1\)"):
        restricted(plan, ["9/255"])


def problems(plan: Plan) -> list[str]:
    try:
        check_radii(plan.config, plan.cells)
    except bb.ConfigError as error:
        return error.problems
    return []


def test_a_ball_that_holds_the_box_is_refused_at_its_line(tmp_path: Path) -> None:
    plan = planned(tmp_path, (TOP, "epsilons: [0.1, 8]"), (OWN, "threats: [{epsilon: 2.0, norm: l2}]"))
    one, two = problems(plan)
    assert one.startswith(f"{tmp_path}/benchmarks.yaml:4:17: epsilons.1 of digits: the linf ball of radius 8 holds")
    assert "8 looks like 8/255" in one
    assert ":6:48: datasets.moons.threats.0.epsilon of moons: the l2 ball of radius 2 holds the whole box" in two
    assert "allow_whole_box: true" in one


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("draws: 5", "draws: 5, allow_whole_box: true"),
        (TOP, "threats: [{epsilon: 8, allow_whole_box: true}]"),
    ],
)
def test_it_may_be_asked_for_and_that_changes_no_key(tmp_path: Path, old: str, new: str) -> None:
    refused = planned(tmp_path, (TOP, "epsilons: [8]"))
    assert problems(refused)
    allowed = planned(tmp_path, *{TOP: "epsilons: [8]", old: new}.items())
    assert not problems(allowed)
    assert [cell.key for cell in allowed.cells] == [cell.key for cell in refused.cells]


def test_a_threat_may_refuse_what_the_file_allows(tmp_path: Path) -> None:
    threats = "threats: [{epsilon: 8, allow_whole_box: false}, {epsilon: 9}]"
    (problem,) = problems(planned(tmp_path, (TOP, threats), ("draws: 5", "draws: 5, allow_whole_box: true")))
    assert "threats.0.epsilon" in problem


def test_only_cells_that_would_run_are_looked_at(tmp_path: Path) -> None:
    for word, count in [("digits", 1), ("moons", 0), ("0.1", 0), ("8", 1)]:
        plan = restricted(planned(tmp_path, (TOP, "epsilons: [0.1, 8]")), [word])
        assert len(problems(plan)) == count, word
    assert not problems(planned(tmp_path, (TOP, "epsilons: [0.1, 8]"), more="exclude: [{epsilon: 8}]\n"))


def test_a_box_that_is_not_known_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "wide.py").write_text(
        "import bnnbench as bb\nclass Wide(bb.Dataset):\n    pass\n"
        "class Known(bb.Dataset):\n    known_bounds = (-10.0, 10.0)\n"
    )
    wide = planned(tmp_path, (TOP, "epsilons: [8]"), ("  digits:", "  digits: {use: 'wide.py:Wide'}"))
    assert not problems(wide)
    known = [
        planned(tmp_path, (TOP, f"epsilons: [{epsilon}]"), ("  digits:", "  digits: {use: 'wide.py:Known'}"))
        for epsilon in (8, 20)
    ]
    assert [len(problems(plan)) for plan in known] == [0, 1]
