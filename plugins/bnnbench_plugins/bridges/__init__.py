"""Bridges to other attack libraries, each an extra of its own."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    home = "bnnbench_plugins.bridges"
    registry.attack("adv-lib", f"{home}.adv_lib:AdvLib", help="Any attack of adv-lib, by its name there.")
    registry.attack("foolbox", f"{home}.foolbox:Foolbox", help="Any attack of Foolbox, by its name there.")
    registry.attack(
        "pyautoattack", f"{home}.pyautoattack:PyAutoAttack", help="AutoAttack as pyautoattack has it, or a part of it."
    )
    registry.attack(
        "torchattacks", f"{home}.torchattacks:TorchAttacks", help="Any attack of torchattacks, by its name there."
    )
