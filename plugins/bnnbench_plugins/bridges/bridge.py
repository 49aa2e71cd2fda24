"""What the bridges to other attack libraries have in common."""

from __future__ import annotations

import functools
import importlib
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, JsonValue, ValidationInfo, field_validator

from bnnbench import Attack, Incompatible
from bnnbench_plugins.datasets.names import hint

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from bnnbench import Threat, Victim

P = {"linf": math.inf, "l2": 2, "l1": 1}
"""The number p of each norm, by which libraries name it."""


@dataclass(frozen=True)
class Foreign:
    """An attack of another library.

    Attributes:
        call: its class or function, whose signature has its parameters.
        norms: the norms of the balls that it is made for.
        nearest: whether it looks for the nearest input that reaches the goal, and takes no radius.
        stops_early: whether it leaves an image alone once the goal is reached.
        classes: the smallest number of classes that it can attack.
    """

    call: Callable[..., Any]
    norms: frozenset[str]
    nearest: bool = False
    stops_early: bool = True
    classes: int = 2


@dataclass(eq=False)
class Run:
    """A batch of images as a library gets it, in units in which the box is (0, 1).

    Attributes:
        model: a module from inputs (n, *shape) to the predictive's log-probabilities (n, K); its queries are counted.
        x: the clean inputs (n, *shape).
        y: the labels (n,).
        norm: the norm of the ball.
        epsilon: the radius; None for an attack that looks for the nearest input.
        seed: a seed (uint32).
    """

    model: nn.Module
    x: Tensor
    y: Tensor
    norm: str
    epsilon: float | None
    seed: int

    @functools.cached_property
    def classes(self) -> int:
        """The number of classes, from a query of one image."""
        return int(self.model(self.x[:1]).shape[-1])


class Bridge(Attack):
    """An attack of another library, which sees the ensemble as one model and attacks images in batches.

    The library gets the log predictive probabilities as logits, and inputs in units in which the box is (0, 1). What it
    draws from the global random states comes from the seed. An input that leaves the ball or the box by rounding is
    projected. The version of the library is part of the attack's identity.
    """

    library: ClassVar[str]
    """The distribution, which is also the name of the extra."""
    module: ClassVar[str]
    """The module that holds the attacks."""
    given: ClassVar[Mapping[str, Callable[[Run], Any]]]
    """What the bridge passes, by the names of the library's parameters, which a user cannot set. None is not passed."""

    attack: str = ""
    """The name of the attack in the library."""
    parameters: dict[str, JsonValue] = {}
    """Parameters of the attack, as the library names them. Lengths are in widths of the box."""
    batch_size: int = Field(default=250, ge=1)
    """Number of images that the library gets at once; more take more memory."""

    @classmethod
    def attacks(cls) -> Mapping[str, Foreign]:
        """The attacks of the library by name. Raises `ImportError` if it cannot be imported."""
        return _attacks_of(cls, cls.imported())

    @classmethod
    def attacks_in(cls, module: Any) -> Mapping[str, Foreign]:
        """The attacks of the library's module by name; they are looked for once."""
        raise NotImplementedError

    @classmethod
    def made(cls, foreign: Foreign, arguments: Mapping[str, Any], run: Run) -> Any:
        """The perturbed inputs (n, *shape) of a batch, from the arguments that the attack's signature has."""
        raise NotImplementedError

    @classmethod
    def imported(cls) -> Any:
        """The module that holds the attacks. Raises `ImportError`, on one line, if it cannot be imported."""
        try:
            metadata.version(cls.library)
            return importlib.import_module(cls.module)
        except metadata.PackageNotFoundError:
            raise ImportError(f"{cls.library} is not installed: pip install 'bnnbench[{cls.library}]'") from None
        except Exception as error:
            raise ImportError(f"{cls.library} cannot be imported: {type(error).__name__}: {error}") from error

    @field_validator("attack")
    @classmethod
    def _is_of_the_library(cls, attack: str) -> str:
        try:
            known = cls.attacks()
        except ImportError as error:
            raise ValueError(str(error)) from error
        if attack not in known:
            raise ValueError(f"{cls.library} has no attack '{attack}'{hint(attack, known)}")
        if not known[attack].norms:
            raise ValueError(f"{cls.library}'s {attack} is for no norm that a threat can have")
        return attack

    @field_validator("parameters")
    @classmethod
    def _are_of_the_attack(cls, parameters: dict[str, JsonValue], info: ValidationInfo) -> dict[str, JsonValue]:
        attack = info.data.get("attack")
        if attack is None:
            return parameters  # The attack was refused, so its parameters are not known.
        free = {name: one for name, one in _signature(cls.attacks()[attack]).items() if name not in cls.given}
        for name in parameters:
            if name in cls.given:
                raise ValueError(f"'{name}' of {cls.library}'s {attack} is given by the threat and the seed")
            if name not in free:
                raise ValueError(f"{cls.library}'s {attack} has no parameter '{name}'{hint(name, free)}")
        missing = [name for name, one in free.items() if one.default is one.empty and name not in parameters]
        if missing:
            raise ValueError(f"{cls.library}'s {attack} needs the parameter '{missing[0]}'")
        return parameters

    def fingerprint(self) -> str:
        """The library and its version."""
        return f"{self.library} {metadata.version(self.library)}"

    @property
    def traits(self) -> frozenset[str]:  # type: ignore[override]  # An attack of the library has its own.
        """`minimal-norm` if the attack of the library looks for the nearest input."""
        return frozenset({"minimal-norm"} if self._foreign.nearest else ())

    @property
    def goals(self) -> frozenset[str]:
        return frozenset({"untargeted"})

    @property
    def norms(self) -> frozenset[str]:
        return self._foreign.norms

    @property
    def stops_early(self) -> bool:
        return self._foreign.stops_early

    @property
    def _foreign(self) -> Foreign:
        return self.attacks()[self.attack]

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        import torch

        from bnnbench_plugins.bridges.handed_over import Asked, seeded, settled

        foreign, norm = self._foreign, str(threat.norm)
        if threat.epsilon == 0 or len(x) == 0:
            return x.clone()
        low, width = threat.box[0], threat.width
        unit = ((x - low) / width).clamp(0, 1)
        epsilon = None if foreign.nearest else threat.epsilon / width
        seed = int(torch.randint(2**32, (), generator=rng, device="cpu"))
        batches = []
        with seeded(seed):
            for at in torch.arange(len(x), device=x.device).split(self.batch_size):
                model = Asked(victim.among(at), y[at], threat)
                run = Run(model, unit[at], y[at].clone(), norm, epsilon, seed)
                batches.append(self._batch(foreign, run))
        return settled(x, low + width * torch.cat(batches).detach().to(x), threat)

    def _batch(self, foreign: Foreign, run: Run) -> Tensor:
        if foreign.classes > 2 and run.classes < foreign.classes:
            raise Incompatible(
                f"{self.library}'s {self.attack} needs {foreign.classes} classes, and there are {run.classes}"
            )
        names = _signature(foreign)
        given = {name: value(run) for name, value in self.given.items() if name in names}
        chosen = {name: value for name, value in given.items() if value is not None}
        perturbed: Tensor = self.made(foreign, chosen | self.parameters, run)
        return perturbed


@functools.cache
def _attacks_of(bridge: type[Bridge], module: Any) -> Mapping[str, Foreign]:
    return bridge.attacks_in(module)


def _signature(foreign: Foreign) -> dict[str, inspect.Parameter]:
    """The parameters of a foreign attack that have a name."""
    many = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {name: one for name, one in inspect.signature(foreign.call).parameters.items() if one.kind not in many}
