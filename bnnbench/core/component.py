"""The base class of all components: parameters with a meaning, and an identity in the store."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from bnnbench.core.nested import nested, replaced, with_identities
from bnnbench.core.user_code.class_code import check_current, code_of
from bnnbench.core.user_code.local_modules import (
    checksum_of_code,
    code_behind,
    local_name,
    name_in_messages,
    reduced,
)
from bnnbench.errors import ParameterError, PluginError
from bnnbench.plugins.described import no_parameter, plain, refusals
from bnnbench.plugins.provenance import version_of, version_of_module


class Component(BaseModel):
    """A frozen set of parameters: its fields are its YAML parameters, its docstring is its description.

    Every parameter has a default, and values are never coerced: `true` is not 1 and `"3"` is not 3. A list is taken
    where a tuple is meant. A number of numpy, torch or JAX is taken as the Python number of the same value:
    `numpy.float32(0.1)` is 0.10000000149011612. A class may declare `revision`, an integer raised whenever the same
    parameters would give another outcome; without it the version of the distribution that provides the class, and the
    checksum of its code (`class_code.code_of`), are part of the identity. Base classes from other packages contribute
    theirs too.

    Raises `ParameterError`, on one line, for unknown parameters and wrong values, and for changing a parameter of a
    component. Raises `PluginError` while a subclass is defined if a field shadows a pydantic attribute, a parameter has
    no default, or a method that the core owns is overridden.
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
    reserved: ClassVar[frozenset[str]] = frozenset({"use", "sweep"})
    """Names that no parameter may have, for benchmarks files give them a meaning."""
    revision: ClassVar[int | None] = None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        where = name_in_messages(cls)
        for name, field in cls.model_fields.items():
            if hasattr(BaseModel, name):
                raise PluginError(f"{where}: parameter '{name}' shadows an attribute of pydantic.BaseModel; rename it")
            if name in cls.reserved:
                raise PluginError(f"{where}: '{name}' has a meaning of its own in benchmarks files; rename it")
            if field.is_required():
                raise PluginError(f"{where}: parameter '{name}' has no default")
        for base in cls.__mro__[1:]:
            for name, member in vars(base).items():
                if getattr(member, "__final__", False) and inspect.getattr_static(cls, name) is not member:
                    raise PluginError(f"{where}: '{name}' belongs to the core and must not be overridden")

    def __init__(self, /, **parameters: Any) -> None:
        __tracebackhide__ = True  # pytest shows the caller's line.
        try:
            super().__init__(**parameters)
        except ValidationError as error:
            names = list(type(self).model_fields)
            # The cause would be shown with its addresses of documentation.
            raise ParameterError(f"{self.kind} {type(self).__name__}: {refusals(error, names)}") from None

    # Otherwise pydantic calls `__init__` while it validates, without the context that holds the file's folder.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def __setattr__(self, name: str, value: Any) -> None:
        try:
            super().__setattr__(name, value)
        except ValidationError:
            raise self._frozen(name) from None

    def __delattr__(self, name: str) -> None:
        try:
            super().__delattr__(name)
        except ValidationError:
            raise self._frozen(name) from None

    def _frozen(self, name: str) -> ParameterError:
        what, names = f"{self.kind} {type(self).__name__}", list(type(self).model_fields)
        if name not in names:
            return ParameterError(f"{what} is frozen, and has {no_parameter(name, names)}")
        return ParameterError(f"{what} is frozen: model_copy(update={{'{name}': ...}}) gives a changed copy")

    @model_validator(mode="before")
    @classmethod
    def _in_plain_form(cls, values: Any) -> Any:
        # Strict pydantic takes no number of numpy, and no list for a tuple, which YAML and JSON do not have.
        if not isinstance(values, dict):
            return values
        return {name: _in_plain_form(cls, name, value) for name, value in values.items()}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """The component with some parameters changed, and checked: a new one, with an identity of its own."""
        own = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**(own | dict(update or {})))

    def components(self) -> Iterator[tuple[str, Component]]:
        """Each component among the parameters, however deep, with its path, such as `.objective` or `.attacks.0`."""
        yield from nested(self, Component)

    def rebuilt(self) -> Self:
        """A new component with the same parameters, all components among them rebuilt too, and nothing cached.

        Raises `StoreError` or `PluginError` if the code of the class has been edited since it was imported.
        """
        check_current(type(self))
        own = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{name: replaced(value, Component, Component.rebuilt) for name, value in own.items()})

    def fingerprint(self) -> str:
        """What the outcome depends on beside the parameters, such as a file's checksum; empty if there is nothing."""
        return ""

    def identity(self) -> dict[str, Any]:
        """The canonical JSON object by which the store knows this component."""
        return self._identity

    @functools.cached_property
    def _identity(self) -> dict[str, Any]:
        dumped = self.model_dump(mode="json")
        parameters = {
            name: with_identities(getattr(self, name), dumped[name], Component)
            for name in type(self).model_fields
            if name not in self.not_in_identity
        }
        identity = _identity_of_class(type(self)) | {"parameters": parameters}
        inherited = _inherited(type(self))
        if inherited:
            identity["inherited"] = inherited
        fingerprint = self.fingerprint()
        return identity | {"fingerprint": fingerprint} if fingerprint else identity

    def __reduce_ex__(self, protocol: Any) -> Any:
        code = code_behind(type(self))
        if code is None:
            return super().__reduce_ex__(protocol)
        self.identity()  # It is pickled too: a task compares it with what it finds.
        return reduced(self, code, protocol)

    not_in_identity: ClassVar[frozenset[str]] = frozenset()
    """Parameters that say where something lies, not what it is. `fingerprint` must then depend on the content."""


def _identity_of_class(cls: type[Component]) -> dict[str, Any]:
    """What the store knows of a class: its name, and its revision, version or content."""
    checksum = checksum_of_code(cls)
    if checksum is not None:
        # The content counts whatever revision is declared: the file is the user's own, and has no releases.
        return {"component": f"file:{local_name(cls)}", "code": checksum}
    name, revision = f"{cls.__module__}:{cls.__qualname__}", _revision(cls)
    if revision is not None:
        return {"component": name, "version": revision}
    # A version says nothing of code that is being written: without this an edited plugin kept its old results.
    return {"component": name, "version": version_of(cls), "code": code_of(cls)}


def _revision(cls: type[Component]) -> int | None:
    # A subclass is other code, so its parent's revision says nothing about it.
    return vars(cls).get("revision")


def _inherited(cls: type[Component]) -> dict[str, Any]:
    """What the class's parents add to its identity: their revisions, and of those in other packages that have none the
    version and the checksum of the code.

    Parents without a revision in the class's own package are spoken for by the class's revision or version; those in
    its own file by the checksum of that, where it is part of the identity. The core's are spoken for by its schema.
    Parents in a user's own file are spoken for by the checksum of its content.
    """
    found: dict[str, Any] = {}
    package = cls.__module__.partition(".")[0]
    for base in cls.__mro__[1:]:
        if not issubclass(base, Component) or (base.__module__ == cls.__module__ and _revision(cls) is None):
            continue
        if code_behind(base) is not None:
            continue
        name = f"{base.__module__}:{base.__qualname__}"
        if (revision := _revision(base)) is not None:
            found[name] = revision
        elif base.__module__.partition(".")[0] not in (package, "bnnbench"):
            found[name] = {"version": version_of_module(base.__module__), "code": code_of(base)}
    return found


def _in_plain_form(cls: type[Component], name: str, value: Any) -> Any:
    """The value of a parameter with plain numbers, and as a tuple where that is meant."""
    field = cls.model_fields.get(name)
    if field is None or (hasattr(value, "dtype") and type(value) is field.annotation):
        return value  # A class may declare a parameter to be an array, or a number of numpy.
    value = _plain_inside(value)
    if not _is_tuple(cls, name):
        return value
    if getattr(value, "ndim", None) == 1 and hasattr(value, "tolist"):
        return tuple(value.tolist())
    return tuple(value) if isinstance(value, list) else value


def _plain_inside(value: Any) -> Any:
    """The value with plain numbers in it, in lists, tuples and dictionaries too."""
    if type(value) in (list, tuple):
        return type(value)(map(_plain_inside, value))
    if type(value) is dict:
        return {key: _plain_inside(item) for key, item in value.items()}
    return plain(value)


def _is_tuple(cls: type[Component], name: str) -> bool:
    field = cls.model_fields.get(name)
    if field is None:
        return False
    possible = (field.annotation, *typing.get_args(field.annotation))
    return any(typing.get_origin(annotation) is tuple for annotation in possible)
