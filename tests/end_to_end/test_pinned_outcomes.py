"""One tiny outcome of each bundled component is pinned, so that no number can change unnoticed."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from component_outcomes import OUTCOMES
from pinning import BUNDLED, COMMAND, NEED_FILES, PINS, differences


@pytest.fixture(scope="module")
def pins() -> dict[str, Any]:
    """What the file holds: component -> revision and outcome."""
    held: dict[str, Any] = json.loads(PINS.read_text())
    return held


@pytest.mark.parametrize("component", BUNDLED)
def test_the_outcome_of_each_bundled_component_is_as_pinned(component: str, pins: dict[str, Any]) -> None:
    if component in NEED_FILES and "BNNBENCH_DATA" not in os.environ:
        pytest.skip("BNNBENCH_DATA names no folder with its files")
    entry = BUNDLED[component]
    assert component in pins, f"no outcome of {component} is pinned: run  {COMMAND}"
    changed = differences(entry.kind, OUTCOMES[entry.kind](entry.name), pins[component]["outcome"])
    assert not changed, (
        f"{component} gives another outcome ({', '.join(changed)}) than at revision {pins[component]['revision']}. "
        f"If that is meant, raise the `revision` of {entry.load().__qualname__} and run  {COMMAND}  (otherwise stores "
        "would mix old and new results under one key)"
    )


def test_every_bundled_component_is_pinned_at_its_revision_and_nothing_else_is(pins: dict[str, Any]) -> None:
    assert {name: pin["revision"] for name, pin in pins.items()} == {
        name: entry.load().revision for name, entry in BUNDLED.items()
    }, f"the components or their revisions are not those that are pinned: run  {COMMAND}"


@pytest.mark.parametrize("component", BUNDLED)
def test_each_bundled_component_declares_a_revision_of_its_own(component: str) -> None:
    own = vars(BUNDLED[component].load()).get("revision")
    assert type(own) is int, f"{component} declares no revision: each release of bnnbench would compute it anew"
    assert own >= 1
