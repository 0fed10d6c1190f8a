"""Diagrams of networks, from the Keras models themselves: boxes for layers, arrows with shapes, small enough for a page."""

import functools
import heapq
import io
import itertools
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, FancyBboxPatch, Polygon
from PIL import Image

from ..files import atomic_path
from .layout import LINE, SIDE, Plan, is_layer, text_gap
from .network import read_networks
from .placement import cut_rows, place
from .style import DPI, PAGE_WIDTH, PAPER, style_parameters

DENSITY, COLORS = 2, 128  # pixels of the picture for a px of the page; different ones, which few tints and grey need
PAGE_HEIGHT, PLEASANT = 700, 560  # px: the most, and what a page shows at once
POINTS = 10  # size of the text
TOO_LARGE = 1e6  # cost of a px beyond the page
CANDIDATES = 6  # ways to cut a diagram that are tried
FILLS = {  # of layers by kind: (fill, edge)
    "convolution": ("#dfe6ff", "#2c45fb"),
    "upsampling": ("#d5eef4", "#007b97"),
    "dense": ("#fde3d3", "#d9500b"),
    "recurrent": ("#e7defa", "#563b93"),
    "attention": ("#fbd9d5", "#a71809"),
    "embedding": ("#d8f3e4", "#0a8a56"),
    "norm": ("#fbf1c7", "#9a7b0a"),
    "model": ("#f3dfe6", "#834463"),
    "layer": ("#f3dfe6", "#834463"),
}
PALE = ("#f0f1f3", "#8c8c8c")  # what has nothing to learn
LINE_COLOR, SOFT = "#3d4450", "#6a7280"
CARD_FILL, CARD_EDGE, FRAME_FILL, FRAME_EDGE = "#fafbfc", "#d5d9e0", "#eef0f4", "#a9b1bd"
GAP, CARD, HEADER, LEGEND = 8, 10, 26, 22  # px between cards, within one, for its title, for the words below all


class Architecture:
    """A diagram, as a notebook shows it.

    Args:
        figure: matplotlib `Figure`.
        text: str, what the diagram shows, for those who don't see it.
    """

    def __init__(self, figure, text):
        self.figure, self.text = figure, text

    def __repr__(self):
        return self.text

    def _repr_png_(self):
        picture, small = io.BytesIO(), io.BytesIO()
        with _context():
            self.figure.savefig(picture, format="png", dpi=DENSITY * DPI)
        image = Image.open(picture).convert("RGB")
        image.quantize(COLORS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
        width, height = (side // DENSITY for side in image.size)
        return small.getvalue(), {"width": width, "height": height}

    def save(self, path):
        """Writes the diagram to a file.

        Args:
            path: str or Path; its suffix says the format: .png, .svg or .pdf.
        """
        with atomic_path(Path(path)) as temporary, _context():
            self.figure.savefig(temporary, dpi=DENSITY * DPI)


def draw_architecture(model):
    """Draws a network as boxes, with the tensors' shapes on the arrows between them.

    A box names a layer, its main sizes, what follows it (normalisation, activation, reshaping), and at its right edge its
    parameters. Blocks that repeat are drawn once, with their number; skip connections run beside the boxes.

    Args:
        model: built Keras model or layer. Of a subclassed model, the networks in its attributes are drawn side by side, or its
            `call` if it has none. A block with several layers of its own gets a diagram of its own.

    Returns:
        `Architecture`, which a notebook shows.

    Raises:
        CourseError: the model is no Keras model, has no weights yet, or has nothing in it that can be read.
    """
    networks = read_networks(model)
    with _context():
        columns = _best_page([Plan(network, _text_width) for network in networks])
        figure = _draw_page(columns)
    boxes = sum(len(diagram.boxes) for column in columns for diagram in column)
    params = sum(network.params for network in networks if not network.is_block)
    return Architecture(figure, f"Architecture({model.name}: {boxes} boxes, {params:,} parameters)")


@functools.lru_cache(maxsize=4096)
def _text_width(text, style):
    """How wide a text is, in px; called within `_context`."""
    font = FontProperties(family="DejaVu Sans", size=POINTS + (style == "head"), weight=_weight(style))
    return _measure().get_text_width_height_descent(text, font, ismath=False)[0]


@functools.cache
def _measure():
    return FigureCanvasAgg(Figure(dpi=DPI)).get_renderer()


def _context():
    """The style, with letters that are equally wide at any density of the picture."""
    own = {"text.hinting": "no_hinting", "figure.constrained_layout.use": False}  # everything has its place
    return matplotlib.rc_context(style_parameters() | own)


def _weight(style):
    return "bold" if style in ("title", "head", "badge") else "normal"


def _best_page(plans):
    """Columns of diagrams for a page: which stand below one another, and which are cut into columns themselves.

    Blocks that don't find room on the page are left to a figure of their own.
    """
    options = [_options(plan) for plan in plans]
    while True:
        cost, page = min((_page_cost(page), page) for page in _pages(options))
        if cost < TOO_LARGE or not plans[-1].network.is_block:
            return [[place(plans[i], cuts) for i, (cuts, _, _) in column] for column in page]
        plans, options = plans[:-1], options[:-1]


def _options(plan):
    """(cuts, width, height) of a diagram's card in one, two and three columns, each as low as it gets."""
    whole, cuts, found = place(plan), cut_rows(plan), []

    def estimated(chosen):
        """Height of the highest column."""
        ends = [*(whole.top[cut + 1] for cut in chosen), whole.height]
        return max(end - start for start, end in zip([0, *ends], ends))

    for count in range(min(3, len(cuts) + 1)):
        likely = heapq.nsmallest(CANDIDATES, itertools.combinations(cuts, count), key=estimated)
        sizes = [(chosen, *_card_size(place(plan, chosen))) for chosen in likely]
        found.append(min(sizes, key=lambda size: size[2]))
    return found


def _pages(options):
    """Every way to put cards into columns from left to right: lists of columns of (number, option)."""
    numbers = range(len(options))
    for chosen in itertools.product(*options):
        for bounds in itertools.product((False, True), repeat=len(options) - 1):
            page = [[]]
            for number, ends in zip(numbers, (*bounds, False)):
                page[-1].append((number, chosen[number]))
                if ends:
                    page.append([])
            yield page


def _page_size(page):
    """Width and height of columns of cards."""
    width = sum(max(w for _, (_, w, _) in column) + GAP for column in page) + GAP
    return width, max(sum(h + GAP for _, (_, _, h) in column) for column in page) + GAP + LEGEND


def _page_cost(page):
    width, height = _page_size(page)
    cuts = sum(len(cuts) for column in page for _, (cuts, _, _) in column)
    over = max(0, width - PAGE_WIDTH) + max(0, height - PAGE_HEIGHT)
    return TOO_LARGE * over + 3 * max(0, height - PLEASANT) + (height + width) / 4 + 150 * cuts


def _card_size(diagram):
    """Width and height of a diagram with its title."""
    title = _text_width(diagram.network.title, "head") + _text_width(_count_text(diagram.network), "plain") + 24
    return max(diagram.width, title) + 2 * CARD, diagram.height + HEADER + 2 * CARD


def _count_text(network):
    return f"{network.params:,} parameters"


def _draw_page(columns):
    """A figure of columns of diagrams, each on a card with its title."""
    sizes = [[_card_size(diagram) for diagram in column] for column in columns]
    widths = [max(w for w, _ in column) for column in sizes]
    heights = [sum(h + GAP for _, h in column) for column in sizes]
    legend = _legend(columns)
    width = max(sum(widths) + GAP * (len(widths) + 1), _text_width(legend, "plain") + 2 * GAP)
    height = max(heights) + GAP + LEGEND
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, layout="none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    x = (width - sum(widths) - GAP * (len(widths) - 1)) / 2
    for column, column_sizes, w, total in zip(columns, sizes, widths, heights):
        y, spare = GAP, (max(heights) - total) / len(column)
        for diagram, (_, h) in zip(column, column_sizes):
            _draw_card(axes, diagram, x, y, w, h + spare)
            y += h + spare + GAP
        x += w + GAP
    axes.text(width / 2, height - LEGEND / 2 - 3, legend, ha="center", va="center", fontsize=POINTS, color=SOFT)
    return figure


def _legend(columns):
    shapes = [shape for column in columns for diagram in column for shape in diagram.network.shapes.values()]
    free = " · T: any length" if any("T" in shape for shape in shapes) else ""
    return f"B: batch size{free} · numbers at the right of a box: its parameters"


def _draw_card(axes, diagram, x, y, w, h):
    _rounded(axes, x, y, w, h, CARD_FILL, CARD_EDGE, 8)
    middle, title = y + CARD + 6, diagram.network.title
    axes.text(x + CARD, middle, title, va="center_baseline", fontsize=POINTS + 1, fontweight="bold")
    axes.text(x + w - CARD, middle, _count_text(diagram.network), va="center_baseline", ha="right", fontsize=POINTS, color=SOFT)
    left, top = x + (w - diagram.width) / 2, y + CARD + HEADER
    for fx, fy, fw, fh, times in diagram.frames:
        _rounded(axes, left + fx, top + fy, fw, fh, FRAME_FILL, FRAME_EDGE, 8, linestyle=(0, (4, 2)), zorder=1)
        text = f"× {times}"
        _badge(axes, left + fx + fw - _text_width(text, "badge") - 12, top + fy, text)
    for points in diagram.lines:
        _arrow(axes, [(left + px, top + py) for px, py in points])
    for lx, ly, text in diagram.labels:
        axes.text(left + lx, top + ly, text, va="center", fontsize=POINTS, color=LINE_COLOR, zorder=4)
    for placed in diagram.boxes:
        _box(axes, placed, left + placed.x, top + placed.y)


def _badge(axes, x, y, text):
    """How often something repeats, in a dark pill whose text begins at x."""
    w = _text_width(text, "badge")
    _rounded(axes, x - 6, y - 8.5, w + 12, 17, LINE_COLOR, LINE_COLOR, 8.5, zorder=6)
    axes.text(x, y, text, va="center_baseline", fontsize=POINTS, fontweight="bold", color=PAPER, zorder=7)


def _rounded(axes, x, y, w, h, fill, edge, radius, **options):
    style = f"round,pad=0,rounding_size={radius}"
    options = {"linewidth": 1.1, "facecolor": fill, "edgecolor": edge} | options
    return axes.add_patch(FancyBboxPatch((x, y), w, h, boxstyle=style, **options))


def _arrow(axes, points):
    (x0, y0), (x1, y1) = points[-2:]
    dx, dy = (x1 > x0) - (x1 < x0), (y1 > y0) - (y1 < y0)
    end = x1 - 7 * dx, y1 - 7 * dy
    axes.plot(*zip(*points[:-1], end), color=LINE_COLOR, linewidth=1.2, solid_joinstyle="round", zorder=2)
    head = [(x1, y1), (x1 - 8 * dx + 4 * dy, y1 - 8 * dy + 4 * dx), (x1 - 8 * dx - 4 * dy, y1 - 8 * dy - 4 * dx)]
    axes.add_patch(Polygon(head, closed=True, color=LINE_COLOR, linewidth=0, zorder=3))


def _box(axes, placed, x, y):
    """A box around the middle x, below y."""
    box, middle = placed.box, y + placed.h / 2
    if box.kind == "sum":
        options = {"facecolor": PAPER, "edgecolor": LINE_COLOR, "linewidth": 1.2, "zorder": 4}
        axes.add_patch(Circle((x, middle), placed.h / 2, label=box.title, **options))
        axes.text(x, middle, box.title, ha="center", va="center", fontsize=POINTS + 3, zorder=5)
        return
    fill, edge = FILLS.get(box.kind, PALE) if box.params or box.kind != "layer" else PALE
    if not is_layer(box):
        fill = PAPER
    radius = 5 if is_layer(box) else placed.h / 2
    _rounded(axes, x - placed.w / 2, y, placed.w, placed.h, fill, edge, radius, label=box.title, zorder=4)
    for number, line in enumerate(placed.lines):
        at = x - placed.w / 2 + SIDE
        if len(placed.lines) == len(line) == 1:
            at = x - _text_width(*line[0]) / 2
        y = middle + LINE * (number - (len(placed.lines) - 1) / 2)
        for part, (text, style) in enumerate(line):
            at += text_gap(style) if part else 0
            if style == "badge":
                _badge(axes, at, y, text)
            elif style == "count":
                end = x + placed.w / 2 - SIDE
                axes.text(end, y, text, ha="right", va="center_baseline", fontsize=POINTS, color=SOFT, zorder=5)
            else:
                axes.text(at, y, text, va="center_baseline", fontsize=POINTS, fontweight=_weight(style), zorder=5)
            at += _text_width(text, style)
