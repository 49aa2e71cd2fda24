"""The steps of a network under the weights of each draw, from its torch.fx graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from bnnbench import Incompatible, Predictive
from bnnbench.authoring import described_node, refuse_hooks, refuse_overwriting, traced
from bnnbench_plugins.certificates.arithmetic import ARITHMETIC, arithmetic
from bnnbench_plugins.certificates.layer_forms import FUNCTIONS, LAYERS, Place
from bnnbench_plugins.certificates.steps import Step

MISSING = "no bounds of"


class Layers:
    """The steps of the network of a predictive, for any of its draws.

    Args:
        predictive: an ensemble of draws of the weights of a network.
        x: inputs, from which the shapes of all layers follow.

    `sizes` are the numbers of values of each step, and `classes` of the last. Raises `Incompatible` if the draws are
    not weights of a network, or if something in the network has no bounds; the message names it.
    """

    def __init__(self, predictive: Predictive, x: Tensor) -> None:
        if not predictive.runs_its_network:
            raise Incompatible(f"certificates need a network and draws of its weights; {predictive.described} has none")
        network = predictive.network
        reading = getattr(network, "bnnbench_reading", None)
        if reading is not None and (reading.output is not None or reading.outputs == "probabilities"):
            raise Incompatible(
                "certificates need a network that returns logits or log-probabilities itself: leave out its softmax "
                "and what reads its outputs"
            )
        refuse_hooks(network)
        self._predictive = predictive
        graph = traced(network, lambda layer: type(layer) in LAYERS)
        self._input, *others = (node for node in graph.graph.nodes if node.op == "placeholder")
        self._values = _Values(graph)
        # Two images, so that an operation that mixes images shows in the shapes.
        if predictive.dtype not in (torch.float32, torch.float64):
            raise Incompatible(f"certificates bound the rounding of float32 and float64, and not of {predictive.dtype}")
        self._device = predictive.device
        image = (x[:1] if len(x) else x.new_zeros(1, *x.shape[1:])).to(predictive.device, predictive.dtype)
        self._run(torch.cat([image, image]), *[node.args[0] if node.args else None for node in others])
        (self._output,) = (node.args[0] for node in graph.graph.nodes if node.op == "output")
        self._of_images = self._tensors_of_input(graph.graph)
        self._operations = self._between(graph.graph)
        self.sizes = [self._shape(node).numel() for node in (self._input, *self._operations)]
        self.classes = self.sizes[-1]

    def steps(self, draw: int) -> list[Step | None]:
        """The steps under the weights of a draw; the first, which is None, stands for the input."""
        member = self._predictive.member(draw)
        places = {self._input: 0}
        steps: list[Step | None] = [None]
        for node in self._operations:
            steps.append(self._step(node, places, member))
            places[node] = len(steps) - 1
        return steps

    def _run(self, *inputs: Any) -> None:
        """Run the graph on inputs."""
        try:
            with torch.no_grad():
                self._values.run(*inputs)
        except Exception as error:
            reason = str(error).partition("\n")[0]
            raise Incompatible(
                f"{MISSING} this network: traced by torch.fx, it fails for two images: {reason}"
            ) from error

    def _tensors_of_input(self, graph: fx.Graph) -> set[fx.Node]:
        """The input, and what is computed from it by way of tensors alone."""
        after = {self._input}
        for node in graph.nodes:
            if node.op != "output" and after.intersection(node.all_input_nodes) and self._is_tensor(node):
                after.add(node)
        return after

    def _between(self, graph: fx.Graph) -> list[fx.Node]:
        """The operations between the input and the output, in their order; not those that ask for shapes alone."""
        if not isinstance(self._output, fx.Node):
            raise Incompatible("certificates need a network that returns one tensor of logits")
        needed = {self._output}
        for node in reversed(graph.nodes):
            if node in needed:
                needed.update(node.all_input_nodes)
        return [node for node in graph.nodes if node in needed & self._of_images and node is not self._input]

    def _is_tensor(self, node: fx.Node) -> bool:
        return isinstance(self._values.of[node], Tensor)

    def _shape(self, node: fx.Node) -> torch.Size:
        """The shape of a node's value, without the axis of images."""
        shape = self._values.of[node].shape
        if len(shape) < 2 or shape[0] != 2:
            raise Incompatible(f"{MISSING} {described_node(node)}, which does not keep images apart")
        return shape[1:]

    def _step(self, node: fx.Node, places: Mapping[fx.Node, int], member: nn.Module) -> Step:
        """The step of one node, under the weights of the member."""
        given = [one for one in node.all_input_nodes if one in places]
        shapes = self._shape(given[0]), self._shape(node)
        layer = member.get_submodule(str(node.target)) if node.op == "call_module" else None
        name = described_node(node, layer)
        place = Place(places[given[0]], *shapes, name, self._device, node is self._output)
        if layer is not None:
            if type(layer) not in LAYERS:
                names = ", ".join(sorted(cls.__name__ for cls in LAYERS))
                raise Incompatible(f"{MISSING} {name}; the layers with bounds are {names}")
            if getattr(layer, "inplace", False):
                refuse_overwriting(node, layer, missing=MISSING)
            return LAYERS[type(layer)](layer, place)
        if node.kwargs.get("inplace"):
            refuse_overwriting(node, missing=MISSING)
        arguments, keywords = fx.node.map_arg(
            (node.args, node.kwargs), lambda one: one if one in places else self._constant(one, member)
        )
        if node.target in ARITHMETIC:
            if len({shapes[1], *(self._shape(one) for one in given)}) > 1 and len(given) > 1:
                raise place.refuse("two layers of different shapes")
            return arithmetic(node, place, places, arguments, keywords)
        if node.target not in FUNCTIONS or not arguments or arguments[0] is not given[0] or len(given) > 1:
            raise Incompatible(f"{MISSING} {place.name}")
        return FUNCTIONS[node.target](place, *arguments[1:], **keywords)

    def _constant(self, node: fx.Node, member: nn.Module) -> Any:
        """The value of a node that does not depend on the input, under the weights of the member."""
        if node.op == "get_attr":
            owner, _, attribute = str(node.target).rpartition(".")
            if hasattr(member, str(node.target).partition(".")[0]):
                return getattr(member.get_submodule(owner), attribute)
            return self._values.of[node]  # A plain tensor of the graph.
        if node.op == "placeholder" or self._of_images.intersection(node.all_input_nodes):
            return self._values.of[node]  # A size, which all members share.
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        if name.endswith("_") and not name.endswith("__"):
            raise Incompatible(f"{MISSING} {described_node(node)}, which changes a weight or buffer in place")
        arguments, keywords = fx.node.map_arg((node.args, node.kwargs), lambda one: self._constant(one, member))
        if node.op == "call_function":
            return node.target(*arguments, **keywords)  # type: ignore[operator]
        if node.op == "call_method":
            return getattr(arguments[0], str(node.target))(*arguments[1:], **keywords)
        raise Incompatible(f"{MISSING} {described_node(node)} as a constant")


class _Values(fx.Interpreter):
    """Runs a graph, and keeps the value of each node."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph, garbage_collect_values=False)
        self.of: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        self.of[n] = super().run_node(n)
        return self.of[n]
