"""A Keras model, read as networks of boxes: what a diagram shows, before anything has a place.

Numbers stand for tensors, because one tensor can feed many boxes.
"""

import dataclasses
import math
import re

from ..errors import CourseError
from .graph import block_graph, call_graph, functional_graph, given_name, is_functional
from .simplify import simplify

KINDS = (  # of layers, by the first pattern that finds something in the class's name
    ("recurrent", r"LSTM|GRU|RNN"),
    ("attention", r"Attention"),
    ("upsampling", r"Conv\w*Transpose|UpSampling"),
    ("convolution", r"Conv"),
    ("dense", r"Dense"),
    ("embedding", r"Embedding|Encoder"),
    ("pooling", r"Pool"),
    ("norm", r"Norm|AdaLN|Standardi"),
    ("noise", r"Dropout|Noise"),
    ("activation", r"Activation|LU$|Softmax$|Sigmoid$|Tanh$"),
    ("reshape", r"^(Reshape|Flatten|Permute|RepeatVector)$"),
    ("sum", r"^(Add|Multiply|Subtract)$"),
    ("operation", r"^Concatenate$"),
)
SIGNS = {"Add": "+", "Multiply": "×", "Subtract": "−", "TrueDivide": "÷"}
SHORT = {"BatchNormalization": "BatchNorm", "LayerNormalization": "LayerNorm", "GroupNormalization": "GroupNorm"}
BLOCK_LAYERS = 4  # a layer with as many layers that learn gets a diagram of its own


@dataclasses.dataclass(eq=False)
class Box:
    """A box of a diagram: an input, an output, or a layer with what follows it."""

    kind: str  # "input", "output", "sum" (a circle), "operation", "model", "layer", or a layer's of `KINDS`
    title: str
    sizes: str = ""  # "64, 4×4, stride 2"
    then: list = dataclasses.field(default_factory=list)  # str, what follows in the same box
    params: int = 0
    inputs: list = dataclasses.field(default_factory=list)  # numbers of tensors
    outputs: list = dataclasses.field(default_factory=list)
    times: int = 1  # how often it repeats
    frame: int | None = None  # number of the frame around it, see `Network.frames`


@dataclasses.dataclass
class Network:
    """Boxes, each after those that it reads."""

    title: str
    params: int
    is_block: bool = False  # a part of another network, shown by itself
    boxes: list = dataclasses.field(default_factory=list)
    shapes: dict = dataclasses.field(default_factory=dict)  # number of a tensor -> "B × 16 × 32"
    frames: dict = dataclasses.field(default_factory=dict)  # number of a frame -> how often its boxes repeat

    def producer(self, tensor):
        """The box that makes a tensor.

        Args:
            tensor: its number.

        Returns:
            `Box`.
        """
        return next(box for box in self.boxes if tensor in box.outputs)

    def consumers(self, tensor):
        """The boxes that read a tensor.

        Args:
            tensor: its number.

        Returns:
            list of `Box`.
        """
        return [box for box in self.boxes if tensor in box.inputs]

    def appearance(self, box):
        """What a box shows, wherever it stands.

        Args:
            box: `Box` of this network.

        Returns:
            tuple.
        """
        shapes = tuple(self.shapes[tensor] for tensor in box.outputs)
        return box.kind, box.title, box.sizes, tuple(box.then), box.params, shapes


def read_networks(model):
    """The networks that a model is made of, and then those of its blocks that deserve a diagram of their own.

    Args:
        model: built Keras model or layer: Functional or Sequential; or a subclass, of which the networks in its attributes are
            read, or its `call` if there are none.

    Returns:
        list of `Network`.

    Raises:
        CourseError: no Keras model, one without weights yet, or one in which nothing can be read.
    """
    if not hasattr(model, "count_params"):
        raise CourseError(f"A diagram is drawn of a Keras model or layer, got {type(model).__name__}.")
    if not model.built:
        raise CourseError(f"The model {model.name!r} has no weights yet: call it on a batch first.")
    blocks, seen = [], []
    found = _read_parts(model, blocks)
    for node in blocks:  # the list grows while blocks within blocks are found
        layer = node.operation
        kind = layer.name if is_functional(layer) else type(layer).__name__, layer.count_params()
        if kind not in seen:
            seen.append(kind)
            graph = functional_graph(layer) if is_functional(layer) else block_graph(node)
            if graph:
                found.append(_read(kind[0], layer, graph, blocks))
                found[-1].is_block = True
    return found


def _read_parts(model, blocks):
    """A model as it is, or the networks in its attributes, or its call, or at least its layers."""
    if is_functional(model):
        return [_read(model.name, model, functional_graph(model), blocks)]
    parts = _parts(model)
    if not any(is_functional(part) for _, part in parts):
        graph = call_graph(model)
        if graph:
            return [_read(model.name, model, graph, blocks)]
    found, seen = [], []
    for name, part in parts:
        network = _read(name, part, functional_graph(part) if is_functional(part) else None, blocks)
        content = part.name, [(*network.appearance(box), box.inputs) for box in network.boxes]
        if content not in seen:  # a copy of the same name is a running average of the weights
            seen.append(content)
            found.append(network)
    if not found:
        raise CourseError(f"In {model.name!r} there is nothing to draw: pass one of its layers.")
    return found


def _parts(model):
    """(name, layer) of what a subclassed model has to learn; the attribute's name where the layer was given none."""
    names = {id(value): name for name, value in reversed(vars(model).items())}
    layers = [layer for layer in model._layers if layer.trainable_weights]
    return [(given_name(layer) or names.get(id(layer), layer.name), layer) for layer in layers]


def _read(title, layer, graph, blocks):
    """The network of a graph; of a layer without one, a single box."""
    reader = _Reader(Network(title, layer.count_params()), graph.batch if graph else None, blocks)
    if graph is None:
        box = describe(layer)
        box.params = layer.count_params()
        reader.network.boxes.append(box)
        return reader.network
    for tensor, name in graph.inputs:
        reader.network.boxes.append(Box("input", name or "input", outputs=[reader.number(tensor)]))
    for node in graph.nodes:
        reader.add(node)
    for tensor, name in graph.outputs:
        reader.end(tensor, name)
    simplify(reader.network)
    return reader.network


class _Reader:
    """Turns Keras' nodes into boxes, one by one."""

    def __init__(self, network, batch, blocks):
        self.network, self.batch, self.blocks = network, batch, blocks
        self.tensors = {}  # id -> (number, the tensor itself, so that its id stays its own)
        self.folded = {}  # number -> how many times the batch the first axis is
        self.counted = set()  # layers whose weights have been counted

    def number(self, tensor, folded=1):
        if id(tensor) not in self.tensors:
            number = len(self.tensors)
            self.tensors[id(tensor)] = number, tensor
            self.folded[number] = folded
            self.network.shapes[number] = shape_text(tensor.shape, folded)
        return self.tensors[id(tensor)][0]

    def add(self, node):
        layer = node.operation
        box = describe(layer, len(node.input_tensors))
        box.inputs = [self.number(tensor) for tensor in node.input_tensors]
        folded = self.folded[box.inputs[0]] if box.inputs else 1
        if type(layer).__name__ == "Reshape" and not hasattr(layer, "count_params"):
            folded = _fold(node.input_tensors[0].shape, node.output_tensors[0].shape, folded)
        box.outputs = [self.number(tensor, folded) for tensor in node.output_tensors]
        if hasattr(layer, "count_params") and id(layer) not in self.counted:
            self.counted.add(id(layer))
            box.params = layer.count_params()
        self.network.boxes.append(box)
        learners = sum(bool(part.trainable_weights) for part in layer._layers) if box.kind == "layer" else 0
        if box.kind == "model" or learners >= BLOCK_LAYERS:
            self.blocks.append(node)

    def end(self, tensor, name):
        """An output of the network; its name is not said twice."""
        number = self.number(tensor)
        box = self.network.producer(number)
        box.then = [text for text in box.then if text != f"“{name}”"]
        if not name and box.kind == "recurrent" and number != box.outputs[0]:
            name = "state"
        self.network.boxes.append(Box("output", name or "output", inputs=[number]))


def _fold(before, after, folded):
    """How many times the batch the first axis of a reshaped tensor is: frames are often counted with the clips."""
    if None in (*before[1:], *after[1:]) or 0 in after[1:]:
        return folded
    return folded * math.prod(before[1:]) // math.prod(after[1:])


def shape_text(shape, folded=1):
    """A tensor's shape as a diagram says it.

    Args:
        shape: tuple of int or None; the first axis is the batch.
        folded: how many times the batch the first axis is.

    Returns:
        str such as "B × 16 × 32", with T for another axis of any length.
    """
    batch = "B" if folded == 1 else f"{folded}·B"
    return " × ".join([batch, *("T" if size is None else str(size) for size in shape[1:])])


def describe(layer, inputs=1):
    """A box for a layer or an operation.

    Args:
        layer: Keras layer or operation.
        inputs: tensors that it is called on.

    Returns:
        `Box` without tensors and parameters.
    """
    name = type(layer).__name__
    if not hasattr(layer, "count_params"):
        if inputs > 1 and name in SIGNS:
            return Box("sum", SIGNS[name])
        words = {sign: f"{SIGNS[sign]} constant" for sign in SIGNS} | ({"Concatenate": "Stack"} if inputs == 1 else {})
        return Box("operation", words.get(name, name))
    if is_functional(layer):
        return Box("model", layer.name)
    kind = next((kind for kind, pattern in KINDS if re.search(pattern, name)), "layer")
    if kind == "sum":
        return Box("sum", SIGNS[name])
    function = getattr(getattr(layer, "activation", None), "__name__", "linear")
    if name == "Activation":
        return Box(kind, function)
    then = [function] if function != "linear" and kind in ("dense", "convolution", "upsampling") else []
    if given_name(layer) and kind != "operation":
        then.insert(0, f"“{layer.name}”")
    return Box(kind, SHORT.get(name, name), sizes_text(layer), then)


def sizes_text(layer):
    """The main sizes of a layer.

    Args:
        layer: Keras layer.

    Returns:
        str such as "64, 4×4, stride 2"; "" for a layer without any.
    """

    def has(*names):
        return all(isinstance(getattr(layer, name, None), (int, float, tuple, list)) for name in names)

    def product(size):
        size = size if isinstance(size, (tuple, list)) else (size,) * (2 if "2" in type(layer).__name__ else 1)
        return f"{size[0]}" if len(size) == 1 else "×".join(map(str, size))

    if has("filters", "kernel_size"):
        kernel = layer.kernel_size if isinstance(layer.kernel_size, (tuple, list)) else (layer.kernel_size,) * 2
        parts = [f"{layer.filters}", product(kernel) if len(kernel) > 1 else f"kernel {kernel[0]}"]
        strides = tuple(getattr(layer, "strides", (1,)))
        if set(strides) != {1}:
            parts.append(f"stride {strides[0] if len(set(strides)) == 1 else product(strides)}")
        return ", ".join(parts)
    if has("input_dim", "output_dim"):
        return f"{layer.input_dim:,} → {layer.output_dim}"
    for attribute, words in {
        "units": "{:,}",
        "num_heads": "{} heads",
        "heads": "{} heads",
        "pool_size": "{}",
        "size": "{}",
        "rate": "{:g}",
        "stddev": "{:g}",
    }.items():
        if has(attribute):
            value = getattr(layer, attribute)
            return product(value) if isinstance(value, (tuple, list)) else words.format(value)
    return ""
