"""Metrics by the names that commands and programs give them."""

from __future__ import annotations

from pathlib import Path

import pytest

import bnnbench as bb
from bnnbench.measurements.metric_names import metrics_of

MINE = """\
import bnnbench as bb

class Worst(bb.Metric):
    arrays = ("log_probs", "label")

    def number(self, arrays):
        return float(arrays["log_probs"].min())
"""


def test_a_text_names_several_metrics_with_parameters() -> None:
    found = metrics_of("nll, selective-accuracy@share=0.8,score=max-probability,ece@bins=3")
    assert list(found) == ["nll", "selective-accuracy@share=0.8,score=max-probability", "ece@bins=3"]
    assert found["nll"] == bb.metric("nll")
    assert found["ece@bins=3"] == bb.metric("ece", bins=3)
    assert list(found.values())[1] == bb.metric("selective-accuracy", share=0.8, score="max-probability")
    assert list(metrics_of(["brier", "nll,brier"])) == ["brier", "nll"]
    assert metrics_of(()) == {}


def test_metrics_of_a_program_have_the_names_of_commands() -> None:
    assert list(metrics_of(bb.metric("nll"))) == ["nll"]
    given = [bb.metric("selective-accuracy", share=0.8, score="max-probability"), bb.metric("ece", bins=15)]
    assert list(metrics_of(given)) == ["selective-accuracy@share=0.8,score=max-probability", "ece"]


def test_a_metric_of_a_file_and_of_a_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    assert list(metrics_of("mine.py:Worst,bnnbench:nll")) == ["Worst", "nll"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("nil", "no metric named 'nil'; did you mean 'nll'?"),
        ("pgd", "'pgd' is an attack"),
        ("ece@bins=0", "metric ece: bins: "),
        ("ece@bin=3", "metric ece: no parameter 'bin'; did you mean 'bins'?"),
        ("ece@bins", "metric ece: 'bins' is no parameter; write NAME=VALUE after the @"),
        ("ece@bins=3,bins=4", "metric ece: 'bins' is given twice; give one value"),
        ("ece@bins=3, bins=3", "metric ece: 'bins' is given twice; give one value"),
        ("ece@bins=" + "[" * 100_000, "metric ece: bins: the value is nested too deeply: [[["),
        ("ece@bins=" + '{"a":' * 100_000, "metric ece: bins: the value is nested too deeply: {"),
        ("ece@bins=" + "[" * 500 + "]" * 500, "metric ece: bins: input should be a valid integer, not a list of 1"),
        ("", "metrics: '' names no metric; write names such as nll,brier"),
        (" , ", "metrics: ' , ' names no metric"),
    ],
)
def test_a_wrong_name_or_parameter_is_told_on_one_line(given: str, told: str) -> None:
    with pytest.raises((bb.UnknownComponent, bb.ParameterError)) as failure:
        metrics_of(given)
    assert told in str(failure.value)
    assert "\n" not in str(failure.value)
    assert len(str(failure.value)) < 200


def test_two_metrics_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mine.py", "other.py"):
        (tmp_path / name).write_text(MINE + f"# {name}\n")
    monkeypatch.chdir(tmp_path)
    assert list(metrics_of("mine.py:Worst,mine.py:Worst,nll,bnnbench:nll")) == ["Worst", "nll"]
    with pytest.raises(bb.ParameterError, match="two metrics have the name 'Worst', by which tables call them"):
        metrics_of("mine.py:Worst,nll,other.py:Worst")


def test_a_colon_in_a_parameter_is_no_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(MINE.replace("    def", "    word: str = ''\n\n    def"))
    monkeypatch.chdir(tmp_path)
    assert list(metrics_of("mine.py:Worst@word=a:b")) == ["Worst@word=a:b"]


def test_what_is_no_metric_is_refused() -> None:
    with pytest.raises(TypeError, match="metrics are names and metrics"):
        metrics_of(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="each of metrics is a name or a metric, not an attack"):
        metrics_of([bb.attack("fgsm")])  # type: ignore[list-item]
