"""Metrics: what they declare, what they are given, and what they may return."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from outcomes import outcome

import bnnbench as bb
from bnnbench.measurements.metric import field_names, numbers_of


class Largest(bb.Metric):
    """The mean of the largest probability."""

    arrays: ClassVar[tuple[str, ...]] = ("log_probs",)
    power: float = 1.0

    def number(self, arrays: Mapping[str, Any]) -> float | None:
        assert set(arrays) == {"log_probs"}
        return float(np.exp(arrays["log_probs"]).max(-1).mean() ** self.power)


class Moved(bb.Metric):
    """The mean distance, with the draws that defend."""

    arrays: ClassVar[tuple[str, ...]] = ("distance", "draws")

    def number(self, arrays: Mapping[str, Any]) -> float | None:
        return float(arrays["distance"].mean() * arrays["draws"])


def test_a_metric_of_predictions_is_computed_at_each_side() -> None:
    found = numbers_of("largest-share", Largest(), outcome("1111110000"))
    assert found == {
        "clean_largest_share": pytest.approx(0.9),
        "attacked_largest_share": pytest.approx(0.6 * 0.9 + 0.4 * 0.8),
    }
    assert numbers_of("largest-share", Largest(), None) == dict.fromkeys(found)


def test_a_metric_of_whole_outcomes_is_computed_once() -> None:
    assert numbers_of("moved", Moved(), outcome("1111110000")) == {"moved": pytest.approx(0.3)}


def test_parameters_in_a_name_stay_in_the_fields() -> None:
    assert field_names("top-share@power=2.0,score=max-probability", Moved()) == {
        "": "top_share@power=2.0,score=max-probability"
    }


@pytest.mark.parametrize(("arrays", "told"), [((), "'arrays' is empty"), (("logits",), "no array 'logits'")])
def test_a_metric_names_arrays_that_outcomes_have(arrays: tuple[str, ...], told: str) -> None:
    with pytest.raises(bb.PluginError, match=told):
        type("Wrong", (bb.Metric,), {"arrays": arrays, "__module__": __name__, "__annotations__": {}})


@pytest.mark.parametrize("given", [float("nan"), float("inf"), True, "0.5", np.zeros(2)])
def test_what_is_no_finite_number_is_refused(given: Any) -> None:
    class Odd(Largest):
        def number(self, arrays: Mapping[str, Any]) -> Any:
            return given

    with pytest.raises(bb.ContractBreach, match=r"metric odd gave .* no finite number"):
        numbers_of("odd", Odd(), outcome("1111110000"))


def test_a_metric_that_is_not_defined_or_fails_is_told() -> None:
    class Undefined(Largest):
        def number(self, arrays: Mapping[str, Any]) -> float | None:
            return None

    class Failing(Largest):
        def number(self, arrays: Mapping[str, Any]) -> float | None:
            raise SystemExit("on purpose")

    assert numbers_of("x", Undefined(), outcome("1111110000")) == {"clean_x": None, "attacked_x": None}
    with pytest.raises(bb.ContractBreach, match=r"metric y failed: .*on purpose"):
        numbers_of("y", Failing(), outcome("1111110000"))


def test_the_plugin_of_the_page_runs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text()
    (code,) = re.findall(r"```python\n(# bnnbench_confidence.py\n.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {"__name__": "bnnbench_confidence"}
    exec(compile(code, "bnnbench_confidence.py", "exec"), names)
    found = numbers_of("confidence", names["Confidence"](), outcome("1111110000"))
    assert found == {"clean_confidence": pytest.approx(0.9), "attacked_confidence": pytest.approx(0.86)}


class Gap(bb.Metric):
    """The mean change of the largest log-probability."""

    arrays: ClassVar[tuple[str, ...]] = ("clean_log_probs", "attacked_log_probs")

    def number(self, arrays: Mapping[str, Any]) -> float | None:
        return float(arrays["clean_log_probs"].max(-1).mean() - arrays["attacked_log_probs"].max(-1).mean())


def test_attacked_predictions_of_an_attack_that_stops_early_give_no_number() -> None:
    """It leaves an image where it was broken: what is predicted there depends on when the attack stopped."""
    stopped = replace(outcome("1111110000"), stops_early=True)
    found = numbers_of("largest-share", Largest(), stopped)
    assert found == {"clean_largest_share": pytest.approx(0.9), "attacked_largest_share": None}
    assert numbers_of("gap", Gap(), stopped) == {"gap": None}
    assert numbers_of("gap", Gap(), outcome("1111110000"))["gap"] is not None
    auroc = numbers_of("detection-auroc", bb.metric("detection-auroc"), stopped)
    assert auroc == {"detection_auroc": None}


def test_what_reads_no_attacked_prediction_is_computed_of_an_attack_that_stops_early() -> None:
    """Such as the queries that it needed."""
    assert numbers_of("moved", Moved(), replace(outcome("1111110000"), stops_early=True)) == {
        "moved": pytest.approx(0.3)
    }
