"""Draws that were made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from bnnbench import Data, DataError, Draws, InputPath, Posterior, Progress, StoreError, load, no_progress
from bnnbench_plugins.template import kept_buffers

if TYPE_CHECKING:
    from torch import Tensor, nn


_KEPT = ("unfinished", "divergences", "acceptance", "depth_cap_hits")
"""What draws are judged by."""


class Saved(Posterior):
    """Draws of the network's weights from a safetensors file, whatever method or framework made them.

    The file holds one array for each name of the network's `state_dict`: (M, *weight) for M draws, chains one after
    another; a weight that has two names stands under the first. A buffer may also stand once for all draws, in its own
    shape. A file that `Predictive.save` wrote, or the `draws.safetensors` of a store, will do as it is. Arrays are
    converted to the network's precision. Nothing is fitted: data and seed have no effect. What such a file tells of its
    draws (`unfinished`, `divergences`, `acceptance`) counts here too.
    """

    revision: ClassVar[int | None] = 2
    draws_at_most: ClassVar[bool] = True
    not_in_identity: ClassVar[frozenset[str]] = frozenset({"path"})

    draws: int = Field(default=50, ge=1)
    """Most draws to keep, evenly spaced within each chain; a file with fewer gives what it has."""
    path: InputPath = ""
    """The safetensors file."""
    chains: int | None = Field(default=None, ge=1)
    """Chains that the file's draws come from, equally many from each; by default what the file says, or else 1."""

    @model_validator(mode="after")
    def _chains_keep_equally_many(self) -> Self:
        if self.chains and self.draws % self.chains:
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
        arrays, chains, told = self._read(network)
        _check_names(self.path, arrays, wanted)
        arrays = {name: _converted(self.path, name, array, wanted[name]) for name, array in arrays.items()}
        shared = {name: arrays.pop(name) for name in kept_buffers(network) if arrays[name].shape == wanted[name].shape}
        for name, array in arrays.items():
            _check_shape(self.path, name, array, wanted[name])
        stored = self._stored(arrays, chains)
        return Draws(
            {name: self._kept(array, chains) for name, array in arrays.items()},
            shared=shared,
            diagnostics={"stored_draws": stored, **told},
        )

    def _file(self) -> Path:
        if not self.path:
            raise DataError("the posterior 'saved' needs a path: the safetensors file that holds the draws")
        if not Path(self.path).is_file():
            raise DataError(f"{self.path}: no such file")
        return Path(self.path)

    def _read(self, network: nn.Module) -> tuple[dict[str, Tensor], int, dict[str, Any]]:
        """The file's arrays, how many chains they come from, and what the method that drew them said of them."""
        from safetensors import SafetensorError, safe_open
        from safetensors.torch import load_file

        path = self._file()
        try:
            with safe_open(path, framework="pt") as file:
                ours = "bnnbench" in (file.metadata() or {})
            if not ours:
                return load_file(path), self.chains or 1, {}
            predictive = load(path, network)
        except (SafetensorError, OSError) as error:
            raise DataError(f"{self.path} is not a safetensors file: {error}") from error
        except (StoreError, ValueError) as error:
            raise DataError(f"{self.path}: {error}") from error
        if self.chains not in (None, predictive.chains):
            raise DataError(f"{self.path} holds draws of {predictive.chains} chains, not {self.chains}")
        told = {name: predictive.diagnostics[name] for name in _KEPT if name in predictive.diagnostics}
        return predictive.draws | predictive.shared, predictive.chains, told

    def _stored(self, each: dict[str, Tensor], chains: int) -> int:
        """How many draws the file holds."""
        counts = {len(array) for array in each.values()}
        if len(counts) != 1:
            found = ", ".join(f"{len(array)} of {name}" for name, array in each.items())
            raise DataError(f"{self.path} holds different numbers of draws: {found}")
        (stored,) = counts
        if stored == 0 or stored % chains:
            raise DataError(f"{self.path} holds {stored} draws, which {chains} chains cannot share equally")
        if self.draws < chains:
            raise DataError(
                f"{self.path} holds draws of {chains} chains: draws ({self.draws}) must be at least as many"
            )
        return stored

    def _kept(self, array: Tensor, chains: int) -> Tensor:
        length = len(array) // chains
        count = min(length, self.draws // chains)
        # Midpoints of equal segments: neither end of a chain is favoured.
        positions = [(2 * number + 1) * length // (2 * count) for number in range(count)]
        return array.reshape(chains, length, *array.shape[1:])[:, positions]


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
