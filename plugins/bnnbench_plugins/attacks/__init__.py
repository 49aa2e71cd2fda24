"""The bundled attacks."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    home = "bnnbench_plugins.attacks"
    registry.attack("fgsm", f"{home}.fgsm:FastGradientSign", help="One step to the surface of the ball.")
    registry.attack("pgd", f"{home}.pgd:ProjectedGradient", help="Projected gradient steps; the best iterate is kept.")
    registry.attack("random-sign", f"{home}.random_sign:RandomSign", help="Random signs; the best of `tries` is kept.")
