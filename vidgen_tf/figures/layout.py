"""Rows and lanes of a network's boxes: the main way goes straight down, what joins or leaves it stands beside it.

Lengths are px; y points down.
"""

import dataclasses
import itertools

LINE, PAD, SIDE = 17, 5, 8  # height of a line of text; room above, below and beside the text of a box
INNER = 256, 140  # most px of text in a box of the main lane, and of another one
ONE_LINE = 208, 112  # most px of text in a single line, unless the lane is wider anyway
HEAD = 140, 112  # the same for heads that stand beside each other
SMALL = 22  # height of an input or an output, and the side of a circle
SIGNS = ("+", "×", "−", "÷")


@dataclasses.dataclass(eq=False)
class Placed:
    """A box with its place: middle x, top y, and size."""

    box: object
    lines: list  # of lists of (text, style), style "title", "plain", "badge" or "count"
    w: float
    h: float
    x: float = 0.0
    y: float = 0.0
    shift: float = 0.0  # of x from the middle of its lane

    @property
    def bottom(self):
        """y of the lower edge."""
        return self.y + self.h


class Plan:
    """Rows and lanes of a network's boxes, and how the lines between them run.

    Args:
        network: `vidgen_tf.figures.network.Network`.
        width_of: function from a text and its style to px.
    """

    def __init__(self, network, width_of):
        self.network, self.width_of, self.boxes = network, width_of, network.boxes
        producers = {tensor: box for box in self.boxes for tensor in box.outputs}
        self.edges = {}  # (from box, to box) -> numbers of the tensors
        for box in self.boxes:
            for tensor in dict.fromkeys(box.inputs):
                self.edges.setdefault((producers[tensor], box), []).append(tensor)
        self.before = {box: [a for a, b in self.edges if b is box] for box in self.boxes}
        self.after = {box: [b for a, b in self.edges if a is box] for box in self.boxes}
        self.row = {}
        for box in self.boxes:
            self.row[box] = 1 + max((self.row[other] for other in self.before[box]), default=-1)
        self.spine = self._find_spine()
        self.heads = self._find_heads()
        self.leaving = self._find_leaving()
        self.lane, self.first = self._find_lanes()
        self.route = {edge: self._route(*edge) for edge in self.edges}
        self.tracks = self._find_tracks()
        self.placed = {}
        self._compose()

    def _find_spine(self):
        """The way to the deepest output: through the deepest branch of a sum, and through the first input of a layer."""
        ends = [box for box in self.boxes if box.kind == "output"] or self.boxes[-1:]
        spine = [max(ends, key=lambda box: self.row[box])]
        while before := self.before[spine[-1]]:
            joins = spine[-1].kind in ("sum", "operation")
            spine.append(max(before, key=lambda box: self.row[box]) if joins else before[0])
        return spine[::-1]

    def _find_heads(self):
        """Two or three layers that end the spine side by side."""
        for box in self.spine[-3:-2]:
            ends = [b for b in self.after[box] if b.outputs and [c.kind for c in self.after[b]] == ["output"]]
            heads = [b for b in ends if b.inputs == self.spine[-2].inputs]
            if 2 <= len(heads) <= 3:
                return heads
        return []

    def _find_leaving(self):
        """Boxes from which no way leads to the spine. The others are pulled down to where they are needed."""
        leads = set(self.spine)
        for box in reversed(self.boxes):
            if box not in leads and any(other in leads for other in self.after[box]):
                leads.add(box)
                self.row[box] = min(self.row[other] for other in self.after[box]) - 1
        ends = {self.after[head][0] for head in self.heads}
        return {box for box in self.boxes if box not in leads and box not in ends and box not in self.heads}

    def _find_lanes(self):
        """The lane of each box, 0 for the spine's, above to the right, below to the left; and the boxes that begin one."""
        lane = dict.fromkeys([*self.spine, *self.heads, *(self.after[head][0] for head in self.heads)], 0)
        first, taken = {self.spine[0], *self.heads}, []
        while left := [box for box in self.boxes if box not in lane]:
            chain = self._longest_chain(left)
            around = [box for part in chain for box in (*self.before[part], *self.after[part]) if box in lane]
            start = min([self.row[chain[0]], *(self.row[box] + 0.5 for box in self.before[chain[0]] if box in lane)])
            end = max([self.row[chain[-1]], *(self.row[box] for box in around)]) + (chain[0] in self.leaving)
            outermost = max((lane[box] for box in around), key=abs, default=0)
            sides = (1, -1) if outermost == 0 else (1,) if outermost > 0 else (-1,)
            lane |= dict.fromkeys(chain, _free_lane(abs(outermost) + 1, sides, start, end, taken))
            taken.append((lane[chain[0]], start, end))
            first.add(chain[0])
        return lane, first

    def _longest_chain(self, boxes):
        best = {}
        for box in boxes:
            best[box] = [*max((best[other] for other in self.before[box] if other in best), key=len, default=[]), box]
        return max(best.values(), key=len)

    def _route(self, a, b):
        """How the line from a to b runs."""
        here, there = self.lane[a], self.lane[b]
        if here == there:
            if b in self.heads:
                return "fan"
            between = range(self.row[a] + 1, self.row[b])
            return "skip" if any(self.lane[box] == here and self.row[box] in between for box in self.boxes) else "straight"
        if abs(there) > abs(here):
            return "out" if b in self.first else "out beside"
        return "in beside" if any(self.lane[box] == here for box in self.after[a]) else "in"

    def track_lane(self, edge):
        """The lane beside which a line runs that can't go straight.

        Args:
            edge: key of `edges`.

        Returns:
            int.
        """
        return self.lane[edge[0] if self.route[edge] == "in beside" else edge[1]]

    def _find_tracks(self):
        """Which of the parallel lines beside a lane an edge takes, 0 the nearest."""
        tracks = {}
        beside = [edge for edge in self.edges if self.route[edge] in ("skip", "out beside", "in beside")]
        for edge in sorted(beside, key=lambda edge: self.row[edge[1]] - self.row[edge[0]]):
            used = {
                number
                for other, number in tracks.items()
                if self.track_lane(other) == self.track_lane(edge)
                and self.row[other[0]] < self.row[edge[1]]
                and self.row[edge[0]] < self.row[other[1]]
                and self.edges[other] != self.edges[edge]
            }
            tracks[edge] = next(number for number in itertools.count() if number not in used)
        return tracks

    def _compose(self):
        """Boxes of a lane are equally wide, and heads stand beside each other."""
        for lane in set(self.lane.values()):
            limits = (INNER[lane != 0], ONE_LINE[lane != 0])
            boxes = [box for box in self.boxes if self.lane[box] == lane]
            self.placed |= {box: compose(box, self.width_of, *(limits if box not in self.heads else HEAD)) for box in boxes}
            layers = [box for box in boxes if is_layer(box) and box not in self.heads]
            width = max((self.placed[box].w for box in layers), default=0)
            for box in layers:  # once more: in a wide lane, more fits into a line
                self.placed[box] = compose(box, self.width_of, limits[0], max(limits[1], width - 2 * SIDE))
                self.placed[box].w = width
        left = -sum(self.placed[head].w + 16 for head in self.heads) / 2 + 8
        for head in self.heads:
            placed, end = self.placed[head], self.placed[self.after[head][0]]
            placed.shift = end.shift = left + placed.w / 2
            left += placed.w + 16


def _free_lane(nearest, sides, start, end, taken):
    """The nearest lane in which nothing stands between two rows."""
    for place in itertools.count(nearest):
        for side in sides:
            if all(lane != side * place or end < since or to < start for lane, since, to in taken):
                return side * place


def is_layer(box):
    """Whether a box is a layer's: neither an end nor a circle.

    Args:
        box: `vidgen_tf.figures.network.Box`.

    Returns:
        bool.
    """
    return box.kind not in ("input", "output", "sum")


def compose(box, width_of, inner, one_line):
    """The text of a box, and its size.

    Args:
        box: `vidgen_tf.figures.network.Box`.
        width_of: function from a text and its style to px.
        inner: most px of text.
        one_line: most px of text in a single line, where there is something to be written below.

    Returns:
        `Placed`, not yet anywhere.
    """
    if box.kind == "sum":
        return Placed(box, [[(box.title, "title")]], SMALL, SMALL)
    if not is_layer(box):
        return Placed(box, [[(box.title, "plain")]], width_of(box.title, "plain") + 22, SMALL)
    head = [(box.title, "title"), *([(box.sizes, "plain")] if box.sizes else [])]
    head += [(f"× {box.times}", "badge")] if box.times > 1 else []
    count = [(f"{box.params:,}", "count")] if box.params else []
    words = [word if word.startswith(SIGNS) else f"· {word}" for word in box.then]
    whole = [*head, *((word, "plain") for word in words), *count]
    rest = [[(line, "plain")] for line in _wrapped(words, width_of, inner)]
    if line_width(whole, width_of) <= (one_line if rest else inner):
        lines = [whole]
    elif rest and line_width([*rest[-1], *count], width_of) <= inner:
        lines = [head, *rest[:-1], [*rest[-1], *count]]
    else:
        lines = [head, *rest, *([count] if count else [])]
    width = max(line_width(line, width_of) for line in lines)
    return Placed(box, lines, width + 2 * SIDE, len(lines) * LINE + 2 * PAD)


def line_width(line, width_of):
    """How wide a line of texts is.

    Args:
        line: list of (text, style).
        width_of: function from a text and its style to px.

    Returns:
        float, px.
    """
    return sum(width_of(*part) for part in line) + sum(text_gap(style) for _, style in line[1:])


def text_gap(style):
    """Room before a text of a line.

    Args:
        style: its style.

    Returns:
        int, px.
    """
    return {"count": 10, "badge": 14}.get(style, 6)


def _wrapped(words, width_of, inner):
    lines = []
    for word in words:
        if lines and width_of(f"{lines[-1]} {word}", "plain") <= inner:
            lines[-1] += f" {word}"
        else:
            lines.append(word.removeprefix("· "))
    return lines
