"""Components by name."""

from __future__ import annotations

import pytest
from one_plugin import GOOD, Install

import bnnbench as bb
from bnnbench.plugins.loading import load_registry
from bnnbench.plugins.registrar import Entry
from bnnbench.plugins.registry import Registry


def test_a_lazy_target_is_imported_when_used_and_its_failure_is_named() -> None:
    entry = Entry("attack", "lazy", "no_such_module:Attack", "One line.", "plugin", "dist", "1")
    registry = Registry([entry])
    assert registry.find("attack", "lazy").summary == "One line."
    with pytest.raises(bb.PluginError, match=r"attack 'lazy' of dist 1: cannot import no_such_module:Attack"):
        registry.create("attack", "lazy", {})


def test_a_lazy_target_that_exits_ends_nobody(install: Install) -> None:
    install("bad", "exiting_plugin", "raise SystemExit('no licence')")
    entry = Entry("attack", "lazy", "exiting_plugin:Attack", None, "plugin", "dist", "1")
    with pytest.raises(bb.PluginError, match="cannot import exiting_plugin:Attack: SystemExit: no licence"):
        Registry([entry]).create("attack", "lazy", {})
    install("bad", "panicking_plugin", "class Panic(BaseException): pass\nraise Panic('built for another Python')")
    with pytest.raises(bb.PluginError, match="cannot import panicking_plugin:Attack: Panic: built for another Python"):
        Entry("attack", "lazy", "panicking_plugin:Attack", None, "plugin", "dist", "1").load()


def test_ctrl_c_while_a_lazy_target_is_imported_is_no_fault_of_it(install: Install) -> None:
    install("slow", "interrupted_plugin", "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nsignal.pause()")
    with pytest.raises(KeyboardInterrupt):
        Entry("attack", "lazy", "interrupted_plugin:Attack", None, "plugin", "dist", "1").load()
    install("own", "interrupting_plugin", "raise KeyboardInterrupt")
    with pytest.raises(bb.PluginError, match="interrupting_plugin:Attack: KeyboardInterrupt"):
        Entry("attack", "lazy", "interrupting_plugin:Attack", None, "plugin", "dist", "1").load()


def entries(install: Install, *targets: str, plugins: tuple[str, ...] = ("one", "two", "three")) -> list[Entry]:
    """Entries of one distribution that register these targets under one name, each by another plugin."""
    install("twice", "defining_plugin", GOOD)
    install("twice", "importing_plugin", "from defining_plugin import Uniform")
    install("twice", "other_plugin", GOOD)
    named = zip(targets, plugins, strict=False)
    return [Entry("attack", "uniform", target, None, plugin, "twice", "1") for target, plugin in named]


def test_one_class_by_several_texts_is_one_component(install: Install) -> None:
    registry = Registry(entries(install, *["defining_plugin:Uniform"] * 2, "importing_plugin:Uniform"))
    assert [entry.plugin for entry in registry.entries] == ["one"]
    assert registry.find("attack", "twice:uniform") is registry.find("attack", "uniform")
    assert registry.choices("attack") == ["uniform"]


def test_two_classes_of_one_distribution_are_told_with_a_way_out(install: Install) -> None:
    registry = Registry(entries(install, "defining_plugin:Uniform", "other_plugin:Uniform", "gone_for_good:Uniform"))
    with pytest.raises(bb.UnknownComponent) as told:
        registry.find("attack", "uniform")
    assert str(told.value) == (
        "twice registers several classes as the attack 'uniform': defining_plugin:Uniform (plugin 'one'), "
        "gone_for_good:Uniform (plugin 'three') and other_plugin:Uniform (plugin 'two'); leave plugins out with "
        "--block one, --block three or --block two or BNNBENCH_BLOCK"
    )
    same = entries(install, "defining_plugin:Uniform", "other_plugin:Uniform", plugins=("one", "one"))
    with pytest.raises(bb.UnknownComponent, match="its author must give them different names"):
        Registry(same).find("attack", "uniform")


def test_names_of_several_distributions_are_chosen_with_the_distribution() -> None:
    names = {"one": "a", "two": "a", "three": "b"}
    registry = Registry([Entry("attack", name, "m:C", None, "p", dist, "1") for dist, name in names.items()])
    assert registry.choices("attack") == ["one:a", "two:a", "b"]
    with pytest.raises(bb.UnknownComponent, match="2 distributions provide the attack 'a': write 'one:a' or 'two:a'"):
        registry.find("attack", "a")


def test_everything_bundled_is_registered_imports_and_documents_itself() -> None:
    registry = load_registry()
    assert {entry.name for entry in registry.entries if entry.distribution == "bnnbench"} >= {
        "half-moons", "digits", "mnist-5k", "mnist", "fashion-mnist", "fc", "conv", "pyro-hmc", "numpyro-nuts",
        "numpyro-hmc", "bayes-by-backprop", "sgd", "saved", "predictive-nll", "expected-loss", "log-margin",
        "mean-logit", "mean-logit-margin", "class-margin", "dlr", "fgsm", "pgd", "random-sign", "apgd", "boundary",
        "carlini-wagner", "deepfool", "fmn", "mi-fgsm", "nes", "square", "standard",
        "substitute", "transfer",
    }  # fmt: skip
    assert not [broken for broken in registry.quarantined if broken.distribution == "bnnbench"]
    for entry in registry.entries:
        if entry.distribution == "bnnbench":
            component = entry.load()
            assert entry.summary
            assert component.__doc__
            # What metrics, checks and figures compute is stored nowhere.
            assert isinstance(component.revision, int) or entry.kind in ("metric", "check", "figure"), entry
            assert all(field.description for field in component.model_fields.values()), entry
