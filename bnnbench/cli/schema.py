"""`bnnbench schema`."""

from __future__ import annotations


def schema() -> None:
    """Print the JSON schema of benchmarks files, for editors.

    It covers the parameters of all installed components.
    """
    import json

    from bnnbench.cli.printing import say
    from bnnbench.matrix.schema import json_schema

    say(json.dumps(json_schema(), indent=2))
