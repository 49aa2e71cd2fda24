"""The pinned outcomes of the bundled components, and the program that writes them: what no change may alter unnoticed.

`pinned_outcomes.json` holds the outcome of each component and the `revision` that gave it. After an intended change,
raise the component's `revision` and run this file as a program. It writes the new outcomes, and refuses those of
components whose revision is still the same.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from component_outcomes import OUTCOMES

from bnnbench.plugins.loading import load_registry

PINS = Path(__file__).parents[1] / "end_to_end" / "pinned_outcomes.json"
COMMAND = "python tests/support/pinning.py"
UNSTORED = frozenset(["metric", "check", "figure"])
"""The kinds of components that read what is stored: no key depends on them."""
BUNDLED = {
    f"{entry.kind} {entry.name}": entry
    for entry in load_registry().entries
    if entry.distribution == "bnnbench" and entry.plugin != "bridges" and entry.kind not in UNSTORED
}
"""All bundled components whose results are stored, but the bridges: another library's results may change with it."""
NEED_FILES = ("dataset mnist", "dataset fashion-mnist")
"""Components that need data files, below the folder that BNNBENCH_DATA names."""
TOLERANCE = {"posterior": 2e-3}
"""Largest difference from a pinned number, 2e-4 for other kinds. Another processor's rounding gives a tenth of it."""


def rounded(outcome: dict[str, Any]) -> dict[str, Any]:
    """The outcome with four decimals."""
    return {
        name: value if isinstance(value, str | None) else np.round(value, 4).tolist() for name, value in outcome.items()
    }


def differences(kind: str, outcome: dict[str, Any], pinned: dict[str, Any]) -> list[str]:
    """The names of the parts of an outcome that are not as pinned."""

    def same(value: Any, pin: Any) -> bool:
        if isinstance(value, str | None) or isinstance(pin, str | None) or np.shape(value) != np.shape(pin):
            return bool(value == pin)
        return np.allclose(value, pin, rtol=0, atol=TOLERANCE.get(kind, 2e-4))

    return sorted(name for name in outcome.keys() | pinned.keys() if not same(outcome.get(name), pinned.get(name)))


def main() -> int:
    """Write the outcomes of new components and of raised revisions."""
    pins = json.loads(PINS.read_text()) if PINS.exists() else {}
    refused = []
    for component, entry in BUNDLED.items():
        if component in NEED_FILES and "BNNBENCH_DATA" not in os.environ:
            print(f"{component} is left as it was: BNNBENCH_DATA names no folder with its files")
            continue
        outcome, revision = OUTCOMES[entry.kind](entry.name), entry.load().revision
        known = pins.get(component)
        if known and known["revision"] == revision:
            refused += [component] if differences(entry.kind, outcome, known["outcome"]) else []
        else:
            pins[component] = {"revision": revision, "outcome": rounded(outcome)}
    lines = [f" {json.dumps(name)}: {json.dumps(pins[name])}" for name in sorted(BUNDLED) if name in pins]
    PINS.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    if refused:
        print(f"another outcome, but the same revision: {', '.join(refused)}")
    return bool(refused)


if __name__ == "__main__":
    sys.exit(main())
