"""Repeat a run from its manifest, and compare the two."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bnnbench.errors import StoreError
from bnnbench.evidence.results import Results
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import Plan, make_plan, restricted
from bnnbench.running import manifest
from bnnbench.running.observer import Observer
from bnnbench.running.run import run_plan
from bnnbench.store.records import own_sum
from bnnbench.store.store import CELLS, FITS, Store


@dataclass
class Replay:
    """The comparison of a run with its repetition."""

    results: Results
    changes: list[str] = field(default_factory=list)
    """A line for each part of the environment or the code that has changed: versions, processor, plugins, commit."""
    differences: list[str] = field(default_factory=list)
    """A line for each fit or cell with another key, status or bits."""
    same: int = 0
    """The number of fits and cells whose draws or arrays have the same bits."""
    without_arrays: int = 0
    """The number of fits and cells that have the same status and no arrays: they failed, or were skipped."""


def planned(path: Path, folder: Path | None = None) -> tuple[dict[str, Any], Plan]:
    """The manifest in a file, and the plan of the run that it describes.

    Relative paths in the benchmarks file start at `folder`, by default at the folder that the file was in. Raises
    `StoreError` if the manifest is not valid or its run has not ended, and `ConfigError` if no plan can be made here.
    """
    before = manifest.read(path)
    file = Path(before["file"])
    # A matrix of any size: the run has had a limit of its own.
    config = read_config(file if folder is None else folder / file.name, sys.maxsize, text=before["text"])
    return before, restricted(make_plan(config), before["only"])


def replay(before: Mapping[str, Any], plan: Plan, store: Store, jobs: int | None, observer: Observer) -> Replay:
    """Run a plan in a store, and compare the run with the one that the manifest `before` describes.

    A replay that was stopped is continued in its store. Raises `StoreError` if the store has outcomes of any other run,
    because they would not be computed again.
    """
    now = manifest.sealed(manifest.begun(plan) | {"replays": own_sum(before)})
    own_runs = [run.get("replays") == now["replays"] for run in manifest.earlier(store)]
    if not all(own_runs) or (not own_runs and any(store.find(""))):
        raise StoreError(f"{store.path} is the store of another run: nothing would be done again")
    results = run_plan(plan, store, jobs=jobs, fresh=False, observer=observer, begun=now)
    return compared(before, now, results)


def compared(before: Mapping[str, Any], now: Mapping[str, Any], results: Results) -> Replay:
    """The comparison of two runs: the manifests of the first and the second, and the results of the second."""
    environments = _environment_changes(before.get("environments", []), manifest.environments(results))
    comparison = Replay(results, [*environments, *_changes(before, now)])
    for key, fit in results.plan.fits.items():
        _compare(comparison, before, FITS, key, f"fit {type(fit.posterior).__name__} {key[:12]}")
    for cell in results.plan.cells:
        _compare(comparison, before, CELLS, cell.key, f"{cell.name} seed {cell.seed}")
    return comparison


def _compare(comparison: Replay, before: Mapping[str, Any], kind: str, key: str, name: str) -> None:
    """Compare a fit or cell with its entry in the manifest `before`, and add the result to a comparison."""
    old = before["outcomes"][kind].get(key, _MISSING)
    record = comparison.results.known(kind, key)
    new = manifest.outcome(record) if record else _MISSING
    if key not in before[kind]:
        comparison.differences.append(f"{name}: has another key now: its parameters, data or code have changed")
    elif new["status"] != old["status"]:
        reason = f": {record['reason']}" if record and record["reason"] else ""
        comparison.differences.append(f"{name}: was {old['status']}, is {new['status']}{reason}")
    elif any(new["artefacts"].get(file) != checksum for file, checksum in old["artefacts"].items()):
        # A later version may keep more files.
        comparison.differences.append(f"{name}: other bits{_accuracies(comparison.results, old, key)}")
    elif new["artefacts"]:
        comparison.same += 1
    else:
        comparison.without_arrays += 1


_MISSING: dict[str, Any] = {"status": "missing", "artefacts": {}}
"""The entry of a fit or cell without a record, such as a cell whose fit failed."""


def _accuracies(results: Results, old: Mapping[str, Any], key: str) -> str:
    """The accuracies of a cell before and now, in percent; empty if it had or has none."""
    figures = next((cell.figures for cell in results.cells if cell.spec.key == key), {})
    names = [f"{name}_accuracy" for name in ("clean", "robust")]
    if any(old.get(name) is None or figures.get(name) is None for name in names):
        return ""
    texts = [f"{name.partition('_')[0]} {100 * old[name]:.2f}, now {100 * figures[name]:.2f}" for name in names]
    return f" ({'; '.join(texts)})"


def _environment_changes(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each field in which the environments of two runs' outcomes differ.

    The process of a run computes nothing: the environments that count are those of the outcomes.
    """
    old, new = _values(before), _values(now)
    for name in sorted(old | new) if before and now else ():
        one, two = old.get(name, []), new.get(name, [])
        if sorted(one) != sorted(two):
            yield f"environment.{name}: was {_short(' or '.join(one) or None)}, is {_short(' or '.join(two) or None)}"


def _values(environments: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The texts of the values of each field of some environments, each once; `versions.torch` is a field of a field."""
    values: dict[str, list[str]] = {}
    for environment in environments:
        for name, value in _fields(environment):
            if (text := str(value)) not in values.setdefault(name, []):
                values[name].append(text)
    return values


def _fields(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The names and values of all fields, those of fields included; a manifest from elsewhere may nest them deeply."""
    for name, inner in value.items():
        if isinstance(inner, Mapping) and prefix.count(".") < 3:
            yield from _fields(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", inner


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """A line for each difference of two manifests in distributions, components or commit."""
    for section, shown in _SECTIONS.items():
        for name in sorted({*before[section], *now[section]}):
            old, new = before[section].get(name), now[section].get(name)
            if old != new:
                was, now_is = (_short(None if value is None else shown(value)) for value in (old, new))
                yield f"{section}.{name}: was {was}, is {now_is}"
    if before.get("git") != now["git"]:
        yield f"git: was {before.get('git')}, is {now['git']}"


def _provider(component: Mapping[str, Any]) -> str:
    """The distribution, version and checksum of a component's code, as text."""
    return f"{component['distribution']} {component['version']}, file {component['sha256'][:12]}"


_SECTIONS: dict[str, Callable[[Any], str]] = {"distributions": str, "components": _provider}
"""The sections of a manifest that are compared, and the function that turns their values into text."""


def _short(text: str | None) -> str:
    """A text, cut to 200 characters; `absent` for None."""
    text = "absent" if text is None else text
    return text if len(text) <= 200 else text[:197] + "..."
