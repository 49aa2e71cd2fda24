"""The base class of attacks. An author writes `perturb`; the core checks the result and scores it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, final, overload

from bnnbench.core.arguments import flag, told_names
from bnnbench.core.balls import NORMS
from bnnbench.core.component import Component
from bnnbench.core.component_parameter import component_parameter
from bnnbench.core.goals import GOALS, UNDECLARED

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench.core.attacked import Attacked
    from bnnbench.core.objective import Objective
    from bnnbench.core.threat import Threat
    from bnnbench.core.victim import Victim


class Attack(Component):
    """A method that perturbs the inputs of a victim under a threat. Its fields are its parameters.

    An author writes `perturb`. The core checks the perturbed inputs against the ball and the box, and scores them. An
    attack may hold other attacks (`AttackParameter`) and call their `run_on` on `victim.among(positions)`.
    """

    kind: ClassVar[str] = "attack"
    traits: ClassVar[frozenset[str]] = frozenset()
    """Some of `single-step`, `iterative`, `noise`, `gradient-free`, `minimal-norm`, `transfer`.

    A `minimal-norm` attack returns, for each image, the nearest input that it found to reach the goal, or any input if
    it found none. It is run once for each norm, under a radius that covers the whole box. The core derives the result
    of every radius from that run: an input outside of the radius's ball is projected into the ball.
    """

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Perturbed inputs (N, *shape), of x's dtype, inside the threat's ball around x and inside its box.

        Args:
            victim: the ensemble as the threat lets the attacker query it.
            x: the inputs (N, *shape), all images at once.
            y: the labels (N,); for the goal `targeted`, the targets.
            threat: the ball, the box, the attacker's access and its goal.
            rng: a generator on the CPU, which must be the only source of random numbers.

        Inputs, labels and the global random states must be left unchanged. A breach of these rules makes the outcome
        `invalid`.
        """
        raise NotImplementedError

    def perturb_each(
        self, victim: Victim, x: Tensor, y: Tensor, threats: Sequence[Threat], rngs: Sequence[torch.Generator]
    ) -> list[Tensor]:
        """Perturbed inputs (N, *shape) for each of several threats, which differ in norm and epsilon alone.

        By default `perturb` is called once for each threat. Override this method if threats can share work. Queries of
        `victim` count for all threats, and those of `victim.under(threat)` for that threat alone. `rngs` holds one
        generator for each threat, all in the same state. The result under one threat must not depend on the others.
        """
        return [
            self.perturb(victim.under(threat), x, y, threat, rng) for threat, rng in zip(threats, rngs, strict=True)
        ]

    @final
    def run_on(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Perturbed inputs (N, *shape) inside the threat's ball around x, for an attack that holds this one.

        The arguments are those of `perturb`; the threat may differ from the victim's in norm and epsilon. Queries, zero
        directions and steps are booked to the images of `victim`. A `minimal-norm` attack runs under a radius that
        covers the box, and what lies outside of the ball is projected into it. Raises `ContractBreach` if this attack
        breaks a rule.
        """
        from bnnbench.core.rules.nested_run import run_nested

        return run_nested(self, victim, x, y, threat, rng)

    @property
    def stops_early(self) -> bool:
        """Whether the attack leaves an image alone once the goal is reached.

        By default, whether it is a `minimal-norm` attack, whose inputs barely reach the goal, or an attack in it does.

        The perturbed input is then not the worst one in the ball, so figures that depend on how wrong the prediction is
        (softmax robustness, uncertainty) are not reported.
        """
        return "minimal-norm" in self.traits or any(
            inner.stops_early for _, inner in self.components() if isinstance(inner, Attack)
        )

    @property
    def maximises(self) -> Objective | None:
        """The objective that the attack follows throughout; None (the default) if it follows none, or several.

        The recorded steps `objective` are then values of one function.
        """
        return None

    @property
    def goals(self) -> frozenset[str]:
        """The goals that the attack can pursue; others raise `Incompatible`.

        By default they are all that the attacks in it can pursue, and `untargeted` if there are none. An attack that
        follows the victim's values and directions, and asks the threat whether the goal is reached, pursues any goal,
        and overrides this: `return GOALS`. For a `Maximising` attack that is the default.
        """
        held = [inner.goals for _, inner in self.components() if isinstance(inner, Attack)]
        return GOALS.intersection(*held) if held else UNDECLARED

    @property
    def norms(self) -> frozenset[str]:
        """The norms that the attack is defined for; by default those of the attacks in it. Others raise `Incompatible`.

        An attack that moves inputs by the threat's own methods is defined for all norms.
        """
        return NORMS.intersection(*(inner.norms for _, inner in self.components() if isinstance(inner, Attack)))

    def stronger(self) -> Attack | None:
        """The same attack with about twice the effort, or None (the default) if it has no parameter for its effort."""
        return None

    @overload
    def __call__(self, predictive: Any, x: Tensor, y: Any, threat: Threat, *, seed: int = 0) -> Tensor: ...

    @overload
    def __call__(
        self, predictive: Any, x: Tensor, y: Any, threat: Sequence[Threat], *, seed: int = 0
    ) -> list[Tensor]: ...

    @overload
    def __call__(self, predictive: Any, x: Any, y: Any, threat: Threat | Sequence[Threat], *, seed: int = 0) -> Any: ...

    @final
    @told_names
    def __call__(self, predictive: Any, x: Any, y: Any, threat: Threat | Sequence[Threat], *, seed: int = 0) -> Any:
        """Attack inputs x (N, *shape) with labels y (N,), and return the perturbed inputs (N, *shape).

        For a sequence of threats, which must differ in norm and epsilon alone, a list with one result for each is
        returned. `predictive` is a predictive, or a model of which `bnnbench.predictive` makes one. Inputs are tensors
        or arrays of any numeric type; integers become float32. Tensors give tensors, and arrays give arrays. The
        attacker sees all draws that the threat's stream allows. A threat without bounds has the box of the predictive,
        or (0, 1) if that is not known. The seed (uint32) determines all random numbers.

        Raises `ContractBreach` if the attack breaks a rule of the core; `TypeError` or `ValueError` for wrong
        arguments, such as inputs outside the box; `Incompatible` if there are too few draws for the threat's stream;
        `GradientRefused` or `QueriesSpent` if the attack asks for more than the threat or the predictive allows.
        """
        from bnnbench.core.attacked import attacked
        from bnnbench.core.given import is_several, like, threats_alone

        try:
            threats = threats_alone(threat)
        except TypeError as error:
            raise TypeError(f"{error}; run(predictive, x, y, epsilon) takes a radius") from None
        perturbed = [like(x, one.inputs) for one in attacked(self, predictive, x, y, threats, seed=seed)]
        return perturbed if is_several(threat) else perturbed[0]

    @overload
    def run(
        self,
        predictive: Any,
        x: Any,
        y: Any,
        epsilon: float | str | Threat,
        *,
        seed: int = 0,
        allow_whole_box: bool = False,
    ) -> Attacked: ...

    @overload
    def run(
        self,
        predictive: Any,
        x: Any,
        y: Any,
        epsilon: Sequence[Any],
        *,
        seed: int = 0,
        allow_whole_box: bool = False,
    ) -> list[Attacked]: ...

    @final
    @told_names
    def run(
        self, predictive: Any, x: Any, y: Any, epsilon: Any, *, seed: int = 0, allow_whole_box: bool = False
    ) -> Any:
        """Attack inputs x (N, *shape) with labels y (N,), and return them with what became of each.

        `epsilon` is the radius of an l-infinity ball, or a `Threat`; a list of them gives a list of results. A ball
        that holds the whole box is refused unless `allow_whole_box`: such a radius is most often one in other units.
        The other arguments, and what is raised, are as for a call of the attack.
        """
        from bnnbench.core.attacked import attacked, judged
        from bnnbench.core.given import is_several

        allowed = flag(allow_whole_box, argument="allow_whole_box")
        results = attacked(self, predictive, x, y, epsilon, seed=seed, argument="epsilon", allow_whole_box=allowed)
        told = [judged(x, one) for one in results]
        return told if is_several(epsilon) else told[0]


AttackParameter = Annotated[Attack, *component_parameter("attack")]
"""The type of a parameter that takes an attack: an instance, a registered name, or a mapping with `use`.

`tuple[AttackParameter, ...]` takes several.
"""
