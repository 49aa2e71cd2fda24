"""A parameter that takes a component may name a label of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from bnnbench.errors import ConfigError
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan

FILE = """\
epsilons: [0.05]
datasets: {half-moons: }
networks: {fc: }
posteriors:
  mean: {use: mean-network, of: vi}
  vi: {use: bayes-by-backprop, epochs: 7}
attacks: {fgsm: }
"""


def components(folder: Path, text: str = FILE) -> dict[str, object]:
    path = folder / "benchmarks.yaml"
    path.write_text(text)
    return {variant.name: variant.component for variant in read_config(path).variants["posterior"]}


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        components(folder, text)
    return str(caught.value).splitlines()


def test_a_label_stands_for_its_component_wherever_it_is_in_the_file(tmp_path: Path) -> None:
    found = components(tmp_path)
    assert found["mean"].of == found["vi"]
    assert found["mean"].of.epochs == 7


def test_a_label_comes_before_a_registered_name(tmp_path: Path) -> None:
    text = FILE.replace("of: vi", "of: sgd")
    assert components(tmp_path, text)["mean"].of.epochs == 20
    labelled = text.replace("vi: {use: bayes-by-backprop, epochs: 7}", "sgd: {epochs: 3}")
    assert components(tmp_path, labelled)["mean"].of.epochs == 3


def test_the_fit_of_a_label_is_shared_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.yaml"
    path.write_text(FILE)
    plan = make_plan(read_config(path))
    assert len(plan.fits) == 2
    assert [type(fit.posterior).__name__ for fit in plan.fits.values()] == ["BayesByBackprop", "MeanNetwork"]
    path.write_text(FILE.replace("of: vi", "of: {use: bayes-by-backprop, epochs: 8}"))
    assert len(make_plan(read_config(path)).fits) == 3


def test_a_swept_label_is_named_with_its_value(tmp_path: Path) -> None:
    swept = FILE.replace("epochs: 7", "sweep: {epochs: [7, 9]}")
    (line,) = problems(tmp_path, swept)
    assert "benchmarks.yaml:5:" in line
    assert "'vi' stands for 2 components of this file: name one of them, vi@epochs=7 or vi@epochs=9" in line
    found = components(tmp_path, swept.replace("of: vi", "of: vi@epochs=9"))
    assert found["mean"].of.epochs == 9


def test_a_label_that_may_be_meant_is_named(tmp_path: Path) -> None:
    text = FILE.replace("vi: {use", "hmc: {use").replace("of: vi", "of: hmcc")
    (line,) = problems(tmp_path, text)
    assert line.endswith("no posterior named 'hmcc'; did you mean 'hmc', a label of this file?")
    (line,) = problems(tmp_path, text.replace("of: hmcc", "of: bayes-by-backdrop"))
    assert line.endswith("no posterior named 'bayes-by-backdrop'; did you mean 'bayes-by-backprop'?")


def test_a_component_that_is_made_of_itself_is_refused(tmp_path: Path) -> None:
    lines = problems(tmp_path, FILE.replace("use: bayes-by-backprop, epochs: 7", "use: one-draw, of: mean"))
    assert any("made of itself" in line for line in lines)


def test_a_wrong_component_is_told_once_at_its_line(tmp_path: Path) -> None:
    lines = problems(tmp_path, FILE.replace("epochs: 7", "epochs: -7"))
    assert sum("epochs" in line for line in lines) == 1
    assert any(":6:" in line for line in lines)
