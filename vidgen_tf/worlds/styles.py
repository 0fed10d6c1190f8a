"""Eight drawn styles, from hatching to blueprint: pictures without an object, for a network to learn a look from.

A picture is abstract: tones and colours vary smoothly over it, and the style says by which strokes, dots, tiles or washes they
are drawn. Strokes have a size in px, so that a larger picture shows more of the same. All chance comes from `uniforms`, and only
IEEE-exact arithmetic lies on the way to a pixel, so that a seed gives the same bytes on every machine.
"""

import numpy as np

from ..errors import CourseError, check_whole
from .base import uniforms

STYLES = ("hatching", "pointillism", "woodcut", "ink-wash", "neon", "mosaic", "watercolour", "blueprint")
SUPERSAMPLING = 2  # points per px and axis, whose mean is the pixel: strokes get smooth edges
DRAWS = 1 << 17  # random numbers that a lattice may use up


def draw_style(name, seed, size=128):
    """A picture in a style; another seed gives another picture in the same style.

    The looks are those of Dürer's cross-hatching, Seurat's pointillism, Hiroshige's and Kirchner's woodcuts, Sesshū's ink wash,
    neon signs, the mosaics of Ravenna, Turner's watercolours, and the blueprints that Herschel invented in 1842.

    Args:
        name: str, one of `STYLES`.
        seed: non-negative int.
        size: height and width in px, at least 16 and at most 512. Strokes are as wide at any size.

    Returns:
        uint8 `(size, size, 3)`.

    Raises:
        CourseError: unknown name, or an impossible seed or size.
    """
    if name not in STYLES:
        raise CourseError(f"There is no style {name!r}; there are {', '.join(STYLES)}, or a picture of your own.")
    check_whole(0, seed=seed)
    check_whole(16, size=size)
    if size > 512:
        raise CourseError(f"A style is drawn at up to 512 px, not at size={size}: enlarge it afterwards.")
    canvas = _Canvas(len(STYLES) * seed + STYLES.index(name), size)
    fine = _DRAW[name](canvas)  # (2 size, 2 size, 3), 0..255
    pixels = (fine[::2, ::2] + fine[1::2, ::2] + fine[::2, 1::2] + fine[1::2, 1::2]) / SUPERSAMPLING**2
    return np.uint8(np.minimum(np.maximum(pixels, 0), 255) + 0.5)


class _Canvas:
    """Coordinates and chance of one picture.

    Args:
        seed: non-negative int.
        size: height and width in px.
    """

    def __init__(self, seed, size):
        self.seed, self.size, self.lattices = seed, size, 0
        points = (np.arange(size * SUPERSAMPLING) + 0.5) / SUPERSAMPLING
        self.x, self.y = points[None, :], points[:, None]

    def lattice(self, rows, columns):
        """New random numbers `(rows, columns)` in [0, 1)."""
        self.lattices += 1
        return uniforms(self.seed, self.lattices, 1, DRAWS)[0, : rows * columns].reshape(rows, columns)

    def draws(self, count):
        """New random numbers, a list of float in [0, 1)."""
        return self.lattice(1, count)[0].tolist()

    def noise(self, cell, stretch=1.0):
        """Smooth noise, a cubic B-spline through random numbers `cell` px apart; `stretch` times as far apart along x.

        Returns:
            float `(2 size, 2 size)`, mostly in 0..1, mean 0.5.
        """
        rows, columns = (int(self.size / side) + 5 for side in (cell, cell * stretch))
        values = self.lattice(rows, columns)
        for axis, (points, side) in enumerate(((self.y[:, 0], cell), (self.x[0], cell * stretch))):
            whole = np.floor(points / side)
            t, first = points / side - whole, whole.astype(int)
            left, square, cube = 1 - t, t * t, t * t * t
            weights = (left * left * left, 3 * cube - 6 * square + 4, 3 * (square - cube + t) + 1, cube)
            if axis:
                values = sum(values[:, first + i] * w / 6 for i, w in enumerate(weights))
            else:
                values = sum(values[first + i] * w[:, None] / 6 for i, w in enumerate(weights))
        return (values - 0.5) * 1.9 + 0.5

    def tones(self, cell=44):
        """Light and shade of a picture: smooth noise at three scales, in 0..1."""
        tone = 0.62 * self.noise(cell) + 0.26 * self.noise(cell / 2) + 0.12 * self.noise(cell / 4)
        return _clip((tone - 0.5) * 1.5 + 0.5)

    def cells(self, side, jitter, x=None, y=None):
        """The nearest points of a jittered grid (a Voronoi diagram).

        Args:
            side: distance of two points in px.
            jitter: largest move of a point, as a share of that distance.
            x: float, coordinates other than the canvas' own; and y.

        Returns:
            distances in px to the nearest point and to the second, and the number of the nearest, each `(2 size, 2 size)`.
        """
        x, y = self.x if x is None else x, self.y if y is None else y
        count = int(self.size / side) + 6
        moved_x, moved_y = (side * jitter * (self.lattice(count, count) * 2 - 1) for _ in range(2))
        column, row = (np.minimum(np.maximum(np.floor(v / side), -2), count - 5).astype(int) + 2 for v in (x, y))
        nearest = second = np.full((len(self.y), len(self.y)), 1e9)
        number = np.zeros(nearest.shape, int)
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                i, j = row + down, column + across
                dx = x - ((j - 1.5) * side + moved_x[i, j])
                dy = y - ((i - 1.5) * side + moved_y[i, j])
                distance = np.sqrt(dx * dx + dy * dy)
                closer = distance < nearest
                second = np.where(closer, nearest, np.minimum(second, distance))
                number = np.where(closer, i * count + j, number)
                nearest = np.where(closer, distance, nearest)
        return nearest, second, number

    def pick(self, number):
        """A random number for each number of a cell, `(2 size, 2 size)`."""
        return self.lattice(1, DRAWS)[0][number % DRAWS]


def _clip(x):
    return np.minimum(np.maximum(x, 0.0), 1.0)


def _step(x):
    """A smooth step from 0 to 1 while x goes from 0 to 1."""
    x = _clip(x)
    return x * x * (3 - 2 * x)


def _over(ground, colour, alpha):
    """Lays a colour, or a picture, over a picture."""
    return ground + (np.asarray(colour, np.float64) - ground) * alpha[..., None]


def _fill(canvas, colour):
    return np.zeros((len(canvas.y), len(canvas.y), 3)) + np.asarray(colour, np.float64)


def _gradient(palette, t):
    """Colours of a palette, mixed: t = 0 gives the first and t = 1 the last."""
    place = _clip(t) * (len(palette) - 1)
    first = np.minimum(np.floor(place), len(palette) - 2).astype(int)
    colours, share = np.asarray(palette, np.float64), (place - first)[..., None]
    return colours[first] + (colours[first + 1] - colours[first]) * share


def _slope(field):
    """How much a field changes per px, `(2 size, 2 size)`, never quite 0."""
    across, down = np.zeros_like(field), np.zeros_like(field)
    across[:, 1:-1], down[1:-1] = field[:, 2:] - field[:, :-2], field[2:] - field[:-2]
    across[:, 0], across[:, -1], down[0], down[-1] = across[:, 1], across[:, -2], down[1], down[-2]
    return np.sqrt(across * across + down * down) * (SUPERSAMPLING / 2) + 1e-4


def _wave(phase):
    """Distance to the nearest whole number, 0..0.5."""
    return np.abs(phase - np.floor(phase + 0.5))


def _hatching(canvas):
    """Strokes of a pen on cream paper, in up to four directions, the more the darker."""
    dark = 1 - canvas.tones()
    bend_x, bend_y = (3.0 * (canvas.noise(30) - 0.5) for _ in range(2))
    paper = _fill(canvas, (244, 236, 219)) - 7 * canvas.noise(2)[..., None]
    directions = ((0.8, 0.6), (0.28, 0.96), (-0.6, 0.8), (0.96, -0.28))
    for i, (a, b) in enumerate(directions):
        across = a * (canvas.x + bend_x) + b * (canvas.y + bend_y)
        pressure = 0.75 + 0.5 * canvas.noise(9)  # a pen is pressed more or less along a stroke
        need = _step((dark - (0.06, 0.36, 0.58, 0.76)[i]) / 0.16)
        width = (0.36 + 0.62 * dark) * pressure * need  # half width, px
        ink = _clip((width - _wave(across / 3.6) * 3.6) * 2.2 + 0.5) * np.minimum(need * 1.6, 1)
        paper = _over(paper, (34, 30, 44), ink * 0.93)
    return paper


def _pointillism(canvas):
    """Dots of pure colours, those of light beside their complements, on a primed canvas."""
    hue, light = canvas.tones(48), canvas.tones(38)
    warm = ((226, 62, 44), (244, 128, 36), (252, 196, 50), (255, 226, 122))
    cool = ((32, 60, 156), (36, 120, 196), (60, 170, 150), (146, 204, 92))
    picture = _fill(canvas, (247, 238, 214))
    for _ in range(4):
        shift_x, shift_y = canvas.draws(2)
        near, _, number = canvas.cells(3.5, 0.34, canvas.x + 3.5 * shift_x, canvas.y + 3.5 * shift_y)
        chance, tint = canvas.pick(number), canvas.pick(number)
        side = _clip((hue - 0.5) * 6 + 0.5)
        is_warm = (chance < 0.12 + 0.76 * side)[..., None]
        place = light + 0.5 * (tint - 0.5)
        colour = np.where(is_warm, _gradient(warm, place), _gradient(cool, place))
        radius = 1.15 + 0.55 * canvas.pick(number)
        picture = _over(picture, colour, _clip((radius - near) * 2 + 0.5) * 0.94)
    return picture


def _woodcut(canvas):
    """Black ink with lines that a gouge has cut along the forms, and a block of red."""
    form, dark = canvas.noise(46) + 0.35 * canvas.noise(23), 1 - canvas.tones(36)
    slope = _slope(form)
    across = form * 15 + 0.16 * (canvas.noise(6) - 0.5)  # lines follow the form's contours
    taper = 0.82 + 0.5 * (canvas.noise(7) - 0.5)
    width = _clip((0.9 - dark) * 0.78 * taper) * 0.55  # half width of a cut, as a share of the lines' distance
    sharp = 1 / (np.maximum(slope, 0.006) * 15)  # px per line
    cut = _clip((width - _wave(across)) * sharp * 1.8 + 0.5)
    cut = np.where(dark < 0.3, np.maximum(cut, _clip((0.3 - dark) * 14)), cut)
    cut = np.where(dark > 0.8, cut * _clip((0.9 - dark) * 10), cut)
    red = _step((canvas.noise(56) - 0.56) * 9)
    paper = _over(_fill(canvas, (240, 228, 202)), (206, 54, 38), red) - 9 * canvas.noise(2, 5)[..., None]
    return _over(paper, (22, 19, 22), 1 - cut)


def _ink_wash(canvas):
    """Ranges of hills in mist, each paler than the one before it, washed in grey ink on rice paper."""
    picture = _fill(canvas, (239, 235, 226)) - 9 * canvas.noise(3)[..., None] - 5 * canvas.noise(24)[..., None]
    ranges = max(4, canvas.size // 26)
    for i in range(ranges):
        crest = canvas.noise(24)[:1] * 26 + canvas.noise(8)[:1] * 8 + canvas.noise(3)[:1] * 2
        depth = canvas.y - (canvas.size * (i + 0.1) / ranges - 14 + crest)  # px below the crest
        strength = 0.3 + 0.62 * ((i * 7 + int(canvas.draws(1)[0] * 3)) % 5) / 4
        edge = _clip(depth * 1.4 + 0.5)
        bristles = 0.78 + 0.44 * canvas.noise(2.2, 6)
        wash = edge * bristles * (0.86 * _step(1 - depth / 16) + 0.2 * _step(1 - depth / 40)) * strength
        picture = _over(picture, (38, 42, 50), _clip(wash))
    dry = _step((canvas.noise(3.6, 0.45) - 0.72) * 5) * _step((canvas.noise(30) - 0.55) * 4)
    return _over(picture, (24, 26, 32), 0.6 * dry)


def _neon(canvas):
    """Glowing tubes over a night of violet."""
    picture = _gradient(((8, 5, 22), (26, 10, 52), (48, 14, 82)), canvas.tones(50))
    for colour, cell, lines in (((255, 40, 150), 40, 2.6), ((30, 226, 255), 34, 2.2), ((255, 196, 60), 46, 1.3)):
        field = canvas.noise(cell) * lines
        distance = _wave(field + 0.3) / (_slope(field) + 0.004)  # px to the tube
        glow = 1 / (1 + distance * distance * 0.11)
        picture = picture + np.asarray(colour, np.float64) * (0.62 * glow * glow)[..., None]
        picture = _over(picture, [200 + c * 0.22 for c in colour], _clip(1.5 - distance))
    return np.minimum(picture, 255)


def _mosaic(canvas):
    """Small stones of lapis, turquoise, gold and terracotta in pale mortar, set in bent rows."""
    bend = 9 * (canvas.noise(40) - 0.5), 9 * (canvas.noise(40) - 0.5)
    near, second, number = canvas.cells(6.4, 0.26, canvas.x + bend[0], canvas.y + bend[1])
    field, chance = canvas.tones(42), canvas.pick(number)
    palette = ((20, 38, 104), (30, 84, 160), (38, 150, 168), (232, 214, 164), (226, 168, 44), (190, 78, 40), (112, 28, 34))
    stone = _gradient(palette, np.floor((field + 0.24 * (chance - 0.5)) * 6 + 0.5) / 6)
    stone = stone * (0.84 + 0.32 * canvas.pick(number))[..., None]
    shine = _clip(1 - near / 3.2) * 0.16
    stone = _over(stone, (255, 250, 235), shine)
    return _over(stone, (222, 214, 198), _clip((0.75 - (second - near) * 0.5) * 2.2))


def _watercolour(canvas):
    """Pools of thin pigment with darker rims, that bleed into one another on rough white paper."""
    picture = _fill(canvas, (251, 249, 243))
    ragged = 0.05 * (canvas.noise(5) - 0.5) + 0.03 * (canvas.noise(2.5) - 0.5)
    grain = canvas.noise(1.7)
    for colour in ((58, 120, 196), (236, 112, 122), (246, 186, 66), (60, 164, 132), (132, 92, 178)):
        pool = canvas.noise(34) + 0.25 * (canvas.noise(14) - 0.5) + ragged - 0.54
        inside = _clip(pool * 26 + 0.5)
        rim = inside * _clip(1 - np.abs(pool - 0.025) * 26)
        flow = 0.2 + 0.3 * canvas.noise(20) + 0.14 * (grain - 0.5)
        pigment = _clip(inside * flow + 0.3 * rim)
        picture = picture * (1 - (1 - np.asarray(colour, np.float64) / 255) * pigment[..., None])
    return picture - 8 * np.maximum(grain - 0.5, 0)[..., None]


def _blueprint(canvas):
    """White plans on Prussian blue: contours, circles and axes over a faint grid."""
    picture = _gradient(((16, 52, 118), (24, 70, 146)), canvas.noise(40)) + 10 * (canvas.noise(2)[..., None] - 0.5)
    for spacing, strength in ((8, 0.13), (32, 0.24)):
        line = np.maximum(_clip(1 - _wave(canvas.x / spacing) * spacing), _clip(1 - _wave(canvas.y / spacing) * spacing))
        picture = _over(picture, (170, 204, 244), line * strength)
    field = canvas.noise(44) * 4.2
    distance = _wave(field) / _slope(field)
    picture = _over(picture, (232, 242, 255), _clip(1.15 - distance) * 0.9)
    for _ in range(max(3, canvas.size * canvas.size // 2600)):
        x, y, radius, kind = canvas.draws(4)
        dx, dy = canvas.x - x * canvas.size, canvas.y - y * canvas.size
        away, radius = np.sqrt(dx * dx + dy * dy), 4 + 15 * radius
        ring = _clip(1.05 - np.abs(away - radius))
        if kind > 0.5:
            ring = np.maximum(ring, _clip(1.0 - np.abs(away - 0.6 * radius)))
        axes = np.minimum(np.abs(dx) + 0 * dy, np.abs(dy) + 0 * dx)
        dashes = (away < radius * 1.35) & (_wave(away / 5) < 0.3)
        picture = _over(picture, (240, 247, 255), np.maximum(ring, _clip(0.9 - axes) * dashes) * 0.95)
    return picture


_DRAW = dict(zip(STYLES, (_hatching, _pointillism, _woodcut, _ink_wash, _neon, _mosaic, _watercolour, _blueprint), strict=True))
