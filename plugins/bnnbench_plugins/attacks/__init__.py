"""The bundled attacks."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    home = "bnnbench_plugins.attacks"
    registry.attack("apgd", f"{home}.apgd:AutoProjectedGradient", help="Auto-PGD: steps that adapt; class margins.")
    registry.attack("boundary", f"{home}.boundary:HopSkipJump", help="HopSkipJump: nearest input by predicted classes.")
    registry.attack("carlini-wagner", f"{home}.carlini_wagner:CarliniWagner", help="Nearest input in l2, by Adam.")
    registry.attack("deepfool", f"{home}.deepfool:DeepFool", help="Nearest input, by tangents of the margins.")
    registry.attack("fgsm", f"{home}.fgsm:FastGradientSign", help="One step to the surface of the ball.")
    registry.attack("fmn", f"{home}.fmn:FastMinimumNorm", help="Nearest input, by steps whose radius adapts.")
    registry.attack("mi-fgsm", f"{home}.mi_fgsm:MomentumFastGradientSign", help="Sign steps along summed gradients.")
    registry.attack("nes", f"{home}.nes:EstimatedGradient", help="Projected steps; gradients estimated from scores.")
    registry.attack("pgd", f"{home}.pgd:ProjectedGradient", help="Projected gradient steps; the best iterate is kept.")
    registry.attack("random-sign", f"{home}.random_sign:RandomSign", help="Random signs; the best of `tries` is kept.")
    registry.attack("standard", f"{home}.standard:Standard", help="An ensemble in stages, whose number can be quoted.")
    registry.attack("square", f"{home}.square:SquareAttack", help="Random search in squares; uses scores alone.")
    registry.attack(
        "substitute", f"{home}.substitute:Substitute", help="A network trained on predicted classes; transfer."
    )
    registry.attack("transfer", f"{home}.transfer:Transfer", help="Attacks the network of the mean weights; transfer.")
