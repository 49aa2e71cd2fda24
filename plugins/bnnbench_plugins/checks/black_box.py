"""A8: an attack without gradients beats those with gradients."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from bnnbench import Ask, Attack, Case, Look, NotApplicable, attack
from bnnbench_plugins.checks.comparing import FindsMore, advice, alike, joined, only, withstood


class BlackBox(FindsMore):
    """An attack without gradients breaks images that withstand all reported attacks with gradients.

    The gradient is masked then (Athalye et al. 2018; Carlini et al. 2019). The attack is `square`, and reported attacks
    without gradients count beside it, except noise (A2) and attacks on surrogates (A11). Each such image is a fact, not
    a chance, so no test is made; a single image may be one where two attacks ended on different sides of a boundary.
    """

    flag: ClassVar[str] = "A8"

    queries: int = Field(default=1000, ge=1)
    """Queries of the attack `square` for each image."""
    points: float = Field(default=0.2, ge=0, le=100)
    """The gain, in points of robust accuracy, above which the flag is raised."""

    def asks(self, case: Case) -> Sequence[Ask]:
        return [] if case.threat.access == "decisions" else [Ask(self._square, case.threat)]

    def look(self, case: Case) -> Look:
        white = case.labels(lacking=["gradient-free", "noise", "transfer"])
        if not white:
            raise NotApplicable("no attack with gradients is reported")
        standing = case.standing(white)
        self.enough(standing)
        others = alike(case, self._square, ["gradient-free"], ["noise", "transfer"])
        found = withstood(case, [self._square, *others.values()])
        further = only(found.robust, standing)
        gain, fired = 100 * further / len(standing), self.suffice(further, len(standing))
        text = (
            f"{joined(f'square with {self.queries} queries', others)} breaks {further} image{'s' * (further != 1)} of "
            f"{len(standing)} that all attacks with gradients leave ({self.rule})"
        )
        remedy = advice(case, self._remedy(case, found.robust, white)) if fired else ""
        return found.look(Look(fired, gain, self.points, text, remedy))

    def _remedy(self, case: Case, robust: np.ndarray, white: Collection[str]) -> str:
        """What to do about images that fall to attacks without gradients and withstand those with gradients (`white`).

        `robust` (N,) says which withstand the former.
        """
        if not only(robust, case.standing()):
            others = ", ".join(label for label in case.reported if label not in white)
            return f"the number counts these images already ({others}): mend the masked gradient"
        reported = {type(case.attacks[label]) for label in case.reported}
        left = [name for name in ("square", "standard") if type(attack(f"bnnbench:{name}")) not in reported]
        told = " or ".join(f"`{name}`" for name in left) or f"`square` with {self.queries} queries"
        return f"report {told} too, or mend the masked gradient"

    @property
    def _square(self) -> Attack:
        return attack("bnnbench:square", queries=self.queries)
