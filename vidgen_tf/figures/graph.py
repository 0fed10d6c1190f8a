"""What calls what in a Keras model: its graph of symbolic tensors, read where there is one and traced where there is none.

Nothing is imported of Keras: a model brings it along.
"""

import dataclasses
import inspect
import re
import sys


@dataclasses.dataclass
class Graph:
    """Calls of layers and operations between symbolic tensors."""

    nodes: list  # Keras' nodes, each after those whose tensors it needs
    inputs: list  # (symbolic tensor, name or "")
    outputs: list  # (symbolic tensor, name or "")
    batch: int | None = None  # size of the batch that the tensors are of; None: any


def is_functional(layer):
    """Whether a layer is a Functional or Sequential model, whose graph Keras keeps.

    Args:
        layer: built Keras layer.

    Returns:
        bool.
    """
    return isinstance(getattr(layer, "outputs", None), list)


def functional_graph(model):
    """The graph of a Functional or Sequential model.

    Args:
        model: built Keras model.

    Returns:
        `Graph`.
    """
    result = getattr(model, "_outputs_struct", None)
    made_by = [made.operation for made in _histories(model.outputs)]
    keys = sorted(result) if isinstance(result, dict) else ["" if is_functional(op) else given_name(op) for op in made_by]
    names = [given_name(made.operation) for made in _histories(model.inputs)]
    nodes = _nodes_between(model.inputs, model.outputs)
    return Graph(nodes, list(zip(model.inputs, names)), list(zip(model.outputs, keys)))


def block_graph(node):
    """What a layer does within, seen from one of its calls.

    Args:
        node: Keras' node of the call.

    Returns:
        `Graph`, or None where the call can't be followed.
    """
    fresh = {id(tensor): _symbolic(tensor.shape, tensor.dtype) for tensor in node.input_tensors}

    def exchanged(value):
        if isinstance(value, (list, tuple)):
            return type(value)(exchanged(item) for item in value)
        return fresh.get(id(value), value)

    arguments = [exchanged(value) for value in node.arguments.args]
    return _traced(node.operation, arguments, {name: exchanged(value) for name, value in node.arguments.kwargs.items()})


def call_graph(layer):
    """What a layer or a subclassed model does within, for tensors of the shapes that it was built with.

    Args:
        layer: built Keras layer.

    Returns:
        `Graph`, or None where the shapes are not known or the call can't be followed. Of a call that goes through the same layers
        step by step, the first step.
    """
    if layer._inbound_nodes:
        return block_graph(layer._inbound_nodes[-1])
    config = layer.get_build_config() or {}
    shapes = config.get("shapes_dict", config)
    if not shapes or None in shapes.values():
        return None

    def symbols(shape):
        if isinstance(shape, dict):
            return {name: symbols(part) for name, part in shape.items()}
        if any(isinstance(part, (list, tuple)) for part in shape):
            return [symbols(part) for part in shape]
        return _symbolic(shape, "float32")

    return _traced(layer, [symbols(shape) for shape in shapes.values()], {})


def given_name(operation):
    """The name that a layer was given.

    Args:
        operation: Keras layer or operation.

    Returns:
        str, "" for one that Keras made up from the class and a number.
    """
    plain = re.sub(r"_\d+$", "", operation.name).replace("_", "").lower()
    return "" if plain in (type(operation).__name__.lower(), "kerastensor") else operation.name


def flat(value):
    """The items of nested lists, tuples and dicts, in Keras' order.

    Args:
        value: anything.

    Returns:
        list.
    """
    if isinstance(value, dict):
        value = [value[key] for key in sorted(value)]
    if isinstance(value, (list, tuple)):
        return [item for part in value for item in flat(part)]
    return [value]


def _symbolic(shape, dtype):
    return sys.modules["keras"].KerasTensor(tuple(shape), dtype)


def _histories(tensors):
    return [tensor._keras_history for tensor in tensors]


def _nodes_between(inputs, outputs):
    known, order = {id(tensor) for tensor in inputs}, []

    def visit(tensor):
        history = getattr(tensor, "_keras_history", None)
        if id(tensor) in known or history is None or history.operation is None:
            return
        node = history.operation._inbound_nodes[history.node_index]
        known.update(id(output) for output in node.output_tensors)
        for source in node.input_tensors:
            visit(source)
        order.append(node)

    for tensor in outputs:
        visit(tensor)
    return order


def _traced(layer, arguments, keywords):
    """The graph of a call on symbolic tensors. The layer is left as it was found."""
    inside = layer._flatten_layers()
    if any(part._seed_generators for part in inside):  # a draw here would change those of the next training step
        return None
    attributes = dict(vars(layer))
    counts = [(part, len(part._inbound_nodes), len(part._outbound_nodes)) for part in inside]
    try:
        bound = inspect.signature(layer.call).bind(*arguments, **keywords).arguments
        named = {}  # id -> (tensor, name): one tensor can be several arguments
        for name, value in bound.items():
            for tensor in filter(_is_symbolic, flat(value)):
                names = named[id(tensor)][1] if id(tensor) in named else ""
                named[id(tensor)] = tensor, f"{names}, {name}" if names else name
        outputs = [tensor for tensor in flat(layer.call(*arguments, **keywords)) if _is_symbolic(tensor)]
        nodes, outputs = _first_step(_nodes_between([tensor for tensor, _ in named.values()], outputs), outputs)
    except Exception:  # whatever a call needs beyond shapes: it is a box, then, that nobody looks into
        return None
    finally:
        vars(layer).clear()
        vars(layer).update(attributes)
        for part, inbound, outbound in counts:
            del part._inbound_nodes[inbound:], part._outbound_nodes[outbound:]
    used = {id(tensor) for node in nodes for tensor in node.input_tensors}
    inputs = [(tensor, name) for tensor, name in named.values() if id(tensor) in used]
    return Graph(nodes, inputs, [(tensor, "") for tensor in outputs], inputs[0][0].shape[0]) if inputs else None


def _is_symbolic(value):
    return hasattr(value, "record_history")


def _first_step(nodes, outputs):
    """What comes before a layer with weights is called once more, up to the last such layer; all if none is."""
    weighted, seen = [], set()
    for place, node in enumerate(nodes):
        if getattr(node.operation, "weights", None):
            if id(node.operation) in seen:
                break
            seen.add(id(node.operation))
            weighted.append(place)
    else:
        return nodes, outputs
    last = nodes[weighted[-1]]
    wanted, kept = {id(tensor) for tensor in last.output_tensors}, []
    for node in reversed(nodes[: weighted[-1] + 1]):
        if wanted & {id(tensor) for tensor in node.output_tensors}:
            wanted |= {id(tensor) for tensor in node.input_tensors}
            kept.insert(0, node)
    return kept, last.output_tensors[:1]
