"""Components by name: what `name_of` writes, `named` reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bnnbench as bb
from bnnbench.core.named_components import name_of, named, parts_of
from bnnbench.plugins.installed import registry
from bnnbench.plugins.registrar import Registrar
from bnnbench.plugins.registry import Registry

Plain = str | int | float | bool | None


class Probe(bb.Figure):
    """Parameters of all forms that JSON has."""

    text: str = "a"
    number: float = 0.5
    flag: bool = True
    any: str | int | float | bool | None = None
    words: tuple[str, ...] = ()
    table: dict[str, list[Plain]] = {}


@pytest.fixture(autouse=True, scope="module")
def probe() -> Iterator[None]:
    """The class `Probe` is registered, and nothing else."""
    registrar = Registrar("plugin", "dist", "1")
    registrar.figure("probe", Probe, help="One line.")
    with pytest.MonkeyPatch.context() as patch:
        for module in ("bnnbench.core.named_components", "bnnbench.core.component_use"):
            patch.setattr(f"{module}.registry", lambda: Registry(registrar.entries))
        yield


TEXTS = st.text() | st.text(alphabet=",=@:\"'[]{}\\ 1.etruN-\n")
PLAIN = TEXTS | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none()


@settings(max_examples=400)
@given(
    text=TEXTS,
    number=st.floats(allow_nan=False, allow_infinity=False),
    flag=st.booleans(),
    any=PLAIN,
    words=st.lists(TEXTS, max_size=3).map(tuple),
    table=st.dictionaries(TEXTS, st.lists(PLAIN, max_size=2), max_size=2),
)
@example(text='["a', number=0.5, flag=True, any='b"]', words=(), table={})
@example(text="NaN", number=-0.0, flag=False, any="null", words=("a, b", ""), table={"a=b": [1, True, None]})
@example(text="\x7f\ud800\U000e0001", number=0.5, flag=True, any="\x7f", words=("\x7f\u200b\n",), table={})
@example(text="", number=1e300, flag=True, any=1, words=(), table={})
@example(text="it's", number=0.5, flag=True, any=True, words=(), table={})
def test_a_component_is_read_from_its_name(**parameters: Any) -> None:
    component = Probe(**parameters)
    name = name_of(component)
    found = named("figure", name)
    assert type(found) is Probe
    # 1, 1.0 and True are equal, but other parameters.
    assert repr(found) == repr(component)
    assert name.isprintable()


@given(first=PLAIN, second=PLAIN)
@settings(max_examples=200)
@example(first="1", second=1)
@example(first=1, second=True)
@example(first="None", second=None)
def test_components_of_different_parameters_have_different_names(first: Plain, second: Plain) -> None:
    same = repr(first) == repr(second)
    assert (name_of(Probe(any=first)) == name_of(Probe(any=second))) is same


@pytest.mark.parametrize(
    ("component", "name"),
    [
        (Probe(), "probe"),
        (Probe(text="mutual-information", number=0.25), "probe@text=mutual-information,number=0.25"),
        (Probe(flag=False, any="a b"), "probe@flag=false,any=a b"),
        (Probe(any="0.1", words=("x", "y,z")), 'probe@any="0.1",words=["x", "y,z"]'),
    ],
)
def test_names_are_plain_where_they_can_be(component: Probe, name: str) -> None:
    assert name_of(component) == name


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        (" a , b ,, c ", ["a", "b", "c"]),
        ("a=1,b=x y,c=[1, 2],d", ["a=1", "b=x y", "c=[1, 2]", "d"]),
        ('a="x,y" , b={"k": "v, w"}', ['a="x,y"', 'b={"k": "v, w"}']),
        ("a=[1,b=2]", ["a=[1", "b=2]"]),
        ('a="b,c=5"x', ['a="b', 'c=5"x']),
        ("a=it's, b=x=[1,2]", ["a=it's", "b=x=[1", "2]"]),
        ('nll,share@of=0.5,kind="a,b",brier', ["nll", "share@of=0.5", 'kind="a,b"', "brier"]),
    ],
)
def test_parts_end_at_commas_outside_of_values_in_json(text: str, parts: list[str]) -> None:
    assert list(parts_of(text)) == parts


def test_each_bundled_metric_and_figure_is_read_from_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("bnnbench.core.named_components", "bnnbench.core.component_use"):
        monkeypatch.setattr(f"{module}.registry", registry)
    for kind in ("metric", "figure"):
        for use in registry().choices(kind):
            model = registry().find(kind, use).load()
            options: list[dict[str, Any]] = [{}]
            for field, info in model.model_fields.items():
                options += [{field: value} for value in get_args(info.annotation) if isinstance(value, str)]
            for one in options:
                assert named(kind, name_of(model(**one))) == model(**one)
