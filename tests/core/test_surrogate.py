"""One network in place of an ensemble."""

from __future__ import annotations

import pytest
import torch
from known import random_ensemble, random_inputs
from torch import nn

import bnnbench as bb
from bnnbench.core.surrogate import surrogate_of


def weights_of(victim: bb.Victim) -> dict[str, torch.Tensor]:
    return victim._predictive.draws


def test_the_weights_are_the_mean_of_the_draws_that_the_attacker_sees_or_the_first_of_them() -> None:
    predictive, seen = random_ensemble(draws=7), [2, 3, 6]
    victim = bb.Victim(predictive, bb.Threat(epsilon=0.1), seen, images=11)
    mean, one = (weights_of(victim.surrogate(source)) for source in ("mean-network", "one-draw"))
    for name, draws in predictive.draws.items():
        assert torch.equal(mean[name], draws[seen].mean(0, keepdim=True))
        assert torch.equal(one[name], draws[2:3])


def test_integers_and_shared_buffers_are_not_averaged() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    states = []
    for number in range(3):
        states.append({name: torch.full_like(value, 4 * number) for name, value in network.state_dict().items()})
    predictive = bb.predictive(states, network=network)
    made = surrogate_of(predictive, [1, 2], "mean-network")
    assert made.draws["1.num_batches_tracked"].tolist() == [4]
    assert made.draws["1.running_mean"].tolist() == [[6.0] * 4]
    kept = bb.Predictive(
        network,
        bb.Draws(
            {name: value.detach().expand(1, 2, *value.shape) for name, value in network.named_parameters()},
            shared=dict(network.named_buffers()),
        ),
    )
    assert surrogate_of(kept, [0, 1], "mean-network").shared["1.num_batches_tracked"] == 0


def test_what_the_network_returns_and_its_box_stay_as_they_were_declared() -> None:
    torch.manual_seed(0)
    models = [nn.Sequential(nn.Linear(4, 3), nn.Softmax(-1)) for _ in range(2)]
    predictive = bb.predictive(models, outputs="probabilities", bounds=(-2, 2))
    made = surrogate_of(predictive, [1], "one-draw")
    x = torch.rand(5, 4)
    assert torch.equal(made.logits(x), predictive.logits(x, [1]))
    assert made.bounds == (-2, 2)


def test_its_queries_are_counted_apart_and_have_no_limit() -> None:
    x, y = random_inputs()
    threat = bb.Threat(epsilon=0.1, queries=2)
    victim = bb.Victim(random_ensemble(), threat, range(7), images=len(x))
    made = victim.among(torch.arange(3)).surrogate("mean-network")
    assert made.images == 3
    assert made.queries_left is None
    for _ in range(4):
        made.gradient(x[:3], y[:3], "log-margin")
        made.under(bb.Threat(epsilon=0.3, queries=2)).log_probs(x[:3])
    assert made.ledger.gradient.tolist() == [4, 4, 4]
    assert victim.ledger.forward.sum() == 0
    assert victim.queries_left is not None
    assert victim.queries_left.tolist() == [2] * len(x)


def test_it_is_one_draw_however_many_the_threat_names() -> None:
    x, y = random_inputs()
    threat = bb.Threat(epsilon=0.1, stream="fresh", attack_draws=3)
    made = bb.Victim(random_ensemble(), threat, range(7), images=len(x)).surrogate("mean-network")
    assert len(made) == 1
    assert torch.equal(made.gradient(x, y, "log-margin"), made.gradient(x, y, "log-margin"))


@pytest.mark.parametrize(("access", "given"), [("scores", "scores"), ("decisions", "predicted classes")])
def test_an_attacker_that_does_not_know_the_weights_is_refused(access: str, given: str) -> None:
    victim = bb.Victim(random_ensemble(), bb.Threat(epsilon=0.1, access=access), range(7), images=11)  # type: ignore[arg-type]
    with pytest.raises(bb.GradientRefused, match=f"^this threat gives the attacker {given}, not the weights of the"):
        victim.surrogate("one-draw")


def test_models_of_several_architectures_have_no_surrogate() -> None:
    models = [nn.Linear(4, 3), nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))]
    for model in (models, lambda x: x[:, :3]):
        victim = bb.Victim(bb.predictive(model), bb.Threat(epsilon=0.1), [0], images=11)
        with pytest.raises(bb.Incompatible, match=r"^a surrogate needs draws of the weights of one network, and those"):
            victim.surrogate("mean-network")


def test_an_unknown_source_is_told() -> None:
    victim = bb.Victim(random_ensemble(), bb.Threat(epsilon=0.1), [0], images=11)
    with pytest.raises(ValueError, match="source"):
        victim.surrogate("mean")  # type: ignore[arg-type]
