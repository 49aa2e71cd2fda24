"""FGSM and PGD of other libraries, as functions to time. Libraries that are not installed are left out."""

from __future__ import annotations

from typing import Any

from measuring import Work
from torch import Tensor, nn


def peers(frozen: nn.Module, usual: nn.Module, x: Tensor, y: Tensor, epsilon: float, steps: int) -> dict[str, Work]:
    """FGSM (0 steps) or PGD in the linf ball, of the other libraries that are installed: name -> function to time.

    Args:
        frozen: the ensemble as a module whose weights require no gradients.
        usual: the same with weights that require gradients.
        x: inputs (N, *shape).
        y: labels (N,).
        epsilon: the radius of the ball.
        steps: the steps of PGD, or 0 for FGSM.
    """
    works: dict[str, Work] = {}
    for library in (_foolbox, _torchattacks, _art):
        try:
            works |= library(frozen, usual, x, y, epsilon, steps)
        except ImportError:
            continue
    return works


def _foolbox(frozen: nn.Module, usual: nn.Module, x: Tensor, y: Tensor, epsilon: float, steps: int) -> dict[str, Work]:
    import foolbox

    def attacked(module: nn.Module, epsilons: Any) -> Any:
        model = foolbox.PyTorchModel(module.eval(), (0, 1), device=x.device)
        attack: Any = foolbox.attacks.FGSM() if steps == 0 else foolbox.attacks.LinfPGD(steps=steps)
        return attack(model, x, y, epsilons=epsilons)

    works: dict[str, Work] = {
        "Foolbox, weights frozen": lambda: attacked(frozen, epsilon),
        "Foolbox as its users write it": lambda: attacked(usual, epsilon),
    }
    if steps == 0:
        works["Foolbox, three epsilons"] = lambda: attacked(usual, [epsilon / 2, epsilon, 2 * epsilon])
    return works


def _torchattacks(
    frozen: nn.Module, usual: nn.Module, x: Tensor, y: Tensor, epsilon: float, steps: int
) -> dict[str, Work]:
    import torchattacks

    def attacked() -> Any:
        if steps == 0:
            return torchattacks.FGSM(frozen, eps=epsilon)(x, y)
        return torchattacks.PGD(frozen, eps=epsilon, alpha=epsilon / 4, steps=steps)(x, y)

    return {"torchattacks, weights frozen": attacked}


def _art(frozen: nn.Module, usual: nn.Module, x: Tensor, y: Tensor, epsilon: float, steps: int) -> dict[str, Work]:
    from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    place = "gpu" if x.is_cuda else "cpu"
    classifier = PyTorchClassifier(
        usual, loss=nn.NLLLoss(), input_shape=x.shape[1:], nb_classes=10, clip_values=(0, 1), device_type=place
    )

    def attacked() -> Any:
        if steps == 0:
            attack: Any = FastGradientMethod(classifier, eps=epsilon, batch_size=len(x))
        else:
            attack = ProjectedGradientDescentPyTorch(
                classifier, eps=epsilon, eps_step=epsilon / 4, max_iter=steps, batch_size=len(x), verbose=False
            )
        return attack.generate(x.cpu().numpy(), y.cpu().numpy())

    return {"ART": attacked}
