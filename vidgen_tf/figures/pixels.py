"""Pictures of what happens to single pixels: numbers in squares, blocks and where they come from, and a row that is warped."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from ..errors import CourseError
from .style import CYCLE, INK

SMALL = 10  # pt: the least that a page shows well
SIGNED = LinearSegmentedColormap.from_list("signed", [CYCLE[0], "#ffffff", CYCLE[1]])  # below 0, 0, above 0
CHOSEN, ARROW, HOLE, OVERLAP = "#ff00ff", "#ffd432", "#ff00ff", CYCLE[1]
ROW_GAP = 1.6  # between the two rows of a warp, in sides of a pixel


def draw_numbers(axes, values, largest=None):
    """A matrix of whole numbers: each stands in a square that is orange above 0, blue below, and white at 0.

    Args:
        axes: matplotlib axes.
        values: int array `(H, W)`.
        largest: number whose square has the full colour; None for the largest of `values`, whatever its sign.

    Raises:
        CourseError: no matrix of whole numbers.
    """
    values = np.asarray(values)
    if values.ndim != 2 or values.dtype.kind not in "iu":
        raise CourseError(f"Numbers are drawn of a matrix (H, W) of whole numbers, got {values.shape} of {values.dtype}.")
    largest = max(int(np.abs(values).max()), 1) if largest is None else largest
    axes.imshow(values, cmap=SIGNED, vmin=-largest, vmax=largest)
    for (y, x), value in np.ndenumerate(values):
        color = "white" if value < -0.6 * largest else INK if value else "#8c8c8c"
        text = str(value).replace("-", "−")
        axes.text(x, y, text, ha="center", va="center", fontsize=SMALL, color=color)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def draw_motion_vectors(axes, frame, vectors, chosen=None):
    """A frame cut into blocks: an arrow from the middle of each block that moves to that of the patch that predicts it.

    Args:
        axes: matplotlib axes.
        frame: uint8 array `(H, W)`, `(H, W, 1)` or `(H, W, 3)`.
        vectors: int array `(rows, columns, 2)`, (dx, dy) in px from each block to its patch in the other frame.
        chosen: (row, column) of a block that gets a frame of its own, or None.

    Raises:
        CourseError: the blocks are no squares that fill the frame.
    """
    rows, columns = np.shape(vectors)[:2]
    side, (height, width) = len(frame) // rows, np.shape(frame)[:2]
    if (rows * side, columns * side) != (height, width):
        raise CourseError(f"{rows} by {columns} square blocks don't fill a frame of {height} by {width} px.")
    axes.imshow(frame, cmap="gray", vmin=0, vmax=255)
    for edges, line in ((np.arange(side, height, side), axes.axhline), (np.arange(side, width, side), axes.axvline)):
        for edge in edges:
            line(edge - 0.5, color="white", linewidth=0.6)
    y, x = np.nonzero(np.any(vectors, axis=-1))
    u, v = np.asarray(vectors)[y, x].T
    middle = (side - 1) / 2
    style = {"color": ARROW, "angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.01, "headwidth": 3.5, "headlength": 3.5}
    axes.quiver(x * side + middle, y * side + middle, u, v, headaxislength=3.5, zorder=3, **style)
    if chosen is not None:
        draw_patch(axes, chosen[1] * side, chosen[0] * side, side)
    axes.set(xticks=[], yticks=[], xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def draw_patch(axes, left, top, side):
    """A frame around a square patch of an image.

    Args:
        axes: matplotlib axes that show an image.
        left: column of its first pixel.
        top: row of its first pixel.
        side: its height and width, px.
    """
    axes.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, fill=False, edgecolor=CHOSEN, linewidth=2.5, zorder=4))


def draw_row_warp(axes, old, new, targets=None, sources=None):
    """A row of pixels above, the warped one below, and arrows between them: forward from old pixels, or back from new ones.

    Forward, a new pixel on which nothing lands is a hole ("?"), and one on which several land is framed. Backward, every new
    pixel looks up one position of the old row; between two pixels the arrow ends between them.

    Args:
        axes: matplotlib axes.
        old: int array `(W,)`, 0..255.
        new: int array `(W,)`, the warped row.
        targets: int array `(W,)`, the new position of each old pixel (forward warping); or None.
        sources: float array `(W,)`, the old position that each new pixel looks up (backward warping); or None.

    Raises:
        CourseError: not exactly one of targets and sources, rows of different lengths, or a position outside of them.
    """
    if (targets is None) == (sources is None):
        raise CourseError("Give either targets, to warp forward, or sources, to warp backward.")
    ends = np.asarray(sources if targets is None else targets)
    if not np.shape(old) == np.shape(new) == ends.shape or ends.min() < 0 or ends.max() > len(old) - 1:
        shapes = f"{np.shape(old)}, {np.shape(new)} and {ends.shape}"
        raise CourseError(f"Two rows and positions within them must be equally long, got {shapes}, up to {ends.max()}.")
    counts = np.ones(len(old), int) if targets is None else np.bincount(ends, minlength=len(old))
    _draw_row(axes, old, 0, np.ones(len(old), int))
    _draw_row(axes, new, 1 + ROW_GAP, counts)
    top, bottom, start = 1.06, 0.94 + ROW_GAP, np.arange(len(old))
    for a, b in zip(start, ends):
        tail, head = ((a, top), (b, bottom)) if sources is None else ((a, bottom), (b, top))
        color = OVERLAP if counts[int(b)] > 1 else "#3d4450"
        arrow = {"arrowstyle": "-|>", "color": color, "shrinkA": 0, "shrinkB": 0, "linewidth": 1.4}
        axes.annotate("", (head[0] + 0.5, head[1]), (tail[0] + 0.5, tail[1]), arrowprops=arrow)
    axes.set(xlim=(-0.05, len(old) + 0.05), ylim=(2.05 + ROW_GAP, -0.05), aspect="equal")
    axes.axis("off")


def _draw_row(axes, values, top, counts):
    """A row of squares as light as their pixels; where none landed a hole, where several did a coloured frame."""
    for i, (value, count) in enumerate(zip(values, counts)):
        fill = HOLE if count == 0 else f"{value / 255:.3f}"
        axes.add_patch(Rectangle((i, top), 1, 1, facecolor=fill, edgecolor="#8c8c8c", linewidth=0.8))
        text = {"ha": "center", "va": "center", "color": INK if value > 120 or count == 0 else "white"}
        axes.text(i + 0.5, top + 0.5, "?" if count == 0 else str(value), fontsize=SMALL, **text)
    for i in np.flatnonzero(np.asarray(counts) > 1):
        frame = {"fill": False, "edgecolor": OVERLAP, "linewidth": 2.5, "zorder": 3}
        axes.add_patch(Rectangle((i + 0.04, top + 0.04), 0.92, 0.92, **frame))
