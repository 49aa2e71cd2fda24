"""Notice operations of the calling thread that draw from torch's global generators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from bnnbench.core.ensemble.watched import Watch
from bnnbench.errors import ContractBreach

_CHANCES = ("p", "dropout", "dropout_p")
"""The arguments by which operations are told how much to drop: with 0 they draw nothing."""
_TRAINING = ("train", "training")
"""The arguments without which dropout and its like draw nothing."""


@contextmanager
def no_global_draws(name: str) -> Iterator[None]:
    """Raise `ContractBreach` at the end if the body draws from a global generator of torch in this thread.

    `name` is the plugin that the message accuses. Other threads are not watched, so none of their draws is mistaken
    for the plugin's. Each operation takes microseconds longer. Draws from a generator of the plugin's own are allowed,
    and so are those within `torch.random.fork_rng` that follow `torch.manual_seed`.
    """
    before = _seeds()
    with _Draws() as watch:
        yield
    # A fork that was seeded anew and left again has another seed than those before and after.
    if watch.seeds & {before, _seeds()}:
        raise ContractBreach(f"{name} drew from the global random state of torch, not from its seed")


class _Draws(Watch):
    """Collects the seeds of the global generators at each operation that draws from them."""

    def __init__(self) -> None:
        super().__init__()
        self.seeds: set[tuple[int, ...]] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if torch.Tag.nondeterministic_seeded in getattr(func, "tags", ()) and _draws(func, args, kwargs or {}):
            self.seeds.add(_seeds())
        return func(*args, **(kwargs or {}))


def _draws(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call of an operation with random results draws from a global generator."""
    arguments = func._schema.arguments
    # Arguments that have their default values are not passed on.
    given = {argument.name: argument.default_value for argument in arguments if argument.has_default_value()}
    given |= dict(zip((argument.name for argument in arguments), args, strict=False)) | dict(kwargs)
    generator = given.get("generator")
    if generator is not None and not _is_global(generator):
        return False
    nothing_dropped = any(isinstance(given.get(name), int | float) and given[name] == 0 for name in _CHANCES)
    return not nothing_dropped and not any(given.get(name) is False for name in _TRAINING)


def _is_global(generator: torch.Generator) -> bool:
    # Python's objects differ from call to call; the address of the generator behind them does not.
    return generator._cdata in [one._cdata for one in _generators()]  # type: ignore[attr-defined]


def _seeds() -> tuple[int, ...]:
    return tuple(generator.initial_seed() for generator in _generators())


def _generators() -> tuple[torch.Generator, ...]:
    """The global generators of the CPU and, once CUDA has been initialised, of each CUDA device."""
    return (torch.default_generator, *(torch.cuda.default_generators if torch.cuda.is_initialized() else ()))
