"""What every data set, network, posterior, objective and attack is: parameters with a meaning, and an identity."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo, model_validator

from bnnbench.errors import PluginError
from bnnbench.plugins.provenance import code_of, version_of, version_of_module


class Component(BaseModel):
    """A frozen set of parameters: its fields are its YAML parameters, its docstring is its description.

    Every parameter has a default, and values are never coerced: `true` is not 1 and `"3"` is not 3 (a list is taken
    where a tuple is meant). A class may declare `revision`, an integer raised whenever the same parameters would give
    another outcome; without it the version of the distribution that provides the class, and the checksum of the
    file that defines it, are part of the identity. So it is with the classes of others that it derives from.

    Raises `PluginError` while a subclass is defined if a field shadows a pydantic attribute, a parameter has no
    default, or a method that the core owns is overridden.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        validate_default=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )
    kind: ClassVar[str] = "component"
    revision: ClassVar[int | None] = None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        where = f"{cls.__module__}.{cls.__qualname__}"
        for name, field in cls.model_fields.items():
            if hasattr(BaseModel, name):
                raise PluginError(f"{where}: parameter '{name}' shadows an attribute of pydantic.BaseModel; rename it")
            if field.is_required():
                raise PluginError(f"{where}: parameter '{name}' has no default")
        for base in cls.__mro__[1:]:
            for name, member in vars(base).items():
                if getattr(member, "__final__", False) and inspect.getattr_static(cls, name) is not member:
                    raise PluginError(f"{where}: '{name}' belongs to the core and must not be overridden")

    @model_validator(mode="before")
    @classmethod
    def _lists_become_tuples(cls, values: Any) -> Any:
        # YAML and JSON have no tuples, and strict pydantic takes no list for one.
        if not isinstance(values, dict):
            return values
        return {
            name: tuple(value) if isinstance(value, list) and _is_tuple(cls, name) else value
            for name, value in values.items()
        }

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """The component with some parameters changed, and checked: a new one, with an identity of its own."""
        own = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**(own | dict(update or {})))

    def fingerprint(self) -> str:
        """What the outcome depends on beside the parameters, such as a file's checksum; empty if there is nothing."""
        return ""

    def identity(self) -> dict[str, Any]:
        """The canonical JSON object by which the store knows this component."""
        return self._identity

    @functools.cached_property
    def _identity(self) -> dict[str, Any]:
        parameters = self.model_dump(mode="json")
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Component):
                parameters[name] = value.identity()
            elif name in self.not_in_identity:
                del parameters[name]
        revision = _revision(type(self))
        identity: dict[str, Any] = {
            "component": f"{type(self).__module__}:{type(self).__qualname__}",
            "version": version_of(type(self)) if revision is None else revision,
            "parameters": parameters,
        }
        if revision is None:
            # A version says nothing of code that is being written: without this an edited plugin kept its old results.
            identity["code"] = code_of(type(self))
        inherited = _inherited(type(self))
        if inherited:
            identity["inherited"] = inherited
        fingerprint = self.fingerprint()
        return identity | {"fingerprint": fingerprint} if fingerprint else identity

    not_in_identity: ClassVar[frozenset[str]] = frozenset()
    """Parameters that say where something lies, not what it is; `fingerprint` must speak for the content."""


def _revision(cls: type[Component]) -> int | None:
    # A subclass is other code: it does not inherit its parent's word for it.
    return vars(cls).get("revision")


def _inherited(cls: type[Component]) -> dict[str, Any]:
    """What the class's parents add to its identity: their revisions, and of those in other packages that have none the
    version and the checksum of the file.

    Parents without a revision in the class's own package are spoken for by the class's revision or version; those in
    its own file by the checksum of that, where it is part of the identity. The core's are spoken for by its schema.
    """
    found: dict[str, Any] = {}
    package = cls.__module__.partition(".")[0]
    for base in cls.__mro__[1:]:
        if not issubclass(base, Component) or (base.__module__ == cls.__module__ and _revision(cls) is None):
            continue
        name = f"{base.__module__}:{base.__qualname__}"
        if (revision := _revision(base)) is not None:
            found[name] = revision
        elif base.__module__.partition(".")[0] not in (package, "bnnbench"):
            found[name] = {"version": version_of_module(base.__module__), "code": code_of(base)}
    return found


def _is_tuple(cls: type[Component], name: str) -> bool:
    field = cls.model_fields.get(name)
    if field is None:
        return False
    possible = (field.annotation, *typing.get_args(field.annotation))
    return any(typing.get_origin(annotation) is tuple for annotation in possible)


def _beside_the_file(path: str, info: ValidationInfo) -> str:
    from pathlib import Path

    folder = (info.context or {}).get("folder")
    # Absolute, for a task may run in another working directory.
    return str(Path(folder, path).absolute()) if folder and path else path


InputPath = Annotated[str, AfterValidator(_beside_the_file)]
"""A parameter that names an input file; in a benchmarks file a relative one is meant from that file's folder."""
