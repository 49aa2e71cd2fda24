"""Do a run again from its manifest, all of it, and say what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bnnbench.errors import StoreError
from bnnbench.matrix import manifest
from bnnbench.matrix.config import read_config
from bnnbench.matrix.plan import Plan, make_plan, restricted
from bnnbench.matrix.results import Results
from bnnbench.matrix.run import Observer, run_plan
from bnnbench.matrix.store import CELLS, FITS, Store, own_sum


@dataclass
class Replay:
    """How a run and its repetition compare."""

    results: Results
    changes: list[str] = field(default_factory=list)
    """What the run was done with and is no longer the same: versions, processor, plugins, data."""
    differences: list[str] = field(default_factory=list)
    """Fits and cells that came out otherwise."""
    same: int = 0
    """Fits and cells that have the same bits."""
    without_arrays: int = 0
    """Fits and cells that have the same status, and no arrays to compare: they failed, or were skipped."""


def planned(path: Path, folder: Path | None = None) -> tuple[dict[str, Any], Plan]:
    """A finished run's manifest and its plan; relative paths in it begin where they began then, or in a folder."""
    told = manifest.read(path)
    file = Path(told["file"])
    config = read_config(file if folder is None else folder / file.name, text=told["text"])
    return told, restricted(make_plan(config), told["only"])


def replay(told: Mapping[str, Any], plan: Plan, store: Store, jobs: int | None, observer: Observer) -> Replay:
    """Run the plan in a store, and compare with what the manifest says.

    A replay that was stopped goes on in its store; any other store with outcomes raises `StoreError`, for nothing would
    be done again.
    """
    now = manifest.sealed(manifest.begun(plan) | {"replays": own_sum(told)})
    earlier = [one.get("replays") == now["replays"] for one in manifest.earlier(store)]
    if not all(earlier) or (not earlier and any(store.find(""))):
        raise StoreError(f"{store.path} is the store of another run: nothing would be done again")
    results = run_plan(plan, store, jobs=jobs, fresh=False, observer=observer, begun=now)
    return compared(told, now, results)


def compared(told: Mapping[str, Any], now: Mapping[str, Any], results: Results) -> Replay:
    """How the run that one manifest tells of and its repetition under another, with these results, compare."""
    found = Replay(results, list(_changes(told, now)))
    for key, fit in results.plan.fits.items():
        _compare(found, told, FITS, key, f"fit {type(fit.posterior).__name__} {key[:12]}")
    for cell in results.plan.cells:
        _compare(found, told, CELLS, cell.key, f"{cell.name} seed {cell.seed}")
    return found


def _compare(found: Replay, told: Mapping[str, Any], kind: str, key: str, name: str) -> None:
    before = told["outcomes"][kind].get(key, _MISSING)
    record = found.results.known(kind, key)
    after = manifest.outcome(record) if record else _MISSING
    if key not in told[kind]:
        found.differences.append(f"{name}: has another key now: its parameters, data or code have changed")
    elif after["status"] != before["status"]:
        reason = f": {record['reason']}" if record and record["reason"] else ""
        found.differences.append(f"{name}: was {before['status']}, is {after['status']}{reason}")
    elif after["artefacts"] != before["artefacts"]:
        found.differences.append(f"{name}: other bits{_figures(found.results, before, key)}")
    elif after["artefacts"]:
        found.same += 1
    else:
        found.without_arrays += 1


_MISSING: dict[str, Any] = {"status": "missing", "artefacts": {}}
"""The outcome of what has no record, such as the cells of a fit that failed."""


def _figures(results: Results, before: Mapping[str, Any], key: str) -> str:
    """What a cell's accuracies were and are, in percent."""
    outcome = next((cell.outcome for cell in results.cells if cell.spec.key == key), None)
    names = ("clean", "robust")
    if outcome is None or any(before.get(f"{name}_accuracy") is None for name in names):
        return ""
    told = [
        f"{name} {100 * before[f'{name}_accuracy']:.2f}, now {100 * getattr(outcome, f'{name}_accuracy'):.2f}"
        for name in names
    ]
    return f" ({'; '.join(told)})"


def _changes(told: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for section, shown in _SECTIONS.items():
        before, after = told[section], now[section]
        for name in sorted({*before, *after}):
            was, then = before.get(name), after.get(name)
            if was != then:
                yield f"{section}.{name}: was {_short(was, shown)}, is {_short(then, shown)}"
    if told.get("git") != now["git"]:
        yield f"git: was {told.get('git')}, is {now['git']}"


def _provider(component: Mapping[str, Any]) -> str:
    return f"{component['distribution']} {component['version']}, file {component['sha256'][:12]}"


_SECTIONS: dict[str, Callable[[Any], str]] = {"environment": str, "distributions": str, "components": _provider}
"""What of a manifest is compared, and how its values are shown."""


def _short(value: Any, shown: Callable[[Any], str]) -> str:
    text = "absent" if value is None else shown(value)
    return text if len(text) <= 200 else text[:197] + "..."
