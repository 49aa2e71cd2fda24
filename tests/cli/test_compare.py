"""`bnnbench compare`, and the metrics and differences of `bnnbench report`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from commands import called

TEXT = """\
epsilons: [0.05, 0.2]
evaluate: {images: 60}
datasets: {moons: {use: half-moons, train_size: 200, test_size: 60}}
networks: {fc: {hidden: [8]}}
posteriors: {sgd: {epochs: 30}, long: {use: sgd, epochs: 60}}
attacks: {random: {use: random-sign}, fgsm: }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    (folder / "benchmarks.yaml").write_text(TEXT)
    (folder / "other.yaml").write_text(TEXT.replace("epochs: 30}", "epochs: 31}"))
    (folder / "few.yaml").write_text(TEXT.replace("images: 60", "images: 50"))
    for file in ("benchmarks.yaml", "other.yaml", "few.yaml"):
        done = called("run", file, "-j", "0", folder=folder)
        assert done.returncode == 0, done.stderr
    return folder


def test_posteriors_of_a_file_in_every_format(folder: Path) -> None:
    rows = json.loads(called("compare", "--format", "json", folder=folder).stdout)
    assert [(row["first"], row["second"], row["epsilon"]) for row in rows] == [
        ("sgd", "long", 0.05),
        ("sgd", "long", 0.2),
    ]
    table = called("compare", folder=folder)
    assert (table.returncode, table.stderr) == (0, "")
    lines = table.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    for row in rows:
        (line,) = [line for line in lines if line.startswith("sgd") and f" {row['epsilon']} " in line]
        assert f"{100 * row['difference']:+.1f}" in line
        assert f"[{100 * row['low']:.1f}, {100 * row['high']:.1f}]" in line
        assert line.endswith("yes" if row["holds"] else "no")
    text = called("compare", "--format", "csv", folder=folder).stdout
    assert [float(row["p_adjusted"]) for row in csv.DictReader(io.StringIO(text))] == [
        row["p_adjusted"] for row in rows
    ]
    markdown = called("compare", "--format", "markdown", folder=folder).stdout
    assert markdown.startswith("**moons / fc: robust accuracy, first less second, in points; 60 test images**\n")
    assert called("compare", "--format", "json", folder=folder).stdout == json.dumps(rows, indent=1) + "\n"


def test_only_makes_the_family_smaller(folder: Path) -> None:
    (row,) = json.loads(called("compare", "--format", "json", "--only", "0.05", folder=folder).stdout)
    assert (row["epsilon"], row["p"]) == (0.05, row["p_adjusted"])


def test_attacks_are_compared_on_request(folder: Path) -> None:
    rows = json.loads(called("compare", "--attacks", "--format", "json", folder=folder).stdout)
    assert {(row["posterior"], row["first"], row["second"]) for row in rows} == {
        (name, "random", "fgsm") for name in ("sgd", "long")
    }
    assert len(rows) == 4


def test_two_files_or_two_stores_are_compared_by_label(folder: Path) -> None:
    rows = json.loads(called("compare", "benchmarks.yaml", "other.yaml", "--format", "json", folder=folder).stdout)
    assert [row["posterior"] for row in rows] == ["sgd", "sgd", "long", "long"]
    assert {row["difference"] for row in rows if row["posterior"] == "long"} == {0.0}
    done = called("run", "--store", "again", "-j", "0", folder=folder)
    assert done.returncode == 0, done.stderr
    same = called("compare", "--store", "store", "--store-b", "again", "--format", "json", folder=folder)
    assert [row["difference"] for row in json.loads(same.stdout)] == [0.0] * 4
    assert json.loads(same.stdout)[0]["second"] == "benchmarks.yaml in again"


def test_what_cannot_be_compared_is_told_on_one_line(folder: Path) -> None:
    for words, told in (
        (("benchmarks.yaml", "few.yaml"), "have other test images: nothing is paired"),
        (("--only", "sgd"), "nothing to compare: two posteriors with outcomes under one threat are needed; --attacks"),
        (("--attacks", "--only", "fgsm"), "nothing to compare: two attacks on a fit with outcomes"),
        (("--store", "nowhere"), "nowhere: there is no such store"),
        (("-o", "x.txt"), "--output needs a --format other than table"),
    ):
        done = called("compare", *words, folder=folder)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done
        assert told in done.stderr


def test_a_comparison_is_written_to_a_file(folder: Path, tmp_path: Path) -> None:
    done = called("compare", "--format", "json", "-o", str(tmp_path / "found.json"), folder=folder)
    assert (done.returncode, done.stdout) == (0, "")
    assert len(json.loads((tmp_path / "found.json").read_text())) == 2


def test_a_report_tells_the_differences_that_hold(folder: Path) -> None:
    rows = json.loads(called("compare", "--format", "json", folder=folder).stdout)
    assert any(row["holds"] for row in rows)
    largest = max((row for row in rows if row["holds"]), key=lambda row: abs(row["difference"]))
    long, sgd = f"long{largest['second_marks']}", f"sgd{largest['first_marks']}"
    sentence = f"{long} over {sgd} at {largest['epsilon']}: {-100 * largest['difference']:+.1f} points"
    for form in ("table", "markdown", "latex"):
        assert sentence in called("report", "--format", form, folder=folder).stdout, form


def test_a_report_shows_metrics_on_request(folder: Path) -> None:
    words = ("--metrics", "nll,detection-auroc", "--metrics", "selective-accuracy@share=0.5,score=max-probability")
    done = called("report", *words, folder=folder)
    assert done.returncode == 0, done.stderr
    titles = [line for line in done.stdout.splitlines() if line.startswith("moons / fc: ")]
    assert titles[1:] == [
        "moons / fc: nll",
        "moons / fc: detection-auroc",
        "moons / fc: selective-accuracy@share=0.5,score=max-probability",
    ]
    assert max(map(len, done.stdout.splitlines())) <= 80
    rows = json.loads(called("report", "--format", "json", *words, folder=folder).stdout)
    assert f"{rows[0]['attacked_nll']:#.4g}" in done.stdout
    assert list(rows[0])[-1] == "attacked_selective_accuracy@share=0.5,score=max-probability"
    for form in ("markdown", "latex"):
        assert "moons / fc: nll" in called("report", "--format", form, "--metrics", "nll", folder=folder).stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--metrics", "nil"), "no metric named 'nil'; did you mean 'nll'?"),
        (("--metrics", "ece@bins=0"), "metric ece: bins"),
        (("--metrics", "ece@bins=3,bins=4"), "metric ece: 'bins' is given twice; give one value"),
        (("--metrics", "ece@bins=" + "[" * 50_000), "metric ece: bins: the value is nested too deeply: [["),
        (("--metrics", ""), "metrics: '' names no metric; write names such as nll,brier"),
        (("--metrics", "nll", "--format", "json", "--rows", "worst"), "--metrics needs --rows cells"),
    ],
)
def test_wrong_metrics_are_told_on_one_line(folder: Path, words: tuple[str, ...], told: str) -> None:
    done = called("report", *words, folder=folder)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert told in done.stderr
