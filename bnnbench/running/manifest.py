"""The manifest of a run: what it was asked for, the code and environment it used, and its outcomes.

`bnnbench replay` repeats a run from its manifest, on this or another computer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from bnnbench.core.component import Component
from bnnbench.core.user_code.class_code import code_of
from bnnbench.errors import StoreError
from bnnbench.evidence.results import Results
from bnnbench.matrix.plan import Plan
from bnnbench.plugins.kinds import KINDS
from bnnbench.plugins.provenance import name_and_version, provider_of
from bnnbench.running.git import commit_of
from bnnbench.store.environment import command_line, environment
from bnnbench.store.files import read_plain
from bnnbench.store.layout import RUNS
from bnnbench.store.records import own_sum
from bnnbench.store.store import CELLS, FITS, Store

SCHEMA = 1
"""The version of the format."""
LARGEST = 256 * 2**20
"""The largest size of a manifest in bytes; larger files are not read."""


class _Part(BaseModel):
    """A part of a manifest. The types of all fields that a replay uses are checked: a checksum does not prove them."""

    model_config = ConfigDict(strict=True)


class _Provider(_Part):
    """The code of a component."""

    distribution: str
    version: str
    sha256: str


class _Outcome(_Part):
    """The outcome of a fit or cell."""

    status: str
    artefacts: dict[str, str]
    clean_accuracy: float | None = None
    robust_accuracy: float | None = None


class _Outcomes(_Part):
    """The outcomes of a run by key."""

    fits: dict[str, _Outcome]
    cells: dict[str, _Outcome]


class _Manifest(_Part):
    """The fields of a manifest that a replay uses."""

    text: str
    file: str
    only: list[str]
    environment: dict[str, Any]
    distributions: dict[str, str]
    components: dict[str, _Provider]
    fits: list[str]
    cells: list[str]
    outcomes: _Outcomes
    environments: list[dict[str, Any]] = []


def begun(plan: Plan) -> dict[str, Any]:
    """The manifest of a run that begins now.

    To keep secrets out, it holds only environment variables that change numbers, and only the command lines of
    bnnbench itself.
    """
    path = plan.config.path.absolute()
    manifest = {
        "schema": SCHEMA,
        "begun": _now(),
        "ended": None,
        "argv": command_line(),
        "file": str(path),
        "text": plan.config.source.text,
        "only": list(plan.only),
        "git": commit_of(path.parent),
        "environment": environment(plan.config.settings.threads),
        "distributions": _distributions(),
        "components": _components(plan),
        "fits": list(plan.fits),
        "cells": [cell.key for cell in plan.cells],
    }
    return sealed(manifest)


def ended(manifest: Mapping[str, Any], results: Results) -> dict[str, Any]:
    """The manifest of a run that has ended: statuses, accuracies, checksums of artefacts and environments are added."""
    outcomes: dict[str, dict[str, Any]] = {FITS: {}, CELLS: {}}
    for kind, key in [*((FITS, key) for key in manifest["fits"]), *((CELLS, key) for key in manifest["cells"])]:
        record = results.known(kind, key)
        if record is None:
            continue
        outcomes[kind][key] = outcome(record)
        if "data" in record:
            outcomes[kind][key]["data"] = record["data"]
    for cell in results.cells:
        if cell.ok:
            accuracies = {name: cell.figures.get(name) for name in ("clean_accuracy", "robust_accuracy")}
            outcomes[CELLS][cell.spec.key] |= {name: value for name, value in accuracies.items() if value is not None}
    return sealed({**manifest, "ended": _now(), "outcomes": outcomes, "environments": environments(results)})


def environments(results: Results) -> list[dict[str, Any]]:
    """The environments that the outcomes of a run were computed in, each once."""
    plan = results.plan
    found: list[dict[str, Any]] = []
    for kind, key in [*((FITS, key) for key in plan.fits), *((CELLS, cell.key) for cell in plan.cells)]:
        record = results.known(kind, key)
        if record is not None and record["environment"] not in found:
            found.append(record["environment"])
    return found


def outcome(record: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of a record in a manifest: its status, and the checksums of its artefacts by name."""
    sums = {name: artefact["sha256"] for name, artefact in record["artefacts"].items()}
    return {"status": record["status"], "artefacts": sums}


def sealed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with its own checksum in the field `sha256`."""
    return {**manifest, "sha256": own_sum(manifest)}


def read(path: Path) -> dict[str, Any]:
    """The manifest in a file. Raises `StoreError` if it is not a valid manifest of a run that has ended."""
    try:
        manifest = json.loads(read_plain(path, LARGEST))
        if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
            raise StoreError(f"{path} is no manifest of a run")
        if manifest.get("sha256") != own_sum(manifest):
            raise StoreError(f"{path} does not have its own checksum")
        if manifest.get("ended") is None:
            raise StoreError(f"{path}: this run has not ended, or was stopped: there is nothing to compare with")
        _Manifest.model_validate(manifest)
    except OSError as error:
        raise StoreError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(map(str, wrong["loc"]))
        raise StoreError(f"{path} is no manifest of a run: {where}: {wrong['msg'].lower()}") from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} is no manifest of a run") from error
    return manifest


def earlier(store: Store) -> Iterator[dict[str, Any]]:
    """The manifests of a store's runs, ended or not, by time; an empty one for each file that cannot be read."""
    folder = store.path / RUNS
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith("."):
            continue  # A file that a killed run was writing, or one of the operating system.
        try:
            manifest = json.loads(read_plain(path, LARGEST))
        except (OSError, ValueError, RecursionError):
            manifest = None
        yield manifest if isinstance(manifest, dict) else {}


def _distributions() -> dict[str, str]:
    """The version of every installed distribution, by name.

    Of several distributions with one name the first counts, because it is the one that is imported.
    """
    versions: dict[str, str] = {}
    for name, version in map(name_and_version, metadata.distributions()):
        if name:
            versions.setdefault(name, version)
    return versions


def _components(plan: Plan) -> dict[str, dict[str, Any]]:
    """The class and identity of every component of a plan and of every component inside it, by name."""
    described: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        for variant in plan.config.variants.get(kind.name, []):
            name = f"{kind.section}.{variant.name}"
            described[name] = _described(variant.component)
            described |= {f"{name}{path}": _described(inner) for path, inner in variant.component.components()}
    return described


def _described(component: Component) -> dict[str, Any]:
    """The class of a component, the distribution and checksum of its code, and its identity."""
    cls = type(component)
    distribution, version = provider_of(cls)
    return {
        "class": component.identity()["component"],
        "distribution": distribution,
        "version": version,
        "sha256": code_of(cls),
        "identity": component.identity(),
    }


def _now() -> str:
    """The time in UTC, such as `2024-01-31T12:00:00Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
