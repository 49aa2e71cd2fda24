"""Reports in rows, and what is shown of one fit or cell."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from commands import Done, called
from matrices import ONE_FIT

WITH_FRACTION = ONE_FIT.replace("epsilons: [0.05]", "epsilons: [0.05, 8/255]")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "benchmarks.yaml").write_text(WITH_FRACTION)
    return folder, called("run", "-j", "0", folder=folder)


def test_tables_show_a_fraction_as_it_is_written_and_only_selects_it(ran: tuple[Path, Done]) -> None:
    folder, done = ran
    assert done.returncode == 0, done.stderr
    for form in ("table", "csv", "markdown", "latex"):
        assert "8/255" in called("report", "--format", form, folder=folder).stdout, form
    rows = json.loads(called("report", "--format", "json", "--only", "8/255", folder=folder).stdout)
    assert {(row["epsilon"], row["epsilon_text"]) for row in rows} == {(8 / 255, "8/255")}
    assert len(rows) == 3


def test_rows_of_each_kind_are_json_and_csv(ran: tuple[Path, Done]) -> None:
    folder, _ = ran
    for kind, count in (("cells", 6), ("worst", 2), ("images", 80)):
        done = called("report", "--format", "json", "--rows", kind, folder=folder)
        assert (done.returncode, len(json.loads(done.stdout))) == (0, count)
        text = called("report", "--format", "csv", "--rows", kind, folder=folder).stdout
        assert len(list(csv.DictReader(io.StringIO(text)))) == count
    done = called("report", "--rows", "worst", folder=folder)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "--rows needs --format csv or json\n")
    plain = called("report", "--format", "json", folder=folder).stdout
    assert plain == called("report", "--format", "json", "--rows", "cells", folder=folder).stdout


def test_the_worst_case_is_the_same_in_every_format(ran: tuple[Path, Done]) -> None:
    folder, _ = ran
    (row, *_) = json.loads(called("report", "--format", "json", "--rows", "worst", folder=folder).stdout)
    number, low, high = (f"{100 * row[f'worst_{name}']:.1f}" for name in ("accuracy", "low", "high"))
    for form, written in (("markdown", f"{number} [{low}, {high}] |"), ("latex", rf"{number} [{low}, {high}] \\")):
        text = called("report", "--format", form, folder=folder).stdout
        assert any(line.endswith(written) for line in text.splitlines()), (form, written)
    table = called("report", folder=folder, columns=140).stdout
    assert any(line.endswith(f"{number} {low}-{high}") for line in table.splitlines())


def test_show_prints_figures_first_or_one_json_object(ran: tuple[Path, Done]) -> None:
    folder, _ = ran
    row = json.loads(called("report", "--format", "json", folder=folder).stdout)[0]
    text = called("show", row["cell"][:8], folder=folder).stdout
    places = [text.index(part) for part in ("status  ", "clean_accuracy  ", "\nrecord\n", "  environment\n")]
    assert places == sorted(places)
    shown = json.loads(called("show", row["cell"][:8], "--format", "json", folder=folder).stdout)
    assert (shown["key"], shown["figures"]["clean_accuracy"]) == (row["cell"], row["clean_accuracy"])
    fit = called("show", row["fit"][:8], folder=folder).stdout
    assert fit.index("status  ") < fit.index("\ncard\n") < fit.index("\nrecord\n")


def test_an_abbreviation_of_several_keys_is_refused(ran: tuple[Path, Done]) -> None:
    folder, _ = ran
    done = called("show", "", folder=folder)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "7 records in store begin with ''" in done.stderr


BROKEN_NET = "import torch\nclass Net(torch.nn.Linear):\n    def __init__(self): {}\n"


def test_a_failure_is_one_json_object_with_its_traceback(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(BROKEN_NET.format("raise OSError('on purpose')"))
    (tmp_path / "benchmarks.yaml").write_text(ONE_FIT.replace("fc: {hidden: [4]}", "net: {use: 'net.py:Net'}"))
    assert called("run", "-j", "0", folder=tmp_path).returncode == 1
    key = json.loads(called("report", "--format", "json", folder=tmp_path).stdout)[0]["fit"]
    shown = json.loads(called("show", key[:10], "--format", "json", folder=tmp_path).stdout)
    assert shown["status"] == "failed"
    assert "Traceback" in shown["traceback"]
    text = called("show", key[:10], folder=tmp_path).stdout
    assert text.index("status  ") < text.index("\nrecord\n") < text.index("Traceback (most recent")
    assert "OSError: on purpose" in text.splitlines()[-1]


def test_an_error_without_a_text_is_told_by_its_class(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(BROKEN_NET.format("raise AssertionError"))
    (tmp_path / "benchmarks.yaml").write_text(ONE_FIT.replace("fc: {hidden: [4]}", "net: {use: 'net.py:Net'}"))
    done = called("run", "-j", "0", folder=tmp_path)
    assert done.returncode == 1
    assert ": AssertionError (bnnbench show " in done.stderr
    assert "its fit failed: AssertionError\n" in done.stdout


WIDE = """\
import numpy as np
import bnnbench as bb

class Wide(bb.Dataset):
    def load(self, seed):
        x = np.linspace(-1, 1, 40, dtype="float32").reshape(20, 2)
        return bb.Data(train=(x, np.arange(20) % 2), test=(x, np.arange(20) % 2), bounds=(-1, 1))
"""


def test_a_ball_that_holds_the_box_is_refused_before_the_run_or_by_it(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.yaml"
    path.write_text(ONE_FIT.replace("[0.05]", "[0.05, 8]"))
    for command in ("plan", "run"):
        done = called(command, folder=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("benchmarks.yaml:1:18: epsilons.1 of moons: the linf ball of radius 8 holds")
        assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "store").exists()
    (tmp_path / "wide.py").write_text(WIDE)
    path.write_text(
        ONE_FIT.replace("[0.05]", "[0.05, 2]").replace("half-moons, train_size: 100, test_size: 60", "'wide.py:Wide'")
    )
    assert called("run", "-j", "0", "--only", "random", folder=tmp_path).returncode == 1
    rows = json.loads(called("report", "--format", "json", "--only", "random", folder=tmp_path).stdout)
    assert [(row["epsilon"], row["status"]) for row in rows] == [(0.05, "ok"), (2.0, "invalid")]
    assert rows[1]["reason"].startswith("the linf ball of radius 2 holds the whole box [-1, 1]")
    path.write_text(path.read_text().replace("images: 40", "images: 40, allow_whole_box: true"))
    done = called("run", "-j", "0", "--only", "random", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "kept from the store: 1 fit and 1 cell\n" in done.stderr


def test_a_run_that_continues_says_what_it_kept(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(ONE_FIT)
    first = called("run", "-j", "0", "--only", "fgsm", folder=tmp_path)
    assert "kept" not in first.stderr
    assert (
        "1 fit, 3 cells, 2 tasks to run\nkept from the store: 1 fit and 1 cell\n"
        in called("run", "-j", "0", folder=tmp_path).stderr
    )
    assert (
        "0 tasks to run\nkept from the store: 1 fit and 3 cells\n" in called("run", "-j", "0", folder=tmp_path).stderr
    )
