"""The task that checks a network before any fit: whether it is built, called, and accepted by each posterior."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bnnbench.core import dependencies
from bnnbench.core.computing import asking
from bnnbench.core.dataset import check_training
from bnnbench.errors import Incompatible, message_of, one_line
from bnnbench.matrix.specs import FitSpec
from bnnbench.plugins.signals import signals_noted
from bnnbench.pool.job import Setting
from bnnbench.running.tasks import same_network, worker
from bnnbench.running.tasks.error_place import place_of


@dataclass(frozen=True)
class Verdict:
    """What the check of a fit has found: `ok`, `skipped` if its parts do not fit together, or `failed`.

    `stage` is the kind of the component that the reason is about.
    """

    status: str
    stage: str = ""
    reason: str = ""


def run_checks(specs: Sequence[FitSpec], setting: Setting) -> str:
    """Check fits of one data set and one network, and return the verdict of each as JSON.

    The network is built on the CPU, and called on two inputs.
    """
    first, made = specs[0], dict[str, Any]()

    def load() -> None:
        made["data"] = worker.load(first.dataset, first.seed)
        check_training(made["data"])

    def build() -> None:
        made["template"], _ = same_network.built(first.network, made["data"], "cpu", {})

    common = _verdict("dataset", load) or _verdict("network", build)
    with asking(device=setting.device):  # Whether JAX has the device is found out too.
        verdicts = [common or _verdict("posterior", _check_of(spec, made)) or Verdict("ok") for spec in specs]
    return json.dumps([asdict(verdict) for verdict in verdicts])


def verdicts_in(text: str) -> list[Verdict]:
    """The verdicts that `run_checks` returned."""
    return [Verdict(**fields) for fields in json.loads(text)]


def run_device_check(setting: Setting) -> str:
    """Why torch cannot use the device of a setting; empty if it can."""
    import torch

    if setting.device in ("auto", "cpu"):
        return ""
    if not torch.cuda.is_available():
        built = f"this torch ({torch.__version__}) is built without CUDA" if torch.version.cuda is None else ""
        return f"torch finds no CUDA device here{f': {built}' if built else ''}"
    number, count = torch.device(setting.device).index or 0, torch.cuda.device_count()
    return "" if number < count else f"torch finds {count} CUDA device{'s' * (count > 1)} here, the first is cuda:0"


def _check_of(spec: FitSpec, made: dict[str, Any]) -> Callable[[], None]:
    def check() -> None:
        with dependencies.noted(spec.posterior, {}):  # A fit in this process may use what was read here.
            spec.posterior.check(made["template"], made["data"])

    return check


def _verdict(stage: str, work: Callable[[], None]) -> Verdict | None:
    """The verdict of a step that raises an error; None if it raises none."""
    with signals_noted() as arrived:
        try:
            work()
        except BaseException as error:
            if arrived and not isinstance(error, Exception):
                raise
            return _raised(stage, error)
    return None


def _raised(stage: str, error: BaseException) -> Verdict:
    """The verdict of a step that has raised an error, with the place of the error."""
    told, place = one_line(message_of(error)), place_of(error)
    if place and place not in told:
        told = one_line(f"{told} ({place})")
    return Verdict("skipped" if isinstance(error, Incompatible) else "failed", stage, told)
