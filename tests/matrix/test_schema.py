"""The JSON schema for editors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from good_file import GOOD


def test_the_schema_accepts_the_good_file_and_refuses_a_broken_one() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from ruamel.yaml import YAML

    from bnnbench.matrix.schema import json_schema

    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    good = YAML(typ="safe", pure=True).load(GOOD)
    jsonschema.validate(good, schema)
    written = {"epsilons": ["8/255", 0.1], "threats": [{"epsilon": "0.5 / 255", "allow_whole_box": True}]}
    jsonschema.validate(good | written, schema)
    for radius in ("eight/255", "0.1", -1):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(good | {"epsilons": [radius]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(good | {"seed": [0]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(good | {"attacks": {"clean": {"use": "fgsm"}}}, schema)


SHORT = "datasets: {digits: }\nnetworks: {fc: }\nposteriors: {sgd: }\nepsilons: [0.1]\n"


def errors(text: str) -> list[str]:
    jsonschema = pytest.importorskip("jsonschema")
    from ruamel.yaml import YAML

    from bnnbench.matrix.schema import json_schema

    found = jsonschema.Draft202012Validator(json_schema()).iter_errors(YAML(typ="safe", pure=True).load(text))
    return [error.message for error in found]


def test_the_files_that_are_shown_to_users_are_accepted() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "benchmarks-file.md").read_text()
    blocks = [block for block in re.findall(r"^```yaml\n(.*?)^```$", page, re.M | re.S) if "posteriors:" in block]
    files = [path.read_text() for path in (root / "benchmarks.yaml", *(root / "suites").glob("*.yaml"))]
    assert len(blocks) >= 1
    assert len(files) >= 2
    for text in (*blocks, *files):
        assert errors(text) == []


@pytest.mark.parametrize(
    "more",
    [
        "attacks: {fgsm: }\nlimits: {fit: 20m, cell: 1.5h, memory: 8GiB}\n",
        "attacks: {fgsm: {use: pgd, steps: 3}}\nevaluate: {stream: {fresh: 5}}\n",
        "attacks:\nmeasures: {predictions: }\ninclude:\n",
        "attacks: {mine: {use: attacks.py:Mine, anything: 1}}\n",
        "attacks: {p: {use: 'bnnbench:pgd', steps: 3}}\n",
    ],
)
def test_what_plan_accepts_is_accepted(more: str) -> None:
    assert errors(SHORT + more) == []


@pytest.mark.parametrize(
    "more",
    [
        "attacks: {fgsm: {steps: 40}}\n",
        "attacks: {x: {use: pgd, stepss: 3}}\n",
        "attacks: {pgd: {use: pgd, steps: many}}\n",
        "attacks: {pgdd: {}}\n",
        "attacks: {fgsm: }\nlimits: {fit: soon}\n",
        "attacks: {fgsm: }\nevaluate: {stream: {stale: 5}}\n",
    ],
)
def test_what_plan_refuses_is_refused(more: str) -> None:
    assert errors(SHORT + more)
