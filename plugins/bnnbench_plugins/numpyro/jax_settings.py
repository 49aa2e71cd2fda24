"""The settings of JAX under which chains are sampled, whatever those of the host program are, and JAX's platform."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import jax
import jax.experimental
import torch

from bnnbench import BnnbenchError
from bnnbench.authoring import asked_device, tf32_allowed

VARIABLES = ("JAX_PLATFORMS", "JAX_PLATFORM_NAME")
"""The environment variables that ask JAX for a platform."""
STANDARD = {
    "check_tracer_leaks": False,
    "debug_infs": False,
    "debug_key_reuse": False,
    "debug_nans": False,
    "default_matmul_precision": None,
    "default_prng_impl": "threefry2x32",
    "disable_jit": False,
    "enable_custom_prng": False,
    "enable_x64": False,
    "legacy_prng_key": "allow",
    "numpy_dtype_promotion": "standard",
    "numpy_rank_promotion": "allow",
    "threefry_partitionable": True,
    "transfer_guard": "allow",
}
"""JAX's settings that change numbers or refuse operations, with JAX's own default of each.

The names are those of JAX's context managers. A setting that the installed JAX does not have is left out.
"""


@contextlib.contextmanager
def standard_settings() -> Iterator[None]:
    """Compute under JAX's default settings in this thread, and put back those of the host program afterwards.

    So a host with 64-bit JAX (`JAX_ENABLE_X64=1`, `numpyro.enable_x64()`) is given the same draws as any other. JAX
    computes on the device of `device`. Raises what that raises.
    """
    where = device()
    # On a GPU the default precision of JAX is TF32.
    precision = None if where.platform == "cpu" else "tensorfloat32" if tf32_allowed() else "highest"
    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.default_device(where))
        for name, value in {**STANDARD, "default_matmul_precision": precision}.items():
            # JAX 0.7 has one of them elsewhere.
            home = jax if hasattr(jax, name) else jax.experimental
            if hasattr(home, name):
                stack.enter_context(getattr(home, name)(value))
        yield


def device() -> jax.Device:
    """The device of JAX for the device that the fit or task has asked for.

    It is the CPU for `cpu`, even where JAX has a GPU, and the same GPU as torch's for `cuda` and `cuda:N`. For `auto`
    it is that GPU if JAX can use it, and the CPU otherwise. Raises `BnnbenchError` if there is no such device.
    """
    asked = asked_device()
    kind, _, number = asked.partition(":")
    if kind == "cuda" or (kind == "auto" and torch.cuda.is_available()):
        gpus = _devices("cuda")
        at = int(number) if number else torch.cuda.current_device() if torch.cuda.is_available() else 0
        if at < len(gpus):
            return gpus[at]
        if kind == "cuda":
            raise BnnbenchError(
                f"device is {asked}, and JAX finds {len(gpus) or 'no'} CUDA device{'s' * (len(gpus) > 1)} here: "
                "install bnnbench[cuda], or set device: auto to sample on the CPU where JAX has no GPU"
            )
    home = _devices("cpu")
    if not home:
        raise BnnbenchError(
            f"device is {asked}, and JAX may not use the CPU here: add cpu to JAX_PLATFORMS, or unset it"
        )
    return home[0]


def _devices(platform: str) -> list[jax.Device]:
    """The devices of a platform; none if JAX is not installed for it, or may not use it."""
    try:
        return list(jax.devices(platform))
    except RuntimeError:
        return []


def check_platform() -> None:
    """Raise `BnnbenchError` if JAX cannot use the platform that it is asked for, with the variable that asks for it."""
    try:
        jax.devices()
    except Exception as error:
        hint = " (set JAX_PLATFORMS='' to automatically choose an available backend)"
        reason = " ".join(str(error).split()).removesuffix(hint).rstrip(".") or "it is not there"
        asking = [f"{name}={os.environ[name]}" for name in VARIABLES if os.environ.get(name)]
        if not asking and jax.config.jax_platforms:
            asking = [f"jax_platforms={jax.config.jax_platforms} of jax.config"]
        if not asking:
            raise BnnbenchError(f"JAX has no device that it can use: {reason}") from error
        raise BnnbenchError(
            f"JAX cannot use the platform that {' and '.join(asking)} asks for ({reason}): unset that, or install JAX "
            "for the platform"
        ) from error
