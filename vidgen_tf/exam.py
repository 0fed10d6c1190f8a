"""The exam: `examine` measures clips that a model made, beside real ones. The metrics themselves are in `metrics`, and can be
called from here."""

import dataclasses
import functools

import numpy as np

from . import datasets, physics, zoo
from .errors import CourseError
from .files import progress
from .metrics import (
    copy_ratio,
    estimated_flow,
    flicker,
    frechet_distance,
    frozen,
    nearest,
    nearest_clip,
    precision_recall,
    psnr,
    sharpness,
    ssim,
    temporal_autocorrelation,
    warping_error,
)
from .video import Clip, compare, to_uint8
from .worlds import LabelledClips, digits, shapes

__all__ = [
    "MEASURES",
    "WORLDS",
    "Report",
    "copy_ratio",
    "estimated_flow",
    "examine",
    "flicker",
    "frechet_distance",
    "frozen",
    "nearest",
    "nearest_clip",
    "obeyed",
    "precision_recall",
    "psnr",
    "scoreboard",
    "sharpness",
    "ssim",
    "temporal_autocorrelation",
    "warping_error",
]

FEWEST = 100  # clips: of fewer, no distribution can be told
BLOCK = 125  # clips measured at once
WARPED = 24  # clips whose flow is estimated: that takes longest
BEST_PSNR = 60.0  # dB, about what rounding to whole numbers leaves; equal frames count as this


@dataclasses.dataclass(frozen=True)
class Measure:
    """What a row of the exam's table means.

    Args:
        best: "low", "high", or "as real": what to wish for.
        values: range and unit.
        meaning: definition, and whose it is.
    """

    best: str
    values: str
    meaning: str


MEASURES = {
    "psnr_db": Measure("high", "0 to 60 dB", "peak signal-to-noise ratio to the true future, the mean over frames"),
    "ssim": Measure("high", "-1 to 1", "structural similarity to the true future (Wang and others, 2004), window 7, range 255"),
    "sharpness": Measure("as real", "0 to 8", "energy of the Laplacian over the contrast of a frame, see metrics.sharpness"),
    "content_distance": Measure(
        "low", "from 0", "Fréchet distance of a judge's features, averaged over each clip's frames: blind to their order"
    ),
    "motion_distance": Measure(
        "low", "from 0", "Fréchet distance of the features of the judge of motion, which sees whole clips"
    ),
    "precision": Measure("high", "0 to 1", "share of made clips that lie among real ones by both judges' features"),
    "recall": Measure("high", "0 to 1", "share of real clips that lie among made ones (Kynkäänniemi and others, 2019)"),
    "flicker": Measure("as real", "from 0", "mean change of brightness from frame to frame, as a share of the brightness"),
    "warping_error": Measure(
        "as real", "0 to 1", "what changes between two frames that motion doesn't explain (Lai and others, 2018), flow estimated"
    ),
    "warping_error_exact": Measure("low", "0 to 1", "the same with the exact flow of the true future"),
    "frozen": Measure("as real", "0 to 1", "share of clips in which nothing ever moves"),
    "objects": Measure("as real", "from 0", "objects in a clip, the mean over clips"),
    "kept_count": Measure("high", "0 to 1", "share of frames that show as many pieces as most frames of their clip"),
    "in_range": Measure("as real", "0 to 1", "share of objects whose size and speed occur in the training clips"),
    "shape_change": Measure("low", "0 to 1", "deviation of an object's radius over the clip, as a share of its mean"),
    "path_residual": Measure("low", "from 0 px", "distance from uniform motion: straight on, or of digits there and back"),
    "speed_error": Measure("low", "0 to 1", "how far the speed lies outside the world's range, as a share of its bound"),
    "gravity_error": Measure("low", "0 to 1", "difference of a fall's acceleration from gravity, as a share of it"),
    "parabola_residual": Measure("low", "from 0 px", "distance of a fall from a parabola"),
    "energy_drift": Measure("low", "0 to 1", "change of the energy within a flight, as a share of what the fall sets free"),
    "asked_color": Measure("high", "0 to 1", "share of clips with objects of the colours asked for, and no others"),
    "asked_shape": Measure("high", "0 to 1", "share of clips in which each colour has the shape asked for"),
    "asked_size": Measure("high", "0 to 1", "share of clips in which each colour has the size asked for"),
    "asked_digit": Measure("high", "0 to 1", "share of clips that the judge reads as the digit asked for"),
    "asked_motion": Measure("high", "0 to 1", "share of clips that move as asked for, by the path"),
    "asked_jointly": Measure("high", "0 to 1", "share of clips with all of it right"),
    "copy_ratio": Measure(
        "as real", "from 0", "median distance to the nearest training clip, as a multiple of that of real clips never trained on"
    ),
    "copies": Measure("low", "0 to 1", "share of clips nearer to a training clip than all but 1 % of such real clips are"),
    "parameters": Measure("low", "from 1", "numbers that the model has learned"),
    "training_minutes": Measure("low", "minutes", "on the machine that the zoo's record names"),
    "clips_per_second": Measure("high", "1/s", "sampled on this machine, the first batch aside"),
    "peak_memory_mb": Measure("low", "MB", "of the process that samples, Python and TensorFlow included"),
}
LAWS = ("shape_change", "path_residual", "speed_error", "gravity_error", "parabola_residual", "energy_drift")


@dataclasses.dataclass(frozen=True)
class World:
    """What the exam has for the clips of a world.

    Args:
        content: the zoo's judge of frames.
        motion: the zoo's judge of clips, or None.
        rebuilder: the zoo's autoencoder of frames, or None.
        tracked: whether `physics` knows its objects.
    """

    content: str
    motion: str | None = None
    rebuilder: str | None = None
    tracked: bool = False


WORLDS = {
    "shapes": World("judge-shapes", "judge-motion-shapes", "vae-shapes", tracked=True),
    "digits": World("judge-digits-32", "judge-motion-digits", "vae-digits-low-beta", tracked=True),
    "faces": World("judge-faces"),
    "faces-32": World("judge-faces"),
    "scans": World("judge-digits"),  # the digits themselves, which stand still: the first frame of each clip is examined
}


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
    """What an exam found.

    Args:
        name: of the clips or of the model that made them.
        world: name of their world, or None.
        count: how many clips were examined.
        rows: list of dicts, one for each measure: "measure", a name in `MEASURES`, or one with "_outside" behind it, for objects
            of sizes and speeds that are not in the training clips; "clips", the value; "real", that of real clips never trained
            on, for the distances, precision and recall that of as many training clips; "rebuilt", that of such real clips after
            an autoencoder; "n", how many clips, or objects, it was measured on; "best". None stands where nothing was measured.
        picture: a `Clip`, some of them beside real ones.
        horizons: dict from "psnr_db" and "ssim" to arrays, a value for each predicted frame; empty without predictions.
        note: what of the exam doesn't apply, and why; or "".
    """

    name: str
    world: str | None
    count: int
    rows: list
    picture: Clip
    horizons: dict
    note: str = ""

    @property
    def scores(self):
        """The values alone: dict from measure to float."""
        return {row["measure"]: row["clips"] for row in self.rows}

    @property
    def real(self):
        """What real clips score: dict from measure to float or None."""
        return {row["measure"]: row["real"] for row in self.rows}

    def table(self):
        """Prints the rows, the horizons and the note."""
        print(f"{self.count} clips of {self.name}" + (f", world {self.world}" if self.world else ""))
        scoreboard(self.rows)
        for measure, values in self.horizons.items():
            print(f"{measure} by frame predicted: " + " ".join(f"{value:.3g}" for value in values))
        if self.note:
            print(self.note)

    def __repr__(self):
        """Whose exam it was, and how many measures it has."""
        return f"Report({self.name}: {self.count} clips, {len(self.rows)} measures)"


def examine(clips, world, reference=None, *, asked=None, context_frames=None, cost=None, name="clips"):
    """Measures clips that a model made or predicted, and real clips of the same world in the same way.

    Every measure is defined in `MEASURES`; a distance means something only beside the one that as many real clips score, so look
    at both columns.

    Args:
        clips: N at least 100: uint8 `(N, T, H, W, C)`, or floats in [-1, 1], or a list of `Clip`, or `LabelledClips`.
        world: "shapes", "digits", "faces", "faces-32", "scans" (see `WORLDS`); another name in `datasets.DATASETS`, of whose
            clips less can be measured; or None, where only the clips themselves can be.
        reference: real clips to compare with, that no model was trained on: `LabelledClips` or uint8 `(M, T, H, W, C)`,
            M at least 100. None takes the world's test clips.
        asked: what the clips should show: states as the world gives them, captions, or `LabelledClips`; None where nothing was
            asked. A list of `Clip` that all have captions asks for these.
        context_frames: None for clips of the model's own. Else clip i predicts clip i of `reference`, whose first so many
            frames the model was given; all others are compared.
        cost: dict of "parameters", "training_minutes", "clips_per_second" and "peak_memory_mb", or some of them, for the table.
        name: of the clips, for the heading and the picture.

    Returns:
        `Report`.

    Raises:
        CourseError: fewer than 100 clips, NaN, values outside the range, another shape than the world's, an unknown world,
            unusable captions or states, or a judge that hasn't been trained.
    """
    frames, captions = _checked(clips, "clips")
    if context_frames is not None:
        _check_prediction(frames, reference, context_frames)
    yardstick = _yardstick_of(world, reference, frames.shape)
    asked = _asked(captions if asked is None else asked, world, len(frames))
    made = _alone(frames) | _held_against(frames[:, : yardstick.frames.shape[1]], world, yardstick, asked)
    real, rebuilt, horizons = yardstick.real, yardstick.rebuilt, {}
    if context_frames is not None:
        horizons, ahead, true = _ahead(frames, reference, yardstick.frames, context_frames)
        made, real = made | ahead, real | true
    made |= {key: (value, None) for key, value in (cost or {}).items()}
    rows = [
        {
            "measure": key,
            "clips": made[key][0],
            "real": real.get(key, (None,))[0],
            "rebuilt": rebuilt.get(key, (None,))[0],
            "n": made[key][1],
            "best": MEASURES[key.removesuffix("_outside")].best,
        }
        for key in sorted(made, key=_place)
    ]
    return Report(name, world, len(frames), rows, _picture(name, frames, yardstick), horizons, _note(world, yardstick))


def obeyed(clips, world, asked):
    """Whether clips show what was asked: this part of the exam alone, which takes seconds.

    Args:
        clips: N at least 100, as for `examine`.
        world: "shapes" or "digits".
        asked: states, captions or `LabelledClips`, as for `examine`.

    Returns:
        dict of bool arrays `(N,)`: "asked_jointly" and the other measures of `MEASURES` that begin so.

    Raises:
        CourseError: fewer than 100 clips or unusable ones, another world, unusable captions or states.
    """
    frames, _ = _checked(clips, "clips")
    asked = _asked(asked, world, len(frames))
    if asked is None:
        raise CourseError(f"Clips of shapes and digits can be asked for, not of {world!r}.")
    looks = _content(frames, world) if world == "digits" else {}  # shapes are told without a judge
    tracks = physics.track(frames)
    return _right(tracks, looks, asked, world)


def _place(measure):
    """Where a measure stands in the table."""
    return list(MEASURES).index(measure.removesuffix("_outside")), measure


def _note(world, yardstick):
    if world is None:
        return "Without a world to compare with, only the clips themselves are measured: frames, flicker and whether they move."
    if world not in WORLDS:
        return f"There are no judges of {world}: its clips are measured frame by frame, in time and for copies only."
    if not WORLDS[world].tracked:
        return f"The world {world} has no laws of motion and no judge of them: only its frames' content is judged, and copies."
    missing = WORLDS[world].rebuilder
    return "" if yardstick.rebuilt else f"Nothing is rebuilt, because the zoo has no {missing} yet."


def _picture(name, frames, yardstick):
    return compare({name: frames[:8]} | ({"real": yardstick.frames[:8]} if len(yardstick.frames) else {}))


def _checked(clips, what):
    """uint8 frames `(N, T, H, W, C)`, and the captions where every clip has one, else None."""
    captions = None
    if isinstance(clips, LabelledClips):
        clips = clips.frames
    elif isinstance(clips, (list, tuple)) and clips and all(isinstance(clip, Clip) for clip in clips):
        captions = [clip.caption for clip in clips] if all(clip.caption for clip in clips) else None
        sizes = {clip.frames.shape for clip in clips}
        if len(sizes) > 1:
            raise CourseError(f"The exam takes {what} of one length and size, got {sorted(sizes)}.")
        clips = [clip.frames for clip in clips]
    frames = np.asarray(clips)
    if frames.ndim != 5 or 0 in frames.shape or frames.shape[-1] not in (1, 3):
        raise CourseError(f"The exam takes {what} (n, time, height, width, 1 or 3 channels), got {frames.shape}.")
    if len(frames) < FEWEST:
        raise CourseError(f"At least {FEWEST} {what} are needed to tell how they are distributed, got {len(frames)}.")
    if frames.dtype == np.uint8:
        if 0 < frames.max() <= 1:
            raise CourseError(f"All pixels of these {what} are 0 or 1, but uint8 pixels go from 0 to 255: multiply them by 255.")
        return frames, captions
    if frames.dtype.kind != "f":
        raise CourseError(f"The exam takes {what} as uint8 from 0 to 255 or as floats from -1 to 1, got {frames.dtype}.")
    return _from_floats(frames, what), captions


def _from_floats(frames, what):
    low, high = frames.min(), frames.max()
    if not np.isfinite(low + high):
        bad = sum(int(np.sum(~np.isfinite(clip).all())) for clip in frames)
        raise CourseError(f"{bad} of these {len(frames)} {what} hold NaN or infinite values: has the model diverged?")
    if low < -1.001 or high > 1.001:
        raise CourseError(
            f"Pixels as floats go from -1 to 1, but these {what} go from {low:.3g} to {high:.3g}: scale or clip them."
        )
    if low >= 0:
        raise CourseError(f"No pixel of these {what} is below 0, as if black were 0: floats go from -1 to 1, so give 2 * x - 1.")
    return np.concatenate([to_uint8(frames[i : i + BLOCK]) for i in range(0, len(frames), BLOCK)])


def _check_prediction(frames, reference, context_frames):
    if not (isinstance(context_frames, int) and 0 < context_frames < frames.shape[1]):
        raise CourseError(f"context_frames must be a whole number from 1 to {frames.shape[1] - 1}, got {context_frames!r}.")
    if reference is None or len(reference) != len(frames):
        count = len(frames)
        raise CourseError(f"{count} predictions are compared with the {count} clips that they continue: give these as reference.")


def _asked(asked, world, count):
    """States of what the clips should show, or None."""
    if asked is None or world not in WORLDS or not WORLDS[world].tracked:
        return None
    maker = shapes if world == "shapes" else digits
    keys = ("objects", "color", "shape", "large", "motion") if world == "shapes" else ("digit", "motion")
    states = asked.states if isinstance(asked, LabelledClips) else asked
    states = states if isinstance(states, dict) else maker.from_captions(states)
    if not states.keys() >= set(keys) or any(len(states[key]) != count for key in keys):
        raise CourseError(f"What was asked needs the states {', '.join(keys)}, or a caption, for each of the {count} clips.")
    return {key: np.asarray(states[key]) for key in keys}


@dataclasses.dataclass(frozen=True, eq=False)
class _Yardstick:
    """Real clips that no model was trained on, and what is measured of them; none of a world that isn't known."""

    frames: np.ndarray
    looks: dict  # what the judges see, see `_looks`
    distance: np.ndarray | None  # of each to the nearest training clip
    real: dict  # measure -> (value, n)
    rebuilt: dict


def _yardstick_of(world, reference, shape):
    """The yardstick for clips of a shape."""
    if world is not None and world not in WORLDS and world not in datasets.DATASETS:
        known = ", ".join(dict.fromkeys([*WORLDS, *datasets.DATASETS]))
        raise CourseError(f"There is no world {world!r} with an exam; there are {known}, or None for other clips.")
    if reference is not None:
        frames, _ = _checked(reference, "reference clips")
        labelled = isinstance(reference, LabelledClips) and "motion" in reference.states
        states = reference.states if labelled else None
    elif world is None:
        return _Yardstick(np.empty((0, *shape[1:]), np.uint8), {}, None, {}, {})
    else:
        frames, states = _real(world, "test")
    expected = shape[1:] if len(frames) == 0 else frames.shape[1:]
    if shape[2:] != expected[1:] or expected[0] not in (1, shape[1]):
        raise CourseError(f"Clips of {world or 'the reference'} are {expected} (time, height, width, channels), got {shape[1:]}.")
    return _standard_yardstick(world, shape[0]) if reference is None else _yardstick(world, frames, states, shape[0])


@functools.lru_cache(maxsize=2)
def _standard_yardstick(world, count):
    return _yardstick(world, *_real(world, "test"), count)


def _real(world, split):
    """Real clips of a world, and their states."""
    if world == "scans":
        return digits.stills(split)[0][:, None], None
    clips = datasets.load(world, split)
    return clips.frames, clips.states


def _yardstick(world, frames, states, count):
    """Measures real clips; as many training clips as are examined, or all, give the distances that these are held against."""
    real = _alone(frames)
    if world is None:
        return _Yardstick(frames, {}, None, real, {})
    training, _ = _real(world, "train")
    looks, distance, asked = _looks(frames, world), nearest_clip(frames, training)[1], _asked(states, world, len(frames))
    real |= _distribution(_looks(training[:count], world), looks)
    real |= _copying(distance, distance) | _paths(frames, world, looks, asked)
    rebuilt = {}
    if world in WORLDS and WORLDS[world].rebuilder in zoo.manifest():
        again = _rebuilt(frames[:count], WORLDS[world].rebuilder)
        asked = asked and {key: value[:count] for key, value in asked.items()}
        read = _content(again[:, ::4], world) if world == "digits" else {}  # shapes are told without a judge
        rebuilt = _alone(again) | _paths(again, world, read, asked)
    return _Yardstick(frames, looks, distance, real, rebuilt)


def _rebuilt(frames, name):
    """Clips, each frame encoded and decoded again."""
    from .models.vae import decode, encode

    model = _loaded(name)
    return np.concatenate([decode(model, encode(model, block)[0]) for block in _blocks(frames, "rebuilding")])


@functools.lru_cache(maxsize=8)
def _loaded(name):
    return zoo.load(name)


def _blocks(clips, label):
    """Clips, some at a time, with a bar where that takes long and somebody may be looking."""
    for first in progress(range(0, len(clips), BLOCK), label=label, unit="block", delay=2):
        yield clips[first : first + BLOCK]


def _alone(frames):
    """What can be measured of clips of any world."""
    still = frames.shape[1] == 1
    blocks = [
        (sharpness(block).mean(axis=1), [] if still else frozen(block), [] if still else [flicker(clip) for clip in block])
        for block in _blocks(frames, "frames")
    ]
    names = ("sharpness",) if still else ("sharpness", "frozen", "flicker")
    found = {name: (float(np.mean(np.concatenate(values))), len(frames)) for name, values in zip(names, zip(*blocks))}
    if still:
        return found
    errors = [warping_error(clip, *_flows(clip)) for block in _blocks(frames[:WARPED], "flow") for clip in block]
    return found | {"warping_error": (float(np.mean(errors)), len(errors))}


def _flows(clip):
    """The flows there and back, estimated: quickly, as all of these worlds move by few px."""
    return estimated_flow(clip, warps=3), estimated_flow(clip[::-1], warps=3)[::-1]


def _held_against(frames, world, yardstick, asked):
    """What can be measured of clips by real ones and by their world."""
    if world is None:
        return {}
    training, _ = _real(world, "train")
    distance = nearest_clip(frames, training)[1]
    looks = _looks(frames, world)
    found = _copying(distance, yardstick.distance) | _paths(frames, world, looks, asked)
    return found | _distribution(looks, yardstick.looks)


def _copying(distance, real_distance):
    near = np.quantile(real_distance, 0.01)
    ratio = np.median(distance) / max(np.median(real_distance), 1e-9)
    return {"copy_ratio": (float(ratio), len(distance)), "copies": (float(np.mean(distance < near)), len(distance))}


def _looks(frames, world):
    """How clips look to the judges: what `_content` gives, and under "motion", float `(N, D)`, what the judge of motion sees."""
    from .models.judge import judged

    looks = _content(frames, world)
    if world in WORLDS and WORLDS[world].motion:
        judge = _loaded(WORLDS[world].motion)
        looks["motion"] = np.concatenate([judged(judge, block)["features"] for block in _blocks(frames, "motion")])
    return looks


def _content(frames, world):
    """What a judge sees in the frames of clips: dict of "content", float `(N, D)`, its features averaged over the clip, so that
    the frames' order makes no difference; and "digit", the class probabilities averaged over the clip."""
    from .models.judge import judged

    if world not in WORLDS:
        return {}
    found = {}
    for block in _blocks(frames, "content"):
        said = judged(_loaded(WORLDS[world].content), block.reshape(-1, *block.shape[2:]))
        for key, name in {"features": "content", "digit": "digit"}.items():
            if key in said:
                found.setdefault(name, []).append(said[key].reshape(*block.shape[:2], -1).mean(axis=1))
    return {name: np.concatenate(values) for name, values in found.items()}


def _distribution(looks, real_looks):
    """How far clips are distributed from real ones, by what the judges see."""
    kinds = [kind for kind in ("content", "motion") if kind in looks]
    if not kinds:
        return {}
    count = len(looks["content"])
    found = {f"{kind}_distance": (frechet_distance(looks[kind], real_looks[kind]), count) for kind in kinds}
    both = [np.concatenate([side[kind] for kind in kinds], axis=1) for side in (real_looks, looks)]
    return found | {name: (value, count) for name, value in zip(("precision", "recall"), precision_recall(*both))}


def _paths(frames, world, looks, asked):
    """What the objects of clips do, by the laws of their world and by what was asked."""
    if world not in WORLDS or not WORLDS[world].tracked:
        return {}
    tracks = physics.track(frames)
    present = tracks.color >= 0
    found = {
        "objects": (float(present.sum(axis=1).mean()), len(frames)),
        "kept_count": (float(physics.kept_count(tracks).mean()), len(frames)),
    }
    if world == "digits":
        laws = physics.laws_of_digits(tracks)
    else:
        motion = None if asked is None else _carried(asked["motion"], _own(tracks, asked), present.shape)
        laws = physics.laws_of_shapes(tracks, motion)
    right = {} if asked is None else _right(tracks, looks, asked, world)
    found |= {name: (float(np.mean(value)), len(value)) for name, value in right.items()}
    return found | _kept_laws(laws, present)


def _kept_laws(laws, present):
    """The mean of each law's error over objects inside the training range, and over those outside; a share counts 1 at most."""
    found = {"in_range": (float(laws["in_range"][present].mean()), int(present.sum()))} if present.any() else {}
    for name in [name for name in LAWS if name in laws]:
        value = laws[name] if name.endswith("residual") else np.minimum(laws[name], 1)
        inside = np.ones_like(present) if name == "speed_error" else laws["in_range"]  # a wrong speed is never inside
        for suffix, where in {"": inside, "_outside": ~inside}.items():
            chosen = value[present & where & np.isfinite(value)]
            if len(chosen):
                found[name + suffix] = (float(chosen.mean()), len(chosen))
    return found


def _right(tracks, looks, asked, world):
    """Whether each clip shows what was asked, bool `(N,)` for each thing and for all of them."""
    right = _right_digits(tracks, looks, asked) if world == "digits" else _right_shapes(tracks, _own(tracks, asked), asked)
    return right | {"asked_jointly": np.all(list(right.values()), axis=0)}


def _right_digits(tracks, looks, asked):
    """Whether each clip shows what was asked, bool `(N,)` for each thing."""
    digit = looks["digit"].argmax(axis=1) == asked["digit"].reshape(len(asked["digit"]), -1)[:, 0]
    return {"asked_digit": digit, "asked_motion": physics.motion_of_digits(tracks) == asked["motion"]}


def _own(tracks, asked):
    """Which tracked object has the colour of each object asked for, int `(N, 2)`, -1 where none has."""
    same = (tracks.color[:, None] == asked["color"][:, :, None]) & (asked["color"] >= 0)[:, :, None]  # (N, asked, tracked)
    return np.where(same.any(axis=2), same.argmax(axis=2), -1)


def _carried(asked_motion, own, shape):
    """The motion asked for, in the order of the tracked objects; -1 for those that nobody asked for."""
    motion = np.full(shape, -1)
    clip, k = np.nonzero(own >= 0)
    motion[clip, own[clip, k]] = asked_motion[clip, k]
    return motion


def _right_shapes(tracks, own, asked):
    """Whether each clip shows what was asked, bool `(N,)` for each thing; of shape, size and motion, for the right colours."""
    wanted = asked["color"] >= 0
    index = np.maximum(own, 0)
    shape = np.take_along_axis(tracks.shape, index, axis=1)
    large = np.take_along_axis(tracks.radius, index, axis=1) * np.sqrt(np.pi / shapes.AREA[shape]) > np.mean(
        [*shapes.SIZES.values()]
    )
    motion = np.take_along_axis(physics.motion_of_shapes(tracks), index, axis=1)
    found = {
        "asked_shape": shape == asked["shape"],
        "asked_size": large == asked["large"],
        "asked_motion": motion == asked["motion"],
    }
    right = {"asked_color": (np.sort(asked["color"], axis=1) == np.sort(tracks.color, axis=1)).all(axis=1)}
    return right | {name: (~wanted | ((own >= 0) & value)).all(axis=1) for name, value in found.items()}


def _ahead(frames, reference, truth, context_frames):
    """Predictions against the true future: the values for each frame, and measures of the predictions and of the truth."""
    pairs = list(zip(*(_blocks(clips[:, context_frames:], "future") for clips in (truth, frames))))
    values = {
        "psnr_db": np.concatenate([np.minimum(psnr(*pair), BEST_PSNR) for pair in pairs]),
        "ssim": np.concatenate([ssim(*pair) for pair in pairs]),
    }
    horizons = {name: value.mean(axis=0) for name, value in values.items()}
    made, true = {name: (float(value.mean()), len(frames)) for name, value in values.items()}, {}
    if isinstance(reference, LabelledClips) and reference.world in (shapes, digits):
        flows = _exact_flows(reference[:WARPED], context_frames - 1)
        for found, clips in ((made, frames), (true, truth)):
            errors = [warping_error(clip[context_frames - 1 :], *flow) for clip, *flow in zip(clips, *flows)]
            found["warping_error_exact"] = (float(np.mean(errors)), len(errors))
    return horizons, made, true


def _exact_flows(clips, first):
    """Exact flows from frame `first` on, to the next frame and back from it, each `(N, T-1, H, W, 2)`."""
    times = clips.frames.shape[1]
    reversed_states = {key: value[:, ::-1] if value.shape[1:2] == (times,) else value for key, value in clips.states.items()}
    back = dataclasses.replace(clips, frames=clips.frames[:, ::-1], states=reversed_states).optical_flow()[:, ::-1]
    return clips.optical_flow()[:, first:], back[:, first:]


def scoreboard(rows):
    """Prints results as a table with one row a model.

    Args:
        rows: list of dicts with the same keys in the same order, "model" first; numbers are shown with three digits, None as a
            dash.

    Raises:
        CourseError: no rows, or rows with different keys.
    """
    if not rows or any(list(row) != list(rows[0]) for row in rows):
        raise CourseError("A scoreboard needs at least one row, and the same keys in the same order in each.")
    cells = [list(rows[0])] + [[_cell(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        first, *rest = (
            cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join([first, *rest]).rstrip())


def _cell(value):
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
