"""Fewer boxes that say the same: what follows a layer stands in its box, blocks that repeat stand once, many heads are one."""

FOLLOWERS = {"norm", "activation", "noise", "reshape", "operation"}  # kinds that are written into the box before them
SILENT = {"GetItem", "ExpandDims", "Squeeze", "Stack", "Cast", "BroadcastTo"}  # the arrow's shape says it
PLAIN = SILENT | {"+ constant", "× constant", "− constant", "÷ constant", "Reshape", "Transpose", "Concatenate"}  # beside others
MANY_HEADS = 4  # outputs of one kind from one place that become one box


def simplify(network):
    """Puts boxes together, in place.

    Args:
        network: `vidgen_tf.figures.network.Network`.
    """
    _join_operations(network)
    _take_followers(network)
    for box in network.boxes:
        if box.kind == "operation":
            _name_operations(box)
    while repeat := _longest_repeat(network):
        _collapse(network, *repeat)
    _join_heads(network)


def _join_operations(network):
    """Operations that lead from one tensor to another, by themselves, are one box."""
    at = 0
    while at < len(network.boxes):
        box = network.boxes[at]
        before = [network.producer(tensor) for tensor in dict.fromkeys(box.inputs)]
        sources = dict.fromkeys(tensor for other in before for tensor in other.inputs)
        if (
            box.kind in ("operation", "sum")
            and before
            and all(other.kind == "operation" for other in before)
            and all(network.consumers(tensor) == [box] for other in before for tensor in other.outputs)
            and len(sources) == 1
        ):
            names = [name for other in dict.fromkeys(before) for name in (*other.then, other.title)]
            title = {"+": "Add", "−": "Subtract", "×": "Multiply"}.get(box.title, box.title)
            box.kind, box.title, box.then, box.inputs = "operation", title, [*names, *box.then], list(sources)
            network.boxes = [other for other in network.boxes if other not in before]
            at = 0
        else:
            at += 1


def _take_followers(network):
    """What stands behind a layer, and nowhere else, is written into its box."""
    for box in list(network.boxes):
        if box.kind not in FOLLOWERS or len(box.inputs) != 1:
            continue
        before = network.producer(box.inputs[0])
        alone = network.consumers(box.inputs[0]) == [box] and len(before.outputs) == 1
        if not alone or before.kind in ("input", "sum", *FOLLOWERS - {"operation"}):
            continue
        if before.kind != "operation":
            names = [*box.then, box.title] if box.kind == "operation" else [f"{box.title} {box.sizes}".strip(), *box.then]
            before.then = list(dict.fromkeys([*before.then, *(name for name in names if name not in SILENT)]))
        elif box.kind == "operation":
            before.then, before.title = [*before.then, before.title, *box.then], box.title
        else:
            continue
        before.params += box.params
        before.outputs = box.outputs
        network.boxes.remove(box)


def _name_operations(box):
    """The title of a box of operations: those that say what it does."""
    names = list(dict.fromkeys([*box.then, box.title]))
    distinct = [name for name in names if name not in PLAIN] or [name for name in names if name not in SILENT] or names[-1:]
    box.title, box.then = " · ".join(distinct[:3]), []


def _longest_repeat(network):
    """(first box, boxes, times) of the chain of equal blocks that saves most boxes; None where none repeats."""
    best, found = 0, None
    count = len(network.boxes)
    for start in range(count):
        for length in range(1, (count - start) // 2 + 1):
            times = 1
            while _continues(network, start, length, times):
                times += 1
            if length * (times - 1) > best:
                best, found = length * (times - 1), (start, length, times)
    return found


def _continues(network, start, length, times):
    """Whether the boxes after `times` equal blocks are one more, which goes on from what the last one made."""
    first = start + (times - 1) * length
    block, following = network.boxes[first : first + length], network.boxes[first + length : first + 2 * length]
    if len(following) < length or any(_unlike(network, a, b) for a, b in zip(block, following)):
        return False
    same = dict(_pairs(block, following))
    before = dict(_pairs(network.boxes[first - length : first], block)) if times > 1 else {}
    carried = {}
    for a, b in zip(block, following):
        for old, new in zip(a.inputs, b.inputs):
            if old in same:
                if new != same[old]:
                    return False
            elif new in same:  # made by the block before
                if carried.setdefault(old, new) != new or before.get(old, new) != new:
                    return False
            elif new != old:
                return False
    inside = {*block, *following}
    return bool(carried) and all(inside.issuperset(network.consumers(tensor)) for tensor in same)


def _unlike(network, a, b):
    fixed = a.kind in ("input", "output") or a.times > 1 or b.times > 1 or a.frame is not None or b.frame is not None
    return fixed or len(a.inputs) != len(b.inputs) or network.appearance(a) != network.appearance(b)


def _pairs(block, following):
    return [pair for a, b in zip(block, following) for pair in zip(a.outputs, b.outputs)]


def _collapse(network, start, length, times):
    """Keeps the first of equal blocks, which makes what the last one made."""
    block = network.boxes[start : start + length]
    last = network.boxes[start + (times - 1) * length : start + times * length]
    made = {new: old for old, new in _pairs(block, last)}
    del network.boxes[start + length : start + times * length]
    for box in network.boxes:
        box.inputs = [made.get(tensor, tensor) for tensor in box.inputs]
    if length == 1:
        block[0].times = times
    else:
        frame = len(network.frames)
        network.frames[frame] = times
        for box in block:
            box.frame = frame


def _join_heads(network):
    """Many outputs of one kind from one place are one box that names them."""
    places = {}
    for box in network.boxes:
        ends = [end for tensor in box.outputs for end in network.consumers(tensor)]
        if box.kind not in ("input", "sum") and len(ends) == 1 and ends[0].kind == "output":
            places.setdefault((tuple(box.inputs), box.kind, box.title), []).append((box, ends[0]))
    for heads in places.values():
        if len(heads) < MANY_HEADS:
            continue
        (first, end), others = heads[0], [box for pair in heads[1:] for box in pair]
        sizes = {box.sizes for box, _ in heads}
        first.then = [output.title if len(sizes) == 1 else f"{output.title} {box.sizes}" for box, output in heads]
        first.params = sum(box.params for box, _ in heads)
        shapes = {network.shapes[box.outputs[0]] for box, _ in heads}
        shape = shapes.pop() if len(shapes) == 1 else network.shapes[first.outputs[0]].rsplit(" ", 1)[0] + " n"
        network.shapes[first.outputs[0]] = f"{shape} each"
        first.sizes, end.title = f"{len(heads)} heads", f"{len(heads)} outputs"
        network.boxes = [box for box in network.boxes if box not in others]
