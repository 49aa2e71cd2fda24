"""`bnnbench schema`."""

from __future__ import annotations


def schema() -> None:
    """Print a JSON schema of benchmarks files, for editors, from what is installed."""
    import json

    from bnnbench.matrix.schema import json_schema

    print(json.dumps(json_schema(), indent=2))
