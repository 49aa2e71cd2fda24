"""A CUDA GPU that is not there: tensors on the CPU that behave, to Python, as if they lay on one.

Inside of `fake_gpu()` a tensor made with `device="cuda"` says that it lies on `cuda:0`, as does all that is computed
from it. What a real GPU refuses is refused: operations on tensors of both places, arrays of numpy over a tensor of the
GPU, and generators of the other place. The numbers are those of the CPU. So it shows which code would fail on a GPU,
or would leave it; it says nothing of kernels, speed and memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from bnnbench.core.ensemble.watched import Watch

GPU, HOST = torch.device("cuda", 0), torch.device("cpu")
MEETING = ("copy_", "_to_copy", "_copy_from", "set_", "set_data", "record_stream")
"""Operations whose tensors may lie on both places."""
OUTSIDE = ("numpy", "__array__", "data_ptr_as_array")
"""Methods that show the memory of a tensor to programs of the CPU."""
COMPOSED = ("one_hot",)
"""Functions whose kernels make tensors inside, on the device of their input: here they would come from the CPU."""

_Generator = torch.Generator


class _OfGpu(_Generator):
    """A generator that says on which device it draws. Its numbers are those of the CPU."""

    def __new__(cls, device: Any = "cpu") -> _OfGpu:
        made = super().__new__(cls, "cpu")
        made.place = GPU if torch.device(device).type == "cuda" else HOST
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return self.place


class _Marks:
    """Which storages lie on the GPU."""

    def __init__(self) -> None:
        self._storages: dict[int, StorageWeakRef] = {}

    def add(self, tensor: Tensor) -> None:
        if len(self._storages) > 20_000:
            self._storages = {place: ref for place, ref in self._storages.items() if not ref.expired()}
        with contextlib.suppress(NotImplementedError):  # Sparse tensors have no storage.
            storage = _plain(tensor).untyped_storage()
            self._storages[storage._cdata] = StorageWeakRef(storage)

    def holds(self, tensor: Tensor) -> bool:
        try:
            ref = self._storages.get(_plain(tensor).untyped_storage()._cdata)
        except NotImplementedError:
            return False
        return ref is not None and not ref.expired()


def _plain(tensor: Tensor) -> Tensor:
    """The tensor below the wrappers of `torch.func`."""
    functorch = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(tensor):
        tensor = functorch.get_unwrapped(tensor)
    return tensor


class _Operations(Watch):
    """Results of operations on tensors of the GPU lie on it; operations on tensors of both places are refused."""

    def __init__(self, marks: _Marks) -> None:
        super().__init__()
        self._marks = marks

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        on = [self._marks.holds(tensor) for tensor in tensors]
        name = func._schema.name.removeprefix("aten::")
        if any(on) and not all(on) and name not in MEETING:
            # Expanded scalars too: torch makes the zeros that forward derivatives begin with on the input's device.
            strangers = [tensor for tensor, here in zip(tensors, on, strict=True) if not here and any(tensor.stride())]
            # A tensor of the GPU may be indexed by indices of the CPU.
            if strangers and not (name in ("index", "index_put", "index_put_", "_unsafe_index_put") and on[0]):
                raise RuntimeError(
                    f"Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! "
                    f"(aten::{name}, {[tuple(tensor.shape) for tensor in strangers]} on the CPU)"
                )
        results = func(*args, **kwargs)
        here = on[0] if name in MEETING and on else any(on)
        if here and name != "_local_scalar_dense":
            for leaf in tree_leaves(results):
                if isinstance(leaf, Tensor):
                    self._marks.add(leaf)
        return results


class _Calls(TorchFunctionMode):
    """Calls from Python that name a device, or ask for one."""

    def __init__(self, marks: _Marks) -> None:
        super().__init__()
        self._marks = marks

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if func == Tensor.device.__get__:  # type: ignore[attr-defined]
            return GPU if self._marks.holds(args[0]) else func(*args)
        if func == Tensor.is_cuda.__get__:  # type: ignore[attr-defined]
            return self._marks.holds(args[0])
        if name in OUTSIDE and self._marks.holds(args[0]) and not kwargs.get("force"):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")
        if name in ("cpu", "cuda"):
            return self._moved(args[0], GPU if name == "cuda" else HOST)
        if name in COMPOSED and self._marks.holds(args[0]):
            return self._marked(func(self._moved(args[0], HOST), *args[1:], **kwargs))
        if func is Tensor.to:
            return self._to(args, kwargs)
        wanted = kwargs.get("device")
        place = None if wanted is None else torch.device(wanted)
        self._check_generator(kwargs.get("generator"), place, args)
        if place is None or place.type != "cuda":
            if name in ("as_tensor", "asarray") and place is not None and isinstance(args[0], Tensor):
                return self._moved(func(args[0], **{**kwargs, "device": None}), HOST)
            return func(*args, **kwargs)
        made = func(*args, **{**kwargs, "device": HOST})
        if any(isinstance(leaf, Tensor) and leaf is made for leaf in args):
            return self._moved(made, GPU)
        return tree_map(self._marked, made)

    def _marked(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            self._marks.add(value)
        return value

    def _check_generator(self, generator: Any, place: torch.device | None, args: Any) -> None:
        if generator is None:
            return
        if place is None:
            place = GPU if any(isinstance(one, Tensor) and self._marks.holds(one) for one in args) else HOST
        if generator.device.type != place.type:
            raise RuntimeError(f"Expected a '{place.type}' device type for generator but found '{generator.device}'")

    def _to(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """`tensor.to(...)` in all of its forms."""
        tensor, *rest = args
        place = None
        for position, value in enumerate(rest):
            if isinstance(value, Tensor):
                place = GPU if self._marks.holds(value) else HOST
                rest[position] = value.dtype
            elif isinstance(value, str | torch.device):
                place = torch.device(value)
                rest[position] = HOST
        if kwargs.get("device") is not None:
            place, kwargs["device"] = torch.device(kwargs["device"]), HOST
        moved = Tensor.to(tensor, *rest, **kwargs)
        return moved if place is None else self._moved(moved, place)

    def _moved(self, tensor: Tensor, place: torch.device) -> Tensor:
        """The tensor on a place: itself if it lies there, or a copy."""
        if self._marks.holds(tensor) == (place.type == "cuda"):
            return tensor
        if place.type == "cuda":
            copy = tensor.clone()
            self._marks.add(copy)
            return copy
        return _Home.apply(tensor, self._marks)


class _Home(torch.autograd.Function):
    """A copy on the CPU; its gradient goes to the GPU."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, marks: _Marks) -> Tensor:
        ctx.marks = marks
        copy = torch.empty(tensor.shape, dtype=tensor.dtype)
        copy.copy_(tensor.detach())
        return copy

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        copy = slopes[0].clone()
        ctx.marks.add(copy)
        return copy, None


MARKS = _Marks()
"""They outlive a context, because code may keep tensors for the next time."""


@contextlib.contextmanager
def fake_gpu() -> Iterator[None]:
    """A context in which torch seems to have one CUDA GPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "Generator", _OfGpu)
        patch.setattr(torch.cuda, "_lazy_init", lambda: None)
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "device_count", lambda: 1)
        patch.setattr(torch.cuda, "current_device", lambda: 0)
        patch.setattr(torch.cuda, "set_device", lambda device: None)
        patch.setattr(torch.cuda, "get_device_name", lambda device=0: "a GPU that is not there")
        patch.setattr(torch.cuda, "get_rng_state", lambda device=0: torch.zeros(16, dtype=torch.uint8))
        patch.setattr(torch.cuda, "set_rng_state", lambda state, device=0: None)
        patch.setattr(torch.optim.Optimizer, "_accelerator_graph_capture_health_check", lambda self: None)
        with _Calls(MARKS), _Operations(MARKS):
            yield
