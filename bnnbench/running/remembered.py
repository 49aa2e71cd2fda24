"""Checks that went well are remembered in the user's cache, so that they are not made again.

A check is remembered by all that it depends on: the identities of data set, network and posterior, the versions of
libraries, and the content of the files that the network has read. What failed is not remembered: its cause may be
outside of these.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from bnnbench.core import network_files
from bnnbench.core.project import folders_of_components
from bnnbench.matrix.specs import FitSpec, key_of
from bnnbench.plugins.kinds import FIT_KINDS
from bnnbench.plugins.provenance import code_of
from bnnbench.running.tasks.network_check import Verdict
from bnnbench.store.environment import environment

SCHEMA = 1
"""The version of the format."""
MOST = 2000
"""The number of checks that are kept; the oldest ones are removed."""


def recalled(spec: FitSpec) -> Verdict | None:
    """The verdict of an earlier check of a fit; None if there is none, or if a file that it depends on has changed."""
    try:
        found = json.loads(_place(spec).read_text("utf-8"))
        verdict = Verdict(**found)
    except (OSError, ValueError, TypeError):
        return None
    files = network_files.in_record({network_files.FIELD: verdict.files})
    if network_files.difference(files, {}, spec.network) is not None or verdict.status not in ("ok", "skipped"):
        return None
    return verdict if verdict.stage in ("", *FIT_KINDS) and isinstance(verdict.reason, str) else None


def remember(spec: FitSpec, verdict: Verdict) -> None:
    """Keep the verdict of a check, unless it failed. A cache that cannot be written to is no error."""
    if verdict.status == "failed":
        return
    place = _place(spec)
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=place.parent, delete=False) as file:
            json.dump(vars(verdict), file)
        os.replace(file.name, place)
        _remove_oldest(place.parent)


def _remove_oldest(folder: Path) -> None:
    kept = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in kept[MOST:]:
        path.unlink(missing_ok=True)


def _place(spec: FitSpec) -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("bnnbench"), "checks", key_of(_identity(spec)))


def _identity(spec: FitSpec) -> dict[str, Any]:
    components = {"dataset": spec.dataset, "network": spec.network, "posterior": spec.posterior}
    return {
        "schema": SCHEMA,
        "environment": _environment(),
        **{kind: [component.identity(), code_of(type(component))] for kind, component in components.items()},
    }


@functools.cache
def _environment() -> list[Any]:
    """The versions of what checks run, and the state of the files of bnnbench and plugins, which may be edited."""
    now = environment(1)
    stamps = [path.stat().st_mtime_ns for folder in folders_of_components() for path in folder.rglob("*.py")]
    return [now["python"], now["versions"], now["variables"], len(stamps), max(stamps, default=0)]
