"""The bundled objectives: functions of log-probabilities that an attacker maximises."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    home = "bnnbench_plugins.objectives"
    registry.objective(
        "predictive-nll", f"{home}.losses:PredictiveNLL", help="Negative log predictive probability of the label."
    )
    registry.objective(
        "expected-loss", f"{home}.losses:ExpectedLoss", help="Mean cross-entropy over draws (the paper's Eq. 2)."
    )
    registry.objective(
        "log-margin",
        f"{home}.margins:LogMargin",
        help="Best other class less the label, in log probability.",
    )
    registry.objective(
        "class-margin",
        f"{home}.margins:ClassMargin",
        help="One class less the label, in log probability.",
    )
    registry.objective(
        "dlr", f"{home}.margins:DifferenceOfLogitsRatio", help="Difference of logits ratio (AutoAttack)."
    )
    registry.objective("mean-logit", f"{home}.losses:MeanLogit", help="Cross-entropy of the mean logits.")
    registry.objective("mean-logit-margin", f"{home}.margins:MeanLogitMargin", help="Margin of the mean logits.")
