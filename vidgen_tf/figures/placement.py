"""From rows and lanes to px: boxes in columns, lines that cross no box, and shapes beside the lines."""

import dataclasses

LANE_GAP, COLUMN_GAP = 14, 30
TRACK, PORT = 13, 10  # between lines beside a box; between lines that enter it
FORK = 12  # from a fork to the box below it
LABELLED, PLAIN = 28, 16  # below a box: with a shape beside the line, and without
STUB = 26  # below a column, where the line leaves for the next one
FRAME = 22, 10  # room in a frame above and below its boxes


@dataclasses.dataclass
class Diagram:
    """What to draw of a network."""

    network: object
    boxes: list  # of `vidgen_tf.figures.layout.Placed`
    lines: list  # of [(x, y), ...]; each ends with an arrow
    labels: list  # of (x of the left end, y of the middle, text)
    frames: list  # of (x, y, width, height, how often it repeats)
    width: float
    height: float
    top: dict  # row -> y of its highest box, of those on the main way or leading to it


def cut_rows(plan):
    """Rows after which a column can end, because a straight line of the main lane is all that goes on.

    Args:
        plan: `vidgen_tf.figures.layout.Plan`.

    Returns:
        list of int.
    """
    rows = []
    edges = [edge for edge in plan.edges if edge[1] not in plan.leaving]
    for row in range(max(plan.row.values())):
        crossing = [(a, b) for a, b in edges if plan.row[a] <= row < plan.row[b]]
        if len(crossing) == 1 and plan.route[crossing[0]] == "straight" and plan.lane[crossing[0][0]] == 0:
            a, b = crossing[0]
            if a.frame is None or a.frame != b.frame:
                rows.append(row)
    return rows


def place(plan, cuts=()):
    """A diagram of a planned network.

    Args:
        plan: `vidgen_tf.figures.layout.Plan`.
        cuts: rows after which a new column begins, of `cut_rows`.

    Returns:
        `Diagram`.
    """
    return _Placement(plan, cuts).diagram()


class _Placement:
    def __init__(self, plan, cuts):
        self.plan, self.row, self.lane, self.cuts = plan, plan.row, plan.lane, cuts
        self.placed = {box: dataclasses.replace(placed) for box, placed in plan.placed.items()}
        self.column = {}
        for box in plan.boxes:
            row = self.row[box]
            inherited = box in plan.leaving and plan.before[box]
            self.column[box] = self.column[plan.before[box][0]] if inherited else sum(cut < row for cut in cuts)
        self.top = {}  # row -> y
        self.middle = {}  # (column, lane) -> x
        self.lines, self.labels, self.named = [], [], set()

    def diagram(self):
        columns = len(self.cuts) + 1
        self._place_rows(columns)
        self._place_leaving()
        width = self._place_lanes(columns)
        frames = self._frames()
        for edge in sorted(self.plan.edges, key=lambda edge: self.plan.route[edge] != "straight"):
            self._draw(edge)
            self._name(edge)
        lowest = [y for line in self.lines for _, y in line] + [y + h for _, y, _, h, _ in frames]
        height = max([placed.bottom for placed in self.placed.values()] + lowest)
        boxes = [self.placed[box] for box in self.plan.boxes]
        return Diagram(self.plan.network, boxes, self.lines, self.labels, frames, width, height, self.top)

    # ------------------------------------------------------------ boxes

    def _place_rows(self, columns):
        for column in range(columns):
            y = FORK + 4 if column else 0  # room for the line from the column before
            staying = [b for b in self.plan.boxes if self.column[b] == column and b not in self.plan.leaving]
            for row in sorted({self.row[box] for box in staying}):
                boxes = [box for box in staying if self.row[box] == row]
                y += FRAME[0] - 6 if any(self._begins(box) for box in boxes) else 0
                height = max(self.placed[box].h for box in boxes)
                for box in boxes:
                    self.placed[box].y = y + (height - self.placed[box].h) / 2
                self.top[row] = min(self.placed[box].y for box in boxes)
                y += height + max(self._gap(box) for box in boxes)

    def _gap(self, box):
        """Room below a box."""
        edges = [edge for edge in self.plan.edges if edge[0] is box]
        labelled = any(self._is_named(edge) for edge in edges)
        forks = any(self.plan.route[edge] not in ("straight", "in") for edge in edges)
        return (LABELLED if labelled else PLAIN) + (7 if forks else 0) + (FRAME[1] if self._ends(box) else 0)

    def _place_leaving(self):
        """What leaves the main way goes down at its own pace."""
        for box in self.plan.boxes:
            if box in self.plan.leaving:
                before = self.plan.before[box]
                if before and self.plan.route[before[0], box] == "straight":
                    self.placed[box].y = self.placed[before[0]].bottom + self._gap(before[0])
                else:
                    self.placed[box].y = self._fork(before[0]) + FORK if before else 0

    def _place_lanes(self, columns):
        """Sets every x; returns the width of all columns."""
        x = 0
        for column in range(columns):
            for lane in sorted({self.lane[box] for box in self.plan.boxes if self.column[box] == column}):
                boxes = [box for box in self.plan.boxes if (self.column[box], self.lane[box]) == (column, lane)]
                left, right = self._extents(lane, boxes)
                x += left
                self.middle[column, lane] = x
                for box in boxes:
                    self.placed[box].x = x + self.placed[box].shift
                x += right + LANE_GAP
            x += COLUMN_GAP - LANE_GAP
        return x - COLUMN_GAP

    def _extents(self, lane, boxes):
        """Room to the left and to the right of the middle of a lane: for boxes, shapes, lines beside them, and frames."""
        half = self._half(boxes)
        right = [half]
        for box in boxes:
            for (a, _), tensors in self.plan.edges.items():
                if a is box and self._is_named((a, _)):
                    text = self.plan.network.shapes[tensors[0]]
                    right.append(self.plan.width_of(text, "plain") + 10 + self.placed[box].shift)
        numbers = [n for edge, n in self.plan.tracks.items() if self.plan.track_lane(edge) == lane and edge[1] in boxes]
        beside = TRACK * (max(numbers) + 1) + 4 if numbers else 0
        frame = FRAME[1] if any(box.frame is not None for box in boxes) else 0
        return half + frame + (beside if lane >= 0 else 0), max(right) + frame + (beside if lane < 0 else 0)

    def _half(self, boxes):
        return max(self.placed[box].w / 2 + abs(self.placed[box].shift) for box in boxes)

    def _begins(self, box):
        return box.frame is not None and all(other.frame != box.frame for other in self.plan.before[box])

    def _ends(self, box):
        return box.frame is not None and all(other.frame != box.frame for other in self.plan.after[box])

    def _frames(self):
        frames = []
        for number, times in self.plan.network.frames.items():
            boxes = [box for box in self.plan.boxes if box.frame == number]
            sides = []
            for key in {(self.column[box], self.lane[box]) for box in boxes}:
                left, right = self._extents(key[1], [box for box in boxes if self.lane[box] == key[1]])
                sides += [self.middle[key] - left, self.middle[key] + right]
            top = min(self.placed[box].y for box in boxes) - FRAME[0]
            bottom = max(self.placed[box].bottom for box in boxes) + FRAME[1]
            frames.append((min(sides), top, max(sides) - min(sides), bottom - top, times))
        return frames

    # ------------------------------------------------------------ lines

    def _draw(self, edge):
        a, b = (self.placed[box] for box in edge)
        route, start = self.plan.route[edge], (a.x, a.bottom)
        if route == "straight" and self.column[edge[0]] == self.column[edge[1]]:
            line = [start, (b.x, b.y)]
        elif route == "straight":
            x = self.middle[self.column[edge[1]], 0] - self._room_left(self.column[edge[1]]) - COLUMN_GAP / 2
            beside = [self.placed[box].bottom + FORK for box in self.plan.leaving if self.column[box] == self.column[edge[0]]]
            down, up = max([a.bottom + STUB + (FRAME[1] if self._ends(edge[0]) else 0), *beside]), b.y - FORK - 4
            line = [start, (a.x, down), (x, down), (x, up), (b.x, up), (b.x, b.y)]
        elif route == "out" and self._leaves_beside(edge):
            side = 1 if b.x > a.x else -1
            y = a.bottom - 6
            line = [(a.x + side * a.w / 2, y), (b.x, y), (b.x, b.y)]
        elif route in ("fan", "out"):
            fork = self._fork(edge[0])
            line = [start, (a.x, fork), (b.x, fork), (b.x, b.y)]
        else:
            side, y = self._port(edge)
            end = (b.x + side * b.w / 2, y)
            if route == "in":
                line = [start, (a.x, y), end]
            else:
                x, fork = self._track(edge), self._fork(edge[0])
                line = [start, (a.x, fork), (x, fork), (x, y), end]
        self.lines.append(line)

    def _room_left(self, column):
        """From the left end of a column to the middle of its main lane."""
        lanes = {self.lane[box] for box in self.plan.boxes if self.column[box] == column}
        outermost = min(lanes)
        boxes = [box for box in self.plan.boxes if (self.column[box], self.lane[box]) == (column, outermost)]
        return self.middle[column, 0] - self.middle[column, outermost] + self._extents(outermost, boxes)[0]

    def _leaves_beside(self, edge):
        """Whether a line leaves at the side of a box: a second result, not the one that goes on below."""
        return self.plan.edges[edge][0] != edge[0].outputs[0] and edge[0].kind not in ("input", "sum")

    def _fork(self, box):
        """y at which lines leave the one that goes down from a box."""
        return self.top[self.row[box] + 1] - FORK if self.row[box] + 1 in self.top else self.placed[box].bottom + PLAIN - FORK

    def _track(self, edge):
        lane, column = self.plan.track_lane(edge), self.column[edge[1]]
        boxes = [box for box in self.plan.boxes if (self.column[box], self.lane[box]) == (column, lane)]
        side = -1 if lane >= 0 else 1
        return self.middle[column, lane] + side * (self._half(boxes) + 4 + TRACK * (self.plan.tracks[edge] + 0.5))

    def _side(self, edge):
        if self.plan.route[edge] in ("skip", "out beside"):
            return -1 if self.lane[edge[1]] >= 0 else 1
        return 1 if self.lane[edge[0]] > self.lane[edge[1]] else -1

    def _port(self, edge):
        """The side of a box at which a line enters, and its y: what comes from further away enters further down."""
        side, tracks = self._side(edge), self.plan.tracks
        beside = [e for e in self.plan.edges if e[1] is edge[1] and self.plan.route[e] not in ("straight", "fan", "out")]
        entering = [other for other in beside if self._side(other) == side]
        entering.sort(key=lambda other: (other not in tracks, tracks.get(other, abs(self.lane[other[0]]))))
        leaving = [e for e in self.plan.edges if e[0] is edge[1] and self.plan.route[e] == "out" and self._leaves_beside(e)]
        up = 5 if any(self.lane[b] * side > 0 for _, b in leaving) else 0
        placed = self.placed[edge[1]]
        return side, placed.y + placed.h / 2 - up + PORT * (entering.index(edge) - (len(entering) - 1) / 2)

    # ------------------------------------------------------------ shapes

    def _is_named(self, edge):
        """Whether the shape of what goes along an edge stands beside it."""
        return self.plan.route[edge] in ("straight", "fan", "in", "out") and not edge[0].kind == edge[1].kind == "sum"

    def _name(self, edge):
        a, b = (self.placed[box] for box in edge)
        tensor, route = self.plan.edges[edge][0], self.plan.route[edge]
        if tensor in self.named or not self._is_named(edge):
            return
        self.named.add(tensor)
        text = self.plan.network.shapes[tensor]
        x, y = a.x + 7, a.bottom + LABELLED / 2 - 3 + (FRAME[1] if self._ends(edge[0]) else 0)
        if route == "out":
            x, y = b.x + 7, b.y - FORK + 3
        elif route == "in" and len({t[0] for e, t in self.plan.edges.items() if e[0] is edge[0]}) > 1:
            side, port = self._port(edge)  # several tensors leave the box: each is named where its line turns
            x, y = (a.x - 6 - self.plan.width_of(text, "plain") if side > 0 else a.x + 6), port - 9
        self.labels.append((x, y, text))
