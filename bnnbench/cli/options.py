"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

File = Annotated[Path, typer.Argument(help="The benchmarks file.", show_default=True)]
StoreOption = Annotated[Path, typer.Option("--store", help="The store: a directory of fits and outcomes.")]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only", metavar="LABEL", help="Only cells that have this label or radius; if repeated, all of them."
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "-j",
        "--jobs",
        metavar="N",
        min=0,
        help="Worker processes; by default enough to fill the cores. 0: run in this process.",
    ),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metrics",
        metavar="NAMES",
        help="Also show these metrics of outcomes: nll,brier or selective-accuracy@share=0.8; repeatable.",
    ),
]
MaxCells = Annotated[int, typer.Option("--max-cells", metavar="N", min=1, help="Refuse a matrix with more cells.")]

DEFAULT_FILE = Path("benchmarks.yaml")
DEFAULT_STORE = Path("store")
DEFAULT_CELLS = 100_000
"""Equal to `matrix.config.MAX_CELLS`, which is not imported here, so that `--help` is fast."""
