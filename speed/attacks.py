"""Compare FGSM and PGD on an ensemble with loops in plain torch, and with other libraries.

python speed/attacks.py            (some minutes; Foolbox, torchattacks and ART are included if they are installed)
"""

from __future__ import annotations

import argparse

import measuring
import torch
from measuring import Work, chain, ensemble, flops, images, in_turns, peak_work, table
from peers import peers
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.functional import cross_entropy

import bnnbench as bb

SIZES = (784, 512, 512, 10)
EPSILON = 0.1


class MeanLogProbs(nn.Module):
    """An ensemble in the form that other libraries take: a module from inputs to the log of the mean softmax.

    If `frozen`, its weights do not require gradients.
    """

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
    """FGSM as in the code published with the paper: a loop over images and draws, with gradients of the weights."""
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
    """FGSM on the expected loss: a loop over draws, each with autograd over the whole batch.

    Unless `frozen`, gradients of the weights are computed too.
    """
    leaf = x.clone().requires_grad_()
    total = torch.zeros_like(x)
    for index in range(len(next(iter(draws.values())))):
        weights = {name: tensor[index].detach().requires_grad_(not frozen) for name, tensor in draws.items()}
        loss = cross_entropy(functional_call(network, weights, (leaf,)), y, reduction="sum")
        differentiated = [leaf] if frozen else [leaf, *weights.values()]
        total += torch.autograd.grad(loss, differentiated)[0]
    return (x + EPSILON * total.sign()).clamp(0, 1)


def stacked(network: nn.Module, draws: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    """FGSM on the expected loss: all draws in one call of `vmap(functional_call)`."""
    leaf = x.clone().requires_grad_()
    logits = vmap(lambda weights: functional_call(network, weights, (leaf,)))(draws)
    loss = cross_entropy(logits.flatten(0, 1), y.repeat(len(logits)), reduction="sum")
    return (x + EPSILON * torch.autograd.grad(loss, leaf)[0].sign()).clamp(0, 1)


def fgsm(draws_number: int, number: int, few: int, repeats: int) -> str:
    """A table of the time of FGSM, one gradient of the whole ensemble.

    Args:
        draws_number: draws of the ensemble.
        number: images.
        few: images on which the loop of the paper's authors is timed, which is slow.
        repeats: timed repetitions.
    """
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
        **peers(frozen, usual, x, y, EPSILON, 0),
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
    """A table of the time of PGD, whose steps need the loss, a test of success and the direction."""
    network = chain(SIZES).requires_grad_(False)
    draws = ensemble(network, draws_number)
    predictive = bb.Predictive(network, draws)
    x, y = images(number, (784,))
    usual, frozen = (MeanLogProbs(network, draws, frozen=value) for value in (False, True))
    attack, threat = bb.attack("pgd", steps=steps), bb.Threat(epsilon=EPSILON)
    works = {"bnnbench": lambda: attack(predictive, x, y, threat), **peers(frozen, usual, x, y, EPSILON, steps)}
    seconds = in_turns(works, repeats)
    rows = [[name, f"{value:.2f}", f"{value / seconds['bnnbench']:.2f}"] for name, value in seconds.items()]
    title = f"PGD-{steps}, {'-'.join(map(str, SIZES))}, {draws_number} draws, {number} images"
    return table(title, ["way", "CPU s", "times bnnbench's time"], rows)


def convolution(draws_number: int, number: int, repeats: int) -> str:
    """A table of the time of FGSM on a convolutional network."""
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
    """A table of the time of one gradient for small networks, where the overhead of each draw counts."""
    rows = []
    for sizes, number in (((2, 32, 32, 2), 400), ((64, 32, 32, 10), 400), ((784, 128, 10), 500)):
        network = chain(sizes).requires_grad_(False)
        draws = ensemble(network, 50)
        predictive = bb.Predictive(network, draws)
        x, y = images(number, (sizes[0],), sizes[-1])
        seconds = in_turns(
            {
                "ours": lambda p=predictive, x=x, y=y: p.direction(x, y, "predictive-nll"),  # type: ignore[misc]
                "loop": lambda n=network, d=draws, x=x, y=y: batched_loop(n, d, x, y, frozen=True),  # type: ignore[misc]
                "vmap": lambda n=network, d=draws, x=x, y=y: stacked(n, d, x, y),  # type: ignore[misc]
            },
            4 * repeats,
        )
        milliseconds = [f"{1e3 * seconds[name]:.1f}" for name in ("ours", "loop", "vmap")]
        rows.append(["-".join(map(str, sizes)), str(number), *milliseconds])
    head = ["network", "images", "bnnbench ms", "loop over draws, weights frozen ms", "vmap ms"]
    return table("Small networks, 50 draws, one gradient", head, rows)


def report(quick: bool) -> str:
    """The tables of all attacks, in markdown."""
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
    parser.add_argument("--quick", action="store_true", help="measure smaller cases with fewer repetitions")
    print(f"{measuring.machine()}\n\n{report(parser.parse_args().quick)}")
