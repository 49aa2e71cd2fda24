"""The JSON schema for editors."""

from __future__ import annotations

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
