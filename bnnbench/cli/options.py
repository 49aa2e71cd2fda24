"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

File = Annotated[Path, typer.Argument(help="The benchmarks file.", show_default=True)]
StoreOption = Annotated[Path, typer.Option("--store", help="Directory of fits and outcomes.")]
Only = Annotated[
    list[str] | None, typer.Option("--only", help="Only cells that have this label; repeatable: all must hold.")
]
MaxCells = Annotated[int, typer.Option("--max-cells", min=1, help="Refuse a larger matrix.")]

DEFAULT_FILE = Path("benchmarks.yaml")
DEFAULT_STORE = Path("store")
DEFAULT_CELLS = 100_000
