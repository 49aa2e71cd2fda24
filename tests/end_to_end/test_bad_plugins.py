"""Plugins that break the rules are caught in a matrix."""

from __future__ import annotations

import json
import re
from pathlib import Path

import bad_attacks
import bad_datasets
import bad_posteriors
import light
from commands import called
from plugged import bnnbench, install

WRONG = {"attack": bad_attacks.WRONG, "posterior": bad_posteriors.WRONG, "dataset": bad_datasets.WRONG}
FILE = """\
epsilons: [0.05]
evaluate: {images: 20, draws: 4}
"""
ALONE = f"""\
{FILE}datasets: {{points: {{use: 'light.py:Points'}}}}
networks: {{fc: {{hidden: [4]}}}}
posteriors: {{fixed: {{use: 'light.py:Fixed'}}}}
attacks: {{fgsm: }}
"""


def test_every_bad_plugin_is_caught_in_a_matrix(tmp_path: Path) -> None:
    for bad in (bad_attacks, bad_posteriors, bad_datasets):
        environment = install(tmp_path, Path(bad.__file__).read_text(), bad.__name__)
    attacks = "".join(f"  {name}: {{}}\n" for name in bad_attacks.ATTACKS)
    posteriors = "".join(f"  {name}: {{}}\n" for name in bad_posteriors.POSTERIORS)
    datasets = "".join(f"  {name}: {{}}\n" for name in bad_datasets.DATASETS)
    # What came before a cell in the same process must have left no trace in it: here it is alone in another one.
    light.written(tmp_path, ALONE)
    assert called("run", "-j", "0", "--store", "clean", folder=tmp_path).returncode == 0
    (alone,) = json.loads(called("report", "--store", "clean", "--format", "json", folder=tmp_path).stdout)
    light.written(
        tmp_path,
        f"{FILE}datasets:\n{datasets}  points: {{use: 'light.py:Points'}}\n"
        f"networks: {{fc: {{hidden: [4]}}}}\nposteriors:\n{posteriors}  fixed: {{use: 'light.py:Fixed'}}\n"
        f"attacks:\n{attacks}  fgsm: {{}}\n"
        "include:\n  - {dataset: points, posterior: fixed}\n  - {attack: fgsm}\n",
    )
    done = bnnbench("run", "-j", "0", folder=tmp_path, environment=environment)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    done = bnnbench("report", "--format", "json", folder=tmp_path, environment=environment)
    found = {(row["dataset"], row["posterior"], row["attack"]): row for row in json.loads(done.stdout)}
    # The worst case is about all attacks of a file.
    beside = found.pop(("points", "fixed", "fgsm"))
    assert {name: beside[name] for name in beside if not name.startswith("worst_")} == {
        name: alone[name] for name in alone if not name.startswith("worst_")
    }
    for (dataset, posterior, attack), row in found.items():
        kind, name = (
            ("dataset", dataset)
            if dataset != "points"
            else ("posterior", posterior)
            if posterior != "fixed"
            else ("attack", attack)
        )
        if name == "moody" and row["status"] == "ok":
            continue  # In the same mood twice.
        assert row["status"] == "invalid", row
        assert re.search(WRONG[kind][name], row["reason"]), row
        assert row["robust_accuracy"] is None
