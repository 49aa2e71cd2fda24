"""FGSM and PGD on an ensemble against the ways in which others do it.

python speed/attacks.py            (some minutes; Foolbox, torchattacks and ART are compared where installed)
"""

from __future__ import annotations

import argparse
from typing import Any

import measuring
import torch
from measuring import Work, chain, ensemble, flops, images, in_turns, peak_work, table
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.functional import cross_entropy

import bnnbench as bb

SIZES = (784, 512, 512, 10)
EPSILON = 0.1


class MeanLogProbs(nn.Module):
    """The ensemble as other libraries take it: a module from inputs to the log of the mean softmax."""

    def __init__(self, network: nn.Module, draws: dict[str, Tensor], *, frozen: bool) -> None:
        super().__init__()
        self.members = nn.ModuleList()
        for index in range(len(next(iter(draws.values())))):
            member = chain(SIZES)
            member.load_state_dict({name: tensor[index] for name, tensor in draws.items()})
            self.members.append(member.requires_grad_(not frozen))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([member(x).log_softmax(-1) for member in self.members]).logsumexp(0)


def authors_loop(members: nn.ModuleList, x: Tensor, y: Tensor) -> Tensor:
    """As the code published with the paper does it: image by image, draw by draw, gradients of the weights included."""
    moved = []
    for image, label in zip(x, y, strict=True):
        total = torch.zeros_like(image)
        for member in members:
            leaf = image[None].clone().requires_grad_()
            cross_entropy(member(leaf), label[None]).backward()
            total += leaf.grad[0]  # type: ignore[index]
            member.zero_grad()
        moved.append((image + EPSILON * total.sign()).clamp(0, 1))
    return torch.stack(moved)


def batched_loop(network: nn.Module, draws: dict[str, Tensor], x: Tensor, y: Tensor, *, frozen: bool) -> Tensor:
    """Draw by draw over the whole batch with autograd, expected loss."""
    leaf = x.clone().requires_grad_()
    total = torch.zeros_like(x)
    for index in range(len(next(iter(draws.values())))):
        weights = {name: tensor[index].detach().requires_grad_(not frozen) for name, tensor in draws.items()}
        loss = cross_entropy(functional_call(network, weights, (leaf,)), y, reduction="sum")
        wanted = [leaf] if frozen else [leaf, *weights.values()]
        total += torch.autograd.grad(loss, wanted)[0]
    return (x + EPSILON * total.sign()).clamp(0, 1)


def stacked(network: nn.Module, draws: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    """All draws at once with `vmap(functional_call)`."""
    leaf = x.clone().requires_grad_()
    logits = vmap(lambda weights: functional_call(network, weights, (leaf,)))(draws)
    loss = cross_entropy(logits.flatten(0, 1), y.repeat(len(logits)), reduction="sum")
    return (x + EPSILON * torch.autograd.grad(loss, leaf)[0].sign()).clamp(0, 1)


def peers(frozen: nn.Module, usual: nn.Module, x: Tensor, y: Tensor, steps: int) -> dict[str, Work]:
    """FGSM (0 steps) or PGD of other libraries, those that are installed."""
    works: dict[str, Work] = {}
    try:
        import foolbox

        def of_foolbox(module: nn.Module, epsilons: Any) -> Any:
            model = foolbox.PyTorchModel(module.eval(), (0, 1))
            attack: Any = foolbox.attacks.FGSM() if steps == 0 else foolbox.attacks.LinfPGD(steps=steps)
            return attack(model, x, y, epsilons=epsilons)

        works["Foolbox, weights frozen"] = lambda: of_foolbox(frozen, EPSILON)
        works["Foolbox as its users write it"] = lambda: of_foolbox(usual, EPSILON)
        if steps == 0:
            works["Foolbox, three epsilons"] = lambda: of_foolbox(usual, [0.05, 0.1, 0.2])
    except ImportError:
        pass
    try:
        import torchattacks

        def of_torchattacks(module: nn.Module) -> Any:
            if steps == 0:
                return torchattacks.FGSM(module, eps=EPSILON)(x, y)
            return torchattacks.PGD(module, eps=EPSILON, alpha=EPSILON / 4, steps=steps)(x, y)

        works["torchattacks, weights frozen"] = lambda: of_torchattacks(frozen)
    except ImportError:
        pass
    try:
        from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescentPyTorch
        from art.estimators.classification import PyTorchClassifier

        classifier = PyTorchClassifier(
            usual, loss=nn.NLLLoss(), input_shape=x.shape[1:], nb_classes=10, clip_values=(0, 1), device_type="cpu"
        )

        def of_art() -> Any:
            if steps == 0:
                attack: Any = FastGradientMethod(classifier, eps=EPSILON, batch_size=len(x))
            else:
                attack = ProjectedGradientDescentPyTorch(
                    classifier, eps=EPSILON, eps_step=EPSILON / 4, max_iter=steps, batch_size=len(x), verbose=False
                )
            return attack.generate(x.numpy(), y.numpy())

        works["ART"] = of_art
    except ImportError:
        pass
    return works


def fgsm(draws_number: int, number: int, few: int, repeats: int) -> str:
    """One gradient of the whole ensemble."""
    network = chain(SIZES).requires_grad_(False)
    draws = ensemble(network, draws_number)
    predictive = bb.Predictive(network, draws)
    x, y = images(number, (784,))
    usual, frozen = (MeanLogProbs(network, draws, frozen=value) for value in (False, True))
    attack = bb.attack("fgsm")
    threats = [bb.Threat(epsilon=epsilon) for epsilon in (0.05, 0.1, 0.2)]
    product, work = peak_work()
    works: dict[str, Work] = {
        "bnnbench": lambda: attack(predictive, x, y, threats[1]),
        "bnnbench, three epsilons": lambda: attack(predictive, x, y, threats),
        "the gradient alone": lambda: predictive.direction(x, y, "predictive-nll"),
        "loop over draws, weights frozen": lambda: batched_loop(network, draws, x, y, frozen=True),
        "loop over draws, as usually written": lambda: batched_loop(network, draws, x, y, frozen=False),
        "vmap(functional_call)": lambda: stacked(network, draws, x, y),
        **peers(frozen, usual, x, y, 0),
    }
    seconds = in_turns({"peak": product, **works}, repeats)
    seconds["the authors' loop"] = (
        in_turns({"a": lambda: authors_loop(usual.members, x[:few], y[:few])}, 1)["a"] * number / few
    )
    peak = work / seconds.pop("peak")
    rows = [
        [
            name,
            f"{number / value:.0f}",
            f"{100 * flops(SIZES, draws_number, number) / value / peak:.0f}%",
            f"{value / seconds['bnnbench']:.2f}",
        ]
        for name, value in seconds.items()
    ]
    title = f"FGSM, {'-'.join(map(str, SIZES))}, {draws_number} draws, {number} images; peak {peak / 1e9:.0f} GFLOP/s"
    return table(title, ["way", "images/s", "of peak", "times bnnbench's time"], rows)


def pgd(draws_number: int, number: int, steps: int, repeats: int) -> str:
    """Many steps: one pass serves loss, test of success and direction."""
    network = chain(SIZES).requires_grad_(False)
    draws = ensemble(network, draws_number)
    predictive = bb.Predictive(network, draws)
    x, y = images(number, (784,))
    usual, frozen = (MeanLogProbs(network, draws, frozen=value) for value in (False, True))
    attack, threat = bb.attack("pgd", steps=steps), bb.Threat(epsilon=EPSILON)
    works = {"bnnbench": lambda: attack(predictive, x, y, threat), **peers(frozen, usual, x, y, steps)}
    seconds = in_turns(works, repeats)
    rows = [[name, f"{value:.2f}", f"{value / seconds['bnnbench']:.2f}"] for name, value in seconds.items()]
    title = f"PGD-{steps}, {'-'.join(map(str, SIZES))}, {draws_number} draws, {number} images"
    return table(title, ["way", "CPU s", "times bnnbench's time"], rows)


def convolution(draws_number: int, number: int, repeats: int) -> str:
    """A convolutional network."""
    x, y = images(number, (1, 28, 28))
    network = bb.network("conv").build(bb.Data(train=(x, y), test=(x, y), classes=10)).requires_grad_(False)
    draws = ensemble(network, draws_number)
    predictive, attack = bb.Predictive(network, draws), bb.attack("fgsm")
    works: dict[str, Work] = {
        "bnnbench": lambda: attack(predictive, x, y, bb.Threat(epsilon=EPSILON)),
        "loop over draws, weights frozen": lambda: batched_loop(network, draws, x, y, frozen=True),
        "vmap(functional_call)": lambda: stacked(network, draws, x, y),
    }
    seconds = in_turns(works, repeats)
    rows = [[name, f"{number / value:.0f}", f"{value / seconds['bnnbench']:.2f}"] for name, value in seconds.items()]
    title = f"FGSM, conv, {draws_number} draws, {number} images"
    return table(title, ["way", "images/s", "times bnnbench's time"], rows)


def small(repeats: int) -> str:
    """Small networks, where the overhead of each draw counts."""
    rows = []
    for sizes, number in (((2, 32, 32, 2), 400), ((64, 32, 32, 10), 400), ((784, 128, 10), 500)):
        network = chain(sizes).requires_grad_(False)
        draws = ensemble(network, 50)
        predictive = bb.Predictive(network, draws)
        x, y = images(number, (sizes[0],), sizes[-1])
        found = in_turns(
            {
                "ours": lambda p=predictive, x=x, y=y: p.direction(x, y, "predictive-nll"),  # type: ignore[misc]
                "loop": lambda n=network, d=draws, x=x, y=y: batched_loop(n, d, x, y, frozen=True),  # type: ignore[misc]
                "vmap": lambda n=network, d=draws, x=x, y=y: stacked(n, d, x, y),  # type: ignore[misc]
            },
            4 * repeats,
        )
        rows.append(
            ["-".join(map(str, sizes)), str(number), *(f"{1e3 * found[name]:.1f}" for name in ("ours", "loop", "vmap"))]
        )
    head = ["network", "images", "bnnbench ms", "loop over draws, weights frozen ms", "vmap ms"]
    return table("Small networks, 50 draws, one gradient", head, rows)


def report(quick: bool) -> str:
    """All tables of attacks."""
    torch.manual_seed(0)
    return "\n".join(
        [
            fgsm(10 if quick else 50, 100 if quick else 500, 2 if quick else 20, 3 if quick else 7),
            pgd(10 if quick else 50, 100, 15, 1 if quick else 3),
            convolution(10, 50 if quick else 200, 3 if quick else 5),
            small(3 if quick else 7),
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller and less sure")
    print(f"{measuring.machine()}\n\n{report(parser.parse_args().quick)}")
