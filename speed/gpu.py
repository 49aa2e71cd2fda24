"""Time attacks and a leapfrog step on a CUDA GPU, as shares of the float32 peak that is measured beside them.

python speed/gpu.py [--quick] [--device cuda]      (some minutes; Foolbox and torchattacks if they are installed)

With --quick the cases are so small that any CPU does them in seconds; their numbers then mean nothing.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import leapfrog
import measuring
import torch
from attacks import EPSILON, SIZES, MeanLogProbs, batched_loop, stacked
from measuring import Work, chain, ensemble, flops, images, table
from peers import peers
from torch import Tensor, nn

import bnnbench as bb


class Case(NamedTuple):
    """The sizes of the measurements.

    Attributes:
        draws: the draws of each ensemble.
        images: the images that are attacked.
        part: the images that ways without bounded memory are given at a time.
        steps: the steps of PGD.
        repeats: timed repetitions.
        square: the size of the matrices of the peak.
        copied: the bytes that are copied for the bandwidth.
        leapfrog: the sizes of the network whose gradient is timed.
        points: its training points.
    """

    draws: tuple[int, ...]
    images: int
    part: int
    steps: int
    repeats: int
    square: int
    copied: int
    leapfrog: tuple[int, ...]
    points: int


FULL = Case((50, 500), 10_000, 1000, 15, 5, 8192, 2**31, (784, 1024, 1024, 10), 60_000)
QUICK = Case((3,), 20, 10, 2, 1, 128, 2**20, (784, 16, 16, 10), 50)
DTYPE = torch.float32


def seconds(work: Work, device: torch.device, repeats: int) -> float:
    """The median wall time of a function, until the GPU has done all of it. A first call is not timed."""
    found = []
    for _ in range(1 + repeats):
        _wait(device)
        began = time.perf_counter()
        work()
        _wait(device)
        found.append(time.perf_counter() - began)
    return median(found[1:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peaks(case: Case, device: torch.device) -> dict[str, float]:
    """The measured peaks: operations a second of products in float32 and in TF32, and bytes a second of copies."""
    left, right = (torch.randn(case.square, case.square, device=device) for _ in range(2))
    out, found = torch.empty_like(left), {}
    before = torch.get_float32_matmul_precision()
    try:
        for name, precision in (("float32", "highest"), ("TF32", "high")):
            torch.set_float32_matmul_precision(precision)
            took = seconds(lambda: torch.mm(left, right, out=out), device, 3 * case.repeats)
            found[name] = 2.0 * case.square**3 / took
    finally:
        torch.set_float32_matmul_precision(before)
    source = torch.empty(case.copied // 4, device=device, dtype=DTYPE)
    copy = torch.empty_like(source)
    found["copy"] = 2.0 * 4 * len(source) / seconds(lambda: copy.copy_(source), device, 3 * case.repeats)
    return found


def in_parts(attack: Callable[[Tensor, Tensor], Any], x: Tensor, y: Tensor, size: int) -> Work:
    """A function that attacks the images in parts, for a way whose memory grows with their number."""
    return lambda: [attack(some, labels) for some, labels in zip(x.split(size), y.split(size), strict=True)]


def batched_products(draws: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    """FGSM on the expected loss of a chain of linear layers, by `baddbmm` over all draws."""
    leaf = x.clone().requires_grad_()
    weights = [tensor for name, tensor in draws.items() if name.endswith("weight")]
    biases = [tensor for name, tensor in draws.items() if name.endswith("bias")]
    values = leaf.expand(len(weights[0]), *leaf.shape)
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        values = torch.baddbmm(bias[:, None], values, weight.mT)
        if number < len(weights):
            values = nn.functional.leaky_relu(values)
    loss = nn.functional.cross_entropy(values.flatten(0, 1), y.repeat(len(values)), reduction="sum")
    return (x + EPSILON * torch.autograd.grad(loss, leaf)[0].sign()).clamp(0, 1)


def ways(case: Case, number: int, steps: int, device: torch.device) -> dict[str, Work]:
    """The ways to attack an ensemble of this many draws by FGSM (0 steps) or PGD: name -> function to time."""
    network = chain(SIZES).requires_grad_(False).to(device)
    draws = {name: tensor.to(device) for name, tensor in ensemble(chain(SIZES), number).items()}
    x, y = (tensor.to(device) for tensor in images(case.images, (SIZES[0],)))
    predictive, threat = bb.Predictive(network, draws), bb.Threat(epsilon=EPSILON)
    attack = bb.attack("pgd", steps=steps) if steps else bb.attack("fgsm")
    works: dict[str, Work] = {"bnnbench": lambda: attack(predictive, x, y, threat)}
    if not steps:
        works |= {
            "the gradient alone": lambda: predictive.direction(x, y, "predictive-nll"),
            "loop over draws, weights frozen": lambda: batched_loop(network, draws, x, y, frozen=True),
            "vmap(functional_call)": in_parts(lambda x, y: stacked(network, draws, x, y), x, y, case.part),
            "baddbmm by hand": in_parts(lambda x, y: batched_products(draws, x, y), x, y, case.part),
        }
    frozen = MeanLogProbs(network, draws, frozen=True).to(device)
    parts = zip(x.split(case.part), y.split(case.part), strict=True)
    of_parts = [peers(frozen, frozen, some, labels, EPSILON, steps) for some, labels in parts]
    for name in [name for name in of_parts[0] if "frozen" in name]:
        works[name] = lambda name=name: [of_part[name]() for of_part in of_parts]  # type: ignore[misc]
    return works


def attacked(case: Case, steps: int, device: torch.device, peak: float) -> str:
    """A table of the time of FGSM (0 steps) or PGD by way and number of draws."""
    rows = []
    for number in case.draws:
        for name, work in ways(case, number, steps, device).items():
            took = seconds(work, device, case.repeats)
            # PGD takes one gradient for each step, and scores its last iterate by a pass forward.
            share = flops(SIZES, number, case.images) * (steps + 0.5 if steps else 1) / took / peak
            rows.append([str(number), name, f"{case.images / took:.0f}", f"{100 * share:.0f}%"])
        gc.collect()
    title = f"{f'PGD-{steps}' if steps else 'FGSM'}, {'-'.join(map(str, SIZES))}, {case.images} images"
    return table(title, ["draws", "way", "images/s", "of the float32 peak"], rows)


def leapfrog_steps(case: Case, device: torch.device, peak: float) -> str:
    """A table of the time of one leapfrog step: the gradient alone, and that of the bundled samplers."""
    network, data = leapfrog.problem(case.leapfrog[0], case.leapfrog[1:-1], case.leapfrog[-1], case.points)
    network = network.to(device)
    x, y = (tensor.to(device) for tensor in data.train or ())
    trained = network.requires_grad_(True)

    def gradient() -> None:
        loss = nn.functional.cross_entropy(trained(x), y, reduction="sum")
        torch.autograd.grad(loss, list(trained.parameters()))

    found = {"torch's gradient alone": seconds(gradient, device, 3 * case.repeats)}
    for name in ("pyro-hmc", "numpyro-hmc"):
        found[name] = _seconds_of_a_step(name, network, data, device, case.repeats)
    products = [a * b for a, b in zip(case.leapfrog, case.leapfrog[1:], strict=False)]
    work = (4.0 * products[0] + 6.0 * sum(products[1:])) * case.points
    rows = [[name, f"{1e3 * took:.2f}", f"{100 * work / took / peak:.0f}%"] for name, took in found.items()]
    title = f"One leapfrog step, {'-'.join(map(str, case.leapfrog))}, {case.points} points"
    return table(title, ["way", "ms", "of the float32 peak"], rows)


def _seconds_of_a_step(name: str, network: nn.Module, data: bb.Data, device: torch.device, transitions: int) -> float:
    """Wall seconds of a leapfrog step: a long chain less a short one, so that start and compilation fall out."""

    def timed(number: int) -> tuple[float, int]:
        settings = {"warmup": 0, "step_size": leapfrog.STEP_SIZE, "adapt_step_size": False, "chains": 1}
        posterior: Any = bb.posterior(name, draws=number, leapfrog_steps=leapfrog.STEPS, **settings)
        _wait(device)
        began = time.perf_counter()
        draws = posterior.fit(network, data, seed=0)
        _wait(device)
        return time.perf_counter() - began, int(draws.diagnostics["gradients"])

    timed(1)
    (few, first), (many, last) = timed(1), timed(1 + transitions)
    return max(many - few, 1e-9) / (last - first)


def report(case: Case, device: torch.device) -> str:
    """The peaks and all tables, in markdown."""
    torch.manual_seed(0)
    from bnnbench.core.computing import asking
    from bnnbench.core.standard_settings import standard_settings

    with asking(device=str(device)), standard_settings():
        found = peaks(case, device)
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU"
        measured = [f"{found[one] / 1e12:.2f} TFLOP/s in {one}" for one in ("float32", "TF32")]
        head = f"{name}: {', '.join(measured)}, {found['copy'] / 1e9:.0f} GB/s copied"
        tables = [attacked(case, steps, device, found["float32"]) for steps in (0, case.steps)]
        return "\n".join([head, "", *tables, leapfrog_steps(case, device, found["float32"])])


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, measure, and print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="measure tiny cases, on a CPU too")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cuda, cuda:N or cpu")
    options = parser.parse_args(arguments)
    if options.device == "cpu" and not options.quick:
        parser.error("torch finds no CUDA device here: only --quick runs on a CPU")
    print(f"{measuring.machine()}\n\n{report(QUICK if options.quick else FULL, torch.device(options.device))}")


if __name__ == "__main__":
    main()
