"""The files of figures: which are written, what they hold, and what is told of figures that draw nothing or fail."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from drawn import attacked, results_of

import bnnbench as bb
from bnnbench.plugins.registrar import Registrar
from bnnbench.plugins.registry import Registry
from bnnbench.report.figures.files import LONGEST, file_name


def picture(name: str = "one", y: Any = (0.25, 1 / 3)) -> bb.Picture:
    series = bb.Series("=a", [1, 2], y, [0, 0], [1, 1], open=[False, True])
    panel = bb.Panel("p", bb.Axis("x"), [series, bb.Series("b", [1], [2])], [bb.Area("c", [1], [0], [1])])
    return bb.Picture(name, "title", bb.Axis("y"), [panel])


class Mine(bb.Figure):
    """Two pictures, of one name apart from letters that files cannot have."""

    times: int = 1

    def pictures(self, results: bb.Results) -> list[bb.Picture]:
        return [picture("A/b"), picture("a b")] * self.times


class Failing(bb.Figure):
    def pictures(self, results: bb.Results) -> list[bb.Picture]:
        raise RuntimeError("no\nluck")


class Leaving(bb.Figure):
    def pictures(self, results: bb.Results) -> list[bb.Picture]:
        raise SystemExit(3)


class Lacking(bb.Figure):
    def pictures(self, results: bb.Results) -> list[bb.Picture]:
        raise bb.NotApplicable("no certificates")


class Texts(bb.Figure):
    def pictures(self, results: bb.Results) -> Any:
        return ["<svg/>"]


class Empty(bb.Figure):
    def pictures(self, results: bb.Results) -> list[bb.Picture]:
        return []


def registered(monkeypatch: pytest.MonkeyPatch, **figures: Any) -> None:
    """Only these figures are installed."""
    registrar = Registrar("plugin", "dist", "1")
    for name, target in figures.items():
        registrar.figure(name, target, help="One line.")
    for module in ("bnnbench.report.figures.chosen", "bnnbench.core.named_components", "bnnbench.core.component_use"):
        monkeypatch.setattr(f"{module}.registry", lambda: Registry(registrar.entries))


RESULTS = results_of([attacked("fgsm", "1111100000")])


def test_each_picture_is_a_file_with_its_numbers_beside_it(tmp_path: Path) -> None:
    written = bb.write_figures(RESULTS, tmp_path / "new" / "folder", Mine())
    assert [str(one) for one in written] == [
        f"{tmp_path}/new/folder/mine-a_b.svg, with its numbers in mine-a_b.csv",
        f"{tmp_path}/new/folder/mine-a_b-2.svg, with its numbers in mine-a_b-2.csv",
    ]
    assert sorted(one.name for one in (tmp_path / "new" / "folder").iterdir()) == [
        *("mine-a_b-2.csv", "mine-a_b-2.svg", "mine-a_b.csv", "mine-a_b.svg")
    ]
    with (tmp_path / "new" / "folder" / "mine-a_b.csv").open() as file:
        rows = [tuple(row) for row in csv.reader(file)]
    assert rows == [
        ("panel", "series", "x", "y", "low", "high", "open"),
        ("p", "'=a", "1.0", "0.25", "0.0", "1.0", "False"),
        ("p", "'=a", "2.0", "0.3333333333333333", "0.0", "1.0", "True"),
        ("p", "b", "1.0", "2.0", "", "", "False"),
        ("p", "c", "1.0", "", "0.0", "1.0", "False"),
    ]


def test_a_second_time_writes_the_same_bytes_over_the_first(tmp_path: Path) -> None:
    bb.write_figures(RESULTS, tmp_path, ["radius"])
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(first) == {"radius-moons-fc.svg", "radius-moons-fc.csv"}
    bb.write_figures(RESULTS, tmp_path, "radius")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


def test_a_figure_that_fails_is_told_in_one_line_and_the_others_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(
        monkeypatch, broken="nowhere.at_all:Missing", empty=Empty, failing=Failing, lacking=Lacking, leaving=Leaving,
        mine=Mine, texts=Texts,
    )  # fmt: skip
    written = bb.write_figures(RESULTS, tmp_path)
    assert [(one.figure, one.path and one.path.name, one.failed) for one in written] == [
        ("broken", None, True),
        ("empty", None, False),
        ("failing", None, True),
        ("lacking", None, False),
        ("leaving", None, True),
        ("mine", "mine-a_b.svg", False),
        ("mine", "mine-a_b-2.svg", False),
        ("texts", None, True),
    ]
    told = {one.figure: str(one) for one in written}
    assert told["lacking"] == "figure lacking has nothing to draw: no certificates"
    assert told["empty"] == "figure empty has nothing to draw: it gave no pictures"
    assert told["failing"].startswith("figure failing failed: RuntimeError: no")
    assert told["texts"] == "figure texts failed: TypeError: a figure gives pictures, not '<svg/>'"
    assert "cannot import nowhere.at_all:Missing" in told["broken"]
    assert all("\n" not in line for line in told.values())


def test_a_picture_that_cannot_be_drawn_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bnnbench.report.figures import files

    whole = files.as_svg

    def refused(one: bb.Picture) -> str:
        if one.name == "A/b":
            raise ValueError("cannot draw")
        return whole(one)

    monkeypatch.setattr(files, "as_svg", refused)
    written = bb.write_figures(RESULTS, tmp_path, Mine())
    assert [str(one) for one in written] == [
        "figure Mine failed: A/b: ValueError: cannot draw",
        f"{tmp_path}/mine-a_b.svg, with its numbers in mine-a_b.csv",
    ]
    assert sorted(one.suffix for one in tmp_path.iterdir()) == [".csv", ".svg"]


def test_figures_have_parameters_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, mine=Mine)
    assert len(bb.write_figures(RESULTS, tmp_path, ["mine@times=2"])) == 4
    assert {path.name[: len("mine_times_2-")] for path in tmp_path.iterdir()} == {"mine_times_2-"}
    (tmp_path / "own.py").write_text(
        "import bnnbench as bb\n\nclass Own(bb.Figure):\n    def pictures(self, results):\n"
        "        raise bb.NotApplicable('nothing')\n"
    )
    monkeypatch.chdir(tmp_path)
    assert [str(one) for one in bb.write_figures(RESULTS, tmp_path, "own.py:Own")] == [
        "figure Own has nothing to draw: nothing"
    ]


@pytest.mark.parametrize(
    ("figures", "error", "told"),
    [
        ("radios", bb.UnknownComponent, "no figure named 'radios'; did you mean 'radius'?"),
        ("selective@score=pgd", bb.ParameterError, "figure selective: score: "),
        ("selective@score", bb.ParameterError, "'score' is no parameter; write NAME=VALUE after the @"),
        ([3], TypeError, "each of figures is a name or a figure, not 3"),
    ],
)
def test_a_wrong_name_is_told_before_anything_is_written(
    tmp_path: Path, figures: Any, error: type[Exception], told: str
) -> None:
    with pytest.raises(error) as failure:
        bb.write_figures(RESULTS, tmp_path / "new", figures)
    assert told in str(failure.value)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(bb.BnnbenchError, match=r"file: file exists$"):
        bb.write_figures(RESULTS, tmp_path / "file", "radius")
    (tmp_path / "radius-moons-fc.svg").mkdir()
    with pytest.raises(bb.BnnbenchError, match=r"radius-moons-fc\.svg: is a directory$"):
        bb.write_figures(RESULTS, tmp_path, "radius")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("radius-digits-fc", "radius-digits-fc"),
        ("radius-fc@hidden=64x64,a=1", "radius-fc_hidden_64x64_a_1"),
        ("../../etc/passwd", "etc_passwd"),
        ("", "figure"),
        ("$$", "figure"),
        ("x" * 500, "x" * LONGEST),
    ],
)
def test_names_of_files_are_safe(text: str, name: str) -> None:
    taken: set[str] = set()
    assert file_name(text, taken) == name
    assert file_name(text, taken) == f"{name}-2"


def test_a_figure_is_made_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bb.figure("selective", score="mutual-information").score == "mutual-information"  # type: ignore[attr-defined]
    with pytest.raises(bb.PluginError, match=r"does not derive from bnnbench\.Figure"):
        Registrar("plugin", "dist", "1").figure("pgd", type(bb.attack("pgd")))


def block_of_page() -> Callable[[Registrar], None]:
    """The hook of the plugin on the page about plugins."""
    page = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text()
    (block,) = [one for one in page.split("```python\n") if "# bnnbench_dots.py" in one]
    names: dict[str, Any] = {"__name__": "bnnbench_dots"}
    exec(block.partition("```")[0], names)
    hook: Callable[[Registrar], None] = names["bnnbench_register"]
    return hook


def test_the_figure_of_the_page_about_plugins_is_drawn(tmp_path: Path) -> None:
    registrar = Registrar("plugin", "dist", "1")
    block_of_page()(registrar)
    cells = [
        attacked("fgsm", "1111100000"),
        attacked("pgd", "1110000000"),
        attacked("pgd", "1000000000", posterior="vi"),
    ]
    (written,) = bb.write_figures(results_of(cells), tmp_path, registrar.entries[0].load()())
    assert not written.problem
    assert written.path is not None
    with written.path.with_suffix(".csv").open() as file:
        assert [(row["series"], row["x"], row["y"]) for row in csv.DictReader(file)] == [
            ("fgsm", "1.0", "0.5"),
            ("pgd", "1.0", "0.3"),
            ("pgd", "1.0", "0.1"),
        ]
