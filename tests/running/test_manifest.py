"""The manifest of a run: its content, the secrets that it leaves out, and the checks when it is read."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from bnnbench.errors import ConfigError, StoreError
from bnnbench.evidence.results import Results
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import Plan, make_plan
from bnnbench.running import manifest, replay
from bnnbench.store.store import Store

FILE = """\
epsilons: [0.05]
evaluate: {images: 40, draws: 4}
datasets: {moons: {use: half-moons, train_size: 200, test_size: 100}}
networks: {fc: {hidden: [8]}}
posteriors: {sgd: {epochs: 2}}
attacks: {pgd: {objective: log-margin}}
"""


def planned(folder: Path) -> Plan:
    (folder / "benchmarks.yaml").write_text(FILE)
    return make_plan(read_config(folder / "benchmarks.yaml"))


def test_what_is_broken_on_the_path_ends_no_run_and_the_first_of_two_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(tmp_path)
    for place, version in (("first", b"2.0"), ("second", b"1.0")):
        for name, content in {"twice": b"Name: twice\nVersion: " + version, "broken": None, "odd": b"\xff"}.items():
            info = tmp_path / place / f"{name}-1.0.dist-info"
            info.mkdir(parents=True)
            if content:
                (info / "METADATA").write_bytes(content)
    monkeypatch.syspath_prepend(str(tmp_path / "second"))
    monkeypatch.syspath_prepend(str(tmp_path / "first"))
    told = manifest.begun(plan)["distributions"]
    assert told["twice"] == metadata.version("twice") == "2.0"
    assert None not in told
    assert told["torch"] == metadata.version("torch")


def test_a_component_inside_another_is_told_too(tmp_path: Path) -> None:
    told = manifest.begun(planned(tmp_path))["components"]
    assert told["attacks.pgd"]["class"].endswith(":ProjectedGradient")
    assert told["attacks.pgd.objective"]["class"].endswith(":LogMargin")
    assert told["attacks.pgd.objective"]["distribution"] == "bnnbench"
    assert len(told) == 5


def finished(folder: Path) -> dict[str, Any]:
    """The manifest of a run that has ended, with outcomes that need no computing."""
    plan = planned(folder)
    told = manifest.ended(manifest.begun(plan), Results(plan, Store(folder / "store")))
    told["outcomes"]["fits"] = {
        key: {"status": "ok", "artefacts": {"draws.safetensors": "0" * 64}} for key in plan.fits
    }
    return told


def written(folder: Path, told: dict[str, Any]) -> Path:
    path = folder / "told.json"
    path.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
    return path


def test_a_manifest_has_its_own_checksum_from_the_beginning_to_the_end(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    begun = manifest.begun(plan)
    ended = manifest.ended(begun, Results(plan, Store(tmp_path / "store")))
    for told in (begun, ended):
        assert told == manifest.sealed({name: value for name, value in told.items() if name != "sha256"})
    assert manifest.read(written(tmp_path, ended)) == ended
    with pytest.raises(StoreError, match="has not ended"):
        manifest.read(written(tmp_path, begun))


def test_no_bit_of_a_manifest_can_flip_unseen(tmp_path: Path) -> None:
    told = manifest.sealed(finished(tmp_path))
    path = written(tmp_path, told)
    whole, chance = path.read_bytes(), random.Random(0)
    for _ in range(200):
        flipped = bytearray(whole)
        flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        try:
            assert manifest.read(path) == told  # 1e-05 and 1E-05 are one number.
        except StoreError:
            continue


def put(*names: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """What puts a value into a manifest, at the end of a path of names."""

    def change(told: dict[str, Any]) -> None:
        for name in names[:-1]:
            told = told[name]
        told[names[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (put("only", value=[1]), "only.0"),
        (put("file", value=1), "file"),
        (put("text", value=None), "text"),
        (put("environment", value=[]), "environment"),
        (put("distributions", value={"torch": 2}), "distributions.torch"),
        (put("components", value=[1]), "components"),
        (put("components", "attacks.pgd", value=1), "components.attacks.pgd"),
        (put("components", "attacks.pgd", "sha256", value=1), "components.attacks.pgd.sha256"),
        (put("fits", value={}), "fits"),
        (put("cells", value=[None]), "cells.0"),
        (put("outcomes", value={}), "outcomes.fits"),
        (put("outcomes", "fits", value=[]), "outcomes.fits"),
        (put("outcomes", "cells", value={"a": {"artefacts": {}}}), "outcomes.cells.a.status"),
        (put("outcomes", "cells", value={"a": {"status": "ok"}}), "outcomes.cells.a.artefacts"),
        (
            put("outcomes", "cells", value={"a": {"status": "ok", "artefacts": {"b": 1}}}),
            "outcomes.cells.a.artefacts.b",
        ),
        (
            put("outcomes", "cells", value={"a": {"status": "ok", "artefacts": {}, "robust_accuracy": "high"}}),
            "outcomes.cells.a.robust_accuracy",
        ),
    ],
)
def test_a_manifest_whose_checksum_is_right_is_checked_too(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], where: str
) -> None:
    told = finished(tmp_path)
    change(told)
    with pytest.raises(StoreError) as caught:
        manifest.read(written(tmp_path, manifest.sealed(told)))
    assert f"told.json is no manifest of a run: {where}: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_number_that_is_none_is_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is no manifest"):
        manifest.read(written(tmp_path, {**finished(tmp_path), "seconds": float("nan")}))


def test_a_replay_begins_where_it_is_told(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    for folder in (there, here):
        folder.mkdir()
        (folder / "net.py").write_text("import torch\n\nclass Net(torch.nn.Linear):\n    pass\n")
    (there / "benchmarks.yaml").write_text(FILE.replace("fc: {hidden: [8]}", "own: {use: 'net.py:Net'}"))
    plan = make_plan(read_config(there / "benchmarks.yaml"))
    told = manifest.ended(manifest.begun(plan), Results(plan, Store(tmp_path / "store")))
    path = written(tmp_path, told)
    assert list(replay.planned(path)[1].fits) == told["fits"]
    shutil.rmtree(there)
    with pytest.raises(ConfigError, match=r"there/net\.py: no such file"):
        replay.planned(path)
    found, again = replay.planned(path, here)
    assert found == told
    assert list(again.fits) == told["fits"]
    assert manifest.begun(again)["file"] == str(here / "benchmarks.yaml")
