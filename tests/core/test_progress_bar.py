"""The progress of functions that programs call."""

from __future__ import annotations

from typing import Any

import pytest
from known import random_ensemble, small_data

import bnnbench as bb
from bnnbench.core.progress_bar import shown_progress


def test_an_evaluation_tells_each_step() -> None:
    told: list[tuple[int, int, str]] = []
    bb.evaluate(
        random_ensemble(inputs=4, classes=2),
        bb.attack("fgsm"),
        small_data(),
        epsilon=[0.1, 0.2],
        progress=lambda done, total, note="": told.append((done, total, note)),
    )
    assert [done for done, _, _ in told] == [0, 1, 2, 3, 4, 5]
    assert {total for _, total, _ in told} == {5}
    assert told[2][2] == "attacking 60 images"


def test_a_bar_is_shown_on_standard_error_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress(True, "pgd\x1b[31m") as report:
        report(1, 2, "half\nway")
    told = capsys.readouterr()
    assert told.out == ""
    with shown_progress(False, "pgd") as report:
        report(1, 2)
    assert capsys.readouterr().err == ""


def test_a_function_with_other_arguments_is_told_before_anything_runs() -> None:
    with shown_progress(print, "pgd") as report:
        assert report is print
    with (
        pytest.raises(TypeError, match=r"called as progress\(done, total, note\): too many positional arguments"),
        shown_progress(lambda done, total: None, "pgd"),  # type: ignore[arg-type, misc]
    ):
        pass


@pytest.mark.parametrize("given", ["yes", 1, None])
def test_anything_else_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="progress is True, False or a function"), shown_progress(given, "pgd"):
        pass
