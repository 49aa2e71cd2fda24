"""The bundled checks of the audit."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    home = "bnnbench_plugins.checks"
    registry.check("single-step", f"{home}.single_step:SingleStep", help="A1: one step beats many.")
    registry.check("noise", f"{home}.noise:Noise", help="A2: random signs beat gradients.")
    registry.check("radius-rise", f"{home}.radius:RadiusRise", help="A3: more images withstand a larger ball.")
    registry.check("unconstrained", f"{home}.radius:Unconstrained", help="A3: images withstand any perturbation.")
    registry.check("convergence", f"{home}.convergence:Convergence", help="A4: twice the effort finds more.")
    registry.check("zero-direction", f"{home}.zero_gradients:ZeroDirection", help="A5: the attack had no direction.")
    registry.check("zero-gradient", f"{home}.zero_gradients:ZeroGradient", help="A5: plain gradients are zero (note).")
    registry.check("probabilities", f"{home}.probabilities:Probabilities", help="A6: logits are probabilities.")
    registry.check("repeated-passes", f"{home}.repeated:RepeatedPasses", help="A7: repeated passes differ.")
    registry.check("black-box", f"{home}.black_box:BlackBox", help="A8: an attack without gradients finds more.")
    registry.check("unfinished", f"{home}.steps:Unfinished", help="A9: the objective is still rising at the end.")
    registry.check("silent-success", f"{home}.steps:SilentSuccess", help="A10: a success was lost on the way.")
    registry.check("transfer", f"{home}.transfer:Transfer", help="A11: an attack on a surrogate finds more.")
    registry.check("sample-mismatch", f"{home}.stream:SampleMismatch", help="A12: the attacker lacks the draws.")
    registry.check("objectives", f"{home}.objectives:Objectives", help="A13: another objective finds more.")
    registry.check("averaging", f"{home}.averaging:Averaging", help="A14: vanishing gradients only average out (note).")
    registry.check("binarisation", f"{home}.binarisation:Planted", help="A15: planted inputs are not found.")
    registry.check("reference", f"{home}.reference:Reference", help="A16: the attack `standard` finds more.")
    registry.check("unstable", f"{home}.unstable:Unstable", help="P2: the loss varies much near the images.")
    registry.check(
        "surrogate-failure", f"{home}.surrogate_failure:SurrogateFailure", help="P5: inputs break a surrogate alone."
    )
