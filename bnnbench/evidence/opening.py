"""Open the results of a benchmarks file without running anything."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bnnbench.core import arguments
from bnnbench.errors import StoreError
from bnnbench.evidence.results import Results
from bnnbench.matrix.config import MAX_CELLS
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan, restricted
from bnnbench.measurements.metric import Metric
from bnnbench.measurements.metric_names import metrics_of
from bnnbench.store.store import Store


@arguments.told_names
def results(
    path: str | Path,
    store: str | Path = "store",
    *,
    only: str | Iterable[str] = (),
    max_cells: int = MAX_CELLS,
    metrics: str | Metric | Iterable[str | Metric] = (),
) -> Results:
    """The results that a store has for a benchmarks file. Nothing is run, and nothing is written.

    Cells without a result are `missing`. `only` selects the cells that have all of these labels. `metrics` are metrics,
    or names such as `nll`; rows of cells and tables also show them. Raises `ConfigError` for a wrong file, `StoreError`
    if there is no such store, and `UnknownComponent` or `ParameterError` for a metric that cannot be made.
    """
    file = arguments.path(path, argument="path", meant="the path of a benchmarks file")
    place = arguments.path(store, argument="store", meant="the path of a store")
    plan = restricted(make_plan(read_config(file, max_cells)), only)
    if not place.is_dir():
        raise StoreError(f"{store}: there is no such store; bnnbench.run({str(path)!r}, store={str(store)!r}) makes it")
    return Results(plan, Store(place), metrics=metrics_of(metrics))
