"""Physics of clips: objects are found by their colour, followed over time, and held against the laws of their world.

It needs no network and no label: `track` gives the paths of what is seen, `laws_of_shapes` and `laws_of_digits` measure them. The
clips are 32x32, where a px is a unit of `worlds.shapes`; times are in frames.
"""

import dataclasses

import numpy as np

from .errors import CourseError
from .worlds import digits, shapes

SIDE = 32  # px
BLOCK = 64  # clips followed at once
LEAST = 6  # px^2: less is no object
COVERED = 0.3  # share of a pixel from which on it belongs to an object
NEAR = 1.35  # no corner lies further from the centre than this many radii of a disc of equal area


@dataclasses.dataclass(frozen=True, eq=False)
class Tracks:
    """The objects of N clips over T frames, at most K in each; largest first.

    Args:
        centre: float `(N, T, K, 2)`, centre of mass (x, y) in px, NaN where the object isn't seen.
        area: float `(N, T, K)`, px^2, 0 where it isn't seen.
        clear: bool `(N, T, K)`, whether it is seen and no other object is near enough to hide a part.
        color: int `(N, K)`, index into `shapes.COLORS`, -1 where there is no object; 0 for a digit.
        shape: int `(N, K)`, index into `shapes.SHAPES` of the shape that fits best; 0 for a digit.
        pieces: int `(N, T)`, connected pieces of one colour that are seen.
    """

    centre: np.ndarray
    area: np.ndarray
    clear: np.ndarray
    color: np.ndarray
    shape: np.ndarray
    pieces: np.ndarray

    @property
    def whole(self):
        """Where nothing hides an object, bool `(N, T, K)`: it is clear, or about as large as it ever is; all frames that show it
        where these are too few to tell a motion."""
        whole = self.clear | (self.area > 0.95 * np.maximum(self.area.max(axis=1, keepdims=True), LEAST))
        return np.where(whole.sum(axis=1, keepdims=True) >= 4, whole, self.area > 0)

    @property
    def radius(self):
        """Radius of a disc of equal area, float `(N, K)` px, the median over whole frames; NaN where there is no object."""
        return np.sqrt(_middle(np.where(self.whole, self.area, np.nan)) / np.pi)


def track(clips):
    """Follows the objects of clips: two coloured shapes where the clips are RGB, one bright digit where they are grey.

    A pixel of a shape is its colour mixed with the background's by the share that is covered, so the direction from the
    background's colour tells the colour, and the distance the share.

    Args:
        clips: uint8 `(N, T, 32, 32, C)`.

    Returns:
        `Tracks`.

    Raises:
        CourseError: clips of another size.

    References:
        Kang and others, 2024, "How far is video generation from world model: a physical law perspective".
    """
    clips = np.asarray(clips)
    if clips.ndim != 5 or clips.shape[2:4] != (SIDE, SIDE) or clips.shape[4] not in (1, 3):
        raise CourseError(f"Objects are followed in clips (n, time, 32, 32, 1 or 3), got {clips.shape}.")
    follow = _track_shapes if clips.shape[4] == 3 else _track_digit
    blocks = [follow(clips[first : first + BLOCK]) for first in range(0, len(clips), BLOCK)]
    return Tracks(*(np.concatenate([getattr(b, field.name) for b in blocks]) for field in dataclasses.fields(Tracks)))


def _track_digit(clips):
    light = clips[..., 0] / np.float32(255)
    light = np.where(light > 0.1, light, np.float32(0))
    area, centre = (value[:, :, None] for value in _moments(light))
    seen = area >= LEAST
    none = np.zeros((len(clips), 1), int)
    color = np.where(seen.any(axis=1), 0, -1)
    return Tracks(np.where(seen[..., None], centre, np.nan), area * seen, seen, color, none, _pieces(light > COVERED))


def _track_shapes(clips):
    colour = np.array(list(shapes.COLORS.values()), np.float32) - np.array(shapes.BACKGROUND, np.float32)  # (6, 3)
    length = np.linalg.norm(colour, axis=1)
    toward = (clips - np.array(shapes.BACKGROUND, np.float32)) @ (colour / length[:, None]).T  # (N, T, H, W, 6)
    which = toward.argmax(axis=-1)
    share = np.minimum(toward.max(axis=-1) / length[which], 1)
    share = np.where(share >= COVERED, share, 0)
    each = [_moments(np.where(which == c, share, 0)) for c in range(len(colour))]
    area, centre = np.stack([a for a, _ in each], axis=2), np.stack([c for _, c in each], axis=2)
    mean = area.mean(axis=1)  # (N, 6)
    color = np.argsort(-mean, axis=1, kind="stable")[:, :2]
    area, centre = np.take_along_axis(area, color[:, None], axis=2), np.take_along_axis(centre, color[:, None, :, None], axis=2)
    color = np.where(np.take_along_axis(mean, color, axis=1) >= LEAST, color, -1)
    seen = (area >= LEAST) & (color >= 0)[:, None]
    area, centre = area * seen, np.where(seen[..., None], centre, np.nan)
    clear = seen & ~_near(centre, area)
    weight = np.where(clear.any(axis=1, keepdims=True), clear, seen)
    shape = _best_shape(which, share, color, centre, np.where(weight, area, np.nan), weight)
    return Tracks(centre, area, clear, color, shape, _pieces(np.where(share > 0, which + 1, 0)))


def _moments(light):
    """Area `(N, T)` and centre of mass `(N, T, 2)` of pictures `(N, T, H, W)` of coverage."""
    middle = np.arange(light.shape[-1]) + 0.5
    rows, columns = light.sum(axis=3, dtype=np.float64), light.sum(axis=2, dtype=np.float64)
    area = rows.sum(axis=2)
    return area, np.stack([columns @ middle, rows @ middle], axis=-1) / np.maximum(area, 1e-9)[..., None]


def _near(centre, area):
    """Whether two objects `(N, T, 2)` may overlap; where one isn't seen, the other lies in front of it."""
    reach = NEAR * np.sqrt(area.max(axis=1) / np.pi).sum(axis=1) + 1  # (N,)
    distance = np.linalg.norm(centre[:, :, 0] - centre[:, :, 1], axis=-1)  # NaN where one isn't seen: compares as False
    return (distance < reach[:, None])[..., None]


def _best_shape(which, share, color, centre, area, weight):
    """Which shape, drawn with an object's area at its centre, differs least from what is seen, over the frames with a weight."""
    area = _middle(area)
    misfit = np.empty((*color.shape, len(shapes.SHAPES)))
    for kind in range(len(shapes.SHAPES)):
        radius = np.nan_to_num(np.sqrt(area / shapes.AREA[kind])).astype(np.float32)  # (N, K)
        offset = (0.3 if shapes.SHAPES[kind] == "triangle" else 0.0) * radius  # its centre of mass lies below its middle
        position = np.nan_to_num(centre - np.stack([0 * offset, offset], axis=-1)[:, None]).astype(np.float32)
        states = {"shape": np.where(color >= 0, kind, -1), "radius": radius, "position": position}
        for k in range(color.shape[1]):
            own = np.where(which == color[:, k, None, None, None], share, 0)
            wrong = np.abs(own - shapes.coverage(states, k, SIDE)).sum(axis=(2, 3))
            misfit[:, k, kind] = np.sum(wrong * weight[:, :, k], axis=1)
    return misfit.argmin(axis=2)


def _pieces(kinds):
    """How many connected pieces of one kind each frame shows; `kinds` `(N, T, H, W)` is 0 where there is nothing."""
    from skimage.measure import label

    n, times = kinds.shape[:2]
    kinds = kinds.reshape(n * times, *kinds.shape[2:]).astype(np.int32)
    # All frames at once, as one volume: a kind has another number in every other frame, so nothing connects through time.
    labels = label(np.where(kinds > 0, kinds + 7 * (np.arange(n * times) % 2)[:, None, None], 0), background=0, connectivity=2)
    frame = np.zeros(labels.max() + 1, int)
    frame[labels] = np.arange(n * times)[:, None, None]  # a label lies in one frame
    large = np.bincount(labels.ravel()) >= LEAST
    large[0] = False
    return np.bincount(frame[large], minlength=n * times).reshape(n, times)


def _middle(values):
    """Median over the second axis, NaN left out, NaN where nothing is left."""
    empty = np.isnan(values).all(axis=1, keepdims=True)
    return np.where(empty[:, 0], np.nan, np.nanmedian(np.where(empty, 0, values), axis=1))


def fitted(values, valid, degree):
    """Polynomials of time through rows of measurements, by least squares.

    Args:
        values: float `(M, T)`.
        valid: bool `(M, T)`, which of them count.
        degree: of the polynomials.

    Returns:
        float64 coefficients `(M, degree + 1)`, of the constant first, and the root mean squared residual `(M,)`; NaN for rows
        with fewer than degree + 2 measurements.
    """
    time = np.arange(values.shape[1], dtype=np.float64)
    return _least_squares(time[:, None] ** np.arange(degree + 1), values, valid)


def _least_squares(basis, values, valid):
    """Weights `(M, D)` of basis functions `(T, D)` for rows of measurements, and the residuals `(M,)`."""
    valid = valid & np.isfinite(values)
    values = np.where(valid, values, 0.0)
    enough = valid.sum(axis=1) > basis.shape[1]
    matrix = np.einsum("mt,ti,tj->mij", valid, basis, basis) + 1e-12 * np.eye(basis.shape[1])
    matrix[~enough] = np.eye(basis.shape[1])
    weights = np.linalg.solve(matrix, (values @ basis)[..., None])[..., 0]
    weights[~enough] = np.nan
    residual = np.where(valid, values - weights @ basis.T, 0.0)
    return weights, np.sqrt(np.sum(residual**2, axis=1) / np.maximum(valid.sum(axis=1), 1))


def turned(values, valid):
    """There and back at one speed: the best fit of `a + b |t - turn|` with the turn at least two frames from both ends.

    Args:
        values: float `(M, T)`.
        valid: bool `(M, T)`, which of them count.

    Returns:
        float64 slope b after the turn `(M,)`; the root mean squared residual `(M,)`; and bool `(M,)`, whether the turn is needed:
        a straight line leaves twice that residual. NaN and False where too few are valid.
    """
    times = values.shape[1]
    best, slope = np.full(len(values), np.inf), np.full(len(values), np.nan)
    for turn in np.arange(2, times - 2.75, 0.25):
        basis = np.stack([np.ones(times), np.abs(np.arange(times) - turn)], axis=1)
        weights, residual = _least_squares(basis, values, valid)
        better = residual < best
        best[better], slope[better] = residual[better], weights[better, 1]
    return slope, np.where(np.isfinite(best), best, np.nan), fitted(values, valid, 1)[1] > 2 * best


def motion_of_digits(tracks):
    """Which way each digit goes.

    Args:
        tracks: `Tracks` of N clips of a digit.

    Returns:
        int `(N,)`, index into `digits.MOTIONS`; -1 where it doesn't go there and back along an axis at one speed.
    """
    fits = _journeys(tracks)
    axis = np.nan_to_num(np.abs(fits[0])).argmax(axis=1)  # 0: x, 1: y
    slope, residual, turns = (np.take_along_axis(value, axis[:, None], axis=1)[:, 0] for value in fits)
    motion = np.where(axis == 0, 2, 0) + np.where(slope > 0, 0, 1)  # y falls first where it is up then down
    return np.where(turns & (np.abs(slope) > 0.5) & (residual < 1), motion, -1)


def _journeys(tracks):
    """What `turned` finds along x and along y, each `(N, 2)`."""
    fits = [turned(tracks.centre[:, :, 0, axis], tracks.whole[:, :, 0]) for axis in range(2)]
    return tuple(np.stack(values, axis=1) for values in zip(*fits))


def laws_of_digits(tracks):
    """How far each digit is from the law of its world: there and back along one axis, at one speed, in one shape.

    Args:
        tracks: `Tracks` of N clips of a digit.

    Returns:
        dict of float `(N, 1)`, NaN where something can't be measured: "speed_error", the difference from the world's one speed
        as a share of it; "path_residual", px, from the best path there and back; "shape_change", the deviation of the radius
        of a disc of equal brightness as a share of its mean; and bool "in_range", whether the speed is within a tenth of the
        world's.
    """
    free = SIDE - digits.SIDES[SIDE]
    slope, residual, _ = _journeys(tracks)
    axis = np.nan_to_num(np.abs(slope)).argmax(axis=1)[:, None]
    across = np.stack([fitted(tracks.centre[:, :, 0, i], tracks.whole[:, :, 0], 0)[1] for i in range(2)], axis=1)
    along, across = np.take_along_axis(residual, axis, axis=1), np.take_along_axis(across, 1 - axis, axis=1)
    speed = np.abs(np.take_along_axis(slope, axis, axis=1)) / (digits.JOURNEY * free / (tracks.centre.shape[1] - 1))
    return {
        "speed_error": np.abs(speed - 1),
        "path_residual": np.sqrt(along**2 + across**2),
        "shape_change": _shape_change(tracks),
        "in_range": np.abs(speed - 1) < 0.1,
    }


def _shape_change(tracks):
    """Deviation of the radius over clear frames as a share of its mean, `(N, K)`; NaN for fewer than two such frames."""
    radius, clear = np.sqrt(tracks.area), tracks.clear
    count = np.maximum(clear.sum(axis=1), 1)
    mean = np.sum(radius * clear, axis=1) / count
    deviation = np.sqrt(np.sum((radius - mean[:, None]) ** 2 * clear, axis=1) / count)
    return np.where(clear.sum(axis=1) >= 2, deviation / np.maximum(mean, 1e-9), np.nan)


def motion_of_shapes(tracks):
    """What each object does, told from its path alone.

    Args:
        tracks: `Tracks` of N clips of shapes.

    Returns:
        int `(N, 2)`, index into `shapes.MOTIONS`; -1 where there is no object, or none of these motions.
    """
    x, y = (_per_object(tracks.centre[..., axis]) for axis in range(2))
    valid = _per_object(tracks.whole)
    ways = [fitted(value, valid, 1) for value in (x, y)]
    velocity = np.stack([weights[:, 1] for weights, _ in ways], axis=1)  # (N*K, 2)
    straight = np.hypot(ways[0][1], ways[1][1]) < 0.6
    axis = np.nan_to_num(np.abs(velocity)).argmax(axis=1)
    fastest = np.take_along_axis(velocity, axis[:, None], axis=1)[:, 0]
    direction = np.where(axis == 0, 0, 2) + (fastest > 0)  # left, right, up, down
    motion = np.where(straight & (np.abs(fastest) > 0.3), direction, -1)
    motion = np.where(straight & (np.abs(fastest) < 0.1), shapes.MOTIONS.index("stays"), motion)
    acceleration, residual, _ = _fall(y, valid)
    falls = (acceleration > shapes.GRAVITY / 3) & (residual < 1)
    motion = np.where(falls, shapes.MOTIONS.index("falls"), motion).reshape(tracks.color.shape)
    motion = np.where(_collides(tracks)[:, None], shapes.MOTIONS.index("collides"), motion)
    return np.where(tracks.color >= 0, motion, -1)


def _collides(tracks):
    """Whether two objects meet and part along x, as elastic bodies do: at one height, until they touch, and their distance falls
    and rises at one rate."""
    both = (tracks.color >= 0).all(axis=1)
    seen = np.isfinite(tracks.centre[..., 0]).all(axis=2)
    slope, residual, turns = turned(tracks.centre[:, :, 0, 0] - tracks.centre[:, :, 1, 0], seen)
    height = np.stack([fitted(tracks.centre[:, :, k, 1], seen, 0)[1] for k in range(2)], axis=1).max(axis=1)
    apart = np.abs(tracks.centre[:, :, 0] - tracks.centre[:, :, 1])  # (N, T, 2)
    across = np.where(seen, apart[..., 0], np.inf).min(axis=1) / tracks.radius.sum(axis=1)
    touch = (across > 0.7) & (across < 1.7)  # real clips: 0.89 to 1.56, as they touch between two frames, and have corners
    up = _middle(np.where(seen, apart[..., 1], np.nan)) / tracks.radius.min(axis=1)
    level = up < 0.75  # real clips: 0.5 at most, as a triangle's centre of mass lies below its middle
    return both & turns & (np.abs(slope) > 0.2) & (residual < 0.5) & (height < 0.5) & touch & level


def _per_object(values):
    """(N, T, K) -> (N*K, T)"""
    return np.moveaxis(values, 2, 1).reshape(-1, values.shape[1])


def _fall(y, valid):
    """Acceleration and residual `(M,)` of the parabola through the heights before the first touch of the floor, and the touches
    `(M, T)`: the frames after which a body rises again."""
    touch = np.zeros(y.shape, bool)
    fallen = (y[:, 1:-1] - y[:, :-2] > -0.1) & (y[:, 1:-1] - y[:, 2:] > 0.1)
    touch[:, 3:-1] = fallen[:, 2:]  # NaN, where it isn't seen, compares as False
    before = np.cumsum(touch, axis=1) == 0
    weights, residual = fitted(y, valid & before, 2)
    return 2 * weights[:, 2], residual, touch


def laws_of_shapes(tracks, motion=None):
    """How far each object is from the laws of its world.

    Args:
        tracks: `Tracks` of N clips of shapes.
        motion: int `(N, 2)`, what each object should do, index into `shapes.MOTIONS`, -1 for nothing; None takes what
            `motion_of_shapes` sees.

    Returns:
        dict of float `(N, 2)`, NaN where a law doesn't apply or can't be measured. Of what falls: "gravity_error", the
        difference of its acceleration before the floor from `shapes.GRAVITY` as a share of it; "parabola_residual", px, of its
        height from the best parabola; "energy_drift", how much energy per mass changes between two touches of the floor, as a
        share of what the fall sets free. Of what neither falls nor collides: "path_residual", px, from a straight line at
        constant speed. Of what moves: "speed_error", how far its speed lies outside `shapes.SPEED`, as a share of the bound. Of
        all: "shape_change", the deviation of the radius over the clip as a share of its mean; and bool "in_range", whether
        radius and speed are such as this world has.
    """
    motion = motion_of_shapes(tracks) if motion is None else motion
    x, y = (_per_object(tracks.centre[..., axis]) for axis in range(2))
    valid, flat = _per_object(tracks.whole), motion.ravel()
    (way_x, rest_x), (way_y, rest_y) = fitted(x, valid, 1), fitted(y, valid, 1)
    acceleration, residual, touch = _fall(y, valid)
    falls, moves = flat == shapes.MOTIONS.index("falls"), (flat >= 0) & (flat < 4)
    straight = (tracks.color.ravel() >= 0) & ~falls & (flat != shapes.MOTIONS.index("collides"))
    speed = np.hypot(way_x[:, 1], way_y[:, 1])
    outside = np.maximum(np.maximum(1 - speed / shapes.SPEED[0], speed / shapes.SPEED[1] - 1), 0)
    radius = tracks.radius * np.sqrt(np.pi / shapes.AREA[tracks.shape])
    small, large = shapes.SIZES.values()
    fits = (radius > 0.9 * small) & (radius < 1.1 * large)
    laws = {
        "gravity_error": np.where(falls, np.abs(acceleration / shapes.GRAVITY - 1), np.nan),
        "parabola_residual": np.where(falls, residual, np.nan),
        "energy_drift": np.where(falls, _energy_drift(y, valid, touch), np.nan),
        "path_residual": np.where(straight, np.hypot(rest_x, rest_y), np.nan),
        "speed_error": np.where(moves, outside, np.nan),
    }
    laws = {name: value.reshape(motion.shape) for name, value in laws.items()}
    slow_or_fast = np.nan_to_num(laws["speed_error"]) > 0.05
    return laws | {"shape_change": _shape_change(tracks), "in_range": fits & ~slow_or_fast}


def _energy_drift(y, valid, touch):
    """Largest change of v^2/2 - g y within a flight, as a share of what the fall sets free; the mean of the first two flights."""
    height = np.where(valid, y, np.nan)
    velocity = (height[:, 2:] - height[:, :-2]) / 2  # exact on a parabola
    energy = velocity**2 / 2 - shapes.GRAVITY * height[:, 1:-1]
    flying = ~(touch[:, 2:] | touch[:, 1:-1] | touch[:, :-2]) & np.isfinite(energy)
    flight = np.cumsum(touch, axis=1)[:, 1:-1]
    changes = []
    for number in range(2):
        own = flying & (flight == number)
        highest, lowest = np.where(own, energy, -np.inf).max(axis=1), np.where(own, energy, np.inf).min(axis=1)
        changes.append(np.where(own.sum(axis=1) >= 2, highest - lowest, np.nan))
    free = shapes.GRAVITY * (np.where(valid, y, -np.inf).max(axis=1) - np.where(valid, y, np.inf).min(axis=1))
    measured = np.isfinite(changes)
    change = np.where(measured, changes, 0).sum(axis=0) / np.maximum(measured.sum(axis=0), 1)
    return np.where(measured.any(axis=0) & (free > 0), change / np.where(free > 0, free, 1), np.nan)


def kept_count(tracks):
    """How steady the number of objects is.

    Args:
        tracks: `Tracks` of N clips.

    Returns:
        float `(N,)` in [0, 1], the share of frames that show as many pieces as most frames of the clip do.
    """
    most = np.array([np.bincount(row).argmax() for row in tracks.pieces])
    return np.mean(tracks.pieces == most[:, None], axis=1)
