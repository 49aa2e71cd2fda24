"""Run a torch network in JAX by the graph of its layers, functions and methods that torch.fx records.

Three tables hold the JAX forms that are known: `MODULES`, `FUNCTIONS` and `METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from torch import fx, nn

from bnnbench.authoring import jax_layers as layers
from bnnbench.authoring.jax_tables import FUNCTIONS, METHODS, MODULES
from bnnbench.authoring.tracing import described_node, refuse_overwriting, traced
from bnnbench.errors import Incompatible


class FxNetwork:
    """The logits (N, K) of a torch network: `network(arrays, x)`.

    Args:
        module: the network, in eval mode and without hooks. It is traced, and not changed.
        modules: JAX forms of further layers, in addition to `MODULES`.
        functions: JAX forms of further functions, in addition to `FUNCTIONS`.
        methods: JAX forms of further tensor methods, in addition to `METHODS`.

    Raises `Incompatible` if torch.fx cannot trace the module, or if something in it has no JAX form. The reason names
    what it is.
    """

    def __init__(
        self,
        module: nn.Module,
        modules: Mapping[type[nn.Module], Callable[..., Array]],
        functions: Mapping[Any, Callable[..., Any]],
        methods: Mapping[str, Callable[..., Any]],
    ) -> None:
        self._layer_forms = {**MODULES, **modules}
        self._functions, self._methods = {**FUNCTIONS, **functions}, {**METHODS, **methods}
        # A tied weight has several names. The arrays hold it under the first, as `named_parameters` does.
        first = {id(tensor): name for name, tensor in reversed([*module.named_parameters(), *module.named_buffers()])}
        every = [
            *module.named_parameters(remove_duplicate=False),
            *module.named_buffers(remove_duplicate=False),
        ]
        self._first_name = {name: first[id(tensor)] for name, tensor in every}
        self._own_buffers: dict[str, np.ndarray] = {}
        try:
            self._trace(module, buffers=True)
        except Incompatible as error:
            # Expressions of buffers that have no JAX form are computed by torch, for the module's own buffers.
            try:
                self._trace(module, buffers=False)
            except Incompatible:
                raise error from error.__cause__
            self._own_buffers = {name: buffer.cpu().numpy().copy() for name, buffer in module.named_buffers()}

    def _trace(self, module: nn.Module, *, buffers: bool) -> None:
        """Trace the module. Raises `Incompatible` if that fails, or if something has no JAX form."""
        self._traced = traced(module, lambda layer: type(layer) in self._layer_forms, buffers=buffers)
        self._modules = dict(self._traced.named_modules())
        self._inputs = [node for node in self._traced.graph.nodes if node.op == "placeholder"]
        for node in self._traced.graph.nodes:
            self._check(node)

    def __call__(self, arrays: Mapping[str, Array], x: Array) -> Array:
        """The logits (N, K), by arrays of the network's parameters and buffers, and inputs x (N, *shape).

        Raises `Incompatible` for an operation whose arguments have no JAX form; the reason names it. If the network has
        expressions of buffers without a JAX form, it also refuses buffers other than the module's own.
        """
        self._refuse_other_buffers(arrays)
        values: dict[fx.Node, Any] = {}
        for node in self._traced.graph.nodes:
            arguments = fx.node.map_arg(node.args, values.__getitem__)
            keywords = fx.node.map_arg(node.kwargs, values.__getitem__)
            try:
                values[node] = self._run(node, arrays, x, arguments, keywords)
            except Incompatible:
                raise
            except Exception as error:
                reason = str(error).partition("\n")[0]
                raise Incompatible(f"no JAX form of {described_node(node)} with these arguments: {reason}") from error
        logits: Array = values[node]
        return logits

    def _run(self, node: fx.Node, arrays: Mapping[str, Array], x: Array, arguments: Any, keywords: Any) -> Any:
        """The value of one node of the graph."""
        target = node.target
        if node.op == "placeholder":
            # A network is called with its first argument alone; all others have their defaults.
            return x if node is self._inputs[0] else arguments[0] if arguments else None
        if node.op == "get_attr":
            return self._attribute(str(target), arrays)
        if node.op == "call_module":
            layer = self._modules[str(target)]
            get = lambda name: arrays[self._first_name[f"{target}.{name}"]]  # noqa: E731
            return self._layer_forms[type(layer)](layer, get, *arguments, *keywords.values())
        if node.op == "call_method":
            return self._methods[str(target)](*arguments, **keywords)
        return self._functions[target](*arguments, **keywords) if node.op == "call_function" else arguments[0]

    def _refuse_other_buffers(self, arrays: Mapping[str, Array]) -> None:
        """Raise `Incompatible` if an expression was computed for other buffers than those given."""
        for name, own in self._own_buffers.items():
            given = arrays.get(name)
            if isinstance(given, jax.core.Tracer) or (
                given is not None and not np.array_equal(given, own.astype(given.dtype), equal_nan=True)
            ):
                raise Incompatible(
                    f"no JAX form of what the network computes from its buffers; '{name}' may differ from the module's "
                    "own, for which torch computed it"
                )

    def _attribute(self, name: str, arrays: Mapping[str, Array]) -> Array:
        if name in self._first_name:
            return arrays[self._first_name[name]]
        # A plain tensor, which is neither a parameter nor a buffer, is a constant.
        owner, _, attribute = name.rpartition(".")
        return jnp.asarray(getattr(self._traced.get_submodule(owner), attribute).detach().cpu().numpy())

    def _check(self, node: fx.Node) -> None:
        """Raise `Incompatible` if a node of the graph has no JAX form."""
        if node.op == "placeholder":
            if node is not self._inputs[0] and node.users and not node.args:
                raise Incompatible(f"forward needs '{node.target}', an argument in addition to the inputs")
        elif node.op == "call_module":
            layer = self._modules[str(node.target)]
            if type(layer) not in self._layer_forms:
                self._refuse_layer(described_node(node, layer))
            layers.check(layer, str(node.target))
            if getattr(layer, "inplace", False):
                refuse_overwriting(node, layer, missing="no JAX form of")
        elif (node.op == "call_function" and node.target not in self._functions) or (
            node.op == "call_method" and node.target not in self._methods
        ):
            raise Incompatible(f"no JAX form of {described_node(node)}")
        elif node.kwargs.get("inplace"):
            refuse_overwriting(node, missing="no JAX form of")

    def _refuse_layer(self, operation: str) -> None:
        names = ", ".join(sorted(cls.__name__ for cls in self._layer_forms))
        raise Incompatible(f"no JAX form of {operation}; the layers supported are {names}")
