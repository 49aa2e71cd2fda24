"""Figures that are chosen by name have names of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn import attacked, results_of

import bnnbench as bb
from bnnbench.report.figures.chosen import chosen_figures

OWN = """\
import bnnbench as bb

class Own(bb.Figure):
    share: float = 0.5

    def pictures(self, results):
        panel = bb.Panel("", bb.Axis("x"), [bb.Series("a", [1], [self.share])])
        return [bb.Picture("p", "{name}", bb.Axis("y"), [panel])]
"""


def test_different_figures_of_one_name_have_files_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(OWN.format(name=name))
    monkeypatch.chdir(tmp_path)
    results = results_of([attacked("fgsm", "1111100000")])
    names = ["one.py:Own", "two.py:Own", "one.py:Own@share=0.25", "one.py:Own@share=0.5", "one.py:Own"]
    written = bb.write_figures(results, tmp_path / "new", names)
    assert [one.figure for one in written] == ["Own", "Own-2", "Own@share=0.25"]
    titles = {one.path: one.path.read_text() for one in written if one.path}
    assert [text[text.index("<dc:title>") + 10 :].partition("<")[0] for text in titles.values()] == [
        "one",
        "two",
        "one",
    ]


def test_one_figure_that_is_named_in_several_ways_is_chosen_once() -> None:
    same = ["selective", "selective@score=entropy", 'bnnbench:selective@score="entropy"', bb.figure("selective")]
    other = ["selective@score=mutual-information", bb.figure("selective", score="mutual-information")]
    assert list(chosen_figures([*same, *other])) == ["selective", "selective@score=mutual-information"]
