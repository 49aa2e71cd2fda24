"""Models that were trained elsewhere: modules, weights and functions become predictives, and what is none is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from known import small_data
from torch import nn

import bnnbench as bb

DATA = small_data(inputs=4, classes=3)
X, Y = DATA.test


def net(seed: int, activation: nn.Module | None = None, *, normalised: bool = False) -> nn.Sequential:
    """A module with weights, and batch norm statistics, of its own, in training mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [nn.Linear(4, 6), activation or nn.Tanh(), nn.Linear(6, 3)]
        if normalised:
            layers.insert(1, nn.BatchNorm1d(6))
        made = nn.Sequential(*layers)
        made(torch.rand(20, 4) + seed)
    return made


def logits_of(*models: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return torch.stack([model.eval()(X) for model in models])


def agrees(predictive: bb.Predictive, *models: nn.Module) -> bool:
    return len(predictive) == len(models) and torch.allclose(predictive.logits(X), logits_of(*models), atol=1e-6)


def test_a_module_is_a_point_estimate() -> None:
    model = net(0)
    predictive = bb.predictive(model)
    assert model.training
    assert agrees(predictive, model)
    assert bb.posterior_card(model, DATA)["level"] == "single"
    assert repr(predictive) == "Predictive(1 draw, Sequential, cpu)"


@pytest.mark.parametrize("normalised", [False, True])
def test_networks_of_one_architecture_are_draws_with_buffers_of_their_own(normalised: bool) -> None:
    models = [net(seed, normalised=normalised) for seed in range(4)]
    named = {f"model {number}": model for number, model in enumerate(models)}
    for given in (models, tuple(models), nn.ModuleList(models), nn.ModuleDict(named), iter(models), named.values()):
        predictive = bb.predictive(given)
        assert type(predictive) is bb.Predictive
        assert agrees(predictive, *models)
    states = [model.state_dict() for model in models]
    assert agrees(bb.predictive(states, network=net(9, normalised=normalised)), *models)
    as_arrays = [{name: value.numpy() for name, value in state.items()} for state in states]
    assert agrees(bb.predictive(as_arrays, network=net(9, normalised=normalised)), *models)


def test_draws_of_an_ensemble_are_evaluated_in_batches() -> None:
    predictive = bb.predictive([net(seed) for seed in range(3)])
    predictive.log_probs(X)
    assert next(iter(predictive.footprints.values())).stackable


def test_weights_are_taken_from_stacks_and_from_wrapped_modules_too() -> None:
    models = [net(seed) for seed in range(2)]
    stacked = {name: torch.stack([model.state_dict()[name] for model in models]) for name in models[0].state_dict()}
    assert agrees(bb.predictive(stacked, network=models[0]), *models)
    assert agrees(bb.predictive(models[1].state_dict(), network=models[0]), models[1])
    wrapped = {f"module.{name}": value for name, value in models[1].state_dict().items()}
    assert agrees(bb.predictive(wrapped, network=models[0]), models[1])
    assert agrees(bb.predictive(nn.DataParallel(models[1])), models[1])


class Scaled(nn.Module):
    """A buffer that is not in the state, and a factor that is a plain attribute."""

    scale: torch.Tensor

    def __init__(self, seed: int, factor: float, scale: float) -> None:
        super().__init__()
        self.inner, self.factor = net(seed), factor
        self.register_buffer("scale", torch.tensor(scale), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * self.scale * self.inner(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "models",
    [
        [net(0), net(1, nn.ReLU())],
        [net(0), net(1, normalised=True), nn.Linear(4, 3)],
        [net(0, nn.LeakyReLU(0.1)), net(1, nn.LeakyReLU(0.3))],
        [Scaled(0, 1.0, 1.0), Scaled(1, 2.0, 1.0)],
        [Scaled(0, 1.0, 1.0), Scaled(1, 1.0, 2.0)],
        [net(0), net(1), net(0)],
    ],
    ids=["activation", "layers", "slope", "attribute", "buffer", "repeated"],
)
def test_networks_that_differ_in_more_than_weights_keep_what_is_theirs(models: list[nn.Module]) -> None:
    predictive = bb.predictive(models)
    assert agrees(predictive, *models)
    x = X.clone().requires_grad_()
    (slope,) = torch.autograd.grad(predictive.log_probs(x)[range(len(Y)), Y].sum(), x)
    assert torch.allclose(predictive.gradient(X, Y, "predictive-nll"), -slope, atol=1e-6)
    card = bb.posterior_card(predictive, DATA)
    assert card["level"] == "independent"
    assert card["distinct"] == len(models) - (models[0] is not models[-1] and len(models) == 3 and agree(models))
    assert len(bb.evaluate(predictive, bb.attack("pgd", steps=2), DATA, epsilon=0.1)) == 60


def agree(models: list[nn.Module]) -> bool:
    return type(models[0]) is type(models[-1]) and bool((logits_of(models[0]) == logits_of(models[-1])).all())


def test_the_weights_of_models_that_differ_are_watched() -> None:
    class Weakening(bb.Attack):
        """Weakens its victim."""

        def perturb(self, victim, x, y, threat, rng):  # type: ignore[no-untyped-def]
            next(victim._predictive.network.parameters()).mul_(0.5)
            return x.clone()

    with pytest.raises(bb.ContractBreach, match="changed the weights"):
        Weakening()([net(0), nn.Linear(4, 3)], X, Y, bb.Threat(epsilon=0.1))


def test_precisions_and_torchscript() -> None:
    assert bb.predictive(net(0).double()).dtype == torch.float64
    assert bb.predictive([net(0).double(), net(1)]).dtype == torch.float64
    for half in (net(0).half(), net(0).bfloat16()):
        predictive = bb.predictive(half)
        assert predictive.dtype == torch.float32
        assert predictive.log_probs(X).dtype == torch.float32
    with pytest.warns(FutureWarning):
        scripted = [torch.jit.script(net(seed).eval()) for seed in range(2)]
    predictive = bb.predictive(scripted)
    assert agrees(predictive, *scripted)
    assert predictive.gradient(X, Y, "predictive-nll").abs().max() > 0


class Answer:
    """What models of other libraries return."""

    def __init__(self, logits: torch.Tensor) -> None:
        self.logits = logits


class Wrapped(nn.Module):
    """Logits in something else."""

    def __init__(self, wrap: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.inner, self.wrap = net(0), wrap

    def forward(self, x: torch.Tensor) -> Any:
        return self.wrap(self.inner(x))


@pytest.mark.parametrize(
    ("wrap", "output", "remedy"),
    [
        (Answer, lambda out: out.logits, "output=lambda out: out.logits"),
        (lambda z: (z, z.sum()), lambda out: out[0], r"output=lambda out: out\[0\]"),
        (lambda z: {"loss": z.sum(), "logits": z}, lambda out: out["logits"], r"out\['logits'\]"),
    ],
    ids=["object", "tuple", "mapping"],
)
def test_logits_are_taken_from_what_a_model_returns(
    wrap: Callable[[Any], Any], output: Callable[[Any], Any], remedy: str
) -> None:
    model = Wrapped(wrap)
    predictive = bb.predictive(model, output=output)
    assert torch.allclose(predictive.logits(X)[0], logits_of(model.inner)[0])
    assert predictive.gradient(X, Y, "predictive-nll").abs().max() > 0
    with pytest.raises(bb.NetworkError, match=remedy):
        bb.evaluate(model, bb.attack("fgsm"), DATA, epsilon=0.1)
    with pytest.raises(bb.NetworkError, match="output= fails on what"):
        bb.predictive(model, output=lambda out: out.nothing["of it"]).log_probs(X)


def test_outputs_are_logits_probabilities_or_their_logarithms() -> None:
    plain = bb.predictive(net(0)).log_probs(X)
    for outputs, wrap in (("probabilities", torch.softmax), ("log-probabilities", torch.log_softmax)):
        model = Wrapped(lambda z, wrap=wrap: wrap(z, -1))  # type: ignore[misc]
        assert torch.allclose(bb.predictive(model, outputs=outputs).log_probs(X), plain, atol=1e-5)
    with pytest.raises(bb.NetworkError, match="outputs='probabilities'"):
        bb.evaluate(Wrapped(lambda z: z.softmax(-1)), bb.attack("fgsm"), DATA, epsilon=0.1)
    with pytest.raises(bb.NetworkError, match="does not return probabilities"):
        bb.predictive(net(0), outputs="probabilities").log_probs(X)


def test_a_network_that_works_in_place_leaves_the_images_alone() -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = net(0)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x.sub_(0.5))  # type: ignore[no-any-return]

    before = X.clone()
    bb.evaluate([InPlace(), nn.Linear(4, 3)], bb.attack("pgd", steps=2), DATA, epsilon=0.1)
    bb.evaluate(InPlace(), bb.attack("pgd", steps=2), DATA, epsilon=0.1)
    assert torch.equal(X, before)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (nn.Linear, r"Linear\(\.\.\.\) makes an instance"),
        (bb.network("fc"), r"its build\(data\) gives the module"),
        (bb.posterior("sgd"), "gives the predictive"),
        (bb.attack("pgd"), "not an attack"),
        ("model.safetensors", r"bnnbench\.load"),
        (None, "not None"),
        (np.zeros(3), "not an array"),
        ([net(0), 3], "not 3"),
        ({}, "^state_dicts need their network"),
        (net(0).state_dict(), "state_dicts need their network"),
        (bb.Draws({"a": np.zeros((1, 2, 3))}), r"bnnbench\.Predictive\(network, draws\)"),
    ],
)
def test_what_is_no_model_is_told_with_what_was_probably_meant(given: Any, told: str) -> None:
    with pytest.raises(TypeError, match=told) as error:
        bb.predictive(given)
    assert "\n" not in str(error.value)


def test_a_predictive_is_itself_and_an_ensemble_can_be_saved(tmp_path: Any) -> None:
    models = [net(seed) for seed in range(3)]
    predictive = bb.predictive(models)
    assert bb.predictive(predictive) is predictive
    predictive.save(tmp_path / "ensemble.safetensors")
    loaded = bb.load(tmp_path / "ensemble.safetensors", models[0])
    assert agrees(loaded, *models)
    assert bb.posterior_card(loaded, DATA)["level"] == "independent"


def test_snapshots_of_one_training_are_judged_as_a_chain() -> None:
    models = [net(seed) for seed in range(3)]
    assert bb.posterior_card(models, DATA)["why"].startswith("3 models that were trained separately")
    assert bb.posterior_card(bb.predictive(models, independent=False), DATA)["level"] == "short"
    assert bb.posterior_card([models[0], models[0]], DATA)["level"] == "degenerate"


def test_the_box_of_a_predictive_is_that_of_attacks_without_data() -> None:
    predictive = bb.predictive(net(0), bounds=(-1, 1))
    made = bb.attack("fgsm")(predictive, X * 0 - 1, Y, bb.Threat(epsilon=0.1))
    assert made.min() == -1
    assert bb.attack("fgsm").run(predictive, X - 1, Y, 0.1).threat.bounds == (-1, 1)
    with pytest.raises(ValueError, match=r"the predictive's bounds are \[-1\.0, 1\.0\], those of the data"):
        bb.evaluate(predictive, bb.attack("fgsm"), DATA, epsilon=0.1)


def test_a_single_layer_is_told_by_evaluate_and_taken_by_predictive() -> None:
    layer = nn.Linear(4, 3)
    with pytest.raises(TypeError, match=r"not a single layer \(Linear\); bnnbench.predictive\(layer\) makes one"):
        bb.evaluate(layer, bb.attack("fgsm"), DATA, epsilon=0.1)
    assert len(bb.evaluate(bb.predictive(layer), bb.attack("fgsm"), DATA, epsilon=0.1)) == len(DATA.test[1])
