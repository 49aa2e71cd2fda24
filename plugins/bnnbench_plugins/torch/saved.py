"""Draws that were made elsewhere, read from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from bnnbench import Data, DataError, Draws, InputPath, Posterior, Progress, StoreError, load, no_progress
from bnnbench.authoring import kept_buffers

if TYPE_CHECKING:
    from torch import Tensor, nn


_KEPT = ("unfinished", "divergences", "acceptance", "depth_cap_hits")
"""Diagnostics of the file's draws that are kept, because the posterior card reads them."""


class Saved(Posterior):
    """Draws of the network's weights, read from a safetensors file. Any method or framework may have made them.

    The file holds one array for each name of the network's `state_dict`, of shape (M, *weight) for M draws, with the
    chains one after another. A weight with two names has one array, under its first name. A buffer may have one array
    for all draws, of its own shape. Files of `Predictive.save` and the `draws.safetensors` of a store can be used too,
    and their diagnostics (`unfinished`, `divergences`, `acceptance`, `depth_cap_hits`) are kept. Arrays are converted
    to the network's precision. Nothing is fitted: data and seed have no effect.
    """

    revision: ClassVar[int | None] = 2
    draws_at_most: ClassVar[bool] = True
    not_in_identity: ClassVar[frozenset[str]] = frozenset({"path"})

    draws: int = Field(default=50, ge=1)
    """Largest number of draws to keep, evenly spaced within each chain. A file may hold fewer."""
    path: InputPath = ""
    """Path of the safetensors file."""
    chains: int | None = Field(default=None, ge=1)
    """Number of chains in the file, all of the same length. By default the number that the file states, or else 1."""

    @model_validator(mode="after")
    def _chains_keep_equally_many(self) -> Self:
        if self.chains and self.draws % self.chains:
            raise ValueError(f"draws ({self.draws}) must be a multiple of chains ({self.chains})")
        return self

    def fingerprint(self) -> str:
        """The sha256 of the file, in hexadecimal. Raises `DataError` if the file is absent."""
        import hashlib

        with self._file().open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def check(self, network: nn.Module, data: Data) -> None:
        """Raise `DataError` if the header of the file shows that it cannot hold draws of the network."""
        from bnnbench_plugins.torch.draws_header import check_header

        buffers = kept_buffers(network)
        check_header(self._file(), dict(network.named_parameters()) | buffers, buffers)

    def fit(self, network: nn.Module, data: Data, *, seed: int, progress: Progress = no_progress) -> Draws:
        """The file's draws: arrays (chains, draws / chains, *weight).

        The diagnostic `stored_draws` is the number of draws in the file. Raises `DataError` if the file is absent or is
        not a safetensors file, or if its names, shapes, types or number of draws do not fit network and parameters.
        """
        from bnnbench_plugins.torch.draws_header import check_names

        tensors = dict(network.named_parameters()) | kept_buffers(network)
        arrays, chains, diagnostics = self._read(network)
        check_names(self.path, arrays, tensors)
        arrays = {name: _converted(self.path, name, array, tensors[name]) for name, array in arrays.items()}
        shared = {name: arrays.pop(name) for name in kept_buffers(network) if arrays[name].shape == tensors[name].shape}
        for name, array in arrays.items():
            _check_shape(self.path, name, array, tensors[name])
        stored = self._stored_draws(arrays, chains)
        return Draws(
            {name: self._selected(array, chains) for name, array in arrays.items()},
            shared=shared,
            diagnostics={"stored_draws": stored, **diagnostics},
        )

    def _file(self) -> Path:
        if not self.path:
            raise DataError("the posterior 'saved' needs a path: the safetensors file that holds the draws")
        if not Path(self.path).is_file():
            raise DataError(f"{self.path}: no such file")
        return Path(self.path)

    def _read(self, network: nn.Module) -> tuple[dict[str, Tensor], int, dict[str, Any]]:
        """The file's arrays by name, its number of chains, and the kept diagnostics of its draws."""
        from safetensors import SafetensorError, safe_open
        from safetensors.torch import load_file

        path = self._file()
        try:
            with safe_open(path, framework="pt") as file:
                written_by_bnnbench = "bnnbench" in (file.metadata() or {})
            if not written_by_bnnbench:
                return load_file(path), self.chains or 1, {}
            predictive = load(path, network)
        except (SafetensorError, OSError) as error:
            raise DataError(f"{self.path} is not a safetensors file: {error}") from error
        except (StoreError, ValueError) as error:
            raise DataError(f"{self.path}: {error}") from error
        if self.chains not in (None, predictive.chains):
            raise DataError(f"{self.path} holds draws of {predictive.chains} chains, not {self.chains}")
        diagnostics = {name: predictive.diagnostics[name] for name in _KEPT if name in predictive.diagnostics}
        return predictive.draws | predictive.shared, predictive.chains, diagnostics

    def _stored_draws(self, arrays: dict[str, Tensor], chains: int) -> int:
        """The number of draws in the file. Raises `DataError` if arrays or chains differ in it."""
        counts = {len(array) for array in arrays.values()}
        if len(counts) != 1:
            listed = ", ".join(f"{len(array)} of {name}" for name, array in arrays.items())
            raise DataError(f"{self.path} holds different numbers of draws: {listed}")
        (stored,) = counts
        if stored == 0 or stored % chains:
            raise DataError(f"{self.path} holds {stored} draws, which {chains} chains cannot share equally")
        if self.draws < chains:
            raise DataError(
                f"{self.path} holds draws of {chains} chains: draws ({self.draws}) must be at least as many"
            )
        return stored

    def _selected(self, array: Tensor, chains: int) -> Tensor:
        """The draws to keep, (chains, draws / chains, *weight), from all draws (M, *weight)."""
        length = len(array) // chains
        count = min(length, self.draws // chains)
        # The midpoints of equal segments, so that neither end of a chain is favoured.
        positions = [(2 * number + 1) * length // (2 * count) for number in range(count)]
        return array.reshape(chains, length, *array.shape[1:])[:, positions]


def _converted(path: str, name: str, array: Tensor, tensor: Tensor) -> Tensor:
    """The array in the precision of the network's tensor."""
    if array.is_floating_point() != tensor.is_floating_point():
        raise DataError(f"{path}: {name} is {array.dtype}, the network's is {tensor.dtype}")
    converted = array.to(tensor.dtype)
    if not converted.isfinite().all():
        raise DataError(f"{path}: {name} is not finite as {tensor.dtype}")
    return converted


def _check_shape(path: str, name: str, array: Tensor, tensor: Tensor) -> None:
    if array.ndim == 0 or array.shape[1:] != tensor.shape:
        expected = ", ".join(["draws", *map(str, tensor.shape)])
        raise DataError(f"{path}: {name} has shape {tuple(array.shape)}, not ({expected})")
