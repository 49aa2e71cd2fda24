"""A budget of queries, through a matrix: each radius stands for itself."""

from __future__ import annotations

from pathlib import Path

import bnnbench as bb

FILE = """\
version: 1
evaluate: {images: 20}
threats: [{epsilon: 1.0, queries: 6, allow_whole_box: true}, {epsilon: 0.001, queries: 6}]
datasets: {moons: {use: half-moons, train_size: 200, test_size: 40}}
networks: {fc: {hidden: [8]}}
posteriors: {sgd: {epochs: 20}}
attacks: {pgd: {steps: 15, random_start: false, stop_when_broken: true}, fgsm: }
"""


def test_one_radius_that_spends_its_queries_does_not_affect_another(tmp_path: Path) -> None:
    """In a ball that holds the whole box every image falls at once; in a tiny one the attack goes on and on."""
    (tmp_path / "benchmarks.yaml").write_text(FILE)
    both = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0).rows()
    found = {(row["attack"], row["epsilon"]): (row["status"], row["reason"]) for row in both}
    refused = ("skipped", "the threat allows 6 queries for each image, and the attack asked for 7 or more")
    assert found["fgsm", 1.0] == found["fgsm", 0.001] == ("ok", "")
    assert found["pgd", 0.001] == refused
    text = FILE.replace(", {epsilon: 0.001, queries: 6}", "")
    (tmp_path / "benchmarks.yaml").write_text(text)
    alone = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "other", jobs=0).rows()
    assert [row for row in both if row["epsilon"] == 1.0] == alone
    assert {row["queries"] for row in both} == {6}
