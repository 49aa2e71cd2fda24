"""Trace networks by torch.fx, for what interprets their graphs: JAX forms, bounds."""

from __future__ import annotations

from collections.abc import Callable

from torch import fx, nn

from bnnbench.core.foreign import with_own_input
from bnnbench.errors import Incompatible


class _Tracer(fx.Tracer):
    """A tracer that does not look inside layers that the caller interprets.

    With `buffers`, an expression of buffers is part of the graph, as one of parameters is. Otherwise torch.fx computes
    it from the traced module's own buffers and keeps the value.
    """

    def __init__(self, is_leaf: Callable[[nn.Module], bool], *, buffers: bool) -> None:
        super().__init__()
        self._is_leaf = is_leaf
        self.proxy_buffer_attributes = buffers

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return self._is_leaf(m) or super().is_leaf_module(m, module_qualified_name)


def traced(module: nn.Module, is_leaf: Callable[[nn.Module], bool], *, buffers: bool = True) -> fx.GraphModule:
    """The graph of a module; layers for which `is_leaf` holds are single nodes, as torch's own layers are.

    The graph computes expressions of parameters and buffers, so that it holds for other values of them too. With
    `buffers=False`, expressions of buffers alone have the values of the module's own.

    Raises `Incompatible` if torch.fx cannot trace it.
    """
    tracer = _Tracer(is_leaf, buffers=buffers)
    try:
        graph = tracer.trace(module)
    except Exception as error:
        # fx raises a TraceError on control flow, and passes on whatever the module raises when it meets a proxy.
        reason = str(error).partition("\n")[0].partition(". ")[0]
        if "'len' is not supported" in reason:
            reason = "it does not record len(x); x.shape[0] is the number of inputs, x.flatten(1) flattens them"
        if hasattr(module, "_orig_mod"):
            reason = "it is compiled; give the module before torch.compile"
        raise Incompatible(f"torch.fx cannot trace {type(module).__name__}: {reason}") from error
    return fx.GraphModule(tracer.root, graph)


def described_node(node: fx.Node, layer: nn.Module | None = None) -> str:
    """The name of a node's operation in error messages."""
    if layer is not None:
        return f"layer {type(layer).__name__} ('{node.target}')"
    if node.op == "call_method":
        return f"method Tensor.{node.target} ('{node.name}')"
    if node.op == "call_function":
        return f"function {getattr(node.target, '__name__', node.target)} ('{node.name}')"
    return f"'{node.target}'"


def refuse_overwriting(node: fx.Node, layer: nn.Module | None = None, *, missing: str) -> None:
    """Raise `Incompatible` for an in-place operation whose input is used elsewhere too.

    What interprets a graph overwrites no values. An in-place operation whose input has no other use is like any other
    operation. `missing` begins the message, such as "no JAX form of".
    """
    if len(node.all_input_nodes[0].users) > 1:
        raise Incompatible(
            f"{missing} {described_node(node, layer)} with inplace=True, whose input is used elsewhere too"
        )


def refuse_hooks(module: nn.Module) -> None:
    """Raise `Incompatible` if a layer has forward hooks that may change values, which torch.fx does not trace.

    Those of `bnnbench.predictive` may stay: they copy the inputs, and read the outputs as logits.
    """
    reading = getattr(module, "bnnbench_reading", None)
    own = set() if reading is None else {reading.after_network}
    if reading is not None and reading.output is None:
        own.add(reading.after_forward)
    for name, part in module.named_modules():
        if set(part._forward_hooks.values()) - own or set(part._forward_pre_hooks.values()) - {with_own_input}:
            place = f"layer {type(part).__name__} ('{name}')" if name else type(part).__name__
            raise Incompatible(f"{place} has forward hooks, which torch.fx does not trace")
