"""The settings of torch under which everything is computed, whatever those of the host program are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from bnnbench.core import backend_flags
from bnnbench.core.computing import tf32_allowed

if TYPE_CHECKING:
    import torch

_SWITCHES = ("cuda.matmul.fp32_precision", "mkldnn.matmul.fp32_precision")
"""torch's newer switches, one for each library, of what `set_float32_matmul_precision` sets for all."""
_EACH = dict.fromkeys(_SWITCHES, "ieee"), dict.fromkeys(_SWITCHES, "tf32")
"""Their values for products in full precision, and in TF32."""

_HOOKS = tuple(
    f"_global_{kind}_hooks"
    for kind in (
        "forward_pre",
        "forward",
        "backward_pre",
        "backward",
        "buffer_registration",
        "module_registration",
        "parameter_registration",
    )
)
"""The mappings of `torch.nn.modules.module` with the hooks of all modules."""


@contextlib.contextmanager
def standard_settings(*, gradients: bool = True) -> Iterator[None]:
    """Compute under torch's default settings, and put back those of the host program afterwards.

    The same call then gives the same numbers in every program. The settings are: float32 as the default dtype, the CPU
    as the default device, no inference mode, no autocast, no hooks of all modules, oneDNN's kernels, and float32
    products and convolutions in full precision, unless TF32 was asked for. Gradients are enabled if `gradients` is
    True; otherwise the host's mode stays. The default dtype, the hooks, the kernels and the precision belong to the
    whole process, so other threads see them change; they are touched only where they are others. The other flags of
    cuDNN stay as the host has them.
    """
    import torch

    with contextlib.ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))  # This enables gradients too.
            if not gradients:
                stack.enter_context(torch.no_grad())
        if gradients and not torch.is_grad_enabled():
            stack.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        for hooks in (getattr(torch.nn.modules.module, name, None) for name in _HOOKS):
            if hooks:
                stack.callback(hooks.update, dict(hooks))
                hooks.clear()
        # Whatever runs inside may change these too, so they are put back even if they were the standard ones.
        stack.callback(_use_onednn, bool(torch.backends.mkldnn.enabled))
        _use_onednn(True)
        stack.callback(
            _put_back, torch.get_default_dtype(), torch.get_default_device(), precision := matmul_precision()
        )
        tf32 = tf32_allowed()
        full, reduced = ("highest", "high") if isinstance(precision, str) else _EACH
        _put_back(torch.float32, torch.device("cpu"), reduced if tf32 else full)
        # By default torch lets cuDNN use TF32.
        stack.callback(_put_back_convolutions, backend_flags.read(backend_flags.CONVOLUTIONS))
        if backend_flags.read(backend_flags.CONVOLUTIONS) != tf32:
            backend_flags.allow_tf32_in_convolutions(tf32)
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))  # The host is inside of `with torch.device(...)`.
        yield


def _use_onednn(enabled: bool) -> None:
    """Switch oneDNN's kernels on or off, which compute convolutions on a CPU with other bits than torch's own."""
    import torch

    if torch.backends.mkldnn.enabled != enabled:
        setattr(torch.backends.mkldnn, "enabled", enabled)  # noqa: B010 - it is typed as what makes the attribute


def _put_back(dtype: torch.dtype, device: torch.device, precision: str | dict[str, Any]) -> None:
    """Set the default dtype, the default device and the precision of products where they differ from these."""
    import torch

    if torch.get_default_dtype() != dtype:
        torch.set_default_dtype(dtype)
    if torch.get_default_device() != device:
        torch.set_default_device(None if device.type == "cpu" else device)
    if matmul_precision() != precision:
        set_matmul_precision(precision)


def _put_back_convolutions(value: Any) -> None:
    """Set the precision of convolutions to what it was, where it differs."""
    if backend_flags.read(backend_flags.CONVOLUTIONS) == value:
        return
    if isinstance(value, bool):
        backend_flags.allow_tf32_in_convolutions(value)
    else:
        backend_flags.write(backend_flags.CONVOLUTIONS, value)


def matmul_precision() -> str | dict[str, Any]:
    """torch's precision of float32 products: `highest`, `high` or `medium`.

    If the program has set torch's newer switches, their values by name: torch then refuses to give the older one.
    """
    import torch

    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return {name: attrgetter(name)(torch.backends) for name in _SWITCHES}


def set_matmul_precision(value: str | dict[str, Any]) -> None:
    """Set the precision of float32 products to what `matmul_precision` has returned."""
    import torch

    if isinstance(value, str):
        torch.set_float32_matmul_precision(value)
        return
    for name, one in value.items():
        owner, _, attribute = name.rpartition(".")
        setattr(attrgetter(owner)(torch.backends), attribute, one)
