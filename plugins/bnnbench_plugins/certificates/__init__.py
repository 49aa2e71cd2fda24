"""The bundled certificates."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    home = "bnnbench_plugins.certificates"
    registry.certificate("crown", f"{home}.crown:Crown", help="Linear relaxation, per draw and of all draws jointly.")
    registry.certificate("exact", f"{home}.exact:Exact", help="Branch and bound, for networks of few inputs.")
    registry.certificate("interval", f"{home}.interval:IntervalBounds", help="Interval bounds of each draw.")
    registry.certificate(
        "posterior-probability",
        f"{home}.posterior_probability:PosteriorProbability",
        help="Probability that a draw of the posterior is robust.",
    )
