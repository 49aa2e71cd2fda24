"""What holds for every chain that BlackJAX samples, by stochastic gradients or by the microcanonical dynamics."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from logistic import NoBias, problem
from torch import nn

import bnnbench as bb

pytest.importorskip("blackjax", reason="BlackJAX is an extra")
pytestmark = pytest.mark.integration
SHORT: dict[str, dict[str, Any]] = {
    "sgld": {"draws": 4, "chains": 2, "warmup": 30, "thin": 5, "batch_size": 5},
    "sghmc": {"draws": 4, "chains": 2, "warmup": 30, "thin": 5, "batch_size": 5},
    "blackjax-mclmc": {"draws": 4, "chains": 2, "warmup": 10, "leapfrog_steps": 3},
}
"""Posteriors with settings that take no time."""


def drawn(name: str, **settings: Any) -> bb.Draws:
    """The draws of a small network."""
    template = bb.network("fc", hidden=(3,)).build(problem(2))
    return bb.posterior(name, **SHORT[name] | settings).fit(template, problem(2), seed=3)


def checksum(draws: bb.Draws) -> str:
    """One text for all bits of some draws."""
    return hashlib.sha256(b"".join(array.tobytes() for _, array in sorted(draws.arrays.items()))).hexdigest()


@pytest.mark.parametrize("name", ["sgld", "sghmc"])
def test_fits_repeat_for_a_seed_and_leave_everything_else_alone(name: str) -> None:
    data, template = problem(2), nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 2)).eval()
    posterior = bb.posterior(name, **SHORT[name])
    posterior.fit(template, data, seed=0)  # Importing the engines draws from global generators.
    before = {key: tensor.clone() for key, tensor in template.state_dict().items()}
    state = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state())  # noqa: NPY002
    seen: list[tuple[int, int]] = []
    first = posterior.fit(template, data, seed=5, progress=lambda done, total, note="": seen.append((done, total)))
    again, other = posterior.fit(template, data, seed=5), posterior.fit(template, data, seed=6)
    assert random.getstate() == state[0]
    assert np.random.get_state()[1].tolist() == state[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), state[2])
    assert all(torch.equal(tensor, before[key]) for key, tensor in template.state_dict().items())
    assert seen[-1] == (80, 80)
    for key, array in first.arrays.items():
        assert array.shape == (2, 2, *before[key].shape)
        assert array.dtype == np.float32
        assert np.array_equal(array, again.arrays[key])
        assert not np.array_equal(array, other.arrays[key])
        assert not np.array_equal(array[0], array[1])
    assert "batch norm keeps the statistics" in first.diagnostics["held_fixed"]
    assert bb.Predictive(template, first).log_probs(data.test[0]).isfinite().all()


def test_gradients_are_counted_in_passes_over_the_data() -> None:
    """Forty steps on five points of twelve, in two chains; one of twelve if a minibatch is larger than the data."""
    assert drawn("sgld").diagnostics["gradients"] == 2 * round(40 * 5 / 12)
    assert drawn("sgld", batch_size=50).diagnostics["gradients"] == 2 * 40


@pytest.mark.slow
def test_another_process_gives_the_same_bits() -> None:
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "support")]
    code = f"""
import sys
sys.path[:0] = {folders!r}
from test_chains import SHORT, checksum, drawn
print(*[checksum(drawn(name)) for name in SHORT])
"""
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert told[-len(SHORT) :] == [checksum(drawn(name)) for name in SHORT]


@pytest.mark.parametrize("name", SHORT)
def test_a_host_with_other_settings_of_jax_gets_the_same_draws(name: str) -> None:
    import jax

    expected, changed = checksum(drawn(name)), {"jax_enable_x64": True, "jax_default_prng_impl": "rbg"}
    before = {setting: getattr(jax.config, setting) for setting in changed}
    try:
        for setting, value in changed.items():
            jax.config.update(setting, value)
        assert checksum(drawn(name)) == expected
    finally:
        for setting, value in before.items():
            jax.config.update(setting, value)


class Convolution(nn.Sequential):
    """A small network of convolutions with group norm."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 10)
        )


@pytest.mark.parametrize("name", SHORT)
def test_convolutions_are_sampled_saved_and_attacked(name: str, tmp_path: Path) -> None:
    data = bb.dataset("digits", train_size=100, test_size=20).load(seed=0)
    predictive = bb.fit(bb.posterior(name, **SHORT[name]), Convolution().eval(), data, seed=1)
    predictive.save(tmp_path / "draws.safetensors")
    loaded = bb.load(tmp_path / "draws.safetensors", Convolution())
    x, y = data.test
    assert torch.equal(predictive.log_probs(x), loaded.log_probs(x))
    result = bb.attack("fgsm").run(loaded, x, y, 0.1)
    assert (loaded.log_probs(result.inputs) != loaded.log_probs(x)).any()


class Branching(nn.Linear):
    """A network whose form depends on the values of its inputs."""

    def __init__(self) -> None:
        super().__init__(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) if float(x.sum()) > 0 else super().forward(-x)


@pytest.mark.parametrize("name", SHORT)
def test_what_cannot_be_sampled_is_told_before_a_fit(name: str) -> None:
    posterior = bb.posterior(name, **SHORT[name])
    with pytest.raises(bb.Incompatible):
        posterior.check(Branching(), problem(2))
    with pytest.raises(bb.Incompatible, match="no parameters"):
        bb.fit(posterior, nn.Identity(), problem(2))


@pytest.mark.parametrize("name", SHORT)
def test_without_blackjax_the_remedy_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    posterior = bb.posterior(name, **SHORT[name])

    def missing(distribution: str) -> str:
        raise metadata.PackageNotFoundError(distribution)

    monkeypatch.setattr(metadata, "version", missing)
    for tried in (posterior.check, lambda *problem: posterior.fit(*problem, seed=0)):
        with pytest.raises(bb.BnnbenchError, match=r"needs BlackJAX: pip install 'bnnbench\[blackjax\]'"):
            tried(NoBias(2), problem(2))


def test_one_weight_has_no_velocity_of_fixed_length() -> None:
    class Slope(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.weight

    with pytest.raises(bb.Incompatible, match="two weights or more"):
        bb.posterior("blackjax-mclmc", draws=2, warmup=0).fit(Slope(), problem(2), seed=0)


def test_draws_that_were_not_adjusted_say_that_they_are_biased() -> None:
    told = {name: "biased" in drawn(name).diagnostics for name in SHORT}
    assert told == {"sgld": True, "sghmc": True, "blackjax-mclmc": False}
    assert "biased" in drawn("blackjax-mclmc", adjusted=False).diagnostics


@pytest.mark.parametrize("name", ["sgld", "sghmc"])
def test_steps_that_are_far_too_long_are_told(name: str) -> None:
    with pytest.raises(FloatingPointError, match=r"not finite after .* steps: try a smaller learning_rate"):
        drawn(name, learning_rate=1e6, warmup=500)
