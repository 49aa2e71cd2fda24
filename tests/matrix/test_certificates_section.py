"""The section `certificates` of a benchmarks file."""

from __future__ import annotations

from pathlib import Path

import pytest
from proofs import MATRIX, written

import bnnbench as bb
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan, restricted

ALONE = MATRIX.replace("attacks: {pgd: {steps: 5}}\n", "")


def kinds(path: Path) -> list[tuple[str, float]]:
    """The kind and the radius of each cell of the plan."""
    return [(cell.kind, cell.threat.epsilon) for cell in make_plan(read_config(path)).cells if cell.threat]


def test_each_certificate_is_a_cell_for_each_radius(tmp_path: Path) -> None:
    each = [("attack", 0.0), ("attack", 0.05), ("certificate", 0.0), ("certificate", 0.05)]
    assert kinds(written(tmp_path)) == each * 2
    assert kinds(written(tmp_path, ALONE)) == each[2:] * 2
    tasks = make_plan(read_config(written(tmp_path))).tasks.values()
    assert [[cell.kind for cell in task] for of_fit in tasks for task in of_fit] == [
        ["attack", "attack"],
        ["certificate"],
        ["certificate"],
    ] * 2


def test_accesses_share_the_result_of_a_certificate(tmp_path: Path) -> None:
    two = "threats: [{epsilon: 0.05}, {epsilon: 0.05, access: scores}]"
    plan = make_plan(read_config(written(tmp_path, MATRIX.replace("epsilons: [0.0, 0.05]", two))))
    assert len(plan.cells) == 8
    assert [len([task for task in tasks if task[0].kind == "certificate"]) for tasks in plan.tasks.values()] == [1, 1]


def test_patterns_and_words_select_certificates(tmp_path: Path) -> None:
    text = f"{MATRIX}exclude: [{{certificate: linear, epsilon: 0.0}}, {{attack: pgd, posterior: vi}}]\n"
    plan = make_plan(read_config(written(tmp_path, text)))
    assert [(cell.posterior, cell.label, cell.epsilon_text) for cell in plan.cells] == [
        ("sgd", "pgd", "0"),
        ("sgd", "pgd", "0.05"),
        ("sgd", "linear", "0.05"),
        ("vi", "linear", "0.05"),
    ]
    assert {cell.kind for cell in restricted(plan, "linear").cells} == {"certificate"}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("attacks: {pgd: {steps: 5}}", "attacks: {certified: {use: pgd}}", "'certified' is a column of tables"),
        ("epsilons: [0.0, 0.05]\n", "", "no epsilons: say how far an attacker may move"),
        (
            "{linear: {use: 'proofs.py:Linear'}}",
            "{linear: {use: 'proofs.py:Line'}}",
            "not a certificate: it must derive from bnnbench.Certificate",
        ),
        ("proofs.py:Linear'", "proofs.py:Linear', excesss: 1", "no parameter 'excesss'; did you mean 'excess'?"),
        ("{linear: {use: 'proofs.py:Linear'}}", "{pgd: }", "no certificate named 'pgd'"),
        ("certificates:", "certificate:", "did you mean 'certificates'?"),
    ],
)
def test_mistakes_have_their_line(old: str, new: str, told: str, tmp_path: Path) -> None:
    text = MATRIX if "attacks" in old else ALONE
    with pytest.raises(bb.ConfigError) as raised:
        read_config(written(tmp_path, text.replace(old, new)))
    assert told in str(raised.value)


def test_the_schema_for_editors_has_the_section() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from ruamel.yaml import YAML

    from bnnbench.matrix.schema import json_schema

    schema, read = json_schema(), YAML(typ="safe", pure=True)
    jsonschema.validate(read.load(MATRIX), schema)
    jsonschema.validate(read.load(f"{ALONE}include: [{{certificate: linear}}]\n"), schema)
    for wrong in (
        "certificates: {linear: {excess: 1}}\n",
        "certificates: [linear]\n",
        "attacks: {certified: {use: a}}\n",
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(read.load(ALONE[: ALONE.index("certificates")] + wrong), schema)
