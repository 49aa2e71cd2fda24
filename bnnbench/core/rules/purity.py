"""The rule that plugins neither draw from global random states nor change settings of the whole process.

The rule is strict only where no other thread ran. Where one did, `random_operations` notices what the calling thread
itself draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bnnbench.core.changes import RANDOM, put_back
from bnnbench.errors import ContractBreach


@contextmanager
def global_state(name: str) -> Iterator[None]:
    """Raise `ContractBreach` if the body draws from a global random state or changes a setting of the process.

    `name` is the plugin that the message accuses. What was changed is put back first; `changes.put_back` says what is
    watched, and what is left out.
    """
    with put_back() as names:
        yield
    if drawn := [what for what in names if what.startswith(RANDOM)]:
        raise ContractBreach(f"{name} drew from {drawn[0]}, not from its seed")
    if names:
        raise ContractBreach(f"{name} changed {', '.join(names)} for everybody")
