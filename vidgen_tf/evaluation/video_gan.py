"""What a video GAN keeps and what it changes: identity through a clip, the motion asked for, and codes that are swapped."""

import numpy as np

from ..datasets import load
from ..metrics.distribution import frechet_distance
from ..pipelines.video_gan import balanced_kinds, generate_clips
from ..worlds import faces
from .copies import TrainingClips
from .features import clip_features, load_cached, predict_probabilities
from .protocol import evaluate
from .spec import SPECS

NUM_CLIPS = 500
NUM_SWAPPED = 250
DISTANCES = ("frame_frechet_distance", "video_frechet_distance")
TRAITS = ("skin", "hair_style", "beard", "glasses")  # of a face, that a clip can't change; a bald head's hair has no colour


def read_frames(frames, dataset):
    """What the frame classifier sees in each frame.

    Args:
        frames: uint8 `(N, T, H, W, C)`.
        dataset: str, "digits" or "faces".

    Returns:
        dict from each of its outputs to int `(N, T)`.
    """
    outputs = predict_probabilities(load_cached(SPECS[dataset].frame_classifier), frames.reshape(-1, *frames.shape[2:]))
    return {name: value.argmax(axis=1).reshape(frames.shape[:2]) for name, value in outputs.items() if name != "features"}


def read_contents(seen, dataset):
    """What a clip should keep, in each frame.

    Args:
        seen: dict of `read_frames`.
        dataset: str, "digits" or "faces".

    Returns:
        int `(N, T, A)`: of digits the digit; of faces each of `TRAITS`.
    """
    return np.stack([seen[name] for name in (("digit",) if dataset == "digits" else TRAITS)], axis=-1)


def read_motions(frames, seen, dataset):
    """The kind of motion that classifiers see in clips.

    Args:
        frames: uint8 `(N, T, H, W, C)`.
        seen: dict of `read_frames`.
        dataset: str, "digits", whose clips a classifier reads as a whole; or "faces", whose frames one reads one by one: eyes
            that are shut make a blink, a mouth that opens and shuts makes talk, and what is seen last a smile or surprise.

    Returns:
        int `(N,)`, a number of `digits.MOTIONS` or of `faces.EXPRESSIONS`.
    """
    if dataset == "digits":
        return predict_probabilities(load_cached(SPECS[dataset].video_classifier), frames)["motion"].argmax(axis=1)
    cases = {
        "blink": seen["eyes_shut"].any(axis=1),
        "talk": np.abs(np.diff(seen["mouth_open"], axis=1)).sum(axis=1) > 1,
        "smile": seen["smile"][:, -1],
        "surprise": seen["mouth_open"][:, -1],
    }
    numbers = [faces.EXPRESSIONS.index(name) for name in cases]
    return np.select([np.asarray(case, bool) for case in cases.values()], numbers, faces.EXPRESSIONS.index("neutral"))


def identity_kept(contents):
    """The share of a clip's frames that show what its first frame shows, in all that a clip should keep.

    Args:
        contents: int `(N, T, A)`, see `read_contents`.

    Returns:
        float `(N,)` in [0, 1]; 1 for a clip that stays the same.
    """
    return (contents == contents[:, :1]).all(axis=-1).mean(axis=1)


def mean_speeds(frames):
    """How far the centre of the light moves from frame to frame.

    Args:
        frames: uint8 `(N, T, H, W, C)`, on black ground.

    Returns:
        float `(N,)`, px per frame, the mean over a clip.
    """
    light = np.asarray(frames, np.float64).sum(axis=-1)  # (N, T, H, W)
    total = np.maximum(light.sum(axis=(2, 3)), 1e-9)
    y = (light.sum(axis=3) * np.arange(light.shape[2])).sum(axis=2) / total
    x = (light.sum(axis=2) * np.arange(light.shape[3])).sum(axis=2) / total
    return np.hypot(np.diff(x, axis=1), np.diff(y, axis=1)).mean(axis=1)


def swap_contents(model, dataset, count, seed):
    """Whether motion codes of one clip and content codes of another make a clip with that motion and that content.

    Args:
        model: `VideoGAN` or `VideoGenerator`.
        dataset: str, "digits" or "faces".
        count: int, how many pairs, with unequal kinds of content where there are kinds.
        seed: non-negative int.

    Returns:
        dict of bool `(count,)`: "content_swapped", whether it shows what the other clip shows, and not what its own did;
        "motion_kept", whether it moves as asked; "swap_accuracy", both.
    """
    config, rng = model.config, np.random.default_rng(seed)
    own = balanced_kinds(config, count)
    other = own.copy()
    if config.num_contents > 1:
        other[:, 1] = (own[:, 1] + rng.integers(1, config.num_contents, count)) % config.num_contents
    content = rng.standard_normal((2, count, config.content_dim))
    noise = rng.standard_normal((count, config.noise_dim))
    clips = [generate_clips(model, kinds, seed, part, noise) for kinds, part in ((own, content[0]), (other, content[1]))]
    unmoved = generate_clips(model, np.stack([rng.permutation(own[:, 0]), other[:, 1]], axis=1), seed + 1, content[1])
    seen = [read_frames(frames, dataset) for frames in (*clips, unmoved)]
    before, swapped, target = (most_frequent(read_contents(each, dataset)) for each in seen)
    content_swapped = (swapped == target).all(axis=-1) & (swapped != before).any(axis=-1)
    motion_kept = read_motions(clips[1], seen[1], dataset) == own[:, 0]
    return {"content_swapped": content_swapped, "motion_kept": motion_kept, "swap_accuracy": content_swapped & motion_kept}


def most_frequent(contents):
    """What most frames of a clip show.

    Args:
        contents: int `(N, T, A)`.

    Returns:
        int `(N, A)`; of equally frequent ones the smallest.
    """
    return (contents[..., None] == np.arange(contents.max() + 1)).sum(axis=1).argmax(axis=-1)


def measure_clips(frames, kinds, dataset):
    """What is measured of each clip alone, without a reference.

    Args:
        frames: uint8 `(N, T, H, W, C)`.
        kinds: int `(N, 2)`, what was asked for.
        dataset: str, "digits" or "faces".

    Returns:
        dict of float `(N,)`: "identity_kept"; "motion_accuracy"; of digits "digit_accuracy" of the first frame and "speed"; of
        faces "speed", the mean change of a pixel from frame to frame.
    """
    seen = read_frames(frames, dataset)
    contents, motions = read_contents(seen, dataset), read_motions(frames, seen, dataset)
    found = {"identity_kept": identity_kept(contents), "motion_accuracy": 1.0 * (motions == kinds[:, 0])}
    if dataset == "digits":
        return found | {"digit_accuracy": 1.0 * (contents[:, 0, 0] == kinds[:, 1]), "speed": mean_speeds(frames)}
    return found | {"speed": np.abs(np.diff(frames.astype(np.float32), axis=1)).mean(axis=(1, 2, 3, 4))}


def control_scores(model, dataset, count=NUM_CLIPS, reference_count=None):
    """What is compared between controls: `evaluate_video_gan` without the search for copies, which takes a minute.

    Args:
        model: `VideoGAN` or `VideoGenerator`.
        dataset: str, "digits" or "faces".
        count: int, of clips.
        reference_count: int, of test clips that they are compared with; None for all.

    Returns:
        dict of float: Fréchet distances to test clips, and what `measure_clips` measures.
    """
    kinds = balanced_kinds(model.config, count)
    frames = generate_clips(model, kinds, seed=1)
    features, real = (clip_features(clips, dataset) for clips in (frames, load(dataset, "test", reference_count).frames))
    scores = {f"{name}_frechet_distance": frechet_distance(features[name], real[name]) for name in features if name != "digit"}
    return scores | {name: float(values.mean()) for name, values in measure_clips(frames, kinds, dataset).items()}


def evaluate_video_gan(model, record):
    """Distribution, motion, identity and memorisation of 500 clips, and 250 swaps of content.

    Args:
        model: trained `VideoGenerator`.
        record: dict with "reference" and what `TrainingClips.of` reads, its record.

    Returns:
        dict of float: Fréchet distances and, under "X_real", those between real sets; "memorized_share"; what `measure_clips`
        measures, with "identity_kept_real" and "speed_real" of test clips; and what `swap_contents` finds.
    """
    dataset = record["reference"]
    kinds = balanced_kinds(model.config, NUM_CLIPS)
    frames = generate_clips(model, kinds, seed=1)
    report = evaluate(frames, dataset, training=TrainingClips.of(record))
    scores = {name: report.scores[name] for name in (*DISTANCES, "memorized_share") if name in report.scores}
    scores |= {f"{name}_real": report.real[name] for name in DISTANCES if name in scores}
    scores |= {name: float(values.mean()) for name, values in measure_clips(frames, kinds, dataset).items()}
    real = load(dataset, "test", NUM_CLIPS if dataset == "digits" else None)
    measured = measure_clips(real.frames, np.zeros((len(real), 2), int), dataset)
    scores |= {f"{name}_real": float(measured[name].mean()) for name in ("identity_kept", "speed")}
    return scores | {name: float(found.mean()) for name, found in swap_contents(model, dataset, NUM_SWAPPED, 2).items()}
