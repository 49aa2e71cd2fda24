"""Checks of third parties, and thresholds that are replaced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

import bnnbench as bb
from bnnbench.evidence.audit.check import Ask
from bnnbench.evidence.audit.looking import asked, audit_of, installed_checks
from tests.support.handmade import NOISE, PGD, THREAT, case
from tests.support.proofs import Linear

ALL, NONE = "1111111111", "0000000000"


class Told(bb.Check):
    """Raises its flag if fewer images than a share withstand; what it gives can be made worse."""

    flag: ClassVar[str] = "Z1"

    share: float = 0.5
    fault: str = ""

    def asks(self, case: bb.Case) -> Sequence[Ask]:
        if self.fault == "asks":
            raise KeyError("no such thing")
        return [3] if self.fault == "asks nonsense" else [Ask(NOISE, case.threat)]  # type: ignore[list-item]

    def look(self, case: bb.Case) -> Any:
        if self.fault == "fails":
            raise KeyError("no such\nthing")
        if self.fault == "exits":
            raise SystemExit(3)
        if self.fault == "nonsense":
            return True
        if self.fault == "escapes":
            return bb.Look(True, 1, 0, "a \x1b[31mred\ntext")
        share = float(case.standing().mean())
        return bb.Look(share < self.share, share, self.share, f"{share:.0%} withstand")


def test_checks_are_in_the_order_of_their_flags() -> None:
    codes = [check.flag for check in installed_checks({"told": Told()}).values()]
    numbers = [int(code[1:]) for code in codes if code.startswith("A")]
    assert numbers == sorted(numbers)
    assert set(numbers) >= {*range(1, 17)}
    assert codes[-1] == "Z1"


def test_a_check_with_other_thresholds_replaces_the_installed_one() -> None:
    strict = bb.check("noise", tries=7)
    found = installed_checks({"mine": strict})
    assert [check for check in found.values() if check.flag == "A2"] == [strict]
    assert len(found) == len(installed_checks())


def test_a_check_of_a_third_party_looks_and_is_told() -> None:
    found = audit_of(case({PGD: "1110000000"}), {"told": Told()})
    assert found.headline == "UNTRUSTWORTHY (Z1)"
    assert found.flags[0].text == "30% withstand"
    assert audit_of(case({PGD: ALL}), {"told": Told()}).verdict == "NOT REFUTED"


@pytest.mark.parametrize("fault", ["fails", "exits"])
def test_a_check_that_fails_stops_no_other_and_is_named(fault: str) -> None:
    found = audit_of(case({PGD: ALL}), {"bad": Told(fault=fault), "good": Told(share=1.1)})
    assert found.headline == "UNTRUSTWORTHY (Z1)"
    assert list(found.unseen) == ["Z1 bad"]
    assert found.unseen["Z1 bad"].startswith("the check failed: ")
    assert "\n" not in found.unseen["Z1 bad"]


def test_a_check_that_gives_nonsense_is_named_and_stops_no_other() -> None:
    found = audit_of(case({PGD: ALL}), {"bad": Told(fault="nonsense"), "good": Told(share=1.1)})
    assert found.unseen == {"Z1 bad": "the check failed: it gave bool, not a Look"}
    assert found.headline == "UNTRUSTWORTHY (Z1)"


@pytest.mark.parametrize("fault", ["asks", "asks nonsense"])
def test_a_check_that_fails_to_ask_is_named_and_stops_no_other(fault: str) -> None:
    checks = {"bad": Told(fault=fault), "good": Told(share=1.1)}
    found = audit_of(case({PGD: ALL}), checks)
    assert found.headline == "UNTRUSTWORTHY (Z1)"
    assert found.unseen["Z1 bad"].startswith("the check failed: ")
    assert [ask.component for ask in asked(case({PGD: ALL}), checks)] == [NOISE]


@pytest.mark.parametrize("ask", [bb.Ask("pgd", THREAT), bb.Ask(PGD, None), bb.Ask(bb.posterior("sgd"), THREAT)])  # type: ignore[arg-type]
def test_what_cannot_be_measured_is_not_asked_for(ask: bb.Ask) -> None:
    class Odd(Told):
        def asks(self, case: bb.Case) -> Sequence[Ask]:
            return [ask]

    found = audit_of(case({PGD: ALL}), {"bad": Odd(), "good": Told(share=1.1)})
    assert found.headline == "UNTRUSTWORTHY (Z1)"
    assert found.unseen["Z1 bad"].startswith("the check failed: ")


def test_numbers_of_numpy_become_plain() -> None:
    class Numpy(Told):
        def look(self, case: bb.Case) -> Any:
            return bb.Look(np.True_, np.float32(0.5), 1, "seen")  # type: ignore[arg-type]

    look = audit_of(case({PGD: ALL}), {"numpy": Numpy()}).looked[0].look
    assert look.fired is True
    assert type(look.figure) is float


def test_the_label_of_a_check_replaces_no_other() -> None:
    found = installed_checks({"single-step": bb.check("noise", tries=5)})
    assert sorted(check.flag for check in found.values()) == sorted(one.flag for one in installed_checks().values())


def test_texts_of_checks_are_one_clean_line() -> None:
    found = audit_of(case({PGD: NONE}), {"told": Told(fault="escapes")})
    assert found.flags[0].text == "a ?[31mred text"


def test_without_a_number_no_check_looks() -> None:
    found = audit_of(case({}), {"told": Told()})
    assert (found.verdict, found.looked, found.refusal) == ("NO NUMBER", [], "no attack was reported")


def test_what_several_checks_ask_for_is_asked_once() -> None:
    asks = asked(case({PGD: ALL}), {"one": Told(), "other": Told(share=0.1)}, [Linear()])
    assert [one.component for one in asks] == [Linear(), NOISE]


def test_a_check_that_looks_has_a_flag_and_a_base_without_look_needs_none() -> None:
    class Base(bb.Check):
        def words(self) -> str:
            return "seen"

    with pytest.raises(bb.PluginError, match=r"Silent: 'flag' is empty: give it the code that tables show, such as"):

        class Silent(Base):
            def look(self, case: bb.Case) -> bb.Look:
                return bb.Look(True, 1, 0, self.words())

    for wrong in ("", "  ", 3):
        with pytest.raises(bb.PluginError, match="'flag' is "):
            type("Wrong", (Told,), {"flag": wrong, "__module__": __name__})
