"""The store seen through a plan."""

from __future__ import annotations

from pathlib import Path

from bnnbench.evidence.results import Results
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.store.store import FITS, Store

FILE = """\
epsilons: [0.05]
evaluate: {images: 20, draws: 4}
"""


def test_test_data_that_another_computer_rounds_otherwise_are_no_breach(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(
        f"{FILE}seeds: [0, 1, 2]\ndatasets: {{half-moons: }}\nnetworks: {{fc: }}\n"
        "posteriors: {sgd: }\nattacks: {random-sign: }\n"
    )
    plan, store = make_plan(read_config(tmp_path / "benchmarks.yaml")), Store(tmp_path / "store")
    made = [("here", "a"), ("elsewhere", "b"), ("here", "b")]
    with store.held():
        for key, (cpu, test) in zip(plan.fits, made, strict=True):
            store.write(FITS, key, {"status": "ok", "environment": {"cpu": cpu}, "test_data": test})
    assert [row["status"] for row in Results(plan, store).rows()] == ["missing", "missing", "invalid"]
