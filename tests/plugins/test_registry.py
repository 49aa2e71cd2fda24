"""Components by name."""

from __future__ import annotations

import pytest
from one_plugin import Install

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
    install("bad", "interrupted_plugin", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        Entry("attack", "lazy", "interrupted_plugin:Attack", None, "plugin", "dist", "1").load()


def test_everything_bundled_is_registered_imports_and_documents_itself() -> None:
    registry = load_registry()
    assert {entry.name for entry in registry.entries if entry.distribution == "bnnbench"} >= {
        "half-moons", "digits", "mnist-5k", "mnist", "fashion-mnist", "fc", "conv", "pyro-hmc", "numpyro-nuts",
        "numpyro-hmc", "bayes-by-backprop", "sgd", "saved", "predictive-nll", "expected-loss", "log-margin",
        "mean-logit", "mean-logit-margin", "fgsm", "pgd", "random-sign",
    }  # fmt: skip
    assert not [broken for broken in registry.quarantined if broken.distribution == "bnnbench"]
    for entry in registry.entries:
        if entry.distribution == "bnnbench":
            component = entry.load()
            assert entry.summary
            assert component.__doc__
            assert isinstance(component.revision, int), entry
            assert all(field.description for field in component.model_fields.values()), entry
