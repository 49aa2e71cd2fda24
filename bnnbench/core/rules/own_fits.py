"""The fits that an attacker makes itself, to transfer inputs from them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bnnbench.core import seeds
from bnnbench.core.component import Component
from bnnbench.core.posterior import Posterior
from bnnbench.core.rules.fit_run import fitted
from bnnbench.errors import Incompatible, InvalidData, NetworkError

if TYPE_CHECKING:
    from bnnbench.core.dataset import Data
    from bnnbench.core.predictive import Predictive


class OwnFits:
    """Fits of the posteriors that attacks hold, on the training data and the network of a predictive, each made once.

    The attacker is taken to know the network's architecture and the training data, and neither weights nor draws. Its
    seed is its own, so that a fit of the defender's method has other draws.

    Args:
        predictive: the predictive, whose network is the template.
        data: the data.
        seed: the defender's seed.
    """

    def __init__(self, predictive: Predictive, data: Data, seed: int) -> None:
        self._predictive, self._data = predictive, data
        self._seed = seeds.words(seed, seeds.SURROGATE)[0]
        self._made: dict[str, Predictive] = {}

    def prepare(self, attack: Component) -> None:
        """Fit each posterior that an attack holds, however deep.

        Raises `Incompatible` if there is no network or there are no training data, and what the fit of a posterior
        raises.
        """
        for _, component in attack.components():
            if isinstance(component, Posterior) and identity_text(component) not in self._made:
                self._made[identity_text(component)] = fitted_anew(
                    "the attacker", component, self._predictive, self._data, self._seed
                )

    def of(self, posterior: Posterior) -> Predictive | None:
        """The fit of a posterior; None if it was not prepared."""
        return self._made.get(identity_text(posterior))


def fitted_anew(who: str, posterior: Posterior, made: Predictive, data: Data, seed: int) -> Predictive:
    """The fit of a posterior to the network of a predictive and its data; `who` needs it, for messages.

    Raises `Incompatible` if there is no such network or there are no training data, and what the fit raises.
    """
    try:
        return fitted(posterior, made.network, data, seed, str(made.device))
    except InvalidData as error:
        raise Incompatible(f"{who} has nothing to fit: {error}") from error
    except NetworkError as error:
        if made.runs_its_network:
            raise
        # Functions have none, and several architectures are not one: that is no fault of the user's.
        raise Incompatible(
            f"{who} fits the network of the ensemble anew, and {made.described} is not one network"
        ) from error


def identity_text(posterior: Posterior) -> str:
    """A text that is the same for equal posteriors alone."""
    return json.dumps(posterior.identity(), sort_keys=True)
