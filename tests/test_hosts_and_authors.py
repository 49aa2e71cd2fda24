"""What the core keeps its promises against: unusual modules, host programs, and plugins that are not careful."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from known import linear_predictive, random_ensemble, random_inputs, small_data
from torch import Tensor, nn

import bnnbench as bb
from bnnbench.core.crafting import craft
from bnnbench.evidence.evaluate import Defence, evaluate_each


@pytest.fixture
def double_by_default() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Careless(bb.Attack):
    """Writes into what it is given, and hands it back."""

    def perturb(self, victim: bb.Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
        x.add_(0.01)
        return x


class Idle(bb.Attack):
    """Hands back what it was given."""

    def perturb(self, victim: bb.Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
        return x


def test_a_breach_damages_nothing_that_comes_after() -> None:
    data, threat = small_data(), bb.Threat(epsilon=0.1)
    defence = Defence(random_ensemble(inputs=4, classes=2), data, threat, images=40, draws=None, seed=0)
    (before,) = evaluate_each(bb.attack("fgsm"), defence, [threat])
    with pytest.raises(bb.ContractBreach, match="changed the inputs"):
        evaluate_each(Careless(), defence, [threat])
    (after,) = evaluate_each(bb.attack("fgsm"), defence, [threat])
    assert np.array_equal(before.attacked_log_probs, after.attacked_log_probs)


def test_what_an_attack_returns_is_not_the_callers_own_tensor() -> None:
    x, y = random_inputs()
    made = Idle()(random_ensemble(), x, y, bb.Threat(epsilon=0.1))
    assert torch.equal(made, x)
    assert made.data_ptr() != x.data_ptr()


def test_threads_do_not_mix_the_draws() -> None:
    predictive = random_ensemble(draws=20, inputs=60, hidden=60)
    x, _ = random_inputs(images=200, inputs=60)
    expected = [predictive.logits(x, [draw]) for draw in range(20)]
    wrong: list[int] = []

    def look(draw: int) -> None:
        for _ in range(20):
            if not torch.equal(predictive.logits(x, [draw]), expected[draw]):
                wrong.append(draw)

    threads = [threading.Thread(target=look, args=(draw,)) for draw in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_hosts_gradient_mode_does_not_matter() -> None:
    predictive, data = random_ensemble(inputs=4, classes=2), small_data()
    for name in ("predictive-nll", "log-margin"):
        attack = bb.attack("pgd", steps=2, objective=name)
        expected = bb.evaluate(predictive, attack, data, epsilon=0.1)
        for mode in (torch.no_grad, torch.inference_mode):
            with mode():
                found = bb.evaluate(predictive, attack, data, epsilon=0.1)
            assert np.array_equal(found.attacked_log_probs, expected.attacked_log_probs)


def test_the_hosts_default_dtype_does_not_matter(double_by_default: None) -> None:
    x = torch.rand(5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    threat = bb.Threat(epsilon=0.1)
    with_double = threat.uniform(x, torch.Generator().manual_seed(3))
    torch.set_default_dtype(torch.float32)
    assert torch.equal(with_double, threat.uniform(x, torch.Generator().manual_seed(3)))


def test_global_randomness_is_refused_and_the_hosts_is_left_alone() -> None:
    class Drawing(bb.Attack):
        """Draws from the global generator."""

        def perturb(self, victim: bb.Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
            return (x + 0.01 * torch.rand(x.shape, dtype=x.dtype)).clamp(0, 1)

    predictive, (x, y) = random_ensemble(), random_inputs()
    state = torch.get_rng_state()
    with pytest.raises(bb.ContractBreach, match="global random state"):
        Drawing()(predictive, x, y, bb.Threat(epsilon=0.1))
    assert torch.equal(torch.get_rng_state(), state)


def test_scores_are_all_that_logits_give_where_gradients_are_refused() -> None:
    class Sly(bb.Attack):
        """Asks for logits and differentiates them itself."""

        def perturb(self, victim: bb.Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
            leaf = x.clone().requires_grad_()
            loss = nn.functional.cross_entropy(victim.logits(leaf).mean(0), y)
            return (x + 0.1 * torch.autograd.grad(loss, leaf)[0].sign()).clamp(0, 1)

    x, y = random_inputs()
    with pytest.raises(RuntimeError, match="does not require grad"):
        Sly()(random_ensemble(), x, y, bb.Threat(epsilon=0.1, access="scores"))
    (made,) = craft(Sly(), random_ensemble(), x, y, [bb.Threat(epsilon=0.1)], seed=0)
    assert made.gradient_passes.tolist() == [1] * len(x)


def test_a_share_of_zero_directions_is_known_of_all_images_or_not_said() -> None:
    class Halves(bb.Attack):
        """Asks about one half, saying which or not."""

        named: bool = True

        def perturb(self, victim: bb.Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
            for half in torch.arange(len(x)).chunk(2):
                asked = victim.among(half) if self.named else victim
                asked.gradient(x[half], y[half], "predictive-nll")
            return x

    dead = linear_predictive(np.zeros((2, 4)), np.zeros(2))
    data = small_data()
    assert bb.evaluate(dead, Halves(), data, epsilon=0.1).zero_direction_share == 1
    assert bb.evaluate(dead, Halves(named=False), data, epsilon=0.1).zero_direction_share is None


def test_records_are_copies_of_the_right_shape() -> None:
    class Recording(bb.Attack):
        """Records one tensor that it goes on changing."""

        def perturb(self, victim: bb.Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
            count = torch.zeros(len(x))
            for _ in range(3):
                count += 1
                victim.record("count", count)
            with pytest.raises(ValueError, match="has shape"):
                victim.record("count", count[:2])
            return x

    (made,) = craft(Recording(), random_ensemble(), *random_inputs(), [bb.Threat(epsilon=0.1)], seed=0)
    assert made.steps["count"][:, 0].tolist() == [1, 2, 3]


@settings(max_examples=60, deadline=None)
@given(
    size=st.sampled_from([1, 2, 784, 3072, 12288]),
    epsilon=st.sampled_from([0.0, 1e-3, 0.5, 1.0, 3.0, 6.0]),
    level=st.sampled_from([None, 0.0, 0.5, 1.0]),
    norm=st.sampled_from(["linf", "l2"]),
    bounds=st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (100.0, 101.0)]),
    seed=st.integers(0, 99),
)
def test_the_cores_own_moves_keep_the_cores_rules(
    size: int, epsilon: float, level: float | None, norm: Any, bounds: tuple[float, float], seed: int
) -> None:
    """Rounding of thousands of float32 coordinates included."""
    rng = torch.Generator().manual_seed(seed)
    low, high = bounds
    share = torch.rand(3, size, generator=rng) if level is None else torch.full((3, size), level)
    x = (low + (high - low) * share).clamp(low, high)
    threat = bb.Threat(epsilon=epsilon * (high - low), norm=norm, bounds=bounds)
    direction = torch.randn(3, size, generator=rng)
    for made in (
        threat.signs(x, rng),
        threat.uniform(x, rng),
        threat.project(x, x + threat.epsilon * threat.steepest(direction)),
        threat.project(x, x + 3 * (high - low) * direction),
    ):
        slack = max(1e-6 * (high - low), 2.5e-7 * max(abs(low), abs(high)))
        assert threat.distance(x, made).max() <= threat.epsilon + slack
        assert low <= made.min()
        assert made.max() <= high


def test_a_changed_copy_is_another_component_and_is_checked() -> None:
    pgd = bb.attack("pgd", steps=15)
    identity = pgd.identity()
    stronger = pgd.stronger()
    assert stronger is not None
    assert stronger.identity() == bb.attack("pgd", steps=30).identity() != identity
    with pytest.raises(ValueError, match="greater than or equal"):
        pgd.model_copy(update={"steps": 0})


def test_a_revision_does_not_speak_for_a_subclass() -> None:
    class Parent(bb.Attack):
        """Speaks for itself."""

        revision: ClassVar[int | None] = 4

    class Child(Parent):
        """Other code."""

    assert Parent().identity()["version"] == 4
    assert Child().identity()["version"] != 4
    assert "code" in Child().identity()


def test_a_mixin_cannot_take_over_what_belongs_to_the_core() -> None:
    class Evil:
        def __call__(self) -> str:
            return "cheat"

    with pytest.raises(bb.PluginError, match="belongs to the core"):

        class Cheating(Evil, bb.Attack):  # type: ignore[misc]
            """Not by the rules."""


def test_a_subclass_with_a_value_of_its_own_is_followed_by_its_own_gradient() -> None:
    parent = type(bb.objective("predictive-nll"))

    class Opposite(parent):  # type: ignore[misc, valid-type]
        """The attacker helps."""

        def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
            return -super().value(log_probs, y)

    class Unweighted(parent):  # type: ignore[misc, valid-type]
        """Has no weights after all."""

        def log_weight(self, right: Tensor, wrong: Tensor) -> None:
            return None

    predictive = random_ensemble()
    x, y = random_inputs()
    for objective in (Opposite(), Unweighted()):
        cosine = torch.cosine_similarity(predictive.direction(x, y, objective), predictive.gradient(x, y, objective))
        assert torch.allclose(cosine, torch.ones_like(cosine))


@pytest.mark.parametrize("seed", range(10))
def test_the_margin_of_an_ensemble_does_not_saturate(seed: int) -> None:
    """Two draws, each sure by 25 nats of another class: float32 loses the gradient, the direction does not."""
    generator = np.random.default_rng(seed)
    weight, x = generator.normal(size=(2, 3, 8)), generator.uniform(size=8)
    bias = np.array([[25.0, 0, -3], [-1, 25, 0]]) - weight @ x
    network, y = nn.Linear(8, 3), torch.tensor([0])
    single, double = (
        bb.Predictive(network, {"weight": weight.astype(kind), "bias": bias.astype(kind)}) for kind in ("f4", "f8")
    )
    image = torch.as_tensor(x)[None]
    exact = double.gradient(image, y, "log-margin")
    assert 0 < exact.norm() < 1e-9
    direction = single.direction(image.float(), y, "log-margin")
    # The float32 logits themselves are rounded by 1e-6 of 25.
    assert torch.cosine_similarity(direction.double(), exact, dim=1, eps=1e-300) > 0.999
    plain = single.gradient(image.float(), y, "log-margin")
    assert torch.cosine_similarity(plain.double(), exact, dim=1, eps=1e-300) < 0.999


class Tied(nn.Module):
    """One weight under two names, a buffer, and a parameter that is a number."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 5), nn.Linear(5, 5)
        self.second.weight = self.first.weight
        self.normal, self.out = nn.BatchNorm1d(5), nn.Linear(5, 3)
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.normal(self.second(self.first(x).tanh()))) * self.scale  # type: ignore[no-any-return]


def test_draws_stacked_from_state_dicts_of_any_precision_make_an_ensemble() -> None:
    members = [Tied().eval() for _ in range(3)]
    states = [member.state_dict() for member in members]
    stacked = {name: np.stack([state[name].double().numpy() for state in states]) for name in states[0]}
    stacked["normal.num_batches_tracked"] = np.zeros(3, np.int64)
    predictive = bb.Predictive(Tied(), stacked)
    x = torch.rand(7, 5, generator=torch.Generator().manual_seed(0))
    for index, member in enumerate(members):
        assert torch.allclose(predictive.logits(x, [index])[0].float(), member(x), atol=1e-5)
    y = np.zeros(7, int)
    data = bb.Data(train=(x, torch.as_tensor(y)), test=(x, torch.as_tensor(y)), classes=3)
    assert bb.posterior_card(predictive, data)["level"] == "short"
    stacked["second.weight"] = stacked["second.weight"] + 1
    with pytest.raises(ValueError, match=r"first\.weight and second\.weight are one weight"):
        bb.Predictive(Tied(), stacked)


def test_an_ensemble_keeps_its_own_draws() -> None:
    network = nn.Linear(2, 2)
    weights = {"weight": torch.ones(3, 2, 2), "bias": torch.zeros(3, 2)}
    predictive = bb.Predictive(network, weights)
    x = torch.rand(4, 2)
    before = predictive.log_probs(x)
    weights["weight"].normal_()
    assert torch.equal(predictive.log_probs(x), before)
    with pytest.raises(TypeError, match="stack the tensors of each name"):
        bb.Predictive(network, [network.state_dict()])  # type: ignore[arg-type]


def test_the_seed_decides_over_attention_too() -> None:
    layer = nn.MultiheadAttention(4, 2)
    first, again, other = (bb.initialise(layer, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(first["in_proj_weight"], again["in_proj_weight"])
    assert not torch.equal(first["in_proj_weight"], other["in_proj_weight"])
    assert not torch.equal(first["in_proj_weight"], layer.state_dict()["in_proj_weight"])


def test_chains_are_degenerate_if_all_diverge_or_none_moves_and_not_before() -> None:
    data, generator = small_data(inputs=2), np.random.default_rng(0)
    weights = {"weight": generator.normal(size=(1, 20, 2, 2)), "bias": generator.normal(size=(1, 20, 2))}
    share = np.zeros((1, 200), bool)
    share[0, ::10] = True

    def level(arrays: dict[str, np.ndarray], divergences: np.ndarray) -> str:
        draws = bb.Draws(arrays, diagnostics={"divergences": divergences, "acceptance": np.full((1, 200), 0.9)})
        card = bb.posterior_card(bb.Predictive(nn.Linear(2, 2), draws), data)
        assert card["acceptance"] == pytest.approx(0.9)
        return str(card["level"])

    assert level(weights, share) in ("short", "converged")
    assert level(weights, np.ones_like(share)) == "degenerate"
    still = {name: 1 + 1e-8 * array for name, array in weights.items()}
    assert level(still, np.zeros_like(share)) == "degenerate"


def test_a_card_takes_any_diagnostics_and_is_json() -> None:
    data, generator = small_data(inputs=2), np.random.default_rng(0)
    weights = {"weight": generator.normal(size=(2, 10, 2, 2)), "bias": generator.normal(size=(2, 10, 2))}
    told = {"gradients": np.array([3, 4]), "seconds": np.array([1.5, 2.0]), "acceptance": np.array([np.nan, 1.0])}
    card = bb.posterior_card(bb.Predictive(nn.Linear(2, 2), bb.Draws(weights, diagnostics=told)), data)
    assert (card["gradients"], card["seconds"], card["acceptance"]) == (7, 3.5, None)
    json.dumps(card, allow_nan=False)


def test_divergences_are_counted_among_all_transitions_not_among_the_draws_that_were_kept() -> None:
    data, generator = small_data(inputs=2), np.random.default_rng(0)
    weights = {"weight": generator.normal(size=(1, 10, 2, 2)), "bias": generator.normal(size=(1, 10, 2))}
    for count, level in ((10, "short"), (99, "short"), (100, "degenerate")):
        predictive = bb.Predictive(nn.Linear(2, 2), bb.Draws(weights, diagnostics={"divergences": [count]}))
        predictive.fitted_by = bb.posterior("pyro-hmc", draws=10, thin=10)
        assert bb.posterior_card(predictive, data)["level"] == level


def test_wrong_arguments_of_evaluate_are_named() -> None:
    predictive, data = random_ensemble(inputs=4, classes=2), small_data()
    attack = bb.attack("fgsm")
    with pytest.raises(TypeError, match=r"bnnbench\.attack"):
        bb.evaluate(predictive, "pgd", data, epsilon=0.1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="one number"):
        bb.evaluate(predictive, attack, data, epsilon=[0.1])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one image"):
        bb.evaluate(predictive, attack, data, epsilon=0.1, images=-1)
    with pytest.raises(bb.ContractBreach, match="2 classes, but there are labels up to 4"):
        bb.evaluate(predictive, attack, small_data(classes=5), epsilon=0.1)
    with pytest.raises(ValueError, match="no draws"):
        bb.Draws({"weight": np.zeros((1, 0, 2, 2))})
    assert len(repr(bb.evaluate(predictive, attack, data, epsilon=0.1))) < 200
