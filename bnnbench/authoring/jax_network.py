"""Run a torch network in JAX.

    network = JaxNetwork(module)
    logits = network(arrays, x)                        # arrays: `state_dict` name -> array; x (N, *shape) -> (N, K)

Arrays keep torch's layouts (inputs NCHW, weights OIHW), so that weights need no conversion. Networks run in eval mode.

There are two ways. torch.fx traces the user's own module, and JAX functions interpret its graph of layers, functions
and methods (`jax_fx`). What it cannot trace, or has no JAX form, runs by the ATen operations that it performs for
inputs of the given shape (`jax_aten`). `Incompatible` is raised if both ways fail.

A network with a layer whose code depends on values, or that calls no operations of torch, needs a form of that layer:

    def scaled(layer, get, x):                         # the layer, its arrays by their own names, its inputs
        return get("factor") * x

    network = JaxNetwork(module, modules={Scaled: scaled})

`JaxNetwork` uses such a form for this network alone. A bundled sampler finds it if it is put into the table `MODULES`
itself, for example in the `build` of the network that has the layer: `MODULES[Scaled] = scaled`. Only add forms; the
results in stores were made with those that are there. The bundled samplers compare the logits of JAX and torch before
they sample, so a wrong form cannot give a wrong posterior unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jax import Array
from torch import nn

from bnnbench.authoring.jax_aten import AtenNetwork
from bnnbench.authoring.jax_fx import FxNetwork
from bnnbench.authoring.tracing import refuse_hooks
from bnnbench.core.network_copy import copied, in_eval_mode
from bnnbench.errors import Incompatible


class JaxNetwork:
    """A torch module as a JAX function: `network(arrays, x)` gives the logits (N, K) at inputs x (N, *shape).

    Args:
        module: the network, which is copied, not changed.
        modules: JAX forms of further layers, in addition to `MODULES`: class -> `form(layer, get, x)`.
        functions: JAX forms of further functions, in addition to `FUNCTIONS`.
        methods: JAX forms of further tensor methods, in addition to `METHODS`.

    Forms that are given here take precedence over those of the tables. Networks that are given some run by torch.fx
    alone, since these forms have no place among ATen operations.

    The module itself is always traced; only layers inside of it are looked up in the tables.

    Raises `Incompatible` if the network has hooks, or if forms are given and it cannot run by torch.fx. Any other
    network that has no form in JAX is refused when it is called, since this may depend on the shape of its inputs.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        modules: Mapping[type[nn.Module], Callable[..., Array]] | None = None,
        functions: Mapping[Any, Callable[..., Any]] | None = None,
        methods: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self._module = in_eval_mode(copied(module))
        reading = getattr(module, "bnnbench_reading", None)
        self._returns_probabilities = reading is not None and reading.outputs == "probabilities"
        refuse_hooks(self._module)
        self._has_own_forms = bool(modules or functions or methods)
        self._refused: Incompatible | None = None
        self._by_shape: dict[Any, AtenNetwork] = {}
        try:
            self._by_fx = FxNetwork(self._module, modules or {}, functions or {}, methods or {})
        except Incompatible as error:
            if self._has_own_forms:
                raise
            self._refused = error

    def __call__(self, arrays: Mapping[str, Array], x: Array) -> Array:
        """Logits (N, K) at inputs x (N, *shape).

        `arrays` maps the `state_dict` names of parameters and buffers to arrays. A tied weight has one array, under its
        first name. Raises `Incompatible` if the network has no form in JAX. The reason names the layer, the operation
        or the line that has none.
        """
        values = self._outputs(arrays, x)
        return jnp.log(jnp.maximum(values, jnp.finfo(values.dtype).tiny)) if self._returns_probabilities else values

    def _outputs(self, arrays: Mapping[str, Array], x: Array) -> Array:
        """What the network returns at inputs x."""
        refused = self._refused
        if refused is None:
            try:
                return self._by_fx(arrays, x)
            except Incompatible as error:
                if self._has_own_forms:
                    raise
                refused = error
        key = (x.shape, jnp.dtype(x.dtype))
        if key not in self._by_shape:
            try:
                self._by_shape[key] = AtenNetwork(self._module, *key)
            except Incompatible as error:
                raise error from refused
        return self._by_shape[key](arrays, x)
