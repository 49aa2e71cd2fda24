"""The settings of a benchmarks file that are not components."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bnnbench.core.seeds import LARGEST

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LARGEST_MEMORY = 2**60
_SIZES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", value)
    if not match:
        raise ValueError("a duration such as 90s, 20m, 2h or 1d is meant")
    return float(match[1]) * _UNITS[match[2]]


def _bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B)", value)
    if not match:
        raise ValueError("a size such as 512MiB or 8GiB is meant")
    size = float(match[1]) * _SIZES[match[2]]
    if size > LARGEST_MEMORY:
        raise ValueError("no computer has so much memory")
    return int(size)


def _named_stream(value: Any) -> Any:
    # `stream: {fresh: 5}` says both at once.
    if isinstance(value, dict) and isinstance(value.get("stream"), dict) and list(value["stream"]) == ["fresh"]:
        if "attack_draws" in value:
            raise ValueError("says how many draws the attacker sees twice: in stream and in attack_draws")
        return {**value, "stream": "fresh", "attack_draws": value["stream"]["fresh"]}
    return value


class _Strict(BaseModel):
    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class Evaluate(_Strict):
    """What is evaluated, and what the attacker sees of it."""

    images: int = Field(default=500, ge=1)
    """Test images: the first of one fixed shuffle, or all if there are fewer."""
    draws: int = Field(default=50, ge=1)
    """The most draws that defend, evenly spaced within the chains."""
    stream: Literal["fixed", "independent", "fresh"] = "fixed"
    """Which draws the attacker sees."""
    attack_draws: int | None = Field(default=None, ge=1)
    """How many draws the attacker sees; all that the stream allows by default, needed under `fresh`."""
    keep: Literal["few", "inputs"] = "few"
    """Perturbed inputs kept: the first 16 of each cell, or all."""

    _unfold = model_validator(mode="before")(_named_stream)

    @model_validator(mode="after")
    def _fresh_says_how_many(self) -> Self:
        if self.stream == "fresh" and self.attack_draws is None:
            raise ValueError("stream fresh needs attack_draws")
        return self


class Limits(_Strict):
    """Limits of one task. They never enter an outcome: a task that meets one fails."""

    fit: Annotated[float, BeforeValidator(_seconds)] = Field(default=1200.0, gt=0)
    """Time of one fit, or of each chain of one that has several, such as 20m."""
    cell: Annotated[float, BeforeValidator(_seconds)] = Field(default=600.0, gt=0)
    """Time of one cell, such as 10m."""
    memory: Annotated[int, BeforeValidator(_bytes)] = Field(default=8 * 2**30, gt=0)
    """Resident memory of one task and what it starts, such as 8GiB."""
    retries: int = Field(default=1, ge=0, le=10)
    """How often a task is tried again whose process died by itself; one that meets a limit or raises is not."""


class ThreatSettings(_Strict):
    """One threat of the list `threats`."""

    epsilon: float = Field(ge=0)
    """Radius of the ball, in the data's units."""
    norm: Literal["linf", "l2"] = "linf"
    """The ball's norm."""
    access: Literal["gradient", "scores"] = "gradient"
    """What the attacker may ask for."""


Seed = Annotated[int, Field(ge=0, le=LARGEST)]


def _different(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise ValueError("repeats a value")
    return values


class Settings(_Strict):
    """The top level of a benchmarks file, its components apart."""

    version: Literal[1] = 1
    """The format's version."""
    seeds: Annotated[list[Seed], AfterValidator(_different)] = Field(default=[0], min_length=1)
    """Each varies training sample, fit and attack; the test images are the same for all."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """auto (CUDA where there is one), cpu, cuda or cuda:N."""
    threads: int = Field(default=1, ge=1, le=1024)
    """Threads of each task."""
    evaluate: Evaluate = Evaluate()
    """What is evaluated."""
    epsilons: list[Annotated[float, Field(ge=0)]] | None = None
    """Radii of linf balls: shorthand for a list of threats."""
    threats: list[ThreatSettings] | None = None
    """The threats in full."""
    limits: Limits = Limits()
    """Limits of one task."""


COMPONENTS = {"datasets": "dataset", "networks": "network", "posteriors": "posterior", "attacks": "attack"}
"""The sections of a benchmarks file that hold components, and their kinds."""
PATTERNS = ("include", "exclude")
FIRST_COLUMN, LAST_COLUMN = "clean", "worst"
"""The columns that every table has around those of its attacks: no attack is called so."""
