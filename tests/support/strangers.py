"""Stores with records that a stranger has written, with right checksums."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from outcomes import outcome

from bnnbench.evidence.results import Results
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.measurements.outcome import OUTCOME, Outcome
from bnnbench.store import codec
from bnnbench.store.layout import CELLS, FITS
from bnnbench.store.store import Store

FILE = """\
epsilons: [0.1]
datasets: {half-moons: {}}
networks: {fc: {}}
posteriors: {sgd: {}}
attacks: {fgsm: {}}
"""
EVIL = "\x1b[31mred\x1b[0m [bold]\u202edesrever\x00 <script>alert(1)</script> | =cmd()"
IN_ORDER = codec.arrays(OUTCOME, outcome("1111100000"))
OK = {"status": "ok", "reason": "", "warnings": [], "kind": "attack", "images": 10} | codec.numbers(
    OUTCOME, outcome("1111100000")
)


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch sprung",)


def stored(folder: Path, record: dict[str, object], arrays: dict[str, np.ndarray] | None, **fit: object) -> Results:
    """The results of a store with this record of a cell, and the record of its fit, with right checksums."""
    (folder / "benchmarks.yaml").write_text(FILE)
    plan = make_plan(read_config(folder / "benchmarks.yaml"))
    store = Store(folder / "store")
    with store.held():
        store.write(FITS, plan.cells[0].fit.key, {"status": "ok", "reason": ""} | fit)
        if arrays is None:
            store.write(CELLS, plan.cells[0].key, record)
        else:
            store.write_arrays(CELLS, plan.cells[0].key, record, arrays)
    return Results(plan, store)


def in_store(results: Results) -> dict[str, Any]:
    """The record of the first cell."""
    record = results.store.record(CELLS, results.plan.cells[0].key)
    assert record is not None
    return record


def loaded(results: Results) -> Outcome:
    """The outcome of the first cell."""
    spec = results.plan.cells[0]
    found = codec.loaded(results.store, spec.key, in_store(results), spec.measurement, spec.context)
    assert isinstance(found, Outcome)
    return found
