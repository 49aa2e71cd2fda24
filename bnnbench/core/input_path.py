"""Parameters that name input files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ValidationInfo


def _as_text(path: Any) -> Any:
    return os.fspath(path) if isinstance(path, os.PathLike) else path


def _beside_the_file(path: str, info: ValidationInfo) -> str:
    folder, path = (info.context or {}).get("folder"), os.path.expanduser(path)
    # Absolute, for a task may run in another working directory.
    return str(Path(folder, path).absolute()) if folder and path else path


InputPath = Annotated[str, BeforeValidator(_as_text), AfterValidator(_beside_the_file)]
"""A parameter that names an input file: a text, or a path object; `~` is the home directory.

In a benchmarks file a relative one is meant from that file's folder.
"""
