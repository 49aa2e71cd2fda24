"""The settings of a benchmarks file: everything except its components and patterns."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from bnnbench.core.goal import GoalName, Score
from bnnbench.core.goals import OPTIONS, checked_options
from bnnbench.core.radius import FRACTION, fraction_of
from bnnbench.core.seeds import LARGEST
from bnnbench.core.threat import Access, Norm
from bnnbench.plugins.kinds import KINDS

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LARGEST_MEMORY = 2**60
"""The largest memory limit in bytes."""
SMALLEST_MEMORY = 2**20
"""The smallest memory limit in bytes. No process of Python fits into it: `memory: 8` is meant as 8GiB."""
_SIZES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


_DURATION = r"(\d+(?:\.\d+)?)\s*([smhd])"
_SIZE = r"(\d+(?:\.\d+)?)\s*([KMGT]i?B)"


def _seconds(value: Any) -> Any:
    """A text such as `20m` in seconds; other values as they are, for pydantic to check."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(_DURATION, value)
    if not match:
        raise ValueError("a duration such as 90s, 20m, 2h or 1d is meant")
    return float(match[1]) * _UNITS[match[2]]


def _bytes(value: Any) -> Any:
    """A text such as `8GiB` in bytes; other values as they are, for pydantic to check."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(_SIZE, value)
    if not match:
        raise ValueError("a size such as 512MiB or 8GiB is meant")
    size = float(match[1]) * _SIZES[match[2]]
    if size > LARGEST_MEMORY:
        raise ValueError("no computer has so much memory")
    return int(size)


def _enough(size: int) -> int:
    if size < SMALLEST_MEMORY:
        raise ValueError("too few bytes for any task; a size such as 8GiB is meant")
    return size


def _number(value: Any) -> Any:
    """A fraction such as `8/255` as a number; other values than texts as they are, for pydantic to check."""
    return fraction_of(value) if isinstance(value, str) else value


def _or_text(number: dict[str, Any], pattern: str) -> WithJsonSchema:
    """The JSON schema of a positive number that may also be written as a text."""
    return WithJsonSchema({"anyOf": [number | {"exclusiveMinimum": 0}, {"type": "string", "pattern": f"^{pattern}$"}]})


Duration = Annotated[float, BeforeValidator(_seconds), Field(gt=0), _or_text({"type": "number"}, _DURATION)]
"""A time in seconds, or a text such as 20m."""
Size = Annotated[
    int,
    BeforeValidator(_bytes),
    Field(gt=0),
    AfterValidator(_enough),
    _or_text({"type": "integer", "minimum": SMALLEST_MEMORY}, _SIZE),
]
"""A size in bytes, or a text such as 8GiB."""
_FRESH = {
    "type": "object",
    "properties": {"fresh": {"type": "integer", "minimum": 1}},
    "required": ["fresh"],
    "additionalProperties": False,
}
Stream = Annotated[
    Literal["fixed", "independent", "fresh"],
    WithJsonSchema({"anyOf": [{"type": "string", "enum": ["fixed", "independent", "fresh"]}, _FRESH]}),
]
"""Which draws the attacker sees; `{fresh: 5}` is a short form of `fresh` with five attack_draws."""
Radius = Annotated[
    float,
    BeforeValidator(_number),
    Field(ge=0),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": FRACTION}]}),
]
"""The radius of a ball, in the data's units: a number or a fraction."""


_DEVICE = r"^(auto|cpu|cuda(:\d+)?)$"


def _device(value: str) -> str:
    if not re.match(_DEVICE, value):
        raise ValueError("auto, cpu, cuda or a numbered device such as cuda:0 is meant")
    return value


Device = Annotated[str, AfterValidator(_device), WithJsonSchema({"type": "string", "pattern": _DEVICE})]
"""A device of torch, or auto."""


def _with_stream_unfolded(value: Any) -> Any:
    """The values of `evaluate`, with `stream: {fresh: 5}` written out as `stream: fresh, attack_draws: 5`."""
    if isinstance(value, dict) and isinstance(value.get("stream"), dict) and list(value["stream"]) == ["fresh"]:
        if "attack_draws" in value:
            raise ValueError("says how many draws the attacker sees twice: in stream and in attack_draws")
        return {**value, "stream": "fresh", "attack_draws": value["stream"]["fresh"]}
    return value


class _Strict(BaseModel):
    """A frozen model that refuses unknown keys and does not convert values."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class Evaluate(_Strict):
    """The test images and the draws of every cell, and the draws that the attacker sees."""

    images: int = Field(default=500, ge=1)
    """Test images: the first of one fixed shuffle, or all if there are fewer."""
    draws: int = Field(default=50, ge=1)
    """The largest number of draws that defend; they are evenly spaced within the chains."""
    stream: Stream = "fixed"
    """Which draws the attacker sees."""
    attack_draws: int | None = Field(default=None, ge=1)
    """The number of draws that the attacker sees: by default all that the stream allows. Required under `fresh`."""
    keep: Literal["few", "inputs"] = "few"
    """The perturbed inputs that are kept: the first 16 of each cell (`few`), or all (`inputs`)."""
    allow_whole_box: bool = False
    """Whether a ball may hold the whole box, or be far below one level of a box of bytes. Otherwise it is refused."""

    _unfolded = model_validator(mode="before")(_with_stream_unfolded)

    @model_validator(mode="after")
    def _check_attack_draws(self) -> Self:
        if self.stream == "fresh" and self.attack_draws is None:
            raise ValueError("stream fresh needs attack_draws")
        return self


class Limits(_Strict):
    """Limits of one task. A task that exceeds one fails; limits do not change outcomes."""

    fit: Duration = 1200.0
    """Time of one fit, or of each chain of one that has several, such as 20m."""
    cell: Duration = 600.0
    """Time of one cell, such as 10m."""
    memory: Size = 8 * 2**30
    """Resident memory of one task and what it starts, such as 8GiB."""
    gpu_memory: Size | None = None
    """Memory of a GPU that one task may have, such as 16GiB; as many tasks as have room share a GPU. Default: one."""
    save: Duration = 120.0
    """Time between two savings of the state of a chain that is being sampled, such as 2m. It goes on from the last."""
    retries: int = Field(default=1, ge=0, le=10)
    """How often a task is tried again if its process dies. A task that exceeds a limit or raises an error is not."""


class ThreatSettings(_Strict):
    """One threat of the list `threats`."""

    epsilon: Radius
    """Radius of the ball, in the data's units: a number, or a fraction such as 8/255."""
    norm: Norm = "linf"
    """The ball's norm."""
    access: Access = "gradient"
    """Whether the attacker has gradients, scores (log-probabilities) alone, or decisions (predicted classes) alone."""
    queries: int | None = Field(default=None, ge=1)
    """The number of queries of the ensemble that the attacker may make for each image; unlimited by default."""
    attack_draws: int | None = Field(default=None, ge=1)
    """The number of draws that the attacker sees; by default what `evaluate` says."""
    goal: GoalName = "untargeted"
    """What the attacker wants."""
    target: int | None = Field(default=None, ge=0)
    """The target class of the goal `targeted`, from 0; by default the class after the label."""
    score: Score | None = None
    """What the goals about uncertainty raise or lower: entropy by default."""
    keep_label: bool | None = None
    """Whether the goals about uncertainty want the predicted class to be the label; false by default."""
    level: float | None = Field(default=None, ge=0)
    """The score in nats above which a prediction counts as uncertain; by default a share of log K."""
    allow_whole_box: bool | None = None
    """Whether this ball may hold the whole box; by default what `evaluate` says."""

    @model_validator(mode="after")
    def _check_goal(self) -> Self:
        checked_options(self.goal, {name: getattr(self, name) for name in OPTIONS})
        return self


Seed = Annotated[int, Field(ge=0, le=LARGEST)]


def _distinct(values: list[Any]) -> list[Any]:
    """The values as they are. Raises `ValueError` if two are equal."""
    if len(set(values)) < len(values):
        raise ValueError("repeats a value")
    return values


class Settings(_Strict):
    """The keys at the top level of a benchmarks file that are not sections of components or patterns."""

    version: Literal[1] = 1
    """The format's version."""
    seeds: Annotated[list[Seed], AfterValidator(_distinct)] = Field(default=[0], min_length=1)
    """The seeds of the matrix. A seed varies training sample, fit and attack; the test images are the same for all."""
    device: Device = "auto"
    """The device of every task: auto (CUDA if available), cpu, cuda or cuda:N."""
    tf32: bool = False
    """Whether a GPU may round the inputs of products and convolutions to TF32: faster, with three decimal digits."""
    threads: int = Field(default=1, ge=1, le=1024)
    """The number of threads of each task."""
    evaluate: Evaluate = Evaluate()
    """The test images and the draws of every cell."""
    epsilons: list[Radius] | None = None
    """Radii of linf balls in the data's units, such as 0.05 or 8/255: a short form of `threats`."""
    threats: list[ThreatSettings] | None = None
    """The threats, each with its norm and radius."""
    limits: Limits = Limits()
    """Limits of one task."""


SECTIONS = {kind.section: kind.name for kind in KINDS if kind.section}
"""The kind of component that each section of a benchmarks file holds."""
NEEDED = ("datasets", "networks", "posteriors")
"""The sections that must not be empty. At least one of the sections that make cells must not be empty either."""
PATTERNS = ("include", "exclude")
"""The keys that hold patterns."""
FIRST_COLUMN, CERTIFIED_COLUMN, LAST_COLUMN = COLUMNS = ("clean", "certified", "worst")
"""The columns of tables beside those of attacks; no attack may have these labels."""
