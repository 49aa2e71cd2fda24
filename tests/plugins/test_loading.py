"""Plugins are loaded one by one, and a broken one disturbs no other."""

from __future__ import annotations

import signal
from importlib import metadata
from pathlib import Path

import pytest
from one_plugin import GOOD, Install

import bnnbench as bb
from bnnbench.plugins.loading import load_registry, names_without_plugin


def test_a_plugin_in_one_file_is_found(install: Install) -> None:
    registry = load_registry(install("bnnbench-noise", "noise_plugin", GOOD))
    entry = registry.find("attack", "uniform")
    assert (entry.distribution, entry.version, entry.summary) == ("bnnbench-noise", "1.2", "Uniform noise in the ball.")
    assert registry.create("attack", "uniform", {}).identity()["version"] == "1.2"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import gone_for_good", "ModuleNotFoundError: No module named 'gone_for_good'"),
        ("raise SystemExit('no licence')", "SystemExit: no licence"),
        ("class Panic(BaseException): pass\nraise Panic('another Python')", "Panic: another Python"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        (
            "class Mute(Exception):\n    def __str__(self): raise SystemExit\nraise Mute",
            "Mute: its text cannot be made",
        ),
        (GOOD.replace("registry.attack(", "raise GeneratorExit("), "GeneratorExit"),
        (GOOD.replace("registry.attack(", "raise KeyboardInterrupt("), "KeyboardInterrupt"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("def f(:", "SyntaxError"),
        ("x = 1", "no function bnnbench_register marked with @hookimpl"),
        (GOOD.replace("def bnnbench_register", "def bnnbench_registr"), "unknown hook"),
        (GOOD.replace('"uniform"', '"Uni form"'), "does not match"),
        (GOOD.replace("registry.attack", "registry.posterior"), "is not a posterior class"),
        (GOOD.replace(", Uniform", ", type('Fake', (), {'kind': 'attack'})"), "the class Fake is not an attack class"),
        (GOOD.replace(", Uniform", ", Attack"), "the class Attack is not an attack class"),
        (GOOD.replace(", Uniform", ", lambda: 1"), "a function is not an attack class: it does not derive"),
        (GOOD.replace('"uniform"', "3"), "attack name 3 does not match"),
        (GOOD.replace('"uniform", Uniform', '"uniform", "nowhere"'), "'package.module:Class'"),
        (GOOD + '    registry.attack("uniform", Uniform)\n', "registered twice"),
        (GOOD.replace("def perturb", "copy: int = 1\n    def perturb"), "shadows an attribute of pydantic.BaseModel"),
        (GOOD.replace("def perturb", "strength: int\n    def perturb"), "parameter 'strength' has no default"),
        (GOOD.replace("def perturb", "def __call__(self): ...\n    def perturb"), "belongs to the core"),
    ],
)
def test_a_broken_plugin_disturbs_nobody_and_says_why(install: Install, source: str, reason: str) -> None:
    points = install("bnnbench-bad", "bad_plugin", source) + install("bnnbench-noise", "noise_plugin", GOOD)
    registry = load_registry(points)
    assert registry.names("attack") == ["uniform"]
    (broken,) = registry.quarantined
    assert reason in broken.reason
    assert (broken.plugin, broken.distribution, broken.version) == ("bad_plugin", "bnnbench-bad", "1.2")
    with pytest.raises(bb.UnknownComponent, match="bad_plugin"):
        registry.find("attack", "wanted")


def test_ctrl_c_while_a_plugin_is_imported_is_no_fault_of_it(install: Install) -> None:
    source = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nsignal.pause()"
    # A process that a shell has started in the background ignores the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            load_registry(install("slow", "slow_plugin", source))
    finally:
        signal.signal(signal.SIGINT, before)


def test_one_module_under_two_entry_points_is_one_plugin(install: Install) -> None:
    (point,) = install("twice", "twice_plugin", GOOD)
    (info,) = Path(str(point.dist._path)).parent.glob("twice-*")  # type: ignore[union-attr]
    (info / "entry_points.txt").write_text("[bnnbench]\nnoise = twice_plugin\nuniform = twice_plugin\nbad = a b\n")
    registry = load_registry(metadata.PathDistribution(info).entry_points)
    assert registry.find("attack", "uniform").plugin == "noise"
    assert [(broken.plugin, broken.reason[:22]) for broken in registry.quarantined] == [
        ("bad", "its entry point 'a b' ")
    ]


def test_distributions_without_a_name_disturb_nobody(install: Install, tmp_path: Path) -> None:
    points = install("bnnbench-noise", "noise_plugin", GOOD)
    for name in ("some", "other"):
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text("[bnnbench]\nnowhere = gone_for_good\n")
        points += metadata.PathDistribution(info).entry_points
    registry = load_registry(points)
    assert registry.names("attack") == ["uniform"]
    assert {str(broken)[:43] for broken in registry.quarantined} == {"plugin 'nowhere' (unknown 0) could not be l"}


def test_two_distributions_with_one_name_must_be_told_apart(install: Install) -> None:
    registry = load_registry(install("one", "one_plugin", GOOD) + install("two", "two_plugin", GOOD))
    with pytest.raises(bb.UnknownComponent, match="'one:uniform' or 'two:uniform'"):
        registry.find("attack", "uniform")
    assert registry.find("attack", "two:uniform").distribution == "two"


def test_allow_and_block_lists(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    points = install("one", "one_plugin", GOOD) + install("two", "two_plugin", GOOD.replace('"uniform"', '"other"'))
    monkeypatch.setenv("BNNBENCH_PLUGINS", "two, unheard-of")
    assert load_registry(points).names("attack") == ["other"]
    monkeypatch.delenv("BNNBENCH_PLUGINS")
    monkeypatch.setenv("BNNBENCH_BLOCK", "two_plugin")
    assert load_registry(points).names("attack") == ["uniform"]


def test_a_name_that_no_plugin_has_is_told(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("bnnbench-noise", "noise_plugin", GOOD)
    monkeypatch.setenv("BNNBENCH_PLUGINS", "bnnbench-noise, noise_plugin")
    monkeypatch.setenv("BNNBENCH_BLOCK", "noise_plugin")
    assert names_without_plugin() == []
    monkeypatch.setenv("BNNBENCH_PLUGINS", "noise-plugin, bnnbench-noise")
    monkeypatch.setenv("BNNBENCH_BLOCK", "zzz")
    one, two = names_without_plugin()
    assert "BNNBENCH_PLUGINS names 'noise-plugin'" in one
    assert one.endswith("did you mean 'noise_plugin'?")
    assert "--block or BNNBENCH_BLOCK names 'zzz'" in two
    assert "bnnbench-noise, " in two
    monkeypatch.setenv("BNNBENCH_PLUGINS", " ,")
    monkeypatch.delenv("BNNBENCH_BLOCK")
    assert names_without_plugin() == ["BNNBENCH_PLUGINS is empty, so that no plugin is loaded"]
