"""Tables: the worst case, several seeds, and what has no number."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import bnnbench as bb
from bnnbench.evidence.intervals import wilson
from bnnbench.evidence.outcome import Outcome
from bnnbench.matrix.plan import CellSpec, FitSpec
from bnnbench.matrix.results import Cell, _row
from bnnbench.report import summary
from bnnbench.report.formats import _csv_value, _latex_block, _markdown_block
from bnnbench.report.table import render


def outcome(robust: str, clean: str = "1111111111", *, zero: bool = False) -> Outcome:
    """Ten images of two classes, all of label 0: 1 where right, 0 where wrong."""

    def log_probs(pattern: str) -> np.ndarray:
        return np.log([[0.9, 0.1] if bit == "1" else [0.2, 0.8] for bit in pattern])

    nothing, no = np.zeros(10), np.zeros(10, bool)
    return Outcome(
        index=np.arange(10),
        label=np.zeros(10, int),
        clean_log_probs=log_probs(clean),
        attacked_log_probs=log_probs(robust),
        clean_entropy=nothing,
        attacked_entropy=nothing,
        distance=nothing,
        passes=nothing,
        objective=nothing,
        zero_gradient=no,
        zero_direction=no | zero,
        inputs=nothing,
        draws=3,
        attack_draws=3,
    )


def cell(attack: str, seed: int, found: Outcome | None, *, status: str = "ok", card: str = "converged") -> Cell:
    fit = FitSpec(bb.dataset("half-moons"), bb.network("fc"), bb.posterior("sgd"), seed)
    spec = CellSpec(
        "moons", "fc", "sgd", attack, fit, bb.attack("fgsm"), bb.Threat(epsilon=0.1), images=10, draws=3, keep="few"
    )
    return Cell(spec, status, "" if found else "on purpose", [], card, found)


def test_the_worst_case_is_per_image_not_the_weakest_mean() -> None:
    """Each attack leaves 6 of 10; no image survives both."""
    (line,) = summary._block(
        "moons", "fc", [cell("a", 0, outcome("1111110000")), cell("b", 0, outcome("0000111111"))]
    ).lines
    clean, a, b, worst = line.figures
    assert (clean.mean, a.mean, b.mean, worst.mean) == (1.0, 0.6, 0.6, pytest.approx(0.2))
    assert (worst.low, worst.high) == wilson(2, 10)
    assert worst.marks == ""


def test_lines_are_told_apart_by_all_that_differs_in_their_threats() -> None:
    cells = [cell("a", 0, outcome("1111110000")) for _ in range(3)]
    threats = [bb.Threat(epsilon=0.1), bb.Threat(epsilon=0.1, access="scores"), bb.Threat(epsilon=0.1, norm="l2")]
    cells = [replace(own, spec=replace(own.spec, threat=threat)) for own, threat in zip(cells, threats, strict=True)]
    names = [line.threat for line in summary._block("moons", "fc", cells).lines]
    assert names == ["0.1 linf gradient", "0.1 linf scores", "0.1 l2 gradient"]
    assert [line.threat for line in summary._block("moons", "fc", cells[:2]).lines] == ["0.1 gradient", "0.1 scores"]


def test_radii_that_look_alike_are_written_out() -> None:
    cells = [cell("a", 0, outcome("1111110000")) for _ in range(2)]
    threats = [bb.Threat(epsilon=0.1234561), bb.Threat(epsilon=0.1234562)]
    cells = [replace(own, spec=replace(own.spec, threat=threat)) for own, threat in zip(cells, threats, strict=True)]
    assert [line.threat for line in summary._block("moons", "fc", cells).lines] == ["0.1234561", "0.1234562"]


@pytest.mark.parametrize(
    ("threat", "told"),
    [
        ({}, "linf, gradients, stream fixed: the attacker has the draws that defend (3)"),
        (
            {"norm": "l2", "attack_draws": 2},
            "l2, gradients, stream fixed: the attacker has 2 of the draws that defend (3)",
        ),
        (
            {"stream": "independent"},
            "linf, gradients, stream independent: 3 draws defend, and the attacker has 2 others",
        ),
        (
            {"stream": "fresh", "attack_draws": 2, "access": "scores"},
            "linf, scores alone, stream fresh: 2 draws chosen anew at each query",
        ),
    ],
)
def test_every_table_states_its_threat_model(threat: dict[str, Any], told: str) -> None:
    own = cell("a", 0, replace(outcome("1111110000"), attack_draws=2 if threat else 3))
    own = replace(own, spec=replace(own.spec, threat=bb.Threat(epsilon=0.1, **threat)))
    block = summary._block("moons", "fc", [own])
    assert block.attacker == told
    weaker = [note for note in block.notes if "never in its place" in note]
    assert len(weaker) == (1 if threat else 0)
    assert told in _markdown_block(block)
    assert told in _latex_block(block)


def test_nothing_is_said_of_draws_before_there_are_any() -> None:
    assert summary._block("moons", "fc", [cell("a", 0, None, status="missing")]).attacker == (
        "linf, gradients, stream fixed"
    )


def test_a_clean_error_is_never_robust() -> None:
    (line,) = summary._block("moons", "fc", [cell("a", 0, outcome("1111111111", clean="0011111111"))]).lines
    assert [figure.mean for figure in line.figures] == [0.8, 0.8, 0.8]


def test_seeds_are_averaged_at_the_number_of_distinct_images() -> None:
    cells = [cell("a", seed, outcome(robust)) for seed, robust in enumerate(["1111100000", "1111111000", "1111110000"])]
    block = summary._block("moons", "fc", cells)
    figure = block.lines[0].figures[1]
    assert figure.mean == pytest.approx(0.6)
    assert (figure.low, figure.high) == pytest.approx(wilson(6, 10))
    assert figure.range == "50.0..70.0"
    assert "mean over 3 seeds" in block.title


def test_what_is_missing_is_said_and_marks_the_worst_case_partial() -> None:
    cells = [cell("a", 0, outcome("1111111100")), cell("b", 0, None, status="failed")]
    block = summary._block("moons", "fc", cells)
    assert block.lines[0].figures[2].number == "failed"
    assert block.lines[0].figures[3].number == "80.0+"
    assert block.notes == ["sgd: failed (1 cell): on purpose"]
    assert block.marks == ["+"]


def test_a_mean_over_fewer_seeds_than_were_asked_for_is_marked_partial() -> None:
    cells = [cell("a", 0, outcome("1111111100")), cell("a", 1, None, status="timeout")]
    block = summary._block("moons", "fc", cells)
    clean, attacked, worst = block.lines[0].figures
    assert (clean.number, attacked.number, worst.number) == ("100.0+", "timeout", "80.0+")
    assert block.marks == ["+"]
    cells = [cell("a", 0, outcome("1111111100")), cell("a", 1, outcome("1111111100"))]
    cells += [cell("b", 0, outcome("1111111100")), cell("b", 1, None, status="failed")]
    clean, *_, worst = summary._block("moons", "fc", cells).lines[0].figures
    assert (clean.number, worst.number) == ("100.0", "80.0+")


def test_an_excluded_seed_is_missing_too() -> None:
    """Others have it: a mean that lacks it is no neighbour of theirs."""
    cells = [cell("a", seed, outcome("1111111100")) for seed in (0, 1)] + [cell("b", 0, outcome("1111111100"))]
    clean, a, b, worst = summary._block("moons", "fc", cells).lines[0].figures
    assert [figure.number for figure in (clean, a, b, worst)] == ["100.0", "80.0", "80.0+", "80.0+"]
    other = cell("a", 0, outcome("1111111100"))
    cells = [*cells[:2], replace(other, spec=replace(other.spec, posterior="two"))]
    lines = summary._block("moons", "fc", cells).lines
    assert [figure.number for figure in lines[1].figures] == ["100.0+", "80.0+", "80.0+"]


def test_rows_say_all_that_differs_in_their_threats() -> None:
    asked = bb.Threat(epsilon=0.1, access="scores", stream="fresh", attack_draws=2)
    own = cell("a", 0, None, status="failed")
    row = _row(replace(own, spec=replace(own.spec, threat=asked)))
    assert list(row)[-4:] == ["card", "access", "goal", "attack_draws_asked"]
    assert (row["access"], row["goal"], row["attack_draws_asked"]) == ("scores", "untargeted", 2)
    assert row["attack_draws"] is None


def test_doubtful_rows_are_marked() -> None:
    cells = [cell("a", 0, outcome("1111111100", zero=True), card="short")]
    block = summary._block("moons", "fc", cells)
    assert block.lines[0].posterior == "sgd~"
    assert block.lines[0].figures[1].number == "80.0#"
    assert set(block.marks) == {"~", "#"}


def test_a_classifier_of_one_class_says_nothing_and_is_marked() -> None:
    found = outcome("1111111111")
    assert not found.constant  # One class of labels too: nobody can say.
    found = replace(found, label=np.array([0] * 6 + [1] * 4))
    assert found.constant
    block = summary._block("moons", "fc", [cell("a", 0, found)])
    assert block.lines[0].figures[0].number == "60.0="
    assert block.marks == ["="]


def test_many_columns_wrap_into_panels_and_keep_every_figure() -> None:
    from rich.console import Console

    attacks = [f"attack-number-{number}" for number in range(9)]
    cells = [cell(name, 0, outcome("1" * (10 - number) + "0" * number)) for number, name in enumerate(attacks)]
    block = summary._block("moons", "fc", cells)
    for width in (60, 80, 250):
        buffer = io.StringIO()
        console = Console(file=buffer, width=width)
        for part in render([block], width):
            console.print(part)
        text = buffer.getvalue()
        assert max(len(line.rstrip()) for line in text.splitlines()) <= width
        for number, name in enumerate(attacks):
            assert name in text
            assert f"{100 - 10 * number}.0" in text
            assert re.search(re.escape(block.lines[0].figures[1 + number].interval), text)


def test_a_table_is_as_wide_as_was_counted_and_breaks_no_word() -> None:
    from rich.console import Console

    names = ["random", "fgsm", "pgd"]
    cells = [cell(name, seed, outcome("1" * (8 - seed) + "0" * (2 + seed))) for name in names for seed in range(3)]
    block = summary._block("moons", "fc", cells)
    for width in range(40, 130):
        buffer = io.StringIO()
        console = Console(file=buffer, width=width)
        for part in render([block], width):
            console.print(part)
        lines = [line.rstrip() for line in buffer.getvalue().splitlines()]
        assert max(map(len, lines)) <= width
        heads = " ".join(line for line in lines if re.match("posterior +eps", line))
        assert [heads.count(name) for name in (*names, "clean", "worst")] == [1] * 5, (width, lines)


def test_a_column_shows_its_own_figures_whatever_it_is_called() -> None:
    from rich.console import Console

    cells = [cell("clean", 0, outcome("1111100000")), cell("worst", 0, outcome("1111111000"))]
    block = summary._block("moons", "fc", cells)
    for width in (40, 120):
        buffer = io.StringIO()
        for part in render([block], width):
            Console(file=buffer, width=width).print(part)
        found = re.findall(r"\d+\.\d", re.sub(r"\d+\.\d-\d+\.\d", "", buffer.getvalue()))
        assert [number for number in found if number != "0.1"] == ["100.0", "50.0", "70.0", "50.0"], width
    assert re.findall(r"([\d.]+) \[", _markdown_block(block)) == ["100.0", "50.0", "70.0", "50.0"]
    assert re.findall(r"([\d.]+) \[", _latex_block(block)) == ["100.0", "50.0", "70.0", "50.0"]


def test_text_is_no_formula_and_no_markup() -> None:
    assert _csv_value("=1+1") == "'=1+1"
    assert _csv_value(["@a", "b"]) == "'@a; b"
    assert _csv_value(-0.5) == -0.5
    line = summary.Line("[x](y)~", "0.1", [summary.Figure(text="failed")])
    hostile = summary.Block("a_b", "c|d<i>", 10, 1, "linf", ["<b>|"], [line], [], ["x: failed: <script>|`"])
    told = _markdown_block(hostile)
    assert not re.search(r"(?<!\\)<", told)
    assert r"| \[x\](y)\~ | 0.1 | failed |" in told
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in told.splitlines()[4:7]] == [4, 4, 4]
    assert r"a\_b" in _latex_block(hostile)
