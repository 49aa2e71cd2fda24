"""The manifest of a run: what was asked for, with what, and what came out, so that it can be done again elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from bnnbench.core.component import Component
from bnnbench.errors import StoreError
from bnnbench.matrix.environment import command_line, environment
from bnnbench.matrix.files import read_plain
from bnnbench.matrix.plan import Plan
from bnnbench.matrix.results import Results
from bnnbench.matrix.store import CELLS, FITS, Store, own_sum
from bnnbench.plugins.provenance import code_of, name_and_version, provider_of

SCHEMA = 1
LARGEST = 256 * 2**20


class _Part(BaseModel):
    """Whoever can write a file can give it a checksum: what a replay takes for granted must be there."""

    model_config = ConfigDict(strict=True)


class _Provider(_Part):
    distribution: str
    version: str
    sha256: str


class _Outcome(_Part):
    status: str
    artefacts: dict[str, str]
    clean_accuracy: float | None = None
    robust_accuracy: float | None = None


class _Outcomes(_Part):
    fits: dict[str, _Outcome]
    cells: dict[str, _Outcome]


class _Manifest(_Part):
    text: str
    file: str
    only: list[str]
    environment: dict[str, Any]
    distributions: dict[str, str]
    components: dict[str, _Provider]
    fits: list[str]
    cells: list[str]
    outcomes: _Outcomes


def begun(plan: Plan) -> dict[str, Any]:
    """What is known when a run begins. Of the environment only the variables that change numbers are kept, and of
    a command line only bnnbench's own: no secrets."""
    path = plan.config.path.absolute()
    found = {
        "schema": SCHEMA,
        "begun": _now(),
        "ended": None,
        "argv": command_line(),
        "file": str(path),
        "text": plan.config.source.text,
        "only": list(plan.only),
        "git": _git(path.parent),
        "environment": environment(plan.config.settings.threads),
        "distributions": _distributions(),
        "components": _components(plan),
        "fits": list(plan.fits),
        "cells": [cell.key for cell in plan.cells],
    }
    return sealed(found)


def ended(manifest: Mapping[str, Any], results: Results) -> dict[str, Any]:
    """The manifest with what came out: checksums of draws and arrays, statuses, figures, and where it was computed."""
    environments: list[dict[str, Any]] = []
    outcomes: dict[str, dict[str, Any]] = {FITS: {}, CELLS: {}}
    for kind, key in [*((FITS, key) for key in manifest["fits"]), *((CELLS, key) for key in manifest["cells"])]:
        record = results.known(kind, key)
        if record is None:
            continue
        if record["environment"] not in environments:
            environments.append(record["environment"])
        outcomes[kind][key] = outcome(record)
        if "data" in record:
            outcomes[kind][key]["data"] = record["data"]
    for cell in results.cells:
        if cell.outcome is not None:
            own = outcomes[CELLS][cell.spec.key]
            own["clean_accuracy"], own["robust_accuracy"] = cell.outcome.clean_accuracy, cell.outcome.robust_accuracy
    return sealed({**manifest, "ended": _now(), "outcomes": outcomes, "environments": environments})


def outcome(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest says of any record: its status, and the checksums of its artefacts."""
    sums = {name: one["sha256"] for name, one in record["artefacts"].items()}
    return {"status": record["status"], "artefacts": sums}


def sealed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with its own checksum."""
    return {**manifest, "sha256": own_sum(manifest)}


def read(path: Path) -> dict[str, Any]:
    """A manifest that a run has finished; raises `StoreError` for anything else."""
    try:
        found = json.loads(read_plain(path, LARGEST))
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            raise StoreError(f"{path} is no manifest of a run")
        if found.get("sha256") != own_sum(found):
            raise StoreError(f"{path} does not have its own checksum")
        if found.get("ended") is None:
            raise StoreError(f"{path}: this run has not ended, or was stopped: there is nothing to compare with")
        _Manifest.model_validate(found)
    except OSError as error:
        raise StoreError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(map(str, wrong["loc"]))
        raise StoreError(f"{path} is no manifest of a run: {where}: {wrong['msg'].lower()}") from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} is no manifest of a run") from error
    return found


def earlier(store: Store) -> Iterator[dict[str, Any]]:
    """The manifests of a store's runs, finished or not; an empty one for what cannot be read."""
    folder = store.path / "runs"
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        try:
            found = json.loads(read_plain(path, LARGEST))
        except (OSError, ValueError, RecursionError):
            found = None
        yield found if isinstance(found, dict) else {}


def _distributions() -> dict[str, str]:
    """The version of everything installed; of two of one name that of the first, which is the one that is imported."""
    found: dict[str, str] = {}
    for name, version in map(name_and_version, metadata.distributions()):
        if name:
            found.setdefault(name, version)
    return found


def _components(plan: Plan) -> dict[str, dict[str, Any]]:
    return {
        name: _told(component)
        for section in ("datasets", "networks", "posteriors", "attacks")
        for variant in getattr(plan.config, section)
        for name, component in _nested(f"{section}.{variant.name}", variant.component)
    }


def _nested(name: str, component: Component) -> Iterator[tuple[str, Component]]:
    """A component and those among its parameters, such as an attack's objective."""
    yield name, component
    for field in type(component).model_fields:
        value = getattr(component, field)
        if isinstance(value, Component):
            yield from _nested(f"{name}.{field}", value)


def _told(component: Component) -> dict[str, Any]:
    cls = type(component)
    distribution, version = provider_of(cls)
    return {
        "class": f"{cls.__module__}:{cls.__qualname__}",
        "distribution": distribution,
        "version": version,
        "sha256": code_of(cls),
        "identity": component.identity(),
    }


def _git(folder: Path) -> str | None:
    """The commit of the folder's repository, with `-dirty` where files have changed since, or `-unknown` where that
    cannot be asked; None outside of one.

    To compare files git runs the filters that its configuration names, and whoever wrote the folder wrote its `.git`
    too: it is asked to only where that names none.
    """
    commit = _asked(folder, "rev-parse", "--verify", "HEAD")
    if commit is None or commit.returncode != 0:
        return None
    filters = _asked(folder, "config", "--show-scope", "--name-only", "--get-regexp", "^filter\\.")
    # 1 says that there are none. A user's own filters, or the system's, are as trusted as git is.
    if filters is None or filters.returncode > 1 or set(filters.stdout.split()[::2]) - {"global", "system"}:
        return f"{commit.stdout.strip()}-unknown"
    changed = _asked(folder, "diff-index", "--quiet", "--ignore-submodules", "HEAD")
    known = {0: "", 1: "-dirty"}
    return commit.stdout.strip() + (known.get(changed.returncode, "-unknown") if changed else "-unknown")


def _asked(folder: Path, *question: str) -> subprocess.CompletedProcess[str] | None:
    command = ["git", "--no-pager", "-c", "core.fsmonitor=false", *question]
    # What is missing is not fetched: the repository says by which program.
    alone = {**os.environ, "GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0"}
    try:
        return subprocess.run(command, cwd=folder, env=alone, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
