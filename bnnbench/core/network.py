"""Networks: parameters that build an ordinary torch module."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from bnnbench.core.component import Component

if TYPE_CHECKING:
    from torch import nn

    from bnnbench.core.dataset import Data


class Network(Component):
    """Parameters that build an ordinary `torch.nn.Module` from inputs (N, *shape) to logits (N, classes)."""

    kind: ClassVar[str] = "network"

    def build(self, data: Data) -> nn.Module:
        """A module for the data's shape and classes; may raise `Incompatible`, and then the cells are skipped.

        The core calls it with torch's generators seeded, and puts them back as they were: the template is always the
        same.
        """
        raise NotImplementedError

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _remembering(cls.build)  # type: ignore[method-assign]


def _remembering(build: Any) -> Any:
    """Let the module be the same at every call, and carry its recipe, so that a saved predictive can be loaded without
    unpickling anything."""

    @functools.wraps(build)
    def wrapper(self: Network, data: Data) -> nn.Module:
        with _seeded(0):
            module = build(self, data)
        module.bnnbench_recipe = (self, data.shape, data.classes)
        return module

    return wrapper


def initialise(network: nn.Module, seed: int) -> nn.Module:
    """A copy of the network with weights drawn anew from the seed by each submodule's own `reset_parameters`
    (torch's attention calls it `_reset_parameters`).

    Parameters of submodules without that method keep the template's values: every fit starts there from the same ones,
    and so does every chain. Give the module a `reset_parameters` for starts of their own. No global random state is
    touched.
    """
    fresh = copy.deepcopy(network)
    with _seeded(seed):
        _reset(fresh)
    return fresh


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Inside, torch's generators start from the seed; afterwards they are as they were before."""
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def _reset(module: nn.Module) -> None:
    # Children first: a module that treats a child's weights specially has the last word.
    for child in module.children():
        _reset(child)
    reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    if callable(reset):
        reset()
