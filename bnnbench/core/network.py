"""Network architectures, and the initialisation of their weights."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from bnnbench.core.component import Component
from bnnbench.core.model_outputs import with_outputs
from bnnbench.core.network_copy import copied
from bnnbench.core.standard_settings import standard_settings

if TYPE_CHECKING:
    from torch import nn

    from bnnbench.core.dataset import Data


class Network(Component):
    """A network architecture. Its fields are its parameters; `build` makes a `torch.nn.Module`."""

    kind: ClassVar[str] = "network"

    def build(self, data: Data) -> nn.Module:
        """A module from inputs (N, *shape) to logits (N, classes), for the shape and classes of the data.

        torch's generators are seeded during the call and restored afterwards, so the initial weights are the same at
        every call. An author raises `Incompatible` if the architecture does not fit the data; the cells are then
        `skipped`, with the message as the reason.
        """
        raise NotImplementedError

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _seeded_with_recipe(cls.build)  # type: ignore[method-assign]


def _seeded_with_recipe(build: Any) -> Any:
    """A `build` that seeds torch's generators, and stores the module's recipe on the module.

    The recipe (network, shape, classes) lets a saved predictive be loaded without unpickling anything.
    """

    @functools.wraps(build)
    def wrapper(self: Network, data: Data) -> nn.Module:
        with standard_settings(), _seeded(0):
            module = build(self, data)
        with_outputs(module, getattr(self, "outputs", None))
        module.bnnbench_recipe = (self, data.shape, data.classes)
        return module

    return wrapper


def initialise(network: nn.Module, seed: int) -> nn.Module:
    """A copy of the network whose weights are drawn anew from the seed (uint32).

    Each submodule's own `reset_parameters` draws them (`_reset_parameters` in torch's attention). Parameters of
    submodules without that method keep the values of the template, so they start from the same values in every fit and
    chain. No global random state is changed.
    """
    fresh = copied(network)
    with standard_settings(), _seeded(seed):
        _reset(fresh)
    return fresh


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch's generators inside of the context, and restore them afterwards."""
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def _reset(module: nn.Module) -> None:
    # Children are reset first, because a module may initialise the weights of its children itself.
    for child in module.children():
        _reset(child)
    reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    if callable(reset):
        reset()
