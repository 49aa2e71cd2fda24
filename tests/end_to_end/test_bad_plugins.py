"""Plugins that break the rules are caught in a matrix."""

from __future__ import annotations

import json
import re
from pathlib import Path

import bad_plugins
from plugged import bnnbench, install

FILE = """\
epsilons: [0.05]
evaluate: {images: 20, draws: 4}
"""


def test_every_bad_plugin_is_caught_in_a_matrix(tmp_path: Path) -> None:
    environment = install(tmp_path, Path(bad_plugins.__file__).read_text(), "bad_plugins")
    attacks = "".join(f"  {name}: {{}}\n" for name in bad_plugins.ATTACKS)
    posteriors = "".join(f"  {name}: {{}}\n" for name in bad_plugins.POSTERIORS)
    datasets = "".join(f"  {name}: {{}}\n" for name in bad_plugins.DATASETS)
    (tmp_path / "benchmarks.yaml").write_text(
        f"{FILE}datasets:\n{datasets}  moons: {{use: half-moons, train_size: 100, test_size: 50}}\n"
        f"networks: {{fc: {{hidden: [4]}}}}\nposteriors:\n{posteriors}  sgd: {{epochs: 1}}\n"
        f"attacks:\n{attacks}  fgsm: {{}}\ninclude:\n  - {{dataset: moons, posterior: sgd}}\n  - {{attack: fgsm}}\n"
    )
    good = ("--only", "moons", "--only", "sgd", "--only", "fgsm")
    assert (
        bnnbench("run", "-j", "0", *good, "--store", "clean", folder=tmp_path, environment=environment).returncode == 0
    )
    done = bnnbench("run", "-j", "0", folder=tmp_path, environment=environment)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    done = bnnbench("report", "--format", "json", folder=tmp_path, environment=environment)
    found = {(row["dataset"], row["posterior"], row["attack"]): row for row in json.loads(done.stdout)}
    done = bnnbench("report", *good, "--store", "clean", "--format", "json", folder=tmp_path, environment=environment)
    # What came before it in the same process has left no trace in it.
    # The worst case is about all attacks of a file.
    (alone,) = json.loads(done.stdout)
    beside = found.pop(("moons", "sgd", "fgsm"))
    assert {name: beside[name] for name in beside if not name.startswith("worst_")} == {
        name: alone[name] for name in alone if not name.startswith("worst_")
    }
    for (dataset, posterior, attack), row in found.items():
        kind, name = (
            ("dataset", dataset)
            if dataset != "moons"
            else ("posterior", posterior)
            if posterior != "sgd"
            else ("attack", attack)
        )
        if name == "moody" and row["status"] == "ok":
            continue  # In the same mood twice.
        assert row["status"] == "invalid", row
        assert re.search(bad_plugins.WRONG[kind][name], row["reason"]), row
        assert row["robust_accuracy"] is None
