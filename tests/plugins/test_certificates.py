"""Certificates of plugins: registered, described, and made by their names."""

from __future__ import annotations

import pytest
from proofs import Linear

import bnnbench as bb
from bnnbench.cli.plugins import _describe
from bnnbench.plugins.registrar import Registrar
from bnnbench.plugins.registry import Registry


def registrar() -> Registrar:
    made = Registrar("plugin", "dist", "1")
    made.certificate("linear", Linear)
    made.certificate("lazy", "proofs:Linear", help="One line.")
    return made


def test_a_certificate_is_registered_by_its_class_or_its_place() -> None:
    one, other = registrar().entries
    assert (one.kind, one.load(), other.load(), other.summary) == ("certificate", Linear, Linear, "One line.")
    with pytest.raises(bb.PluginError, match=r"does not derive from bnnbench\.Certificate"):
        registrar().certificate("pgd", type(bb.attack("pgd")))
    with pytest.raises(bb.PluginError, match=r"does not derive from bnnbench\.Attack"):
        registrar().attack("linear", Linear)


def test_a_certificate_is_made_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bnnbench.components.registry", lambda: Registry(registrar().entries))
    assert bb.certificate("linear", excess=0.5) == Linear(excess=0.5)
    with pytest.raises(bb.UnknownComponent, match="no certificate named 'liner'; did you mean 'linear'"):
        bb.certificate("liner")
    told = r"^certificate linear: no parameter 'epsilon': it belongs to the threat, as in bnnbench\.certify\("
    with pytest.raises(bb.ParameterError, match=told):
        bb.certificate("linear", epsilon=0.1)


def test_a_certificate_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    _describe(registrar().entries[0])
    shown = capsys.readouterr().out
    assert shown.startswith("linear (certificate) of dist 1\n")
    assert "excess: float = 0.0" in shown
