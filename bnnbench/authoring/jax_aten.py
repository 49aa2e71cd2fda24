"""Run a torch network in JAX by the ATen operations that it performs for inputs of one shape.

The network's own Python code runs once, on tensors without values, while torch records each operation. What depends on
the sizes of the inputs is decided then: loops over time steps, `len(x)`, assertions. Operations in place are resolved
into others. Control flow that depends on values cannot be recorded.
"""

from __future__ import annotations

import operator
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax import Array
from torch import fx, nn
from torch.overrides import TorchFunctionMode

from bnnbench.authoring.jax_aten_tables import REASONS, form_of, name_of
from bnnbench.core.network_copy import copied
from bnnbench.errors import Incompatible

PLACES = ("device", "layout", "pin_memory", "memory_format", "non_blocking")
"""Arguments that say where numbers lie, not which they are."""
READING = {torch.Tensor.numpy, torch.Tensor.__array__, torch.Tensor.tolist, torch.Tensor.data_ptr}
"""Methods that take values out of torch, so that what is computed from them is not recorded."""
DETACHING = {torch.Tensor.detach, torch.detach, vars(torch._C.TensorBase)["data"].__get__}
"""Functions whose result has no gradient."""


@torch.library.custom_op("bnnbench::stop_gradient", mutates_args=())
def _without_gradient(x: torch.Tensor) -> torch.Tensor:
    """The same values. torch records this operation, while it leaves out `detach` and `no_grad`."""
    return x.clone()


_without_gradient.register_fake(torch.empty_like)


class AtenNetwork:
    """The logits (N, K) of a torch network at inputs of one shape: `network(arrays, x)`.

    Args:
        module: the network, in eval mode and without hooks. It is traced, and not changed.
        shape: the shape of the inputs, with their number first.
        dtype: their type.

    Raises `Incompatible` if the network cannot be traced, or if an operation has no JAX form.
    """

    def __init__(self, module: nn.Module, shape: tuple[int, ...], dtype: Any) -> None:
        self._names = [*dict(module.named_parameters()), *dict(module.named_buffers())]
        module = _on_cpu(module)
        inputs = torch.empty(shape, dtype=torch.from_numpy(np.empty(0, dtype)).dtype)
        self._traced = _traced(module, self._names, inputs)
        self._traced.graph.eliminate_dead_code()
        for node in self._traced.graph.nodes:
            _check(node)

    def __call__(self, arrays: Mapping[str, Array], x: Array) -> Array:
        """The logits (N, K), by arrays of the network's parameters and buffers, and inputs x (N, *shape)."""
        values: dict[fx.Node, Any] = {}
        given = iter([*self._names, None])
        for node in self._traced.graph.nodes:
            if node.op == "placeholder":
                name = next(given)
                # Buffers that are not used, such as counters, may be left out of `arrays`.
                values[node] = (x if name is None else arrays[name]) if node.users else None
            else:
                values[node] = self._run(node, values)
        logits: Array = values[node]
        return logits

    def _run(self, node: fx.Node, values: Mapping[fx.Node, Any]) -> Any:
        """The value of one node of the graph, given those of the nodes before it."""
        arguments = [_in_jax(value) for value in fx.node.map_arg(node.args, values.__getitem__)]
        keywords = fx.node.map_arg(node.kwargs, values.__getitem__)
        keywords = {name: _in_jax(value) for name, value in keywords.items() if name not in PLACES}
        if node.op == "output":
            return arguments[0]
        if node.op == "get_attr":
            return jnp.asarray(getattr(self._traced, str(node.target)).detach().cpu().numpy())
        form: Any = node.target if _is_python(node.target) else form_of(node.target)
        try:
            return form(*arguments, **keywords)
        except Exception as error:
            reason = str(error).partition("\n")[0]
            raise Incompatible(f"no JAX form of {_described(node)} with these arguments: {reason}") from error


def _on_cpu(module: nn.Module) -> nn.Module:
    """The network, or a copy on the CPU: on a GPU torch records operations of its libraries."""
    at_home = all(tensor.device.type == "cpu" for tensor in (*module.parameters(), *module.buffers()))
    return module if at_home else copied(module).cpu()


def _traced(module: nn.Module, names: list[str], inputs: torch.Tensor) -> fx.GraphModule:
    """The graph of a network's ATen operations, as a function of the named tensors and of inputs."""
    from torch._decomp import core_aten_decompositions, decomposition_table
    from torch.func import functional_call, functionalize
    from torch.fx.experimental.proxy_tensor import make_fx

    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    values = [*(tensors[name].detach() for name in names), inputs]
    rules = {**decomposition_table, **core_aten_decompositions()}
    rules = {at: rule for at, rule in rules.items() if isinstance(at, torch._ops.OpOverload) and not form_of(at)}

    def function(*given: torch.Tensor) -> Any:
        with _Watched():
            output = functional_call(module, dict(zip(names, given, strict=False)), (given[-1],))
        if not isinstance(output, torch.Tensor):
            raise Incompatible(f"{type(module).__name__} returns {type(output).__name__}, not a tensor")
        return output

    settings: dict[str, Any] = {"tracing_mode": "fake", "_allow_non_fake_inputs": True}
    with _placed(module), torch.enable_grad(), _without_onednn():
        try:
            # Layers such as nn.GRU write in place where only the first pass can see it, and the second can resolve it.
            recorded = make_fx(function, **settings)(*values)
            # The interpreter tells it the layer of each operation.
            again = functionalize(fx.Interpreter(recorded).run)
            return make_fx(again, decomposition_table=rules, **settings)(*values)
        except Incompatible:
            raise
        except Exception as error:
            raise Incompatible(f"torch cannot trace {type(module).__name__}: {_reason(error)}") from error


@contextmanager
def _without_onednn() -> Iterator[None]:
    """A context in which torch records its own operations, not those of oneDNN.

    `torch.backends.mkldnn.flags` does the same, but also sets TF32, and warns of it on machines without an Intel GPU.
    """
    backend: Any = torch.backends.mkldnn
    before = backend.enabled
    backend.enabled = False
    try:
        yield
    finally:
        backend.enabled = before


class _Watched(TorchFunctionMode):
    """A mode in which values cannot be taken out of torch, and what has no gradient is marked by an operation."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in READING:
            raise Incompatible(f"torch.fx cannot follow Tensor.{func.__name__}, which takes the values out of torch")
        result = func(*args, **(kwargs or {}))
        detached = func in DETACHING or not torch.is_grad_enabled()
        return _without_gradient(result) if detached and isinstance(result, torch.Tensor) else result


@contextmanager
def _placed(module: nn.Module) -> Iterator[None]:
    """A context in which each operation that is recorded knows the layer that performs it."""
    from torch.fx import traceback as recorded

    places: list[Any] = []

    def enter(name: str, layer: nn.Module) -> None:
        places.append(recorded.current_meta.get("nn_module_stack"))
        recorded.current_meta["nn_module_stack"] = {name: (name, type(layer).__name__)}

    with ExitStack() as stack:
        stack.enter_context(recorded.preserve_node_meta())
        for name, layer in module.named_modules():
            before = layer.register_forward_pre_hook(lambda layer, inputs, name=name: enter(name, layer))
            after = layer.register_forward_hook(lambda *_: recorded.current_meta.update(nn_module_stack=places.pop()))
            stack.callback(before.remove)
            stack.callback(after.remove)
        yield


def _reason(error: Exception) -> str:
    """Why a network cannot be traced, with the line of its own code that stops it."""
    if "DataDependent" not in type(error).__name__:
        return str(error).partition("\n")[0].partition(". ")[0]
    library = (str(Path(torch.__file__).parent), str(Path(__file__)))
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(library)]
    place = f", in line {own[-1].lineno} of {Path(own[-1].filename).name}: {own[-1].line}" if own else ""
    return f"its control flow depends on values{place}"


def _check(node: fx.Node) -> None:
    """Raise `Incompatible` if a node of the graph has no JAX form."""
    if node.op == "call_function" and not _is_python(node.target) and form_of(node.target) is None:
        reason = REASONS.get(name_of(node.target), "")
        raise Incompatible(f"no JAX form of {_described(node)}{reason and ': '}{reason}")


def _described(node: fx.Node) -> str:
    """The name of a node's operation in error messages, with its layer."""
    stack = node.meta.get("nn_module_stack") or {}
    name, kind = next(reversed(stack.values()), ("", ""))
    operation = node.target if _is_python(node.target) else name_of(node.target)
    return f"torch's operation {operation}" + (f" in layer {kind} ('{name}')" if name else "")


def _is_python(target: Any) -> bool:
    """Whether a node calls an operator of Python, such as the choice of one of several results."""
    return getattr(target, "__module__", "") == operator.getitem.__module__


def _in_jax(value: Any) -> Any:
    """The same argument, with JAX's type in place of a type of torch's."""
    if not isinstance(value, torch.dtype):
        return value
    return jax.dtypes.canonicalize_dtype(torch.empty(0, dtype=value).numpy().dtype)
