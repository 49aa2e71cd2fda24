"""The notes below a table about its differences: few, the largest first, and deterministic."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from outcomes import block_of, cell, outcome

from bnnbench.evidence.cell import Cell
from bnnbench.report.difference_notes import points
from bnnbench.report.latex import _latex_block
from bnnbench.report.markdown import _markdown_block


def with_robust(posterior: str, share: float, seed: int = 0, images: int = 400) -> Cell:
    """A cell of so many images, of which the first share is robust."""
    made = cell("pgd", seed, outcome("1111111111"), posterior=posterior)
    figures = made.figures | {"images": images, "robust_accuracy": share}
    return dataclasses.replace(made, robust=np.arange(images) < share * images, figures=figures)


def notes_of(*cells: Cell) -> list[str]:
    return block_of("moons", "fc", cells).notes


def test_a_difference_that_holds_names_the_more_robust_posterior_first() -> None:
    """34 of 400 images more: p is 2^-33, and the bounds are Tango's."""
    first, second = notes_of(with_robust("sgd", 0.3), with_robust("vi", 0.385))
    assert first == "vi over sgd at 0.1: +8.5 points [6.1, 11.6]"
    assert second == (
        "this difference holds at 5% (worst case, exact McNemar, Holm over 1 comparison): bnnbench compare lists all"
    )


def test_names_have_the_marks_of_the_table() -> None:
    short = dataclasses.replace(with_robust("hmc", 0.3), card="short")
    assert notes_of(short, with_robust("vi", 0.9))[0].startswith("vi over hmc~ at 0.1: +60.0 points")


def test_a_difference_of_a_number_that_is_no_evidence_is_counted_alone() -> None:
    refuted = dataclasses.replace(with_robust("vi", 0.9), marks={"#": "on purpose"})
    told = "1 difference of numbers that are no evidence holds neither"
    none = "no difference between posteriors holds at 5% (worst case, exact McNemar, Holm over 1 comparison)"
    assert notes_of(with_robust("sgd", 0.3), refuted)[-2:] == [none, told]
    notes = notes_of(with_robust("sgd", 0.3), refuted, with_robust("hmc", 0.9))
    assert notes[-1] == "2 differences of numbers that are no evidence hold neither"
    assert any(note.startswith("hmc over sgd at 0.1: +60.0 points") for note in notes)


def test_of_many_differences_the_largest_are_told_and_the_others_counted() -> None:
    shares = {"a": 0.1, "b": 0.3, "c": 0.5, "d": 0.9}
    *largest, last = notes_of(*(with_robust(name, share) for name, share in shares.items()))
    assert [line.partition(":")[0] for line in largest] == ["d over a at 0.1", "d over b at 0.1", "c over a at 0.1"]
    assert last.startswith(
        "these differences hold at 5% (worst case, exact McNemar, Holm over 6 comparisons); 3 more do"
    )


def test_if_none_holds_that_is_told() -> None:
    notes = notes_of(with_robust("sgd", 0.3), with_robust("vi", 0.305), with_robust("hmc", 0.31))
    assert notes == [
        "no difference between posteriors holds at 5% (worst case, exact McNemar, Holm over 3 comparisons)"
    ]


def test_the_correction_is_about_the_whole_table() -> None:
    """Six images alone have p = 2/64: that holds for one comparison, and does not for two of them."""
    pair = [with_robust("sgd", 0.3), with_robust("vi", 0.315)]
    assert notes_of(*pair)[0].startswith("vi over sgd")
    assert notes_of(*pair, with_robust("hmc", 0.3))[0].startswith("no difference between posteriors")


def test_a_table_of_very_many_posteriors_compares_none_of_them() -> None:
    """46 posteriors make 1035 pairs: a report must stay quick."""
    cells = [with_robust(f"p{number}", 0.3 + number / 100) for number in range(46)]
    assert notes_of(*cells) == ["1035 comparisons between posteriors: bnnbench compare lists which differences hold"]
    assert notes_of(*cells[:45])[0].startswith("p44 over p0 at 0.1")


def test_several_seeds_are_told() -> None:
    cells = [with_robust(name, share, seed) for name, share in (("sgd", 0.3), ("vi", 0.5)) for seed in (0, 1)]
    assert "worst case, two-way bootstrap over images and seeds, Holm over 1 comparison" in notes_of(*cells)[-1]


def test_one_posterior_has_no_note() -> None:
    assert notes_of(with_robust("sgd", 0.3)) == []


def test_other_images_are_told_and_the_table_stands() -> None:
    cells = [with_robust("sgd", 0.3), dataclasses.replace(with_robust("vi", 0.5), sample="others")]
    assert notes_of(*cells) == ["moons / fc: sgd and vi have other test images: nothing is paired"]


def test_every_layout_has_the_notes() -> None:
    block = block_of("moons", "fc", [with_robust("sgd", 0.3), with_robust("vi", 0.385)])
    assert "vi over sgd at 0.1: +8.5 points [6.1, 11.6]" in _latex_block(block)
    assert r"- vi over sgd at 0.1: +8.5 points \[6.1, 11.6\]" in _markdown_block(block)


@pytest.mark.parametrize(
    ("share", "images", "text"),
    [(0.1284, 400, "12.8"), (-0.1284, 400, "-12.8"), (0.1284, 5000, "12.84"), (-0.0001, 400, "0.0"), (0.0, 400, "0.0")],
)
def test_points_have_the_decimals_of_accuracies_and_no_negative_zero(share: float, images: int, text: str) -> None:
    assert points(share, images) == text
