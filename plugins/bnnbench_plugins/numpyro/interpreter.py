"""Run a torch network in JAX: torch.fx traces the user's own module, and its graph is interpreted with JAX functions.

Arrays keep torch's layouts (inputs NCHW, weights OIHW), so that weights go over as they are.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import torch
import torch.nn.functional as F
from jax import Array
from torch import fx, nn

from bnnbench import Incompatible
from bnnbench_plugins.numpyro import layers

Get = Callable[[str], Array]

MODULES: dict[type[nn.Module], Callable[[Any, Get, Array], Array]] = {
    nn.Linear: lambda m, get, x: layers.linear(x, get("weight"), get("bias") if m.bias is not None else None),
    nn.Conv2d: layers.conv2d_module,
    nn.BatchNorm1d: layers.batch_norm_module,
    nn.BatchNorm2d: layers.batch_norm_module,
    nn.LayerNorm: layers.layer_norm_module,
    nn.MaxPool2d: layers.max_pool_module,
    nn.AvgPool2d: layers.average_pool_module,
    nn.AdaptiveAvgPool2d: lambda m, get, x: layers.adaptive_average_pool(x, m.output_size),
    nn.Flatten: lambda m, get, x: layers.flatten(x, m.start_dim, m.end_dim),
    nn.Identity: lambda m, get, x: x,
    nn.Dropout: lambda m, get, x: x,  # networks run in eval mode
    nn.Dropout2d: lambda m, get, x: x,
    nn.ReLU: lambda m, get, x: jax.nn.relu(x),
    nn.LeakyReLU: lambda m, get, x: layers.leaky_relu(x, m.negative_slope),
    nn.ELU: lambda m, get, x: jax.nn.elu(x, m.alpha),
    nn.GELU: lambda m, get, x: layers.gelu(x, m.approximate),
    nn.SiLU: lambda m, get, x: jax.nn.silu(x),
    nn.Softplus: lambda m, get, x: layers.softplus(x, m.beta, m.threshold),
    nn.Tanh: lambda m, get, x: jnp.tanh(x),
    nn.Sigmoid: lambda m, get, x: jax.nn.sigmoid(x),
}
"""Layers, by their exact class: a subclass with a forward of its own is traced into."""

FUNCTIONS: dict[Any, Callable[..., Any]] = {
    operator.add: operator.add,
    operator.sub: operator.sub,
    operator.mul: operator.mul,
    operator.truediv: operator.truediv,
    operator.neg: operator.neg,
    operator.pow: operator.pow,
    operator.matmul: operator.matmul,
    operator.getitem: operator.getitem,
    getattr: getattr,
    torch.add: layers.add,
    torch.sub: layers.subtract,
    torch.mul: operator.mul,
    torch.div: layers.divide,
    torch.matmul: operator.matmul,
    torch.cat: lambda tensors, dim=0: jnp.concatenate(tensors, dim),
    torch.flatten: layers.flatten,
    torch.reshape: layers.reshape,
    torch.mean: layers.mean,
    torch.sum: layers.total,
    torch.relu: jax.nn.relu,
    torch.tanh: jnp.tanh,
    torch.sigmoid: jax.nn.sigmoid,
    torch.sin: jnp.sin,
    torch.exp: jnp.exp,
    F.linear: layers.linear,
    F.conv2d: layers.conv2d,
    F.max_pool2d: layers.max_pool,
    F.avg_pool2d: layers.average_pool,
    F.adaptive_avg_pool2d: layers.adaptive_average_pool,
    F.dropout: layers.dropout,
    F.relu: lambda x, inplace=False: jax.nn.relu(x),
    F.leaky_relu: lambda x, negative_slope=0.01, inplace=False: layers.leaky_relu(x, negative_slope),
    F.elu: lambda x, alpha=1.0, inplace=False: jax.nn.elu(x, alpha),
    F.gelu: lambda x, approximate="none": layers.gelu(x, approximate),
    F.silu: lambda x, inplace=False: jax.nn.silu(x),
    F.softplus: lambda x, beta=1.0, threshold=20.0: layers.softplus(x, beta, threshold),
}

METHODS: dict[str, Callable[..., Any]] = {
    "add": layers.add,
    "sub": layers.subtract,
    "mul": operator.mul,
    "div": layers.divide,
    "flatten": layers.flatten,
    "view": layers.reshape,
    "reshape": layers.reshape,
    "size": lambda x, dim=None: x.shape if dim is None else x.shape[dim],
    "mean": layers.mean,
    "sum": layers.total,
    "transpose": lambda x, dim0, dim1: jnp.swapaxes(x, dim0, dim1),
    "permute": lambda x, *axes: jnp.transpose(x, axes[0] if isinstance(axes[0], tuple | list) else axes),
    "unsqueeze": lambda x, dim: jnp.expand_dims(x, dim),
    "squeeze": layers.squeeze,
    "contiguous": lambda x: x,
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
}


class JaxNetwork:
    """A torch module as a function of its arrays: `network(arrays, x)` gives the logits (N, K).

    `arrays` maps `state_dict` names to JAX arrays, parameters and buffers alike. The module is not changed. Raises
    `Incompatible` when it is made, naming what is not supported, or if torch.fx cannot trace the module; and when it is
    called, naming the operation, for arguments that have no JAX form.
    """

    def __init__(self, module: nn.Module) -> None:
        module = copy.deepcopy(module).eval()
        try:
            self._traced = fx.symbolic_trace(module)
        except Exception as error:
            # fx raises its own TraceError on control flow, and whatever the module itself raises on a proxy.
            raise Incompatible(f"torch.fx cannot trace {type(module).__name__}: {error}") from error
        self._modules = dict(self._traced.named_modules())
        # Tied weights have several names; a state of parameters knows them by the first.
        first = {id(tensor): name for name, tensor in reversed([*module.named_parameters(), *module.named_buffers()])}
        every = [
            *module.named_parameters(remove_duplicate=False),
            *module.named_buffers(remove_duplicate=False),
        ]
        self._first_name = {name: first[id(tensor)] for name, tensor in every}
        self._inputs = [node for node in self._traced.graph.nodes if node.op == "placeholder"]
        _refuse_hooks(module)
        for node in self._traced.graph.nodes:
            self._check(node)

    def __call__(self, arrays: Mapping[str, Array], x: Array) -> Array:
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
                raise Incompatible(f"no JAX form of {_described(node)} with these arguments: {reason}") from error
        return values[node]

    def _run(self, node: fx.Node, arrays: Mapping[str, Array], x: Array, arguments: Any, keywords: Any) -> Any:
        target = node.target
        if node.op == "placeholder":
            # Only the first argument of `forward` is given to a network; any other takes its default.
            return x if node is self._inputs[0] else arguments[0] if arguments else None
        if node.op == "get_attr":
            return self._attribute(str(target), arrays)
        if node.op == "call_module":
            layer = self._modules[str(target)]
            get = lambda name: arrays[self._first_name[f"{target}.{name}"]]  # noqa: E731
            return MODULES[type(layer)](layer, get, *arguments, *keywords.values())
        if node.op == "call_method":
            return METHODS[str(target)](*arguments, **keywords)
        return FUNCTIONS[target](*arguments, **keywords) if node.op == "call_function" else arguments[0]

    def _attribute(self, name: str, arrays: Mapping[str, Array]) -> Array:
        if name in self._first_name:
            return arrays[self._first_name[name]]
        # A plain tensor, neither parameter nor buffer: a constant.
        home, _, leaf = name.rpartition(".")
        return jnp.asarray(getattr(self._traced.get_submodule(home), leaf).detach().cpu().numpy())

    def _check(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            if node is not self._inputs[0] and node.users and not node.args:
                raise Incompatible(f"forward needs '{node.target}', an argument beside the inputs")
        elif node.op == "call_module":
            layer = self._modules[str(node.target)]
            if type(layer) not in MODULES:
                _refuse(_described(node, layer))
            layers.check(layer, str(node.target))
            if getattr(layer, "inplace", False):
                _refuse_overwriting(node, layer)
        elif (node.op == "call_function" and node.target not in FUNCTIONS) or (
            node.op == "call_method" and node.target not in METHODS
        ):
            _refuse(_described(node))
        elif node.kwargs.get("inplace"):
            _refuse_overwriting(node)


def _described(node: fx.Node, layer: nn.Module | None = None) -> str:
    if layer is not None:
        return f"layer {type(layer).__name__} ('{node.target}')"
    if node.op == "call_method":
        return f"method Tensor.{node.target} ('{node.name}')"
    if node.op == "call_function":
        return f"function {getattr(node.target, '__name__', node.target)} ('{node.name}')"
    return f"'{node.target}'"


def _refuse(what: str) -> None:
    names = ", ".join(sorted(cls.__name__ for cls in MODULES))
    raise Incompatible(f"no JAX form of {what}; the layers supported are {names}")


def _refuse_overwriting(node: fx.Node, layer: nn.Module | None = None) -> None:
    """Arrays are never overwritten in JAX: an in-place operation is like any other unless its input is used again."""
    if len(node.all_input_nodes[0].users) > 1:
        raise Incompatible(
            f"no JAX form of {_described(node, layer)} with inplace=True, whose input is used elsewhere too"
        )


def _refuse_hooks(module: nn.Module) -> None:
    for name, part in module.named_modules():
        if part._forward_hooks or part._forward_pre_hooks:
            where = f"layer {type(part).__name__} ('{name}')" if name else type(part).__name__
            raise Incompatible(f"{where} has forward hooks, which torch.fx does not trace")
