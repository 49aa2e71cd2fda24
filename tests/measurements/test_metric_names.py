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
    ],
)
def test_a_wrong_name_or_parameter_is_told_on_one_line(given: str, told: str) -> None:
    with pytest.raises((bb.UnknownComponent, bb.ParameterError)) as failure:
        metrics_of(given)
    assert told in str(failure.value)
    assert "\n" not in str(failure.value)


def test_what_is_no_metric_is_refused() -> None:
    with pytest.raises(TypeError, match="metrics are names and metrics"):
        metrics_of(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="each of metrics is a name or a metric, not an attack"):
        metrics_of([bb.attack("fgsm")])  # type: ignore[list-item]
