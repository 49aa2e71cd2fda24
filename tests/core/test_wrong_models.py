"""What cannot be a model is told in one line, with what was given and what to do."""

from __future__ import annotations

import pytest
import torch
from known import small_data
from torch import nn

import bnnbench as bb
from bnnbench.core.fixed_function import not_evaluated

DATA = small_data(inputs=4, classes=3)
X = DATA.test[0]


def net(seed: int) -> nn.Sequential:
    """A module with weights of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))


def test_wrong_arguments_are_named() -> None:
    model, other = net(0), nn.Sequential(*net(1), nn.BatchNorm1d(3))
    with pytest.raises(ValueError, match="empty list"):
        bb.predictive([])
    with pytest.raises(TypeError, match="network goes with state_dicts"):
        bb.predictive([model], network=model)
    with pytest.raises(ValueError, match="state_dict 1 does not have the names of state_dict 0"):
        bb.predictive([model.state_dict(), other.state_dict()], network=model)
    with pytest.raises(ValueError, match="holds weights under the name 'state_dict'"):
        bb.predictive({"epoch": 3, "state_dict": model.state_dict()}, network=model)
    wide = nn.Sequential(nn.Linear(4, 7), nn.Tanh(), nn.Linear(7, 3)).state_dict()
    with pytest.raises(ValueError, match=r"state_dict 1: 0\.weight has shape \(7, 4\), the network's weight \(6, 4\)"):
        bb.predictive([model.state_dict(), wide], network=model)
    with pytest.raises(ValueError, match=r"it lacks 0\.weight, .* and the network has no net\.0\.weight"):
        bb.predictive({f"net.{name}": value for name, value in model.state_dict().items()}, network=model)
    with pytest.raises(ValueError, match=r"no a0, a1, a2, a3 and 96 more$"):
        bb.predictive(model.state_dict() | {f"a{place}": torch.zeros(1) for place in range(100)}, network=model)
    with pytest.raises(TypeError, match="maps names to weights, and 0 is no name"):
        bb.predictive({0: torch.zeros(1)}, network=model)
    with pytest.raises(TypeError, match="weights are on the device 'meta'"):
        bb.predictive({name: value.to("meta") for name, value in model.state_dict().items()}, network=model)
    with pytest.raises(TypeError, match=r"member 1 of the ensemble is a torch module, or a function .*, not 'net.pt'"):
        bb.predictive([model, "net.pt"])
    with pytest.raises(TypeError, match=r"member 0 of the ensemble is a predictive, Predictive.*: its as_module"):
        bb.predictive([bb.predictive(model), model])
    with pytest.raises(TypeError, match="member 1 of the ensemble is a state_dict"):
        bb.predictive([model, model.state_dict()])
    with pytest.raises(TypeError, match="not a set of 2; a list has an order"):
        bb.predictive({model, other})
    with pytest.raises(
        bb.NetworkError, match=r"layer '0' \(LazyLinear\) has no sizes yet; give them, or call the network once"
    ):
        bb.predictive(nn.Sequential(nn.LazyLinear(3)))
    with pytest.raises(
        bb.NetworkError, match=r"layer '0' \(Linear\) is on the meta device, where weights have no values"
    ):
        bb.predictive(net(0).to("meta"))
    with pytest.raises(ValueError, match="outputs is 'logits', 'probabilities' or"):
        bb.predictive(model, outputs="softmax")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="output is a function"):
        bb.predictive(model, output="logits")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="independent is True or False"):
        bb.predictive([model], independent="no")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not for a predictive, which has its own"):
        bb.predictive(bb.predictive(model), outputs="probabilities")
    with pytest.raises(bb.NetworkError, match="gives 3 classes, not the 4"):
        bb.predictive(model, classes=4).log_probs(X)
    with pytest.raises(bb.NetworkError, match=r"of shape \(4, 1\).*torch\.cat\(\[0 \* z, z\], 1\)"):
        bb.predictive(nn.Linear(4, 1)).log_probs(X)
    with pytest.raises(bb.NetworkError, match=r"cannot be evaluated at inputs of shape \(4, 4\): RuntimeError: mat1"):
        bb.evaluate(nn.Sequential(nn.Linear(5, 3)), bb.attack("fgsm"), DATA, epsilon=0.1)


@pytest.mark.parametrize(
    ("network", "shape", "told"),
    [
        (
            nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(3, 2)),
            (2,),
            "; a linear layer takes 3 values, and got 4",
        ),
        (nn.Linear(3, 2), (2,), "; a linear layer takes 3 values, and got 2"),
        (nn.Linear(12, 2), (3, 2, 2), "; images must be flattened before a linear layer, as by nn.Flatten()"),
        (nn.Sequential(nn.Flatten(), nn.Linear(9, 2)), (3, 2, 2), "; a linear layer takes 9 values, and got 12"),
    ],
)
def test_the_layer_of_another_size_is_told_with_what_it_got(
    network: nn.Module, shape: tuple[int, ...], told: str
) -> None:
    with pytest.raises(RuntimeError) as caught:
        network(torch.zeros(4, *shape))
    assert str(not_evaluated("it", torch.zeros(4, *shape), caught.value)).endswith(told)
