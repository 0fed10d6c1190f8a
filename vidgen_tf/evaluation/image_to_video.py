"""Picture and sketch to video: is the picture kept, is the prompt followed, are the lines where they were drawn."""

import json
from pathlib import Path

import numpy as np

from .. import zoo
from ..datasets import load
from ..metrics.edges import boundary_f_score
from ..metrics.image import psnr
from ..models.optical_flow import warp
from ..pipelines.image_to_video import (
    NUM_FRAMES,
    animate_picture,
    colorize,
    face_parameters,
    fill_between,
    image_to_video,
    read_parameters,
    sample_layouts,
    state_labels,
)
from ..pipelines.pictures import draw_strokes, find_lines
from ..video import to_float
from ..worlds import faces, sketches
from .features import load_cached, predict_probabilities
from .motion import FRAME, estimate_pair_flow
from .video_gan import identity_kept, most_frequent, read_contents, read_frames, read_motions

DRAWINGS = Path(__file__).with_name("drawings.json")  # twenty faces, drawn as paths of a pen: no model learned from them
SKETCH_SEED = 5  # of the hand that shakes
TOLERANCES = (1, 2)  # px, of lines
NUM_DRAWS = 8  # motions whose mean is shown where errors count
NUM_INTERPOLATED = 100  # clips that are interpolated along their flow, which takes long


def shrink(frames):
    """Frames as the classifier of faces reads them, half as large.

    Args:
        frames: uint8 `(..., 64, 64, C)`.

    Returns:
        uint8 `(..., 32, 32, C)`.
    """
    small = sketches.color_layout(frames.reshape(-1, *frames.shape[-3:]), frames.shape[-2] // 2)
    return small.reshape(*frames.shape[:-3], *small.shape[1:])


def read_faces(frames):
    """What a classifier sees in clips of faces.

    Args:
        frames: uint8 `(N, T, 64, 64, C)`.

    Returns:
        int `(N,)`, numbers of `faces.EXPRESSIONS`; and int `(N, T, A)`, the traits of each frame, see `read_contents`.
    """
    small = shrink(frames)
    seen = read_frames(small, "faces")
    return read_motions(small, seen, "faces"), read_contents(seen, "faces")


def evaluate_animator(model, record):
    """An animator on the test people, by the parameters of their own clips, and by those that it reads from their frames.

    Args:
        model: trained `Animator`.
        record: dict with "dataset", its record.

    Returns:
        dict of float: "psnr_db" of frame 8, "psnr_db_static" of the first frame instead; "motion_accuracy", the share of clips
        whose expression a classifier reads as it is, "motion_accuracy_read" by read parameters, and "motion_accuracy_real" of the
        real clips; "identity_kept", the share of frames with the traits of the first; "parameter_error", root mean square.
    """
    clips = load(record["dataset"]["name"], "test")
    parameters, asked = face_parameters(clips.states), clips.states["expression"]
    flat = clips.frames.reshape(-1, *clips.frames.shape[2:])
    read = read_parameters(model, flat).reshape(parameters.shape)
    made = {"": parameters, "_read": read}
    made = {name: animate_picture(model, clips.frames[:, 0], curves[:, 0], curves) for name, curves in made.items()}
    seen = {name: read_faces(frames) for name, frames in (made | {"_real": clips.frames}).items()}
    scores = {f"motion_accuracy{name}": float((expression == asked).mean()) for name, (expression, _) in seen.items()}
    return scores | {
        "psnr_db": float(psnr(clips.frames[:, FRAME], made[""][:, FRAME]).mean()),
        "psnr_db_static": float(psnr(clips.frames[:, FRAME], clips.frames[:, 0]).mean()),
        "identity_kept": float(identity_kept(seen[""][1]).mean()),
        "parameter_error": float(np.sqrt(np.mean((read - parameters) ** 2))),
    }


def ask_expressions(count, seed):
    """An expression for each picture, all equally often.

    Args:
        count: int.
        seed: non-negative int.

    Returns:
        int `(count,)`, numbers of `faces.EXPRESSIONS`.
    """
    return np.random.default_rng(seed).permutation(np.arange(count) % len(faces.EXPRESSIONS))


def prompt_adherence(frames, pictures, asked):
    """Whether clips show the expression that was asked for, on the person of the picture.

    Args:
        frames: uint8 `(N, T, 64, 64, C)`.
        pictures: uint8 `(N, 64, 64, C)`.
        asked: int `(N,)`, numbers of `faces.EXPRESSIONS`.

    Returns:
        dict of bool `(N,)`: "motion", "picture" (the traits that most frames show are those of the picture), and "both".
    """
    expression, traits = read_faces(frames)
    motion = expression == asked
    kept = (most_frequent(traits) == read_faces(pictures[:, None])[1][:, 0]).all(axis=-1)
    return {"motion": motion, "picture": kept, "both": motion & kept}


def interpolate_along_flow(first, last, num_frames=NUM_FRAMES):
    """Frames between two pictures by optical flow (TV-L1): both moved along it, and blended.

    Args:
        first, last: uint8 `(N, H, W, C)`.
        num_frames: int.

    Returns:
        uint8 `(N, num_frames, H, W, C)`.
    """
    pairs = np.stack([first, last], axis=1)
    forward, backward = estimate_pair_flow(pairs), estimate_pair_flow(pairs[:, ::-1])
    frames = []
    for share in np.linspace(0, 1, num_frames, dtype=np.float32):
        # backward warping: a pixel of the frame between comes from where it was, a share of the way against the flow
        from_first = np.asarray(warp(np.float32(first), share * backward))
        from_last = np.asarray(warp(np.float32(last), (1 - share) * forward))
        frames.append((1 - share) * from_first + share * from_last)
    return np.rint(np.stack(frames, axis=1)).astype(np.uint8)


def blend(first, last, num_frames=NUM_FRAMES):
    """Frames between two pictures by linear blending.

    Args:
        first, last: uint8 `(N, H, W, C)`.
        num_frames: int.

    Returns:
        uint8 `(N, num_frames, H, W, C)`.
    """
    share = np.linspace(0, 1, num_frames, dtype=np.float32)[:, None, None, None]
    return np.rint((1 - share) * first[:, None] + share * last[:, None]).astype(np.uint8)


def evaluate_image_to_video(model, record):
    """A model of motion with its animator, on people in no training.

    Args:
        model: trained `ConditionalDiffusion`.
        record: dict with "dataset" and "uses", its record.

    Returns:
        dict of float: "motion_accuracy", "picture_kept" and "joint_accuracy" of clips of each test person with one expression
        each, see `prompt_adherence`; "motion_amount", the mean change from frame to frame as a share of the real clips';
        and the PSNR of
        the frames between a clip's first and last one, "between_psnr_db", of blending and of interpolation along the flow.
    """
    clips, animator = load(record["dataset"]["name"], "test"), zoo.load(record["uses"]["animator"])
    pictures, asked = clips.frames[:, 0], ask_expressions(len(clips), seed=6)
    labels = state_labels(clips.states | {"expression": asked}, ("expression",))
    generated = image_to_video(animator, model, pictures, labels, seed=7)
    scores = {name: float(value.mean()) for name, value in prompt_adherence(generated, pictures, asked).items()}
    own = state_labels(clips.states, ("expression",))
    same = image_to_video(animator, model, pictures, own, seed=8)
    change = [np.abs(np.diff(frames.astype(np.float32), axis=1)).mean() for frames in (same, clips.frames)]
    few = clips[:NUM_INTERPOLATED]
    first, last = few.frames[:, 0], few.frames[:, -1]
    between = {
        "between_psnr_db": fill_between(animator, model, first, last, own[: len(few)], seed=9, num_samples=NUM_DRAWS),
        "between_psnr_db_blending": blend(first, last),
        "between_psnr_db_flow": interpolate_along_flow(first, last),
    }
    return {
        "motion_accuracy": scores["motion"],
        "picture_kept": scores["picture"],
        "joint_accuracy": scores["both"],
        "motion_amount": float(change[0] / change[1]),
    } | {name: float(between_psnr(few.frames, frames).mean()) for name, frames in between.items()}


def between_psnr(real, made):
    """PSNR of the frames between the first and the last.

    Args:
        real, made: uint8 `(N, T, H, W, C)`.

    Returns:
        float `(N,)`, dB, the mean over a clip's frames.
    """
    inner = [frames[:, 1:-1].reshape(-1, *frames.shape[2:]) for frames in (real, made)]
    return psnr(*inner).reshape(len(real), -1).mean(axis=1)


def evaluate_colorizer(model, record):
    """Colouring of rough sketches of test people, by the colours of their pictures.

    Args:
        model: trained `Colorizer`.
        record: dict with "dataset", its record.

    Returns:
        dict of float: "psnr_db", and that of the colours alone, enlarged without a sketch, "psnr_db_layout".
    """
    pictures = load(record["dataset"]["name"], "test").frames[:, 0]
    lines = sketches.roughen(sketches.draw_sketches(pictures), SKETCH_SEED)
    layouts = sketches.color_layout(pictures)
    enlarged = layouts.repeat(pictures.shape[1] // layouts.shape[1], axis=1).repeat(pictures.shape[2] // layouts.shape[2], axis=2)
    colored = colorize(model, lines, to_float(layouts))
    return {"psnr_db": float(psnr(pictures, colored).mean()), "psnr_db_layout": float(psnr(pictures, enlarged).mean())}


def line_scores(pictures, wanted):
    """How well the edges of pictures follow sketches, and, for comparison, the sketches of other people.

    Args:
        pictures: uint8 `(N, H, W, C)`.
        wanted: bool `(N, H, W)`, the sketches.

    Returns:
        dict of float `(N,)`: "edge_f_score_1px" and "..._2px", and the same with "_other".
    """
    drawn, other = sketches.draw_sketches(pictures), np.roll(wanted, 1, axis=0)
    scores = {}
    for tolerance in TOLERANCES:
        scores[f"edge_f_score_{tolerance}px"] = boundary_f_score(drawn, wanted, tolerance)
        scores[f"edge_f_score_{tolerance}px_other"] = boundary_f_score(drawn, other, tolerance)
    return scores


def load_drawings():
    """Twenty drawings of faces that come from no edge detector.

    Returns:
        bool `(20, 64, 64)`, True on a line.
    """
    return np.stack([find_lines(draw_strokes(strokes)) for strokes in json.loads(DRAWINGS.read_text())])


def evaluate_sketch_to_video(model, record):
    """Rough sketches of test people and the words of their captions, coloured and animated.

    Args:
        model: trained `ConditionalDiffusion` of colour layouts.
        record: dict with "dataset" and "uses", its record.

    Returns:
        dict of float: the line scores of the first frames, see `line_scores`, and under "drawings_..." those of twenty drawings
        that come from no edge detector; "color_accuracy", whether hair is of the colour
        asked for, where there is hair; "motion_accuracy", whether the clip's expression is.
    """
    clips = load(record["dataset"]["name"], "test")
    animator, motion_model, colorizer = (zoo.load(record["uses"][role]) for role in ("animator", "motion_model", "colorizer"))
    lines = sketches.roughen(sketches.draw_sketches(clips.frames[:, 0]), SKETCH_SEED)
    labels = state_labels(clips.states)
    pictures = colorize(colorizer, lines, sample_layouts(model, lines, labels, seed=10))
    made = image_to_video(animator, motion_model, pictures, state_labels(clips.states, ("expression",)), seed=11)
    hair = predict_probabilities(load_cached("classifier-faces"), shrink(pictures))["hair_colour"].argmax(axis=1)
    has_hair = clips.states["hair_style"] != faces.HAIR_STYLES.index("bald")
    scores = {name: float(value.mean()) for name, value in line_scores(pictures, lines).items()}
    drawings = load_drawings()
    nothing_said = np.zeros((len(drawings), labels.shape[1]), np.int32)
    pictures = colorize(colorizer, drawings, sample_layouts(model, drawings, nothing_said, seed=12))
    scores |= {f"drawings_{name}": float(value.mean()) for name, value in line_scores(pictures, drawings).items()}
    return scores | {
        "color_accuracy": float((hair == clips.states["hair_colour"])[has_hair].mean()),
        "motion_accuracy": float((read_faces(made)[0] == clips.states["expression"]).mean()),
    }
