"""Discovery, quarantine, collisions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field

import bnnbench as bb
from bnnbench.matrix.plan import key_of
from bnnbench.plugins import provenance
from bnnbench.plugins.loading import load_registry
from bnnbench.plugins.registry import Entry, Registry

Install = Callable[[str, str, str], list[metadata.EntryPoint]]

GOOD = """
from bnnbench import Attack, hookimpl

class Uniform(Attack):
    \"\"\"Uniform noise in the ball.\"\"\"
    def perturb(self, victim, x, y, threat, rng):
        return threat.uniform(x, rng)

@hookimpl
def bnnbench_register(registry):
    registry.attack("uniform", Uniform)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a module and its distribution's metadata on the path; gives back its entry points."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(distribution: str, module: str, source: str) -> list[metadata.EntryPoint]:
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[bnnbench]\n{module} = {module}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)
        return list(metadata.PathDistribution(info).entry_points)

    return put


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
        ("def f(:", "SyntaxError"),
        ("x = 1", "no function bnnbench_register marked with @hookimpl"),
        (GOOD.replace("def bnnbench_register", "def bnnbench_registr"), "unknown hook"),
        (GOOD.replace('"uniform"', '"Uni form"'), "does not match"),
        (GOOD.replace("registry.attack", "registry.posterior"), "is not a posterior class"),
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


def test_parameters_are_never_coerced() -> None:
    class Probe(bb.Attack):
        """For this test."""

        count: int = Field(default=1, ge=0)
        sizes: tuple[int, ...] = (1, 2)
        others: tuple[int, ...] | None = None

    assert Probe(sizes=[3, 4]).sizes == (3, 4)  # type: ignore[arg-type]
    assert Probe(others=[3, 4]).others == (3, 4)  # type: ignore[arg-type]
    for wrong in ({"count": True}, {"count": "3"}, {"count": 1.0}, {"sizes": [1.5]}, {"sizes": "ab"}, {"other": 1}):
        with pytest.raises(ValueError):
            Probe(**wrong)
    with pytest.raises(ValueError, match="frozen"):
        Probe().count = 2  # type: ignore[misc]


def test_an_objective_is_taken_by_name_instance_or_mapping_and_is_part_of_the_identity() -> None:
    by_name = bb.attack("pgd", objective="log-margin")
    assert by_name == bb.attack("pgd", objective=bb.objective("log-margin"))
    assert by_name == bb.attack("pgd", objective={"use": "log-margin"})
    assert by_name.model_dump()["objective"] == {"use": "bnnbench:log-margin"}
    assert type(by_name)(**by_name.model_dump()) == by_name
    assert by_name.identity() != bb.attack("pgd").identity()
    with pytest.raises(ValueError, match="did you mean 'log-margin'"):
        bb.attack("pgd", objective="log-margn")


def test_what_a_component_does_not_take_is_told_in_one_line() -> None:
    for parameters, told in (
        ({"stepz": 3}, "attack pgd: no parameter 'stepz'; did you mean 'steps'?"),
        ({"step_size": 0.1}, "attack pgd: no parameter 'step_size'; did you mean 'relative_step_size'?"),
        ({"steps": 0}, "attack pgd: steps: input should be greater than or equal to 1"),
        ({"restarts": 2, "random_start": False}, "attack pgd: restarts above 1 need random_start"),
    ):
        with pytest.raises(bb.ParameterError) as caught:
            bb.attack("pgd", **parameters)
        assert str(caught.value).startswith(told)
        assert "\n" not in str(caught.value)
    with pytest.raises(bb.UnknownComponent, match="did you mean 'numpyro-nuts'"):
        bb.posterior("nuts")


def test_edited_code_is_another_identity_unless_a_revision_speaks_for_it(install: Install) -> None:
    def identity(source: str) -> dict[str, object]:
        return (
            load_registry(install("bnnbench-noise", "noise_plugin", source)).create("attack", "uniform", {}).identity()
        )

    edited = GOOD.replace("return threat.uniform(x, rng)", "return x")
    assert edited != GOOD
    assert identity(GOOD) == identity(GOOD)
    assert identity(GOOD) != identity(edited)
    revised = "    revision = 3\n\n    def perturb"
    assert identity(GOOD.replace("    def perturb", revised)) == identity(edited.replace("    def perturb", revised))


def test_a_revision_stands_for_the_code_in_the_identity() -> None:
    class Revised(bb.Attack):
        """For this test."""

        revision: ClassVar[int | None] = 7

    assert Revised().identity()["version"] == 7


@pytest.mark.parametrize(
    ("kind", "name", "key"),
    [
        ("dataset", "half-moons", "b380f0f22f65ffdf60fbaffba2b945ff129eac4b11ef02944c8fa4b313a87060"),
        ("posterior", "numpyro-nuts", "36a44de2d8c775789a2d6817476de994fb5797fe145be5d409f207a0870b1221"),
        ("posterior", "bayes-by-backprop", "60580ad8e231d7af0e5d384261824ad0705df25bb75464a9b702f90d55cb702e"),
        ("attack", "pgd", "265b2ba6961d762dffe470db873d486b0d0ab570e444071e66edc2177e36ad92"),
    ],
)
def test_the_identities_of_what_is_bundled_stay_as_stores_have_them(kind: str, name: str, key: str) -> None:
    """A change that is meant raises a revision, and stands here; any other would make stores worthless."""
    assert key_of(load_registry().create(kind, name, {}).identity()) == key


DERIVED = """
from parent_plugin import Uniform

from bnnbench import hookimpl

class Mine(Uniform):
    revision = 1

class Sibling(Mine):
    pass

@hookimpl
def bnnbench_register(registry):
    registry.attack("mine", Mine)
    registry.attack("sibling", Sibling)
"""


def test_what_becomes_of_a_parent_becomes_of_its_children(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    def identity(parent: str, version: str = "1.2", name: str = "mine", child: str = DERIVED) -> dict[str, object]:
        (point,) = install("parent", "parent_plugin", parent)
        metadata_file = Path(str(point.dist._path)) / "METADATA"  # type: ignore[union-attr]
        metadata_file.write_text(metadata_file.read_text().replace("1.2", version))
        provenance._provider_of_package.cache_clear()
        return load_registry(install("child", "child_plugin", child)).create("attack", name, {}).identity()

    revised = [GOOD.replace("    def perturb", f"    revision = {number}\n\n    def perturb") for number in (1, 2)]
    edited = GOOD.replace("return threat.uniform(x, rng)", "return x")
    assert identity(GOOD)["version"] == 1
    assert identity(GOOD) == identity(GOOD)
    assert identity(GOOD) != identity(GOOD, "1.3")
    assert identity(GOOD) != identity(edited)
    assert identity(revised[0]) == identity(revised[0].replace("threat.uniform(x, rng)", "x"), "1.3")
    assert identity(revised[0]) != identity(revised[1])
    assert identity(revised[0], name="sibling") != identity(revised[1], name="sibling")
    # The child's own file is in its identity, unless a revision speaks for it.
    raised = DERIVED.replace("revision = 1", "revision = 2")
    assert identity(GOOD, name="sibling") != identity(GOOD, name="sibling", child=raised)


def test_the_order_in_which_plugins_are_used_changes_no_identity(install: Install) -> None:
    points = install("parent", "parent_plugin", GOOD) + install("child", "child_plugin", DERIVED)
    first = load_registry(points).create("attack", "mine", {}).identity()
    registry = load_registry(points)
    registry.create("attack", "uniform", {})
    assert registry.create("attack", "mine", {}).identity() == first
