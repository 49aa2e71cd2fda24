"""The bundled metrics."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    home = "bnnbench_plugins.metrics"
    registry.metric("nll", f"{home}.scores:NegativeLogLikelihood", help="Mean of -log p(label), in nats.")
    registry.metric("brier", f"{home}.scores:Brier", help="Squared distance of probabilities and one-hot label.")
    registry.metric("ece", f"{home}.scores:CalibrationError", help="Expected calibration error.")
    registry.metric("entropy", f"{home}.uncertainties:Entropy", help="Mean entropy of the predictive, in nats.")
    registry.metric("mutual-information", f"{home}.uncertainties:MutualInformation", help="Disagreement of the draws.")
    registry.metric("detection-auroc", f"{home}.ranking:DetectionAuroc", help="Telling attacked inputs from clean.")
    registry.metric("selective-accuracy", f"{home}.ranking:SelectiveAccuracy", help="Accuracy of the most certain.")
    registry.metric("aurc", f"{home}.ranking:AreaUnderRisk", help="Area under the risk-coverage curve.")
