"""How parts of a face become pixels: layers that move, signed distances that fill them, bands that bend and open."""

import dataclasses

import numpy as np

from .states import UNITS, ease


@dataclasses.dataclass(frozen=True)
class Part:
    """Something painted in one colour.

    Args:
        layer: the `Layer` it lies on.
        coverage: float32 `(T, h, w)`, the share of each pixel of the layer's window that it covers.
        colour: red, green and blue, 0..255.
        band: the `Band` that moves it, where it doesn't lie still on the layer.
    """

    layer: "Layer"
    coverage: np.ndarray
    colour: tuple
    band: "Band | None" = None


def paint(parts, backdrop, num_frames):
    """Alpha-composites parts over a backdrop.

    Args:
        parts: iterable of `Part`, from back to front.
        backdrop: float32 `(3, 1, H, W)`, 0..255.
        num_frames: T.

    Returns:
        uint8 `(T, H, W, 3)`.
    """
    planes = np.repeat(backdrop, num_frames, axis=1)
    for part in parts:
        rows, columns = part.layer.window
        for plane, value in zip(planes[:, :, rows, columns], part.colour):
            change = value - plane
            change *= part.coverage
            plane += change
    planes += 0.5
    return planes.astype(np.uint8).transpose(1, 2, 3, 0)


def luma(rgb):
    """ITU-R BT.601 luma, in whole-number arithmetic.

    Args:
        rgb: uint8 `(..., 3)`.

    Returns:
        uint8 `(..., 1)`.
    """
    red, green, blue = (rgb[..., c].astype(np.uint32) for c in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)[..., None]


class Layer:
    """A layer over a window of the image: its own coordinates at the middle of every pixel, and its motion.

    Args:
        size: height and width of the image in px.
        box: left, top, right, bottom of the window; parts must not reach beyond it.
        shift_x: float32 `(T, 1, 1)`, how far the layer has moved to the right.
        shift_y: float32 `(T, 1, 1)`, how far it has moved downwards.
        stretch: float32 `(T, 1, 1)`, the factor by which it is stretched below y = 0, as a jaw that drops.

    References:
        Wang and Adelson, 1994, "Representing moving images with layers".
    """

    def __init__(self, size, box, shift_x, shift_y, stretch):
        self.pixels = size / UNITS
        left, top, right, bottom = (min(max(int((edge + UNITS / 2) * self.pixels), 0), size) for edge in box)
        self.window = slice(top, bottom), slice(left, right)
        column = (np.arange(left, right, dtype=np.float32) + 0.5) / self.pixels - UNITS / 2
        row = (np.arange(top, bottom, dtype=np.float32) + 0.5) / self.pixels - UNITS / 2
        self.x = column[None, None, :] - shift_x  # (T, 1, w)
        self.y = row[None, :, None] - shift_y  # (T, h, 1)
        self.y = np.where(self.y > 0, self.y / stretch, self.y)
        self._shift_x, self._shift_y, self._stretch = shift_x, shift_y, np.broadcast_to(stretch, shift_x.shape)

    def fill(self, distance):
        """Coverage of a shape, with anti-aliased edges one pixel wide.

        Args:
            distance: float32 `(T, h, w)`, signed distance to its outline, negative inside.

        Returns:
            float32 `(T, h, w)` in [0, 1].
        """
        return _unit(0.5 - distance * self.pixels)

    def flow(self):
        """Displacement of the layer's points until the next frame.

        Returns:
            dx and dy in px, each float32 `(T-1, h or 1, w or 1)`.
        """
        drop = np.maximum(self.y[:-1], 0) * _ahead(self._stretch)
        return _ahead(self._shift_x) * self.pixels, (_ahead(self._shift_y) + drop) * self.pixels


def _unit(values):
    return np.clip(values, 0, 1)


def _ahead(values):
    return values[1:] - values[:-1]


class Band:
    """The region between two arcs over [x - width, x + width]: an ellipse that can bend, tilt, open and close.

    An edge e is the curve y + tilt * dx + bend * (1 - q) + e * sqrt(1 - q) with dx the distance from the middle and q =
    (dx / width)^2. A point of it keeps its q and its share of the way from the top edge to the bottom edge.

    Args:
        layer: the `Layer` it lies on.
        x: its middle, float.
        y: y of its middle; like all below, a float or float32 `(T, 1, 1)`.
        width: half of its width.
        top: e of the upper edge.
        bottom: e of the lower edge.
        bend: how far its middle is bent downwards.
        tilt: slope of its axis.
    """

    def __init__(self, layer, x, y, width, top, bottom, bend=0.0, tilt=0.0):
        self.layer = layer
        self._now = np.empty((6, len(layer.x), 1, 1), np.float32)
        for row, value in zip(self._now, (y, width, top, bottom, bend, tilt)):
            row[:] = value
        self._dx = layer.x - np.float32(x)

    def coverage(self):
        """Share of each pixel between the two edges, right for bands thinner than a pixel too.

        Returns:
            float32 `(T, h, w)` in [0, 1].
        """
        _, width, top, bottom, bend, tilt = self._now
        top_edge, bottom_edge, root = self._edges(self._dx, *self._now)
        fall = self._dx / (width * width)
        steep = tilt - 2 * bend * fall  # slope of an edge, without its own arc
        shares = []
        for sign, e, edge in ((1, top, top_edge), (-1, bottom, bottom_edge)):
            slope = steep - e * fall / np.maximum(root, 0.25)
            sharp = sign * self.layer.pixels / np.sqrt(1 + slope * slope)
            shares.append(_unit(0.5 + (self.layer.y - edge) * sharp))
        ends = _unit(0.5 + (width - np.abs(self._dx)) * self.layer.pixels)
        return np.minimum(np.maximum(shares[0] + shares[1] - 1, 0), ends)

    def flow(self):
        """Displacement of the band's points until the next frame.

        Returns:
            dx and dy in px, each float32 `(T-1, h or 1, w)`.
        """
        now, then = self._now[:, :-1], self._now[:, 1:]
        dx, y = self._dx[:-1], self.layer.y[:-1]
        new_dx = dx * (then[1] / now[1])
        top, bottom, _ = self._edges(dx, *now)
        new_top, new_bottom, _ = self._edges(new_dx, *then)
        share = _unit((y - top) / np.maximum(bottom - top, 1e-6))
        new_y = new_top + share * (new_bottom - new_top)
        layer_dx, layer_dy = self.layer.flow()
        return layer_dx + (new_dx - dx) * self.layer.pixels, layer_dy + (new_y - y) * self.layer.pixels

    @staticmethod
    def _edges(dx, y, width, top, bottom, bend, tilt):
        scaled = dx / width
        rest = 1 - scaled * scaled
        root = np.sqrt(np.maximum(rest, 0))
        middle = y + tilt * dx + bend * rest
        return middle + top * root, middle + bottom * root, root


def blob(layer, x, y, width, up, down=None, square=0.0, taper=0.0):
    """Signed distance to a superellipse with unequal halves, to first order near its outline.

    Args:
        layer: `Layer` on whose coordinates it is computed.
        x: x of its middle.
        y: y of its middle.
        width: half of its width.
        up: how far it reaches above its middle.
        down: how far it reaches below; None for as far as above.
        square: 0 for an ellipse, up to 1 to fill the corners.
        taper: 0 to 1, how much the lower half narrows.

    Returns:
        float32 `(T, h, w)`, negative inside.
    """
    dx, dy = layer.x - x, layer.y - y
    height = up if down is None else np.where(dy < 0, np.float32(up), np.float32(down))
    dy = dy / height
    half = width * (1 - taper * np.maximum(dy, 0)) if taper else width
    dx = dx / half
    x2, y2 = dx * dx, dy * dy
    value = x2 + y2
    slope_x, slope_y = x2 / (half * half), y2 / (height * height)
    if square:
        value = (1 - square) * value + square * (x2 * x2 + y2 * y2)
        grow_x, grow_y = 1 - square + 2 * square * x2, 1 - square + 2 * square * y2
        slope_x, slope_y = slope_x * (grow_x * grow_x), slope_y * (grow_y * grow_y)
    return (value - 1) / (2 * np.sqrt(slope_x + slope_y + 1e-6))


def soft(distance, reach):
    """Coverage of a shade that fades out on both sides of an outline.

    Args:
        distance: float32, signed distance to the outline, negative inside.
        reach: distance at which the shade is full inside and gone outside.

    Returns:
        float32 of the same shape in [0, 1].
    """
    return ease(0.5 - distance / (2 * reach))
