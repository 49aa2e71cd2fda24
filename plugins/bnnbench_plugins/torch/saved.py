"""Draws that were made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from bnnbench import Data, DataError, Draws, InputPath, Posterior, Progress, load, no_progress
from bnnbench_plugins.template import kept_buffers

if TYPE_CHECKING:
    from torch import Tensor, nn


class Saved(Posterior):
    """Draws of the network's weights from a safetensors file, whatever method or framework made them.

    The file holds one array for each name of the network's `state_dict`: (M, *weight) for M draws, chains one after
    another; a weight that has two names stands under the first. A buffer may also stand once for all draws, in its own
    shape. A file that `Predictive.save` wrote, or the `draws.safetensors` of a store, will do as it is. Arrays are
    converted to the network's precision. Nothing is fitted: data and seed have no effect.
    """

    revision: ClassVar[int | None] = 1
    not_in_identity: ClassVar[frozenset[str]] = frozenset({"path"})

    draws: int = Field(default=50, ge=1)
    """Most draws to keep, evenly spaced within each chain; a file with fewer gives what it has."""
    path: InputPath = ""
    """The safetensors file."""
    chains: int = Field(default=1, ge=1)
    """Chains that the file's draws come from, equally many from each."""

    @model_validator(mode="after")
    def _chains_keep_equally_many(self) -> Self:
        if self.draws % self.chains:
            raise ValueError(f"draws ({self.draws}) must be a multiple of chains ({self.chains})")
        return self

    def fingerprint(self) -> str:
        """The sha256 of the file. Raises `DataError` if there is none."""
        import hashlib

        with self._file().open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def fit(self, network: nn.Module, data: Data, *, seed: int, progress: Progress = no_progress) -> Draws:
        """The file's draws, arrays (chains, draws / chains, *weight).

        Raises `DataError` if there is no such file, it is not a safetensors file, or its names, shapes, types or number
        of draws are not those of the network and of the parameters.
        """
        wanted = dict(network.named_parameters()) | kept_buffers(network)
        arrays = self._read(network)
        _check_names(self.path, arrays, wanted)
        arrays = {name: _converted(self.path, name, array, wanted[name]) for name, array in arrays.items()}
        shared = {name: arrays.pop(name) for name in kept_buffers(network) if arrays[name].shape == wanted[name].shape}
        for name, array in arrays.items():
            _check_shape(self.path, name, array, wanted[name])
        stored = self._stored(arrays)
        return Draws(
            {name: self._kept(array, stored) for name, array in arrays.items()},
            shared=shared,
            diagnostics={"stored_draws": stored},
        )

    def _file(self) -> Path:
        if not self.path:
            raise DataError("the posterior 'saved' needs a path: the safetensors file that holds the draws")
        if not Path(self.path).is_file():
            raise DataError(f"{self.path}: no such file")
        return Path(self.path)

    def _read(self, network: nn.Module) -> dict[str, Tensor]:
        from safetensors import SafetensorError, safe_open
        from safetensors.torch import load_file

        path = self._file()
        try:
            with safe_open(path, framework="pt") as file:
                ours = "bnnbench" in (file.metadata() or {})
            if not ours:
                return load_file(path)
            predictive = load(path, network)
            return predictive.draws | predictive.shared
        except (SafetensorError, OSError) as error:
            raise DataError(f"{self.path} is not a safetensors file: {error}") from error
        except ValueError as error:
            raise DataError(f"{self.path}: {error}") from error

    def _stored(self, each: dict[str, Tensor]) -> int:
        """How many draws the file holds."""
        counts = {len(array) for array in each.values()}
        if len(counts) != 1:
            found = ", ".join(f"{len(array)} of {name}" for name, array in each.items())
            raise DataError(f"{self.path} holds different numbers of draws: {found}")
        (stored,) = counts
        if stored == 0 or stored % self.chains:
            raise DataError(f"{self.path} holds {stored} draws, which {self.chains} chains cannot share equally")
        return stored

    def _kept(self, array: Tensor, stored: int) -> Tensor:
        length = stored // self.chains
        count = min(length, self.draws // self.chains)
        # Midpoints of equal segments: neither end of a chain is favoured.
        positions = [(2 * number + 1) * length // (2 * count) for number in range(count)]
        return array.reshape(self.chains, length, *array.shape[1:])[:, positions]


def _check_names(path: str, arrays: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    missing, unknown = sorted(wanted.keys() - arrays.keys()), sorted(arrays.keys() - wanted.keys())
    problems = [f"lacks {', '.join(missing)}"] if missing else []
    problems += [f"holds {', '.join(unknown)}, unknown to the network"] if unknown else []
    if problems:
        raise DataError(f"{path} {' and '.join(problems)}")


def _converted(path: str, name: str, array: Tensor, wanted: Tensor) -> Tensor:
    if array.is_floating_point() != wanted.is_floating_point():
        raise DataError(f"{path}: {name} is {array.dtype}, the network's is {wanted.dtype}")
    converted = array.to(wanted.dtype)
    if not converted.isfinite().all():
        raise DataError(f"{path}: {name} is not finite as {wanted.dtype}")
    return converted


def _check_shape(path: str, name: str, array: Tensor, wanted: Tensor) -> None:
    if array.ndim == 0 or array.shape[1:] != wanted.shape:
        expected = ", ".join(["draws", *map(str, wanted.shape)])
        raise DataError(f"{path}: {name} has shape {tuple(array.shape)}, not ({expected})")
