"""Make a predictive of models that were trained elsewhere: modules, weights and plain functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, ValuesView
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from bnnbench.core import arguments, state_dicts
from bnnbench.core.component import Component
from bnnbench.core.draws import Draws
from bnnbench.core.model_outputs import LogitsOf, check_output
from bnnbench.core.network_copy import check_weights, copied
from bnnbench.core.network_outputs import Outputs, named
from bnnbench.core.predictive import Predictive
from bnnbench.core.same_architecture import can_be_stacked, tensors_of, weights_alone_differ
from bnnbench.core.separate_models import SeparateModels
from bnnbench.core.standard_settings import standard_settings
from bnnbench.errors import clean
from bnnbench.plugins.described import described

if TYPE_CHECKING:
    from torch import nn

INDEPENDENT = "independent"
"""The diagnostic that holds the reason why draws are independent; the posterior card reads it."""
MEANT = (
    "a predictive, a torch module, a list of modules, state_dicts with network=, or a function from inputs to scores"
)
MEMBER = "a torch module, or a function from inputs to scores"


@arguments.told_names
@standard_settings()
def predictive(
    model: Any,
    *,
    network: nn.Module | None = None,
    independent: bool = True,
    output: Callable[[Any], Any] | None = None,
    outputs: Outputs = "logits",
    bounds: tuple[float, float] | None = None,
    classes: int | None = None,
) -> Predictive:
    """The predictive of a model, or of an ensemble of models, that was trained elsewhere.

    Args:
        model: what predicts. One of

            - a torch module: a point estimate, one draw;
            - a list of modules (also a `ModuleList` or a `ModuleDict`, or the values of a dictionary): an ensemble.
              Modules that differ in their weights and buffers alone become the draws of one network; others are
              evaluated one after another;
            - a list of `state_dict`s, or a single one, with `network`;
            - a function from inputs (N, *shape) to scores (N, K), which is called without gradient: it is given a
              float32 numpy array, or a tensor if it fails with an array at its first call. Lists may hold functions;
            - a `Predictive`, which is returned as it is.
        network: the module that the `state_dict`s belong to.
        independent: whether the members of an ensemble are independent, as networks that were trained separately are.
            If not, such as for snapshots of one training, the posterior card judges them as one chain.
        output: a function that takes the scores (N, K) from what the model returns, such as `lambda out: out.logits`.
        outputs: what the scores are: `logits`, `probabilities` or `log-probabilities`. A probability of zero is raised
            to the smallest that float32 holds.
        bounds: the box of the inputs. By default it is that of the data, or (0, 1) where an attack is called without.
        classes: the number K of classes, if it is to be checked.

    Modules are copied and evaluated in eval mode, in the precision of their weights but at least float32. Raises
    `TypeError` or `ValueError` for wrong arguments. What a model returns is looked at when it is first called: then
    `NetworkError` is raised if that is no array of scores, with the remedy.
    """
    from torch import nn

    if isinstance(model, Predictive):
        given = {"network": network, "output": output, "bounds": bounds, "classes": classes}
        if outputs != "logits" or any(value is not None for value in given.values()):
            raise TypeError("predictive takes further arguments for a model, not for a predictive, which has its own")
        return model
    arguments.flag(independent, argument="independent")
    box = None if bounds is None else arguments.interval(bounds, argument="bounds")
    reading = _reading(output, outputs, classes)
    if state_dicts.are_weights(model):
        if network is None:
            raise TypeError("state_dicts need their network: bnnbench.predictive(state_dicts, network=module)")
        network = _usable(arguments.instance_of(network, nn.Module, argument="network", meant="a torch.nn.Module"))
        arrays, size = state_dicts.stacked(model, network)
        made = _stacked(network, arrays, _independence(size, independent, "state_dicts"), reading(network))
    else:
        if network is not None:
            raise TypeError(f"network goes with state_dicts, which need it; {described(model)} does not")
        made = _of_models(model, independent, reading)
    made.bounds = box
    return made


def _reading(output: Callable[[Any], Any] | None, outputs: Outputs, classes: int | None) -> Callable[[Any], LogitsOf]:
    """What makes, for a model, the object that turns its outputs into logits. Raises as `predictive` does."""
    arguments.one_of(outputs, get_args(Outputs), argument="outputs")
    if output is not None:
        check_output(output)
    number = None if classes is None else arguments.integer(classes, argument="classes", least=2)
    declared = None if outputs == "logits" else outputs  # The default is no declaration.
    return lambda model: LogitsOf(_name(model), output, declared, number)


def _of_models(model: Any, independent: bool, reading: Callable[[Any], LogitsOf]) -> Predictive:
    """The predictive of a module, of a function, or of several of them."""
    from torch import nn

    members = _members(model)
    models = [_usable(model)] if members is None else [_usable_member(one, place) for place, one in enumerate(members)]
    modules = [one for one in models if isinstance(one, nn.Module)]
    several = _independence(len(models), independent, "models")
    if len(modules) == len(models) and all(
        can_be_stacked(one) and weights_alone_differ(modules[0], one) for one in modules
    ):
        arrays, _ = state_dicts.stacked([tensors_of(one) or {} for one in modules], modules[0])
        return _stacked(modules[0], arrays, several, reading(modules[0]))
    return SeparateModels(models, [reading(one) for one in models], several)


def _stacked(
    network: nn.Module, arrays: Mapping[str, np.ndarray], diagnostics: Mapping[str, Any], reading: LogitsOf
) -> Predictive:
    """The predictive of one network under several sets of weights: name -> array (S, *weight)."""
    draws = Draws({name: array[None] for name, array in arrays.items()}, diagnostics=diagnostics)
    return Predictive(reading_copy(network, reading), draws)


def reading_copy(network: nn.Module, reading: LogitsOf) -> nn.Module:
    """A copy of a network that returns logits, and leaves its inputs as they are.

    Its attribute `bnnbench_reading` is what turns its outputs into logits.
    """
    network = copied(network)
    network.register_forward_pre_hook(with_own_input)
    network.register_forward_hook(reading.after_forward)
    network.bnnbench_reading = reading  # type: ignore[assignment]
    return network


def with_own_input(module: Any, inputs: Any) -> Any:
    """A forward pre-hook: a network that works in place would write into the images of a data set."""
    return (inputs[0].clone(), *inputs[1:])


def _members(model: Any) -> list[Any] | None:
    """The models of an ensemble; None for a single model."""
    from torch import nn

    if isinstance(model, Mapping | nn.ModuleDict):
        model = model.values()
    # Some models can be iterated over, such as a random forest: only what is a list of things counts as several.
    if not isinstance(model, nn.ModuleList | list | tuple | Iterator | ValuesView):
        return None
    models = list(model)
    if not models:
        raise ValueError("predictive is an empty list: there is no model to attack")
    return models


def _usable_member(model: Any, place: int) -> Any:
    """A member of an ensemble as `_usable` gives it. Raises `TypeError` for what cannot be one."""
    if isinstance(model, Mapping):
        raise TypeError(f"member {place} of the ensemble is a state_dict, and others are not: give modules, or weights")
    if isinstance(model, Predictive):
        raise TypeError(f"member {place} of the ensemble is a predictive, {model!r}: its as_module() is a member")
    return _usable(model, f"member {place} of the ensemble is {MEMBER}")


def _usable(model: Any, told: str = f"predictive is {MEANT}") -> Any:
    """A module without wrappers for parallel or compiled execution, or a function. Raises `TypeError` for the rest.

    `told` begins the message: it says what was meant.
    """
    from torch import nn

    if isinstance(model, nn.Module):
        parallel = nn.DataParallel | nn.parallel.DistributedDataParallel
        while isinstance(model, parallel) or hasattr(model, "_orig_mod"):
            model = model.module if isinstance(model, parallel) else model._orig_mod
        check_weights(model)
        return model
    if callable(model) and not isinstance(model, type | Component | Predictive):
        return model
    remedy = ""
    if isinstance(model, type):
        remedy = f"; {model.__name__}(...) makes an instance"
    elif isinstance(model, Component) and model.kind in ("network", "posterior"):
        remedy = f"; {arguments.NEXT_STEP[model.kind]}"
    elif hasattr(model, "predict_log_proba") or hasattr(model, "predict_proba"):
        method = "predict_log_proba" if hasattr(model, "predict_log_proba") else "predict_proba"
        kind = "log-probabilities" if method == "predict_log_proba" else "probabilities"
        remedy = f"; pass its method: bnnbench.predictive(model.{method}, outputs='{kind}')"
    elif isinstance(model, Draws):
        remedy = "; bnnbench.Predictive(network, draws) is that of draws"
    elif isinstance(model, str):
        remedy = "; bnnbench.load(path) reads a saved predictive"
    elif isinstance(model, set | frozenset):
        remedy = "; a list has an order"
    raise TypeError(f"{told}, not {described(model)}{remedy}")


def refuse_bare_layer(model: Any) -> None:
    """Raise `TypeError` for a single layer of torch: it is more often a part that was given by mistake than a network.

    `predictive` takes it, so that a linear classifier can be attacked.
    """
    from torch import nn

    containers = nn.Sequential | nn.ModuleList | nn.ModuleDict | nn.DataParallel
    if type(model).__module__.startswith("torch.nn.modules.") and not isinstance(model, containers):
        kind = type(model).__name__
        raise TypeError(
            f"predictive is {MEANT}, not a single layer ({kind}); bnnbench.predictive(layer) makes one of it if a "
            "classifier of one layer is meant"
        )


def _independence(size: int, independent: bool, what: str) -> dict[str, Any]:
    """The diagnostics of an ensemble of some size."""
    return {INDEPENDENT: f"{size} {what} that were trained separately"} if independent and size > 1 else {}


def _name(model: Any) -> str:
    """The name of a model in messages."""
    from torch import nn

    if isinstance(model, nn.Module):
        return named(model)
    name = getattr(model, "__name__", "<lambda>")
    return "the model" if name == "<lambda>" else f"the model {clean(str(name))}"
