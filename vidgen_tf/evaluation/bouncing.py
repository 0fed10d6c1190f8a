"""Physics of predicted clips, in and out of the distribution that a predictor was trained on: one ball that bounces."""

import numpy as np

from ..datasets import load
from ..metrics.bouncing import measure_bouncing
from ..metrics.intervals import mean_estimate, resampled_estimate
from ..metrics.prediction import copy_last, evaluate_prediction
from ..pipelines.prediction import rollout
from ..worlds import spheres
from ..worlds.spheres.bouncing import RANGES as TRAINED  # the recipe's clips are drawn from the function's own ranges

# Ranges of `spheres.make_bouncing` that differ from its own, which are those of the training. Large balls fall from less high, as
# the picture has no room for more.
GROUPS = {
    "in_distribution": {},
    "slower": {"speed": (0.0, 0.04)},
    "faster": {"speed": (0.2, 0.28)},
    "higher": {"drop": (1.8, 2.0)},
    "smaller": {"radius": (0.4, 0.55)},
    "larger": {"radius": (1.05, 1.2), "drop": (1.0, 1.4)},
}
SWEEPS = {  # quantity -> ranges that reach from below to above of those of the training
    "speed": {"speed": (0.0, 0.28)},
    "radius": {"radius": (0.4, 1.2), "drop": (1.0, 1.4)},
    "rebound": {"drop": (0.8, 2.0)},
}
SEED = 940  # of the clips, of which none is trained on
SCORED = {  # what is put into a record, of which groups
    "position_error": tuple(GROUPS),
    "speed_ratio": ("in_distribution", "faster"),
    "gravity_ratio": ("in_distribution", "higher"),
    "restitution": ("in_distribution", "faster", "higher"),
    "radius_ratio": ("in_distribution", "smaller", "larger"),
    "color_preserved": ("in_distribution",),
}


def bouncing_clips(group, count, seed=SEED, size=32):
    """Clips in or out of the training distribution.

    Args:
        group: str, a name in `GROUPS`.
        count: int, how many clips. Clip i has the same colour and direction in all groups.
        seed: non-negative int.
        size: height and width in px.

    Returns:
        `LabelledClips` of `spheres.make_bouncing`.
    """
    return spheres.make_bouncing(count, seed=seed, size=size, **GROUPS[group])


def bouncing_physics(found, real, clips):
    """What the ball of predicted frames does, each as a multiple of what it should do where that is a number.

    Args:
        found: dict of `measure_bouncing`, of frames that predict the end of the clips.
        real: that of the clips' own frames there.
        clips: `LabelledClips` of `spheres.make_bouncing`.

    Returns:
        dict of float `(N,)`: "position_error", px, the mean over frames; "speed_error", by how much it is faster across than the
        true ball, units per frame, and "speed_ratio", its speed to the true one; "gravity_ratio", to the world's gravity;
        "restitution", which should be `spheres.RESTITUTION[0]`; "radius_ratio", to the radius that is measured in the real
        clip; and "color_preserved". NaN where too little of a ball is seen.
    """
    speed = np.abs(clips.states["velocity"][:, 0, 0, 0])
    seen = np.isfinite(found["position_error"])
    error = np.where(seen, found["position_error"], 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    return {
        "position_error": np.where(seen.any(axis=1), error, np.nan),
        "speed_error": found["speed"] - speed,
        "speed_ratio": found["speed"] / speed,
        "gravity_ratio": found["gravity"],
        "restitution": found["restitution"],
        "radius_ratio": found["radius"] / real["radius"],
        "color_preserved": found["color_preserved"],
    }


def compare_groups(predict, count, num_context_frames, groups=tuple(GROUPS), seed=SEED):
    """A predictor's physics beside that of real clips and of the copy-last-frame baseline.

    Args:
        predict: function from context frames, uint8 `(N, T, H, W, C)`, and a number of frames to as many predicted ones.
        count: int, clips of each group.
        num_context_frames: int.
        groups: names in `GROUPS`.
        seed: non-negative int, of the clips.

    Returns:
        dict from a group to a dict from "prediction", "real" and "copy of the last frame" to what `bouncing_physics` gives.
    """
    found = {}
    for group in groups:
        clips = bouncing_clips(group, count, seed)
        context, future = clips.frames[:, :num_context_frames], clips.frames[:, num_context_frames:]
        ahead = future.shape[1]
        rows = {"prediction": predict(context, ahead), "real": future, "copy of the last frame": copy_last(context, ahead)}
        measured = {name: measure_bouncing(frames, clips) for name, frames in rows.items()}
        found[group] = {name: bouncing_physics(row, measured["real"], clips) for name, row in measured.items()}
    return found


def sweep(predict, quantity, count, num_context_frames, seed=SEED + 1):
    """What a predictor makes of a quantity that goes evenly from below to above of what it was trained on.

    Args:
        predict: as for `compare_groups`.
        quantity: str, a name in `SWEEPS`: "speed", units per frame, "radius", units, or "rebound", the height in units to which
            the ball rises after its first touch of the floor.
        count: int, how many clips.
        num_context_frames: int.
        seed: non-negative int, of the clips.

    Returns:
        dict of "true", "prediction" and "real", float `(N,)`, the quantity as it is, and as it is measured in predicted and in
        real frames; and "trained", the lowest and the highest value in the training.
    """
    clips, kept = spheres.make_bouncing(count, seed=seed, **SWEEPS[quantity]), spheres.RESTITUTION[0] ** 2
    drop = clips.states["position"][:, 0, 0, 1] - clips.states["radius"][:, 0]
    true = {"speed": np.abs(clips.states["velocity"][:, 0, 0, 0]), "radius": clips.states["radius"][:, 0], "rebound": kept * drop}
    future = clips.frames[:, num_context_frames:]
    found = {"true": true[quantity].astype(np.float64)}
    for name, frames in {"prediction": predict(clips.frames[:, :num_context_frames], future.shape[1]), "real": future}.items():
        measured = measure_bouncing(frames, clips)
        found[name] = measured["restitution"] ** 2 * drop if quantity == "rebound" else measured[quantity]
    low, high = TRAINED["drop" if quantity == "rebound" else quantity]
    scale = kept if quantity == "rebound" else 1
    return found | {"trained": (scale * low, scale * high)}


def response_slopes(found):
    """By how much a measured quantity grows where the true one grows by one: 1 for a law, 0 where the nearest case is repeated.

    Args:
        found: dict of `sweep`.

    Returns:
        dict from "below", "inside" and "above" the range of the training to the `Estimate` of a line's slope through the
        predictions there; without those where fewer than ten clips lie.
    """
    (low, high), true = found["trained"], found["true"]
    measured = np.isfinite(found["prediction"])
    places = {"below": true < low, "inside": (true >= low) & (true <= high), "above": true > high}
    slopes = {}
    for place, where in places.items():
        rows = np.flatnonzero(where & measured)
        if len(rows) >= 10:
            slopes[place] = resampled_estimate(_slope(true[rows], found["prediction"][rows]), len(rows), num_resamples=1000)
    return slopes


def _slope(x, y):
    return lambda rows: np.polyfit(x[rows], y[rows], 1)[0]


def physics_rows(found, metrics=("position_error", "speed_error", "gravity_ratio", "restitution", "radius_ratio")):
    """Rows of a table: the mean over clips, +- half of its 95 % interval, of a group's predictions and below it of real clips.

    Args:
        found: dict of `compare_groups`.
        metrics: names of what `bouncing_physics` gives.

    Returns:
        list of dict for `report.print_table`.
    """
    rows = []
    for group, kinds in found.items():
        for kind in ("prediction", "real"):
            row = {"clips": group.replace("_", " ") if kind == "prediction" else "  the real ones"}
            rows.append(row | {name: _interval(kinds[kind][name]) for name in metrics})
    return rows


def _interval(values):
    """The mean and its interval as a cell of a table; a dash where nothing could be measured."""
    if not np.isfinite(values).any():
        return "-"
    found = mean_estimate(values)
    return f"{found.value:.3f}" if found.low is None else f"{found.value:.3f} +- {(found.high - found.low) / 2:.3f}"


def evaluate_bouncing(model, record):
    """The evaluation of a predictor of bouncing balls: all test clips, and 200 clips of each of `GROUPS`.

    Args:
        model: a model of `build_simvp`.
        record: dict, its record.

    Returns:
        dict of float: "mse", "mse_vs_copy_last", "mse_vs_zeros" and "ssim" of `metrics.prediction.evaluate_prediction`; and the
        means of `bouncing_physics`, with the name of the group behind the name, of those in `SCORED`.
    """
    clips, num_context_frames = load(record["dataset"]["name"], "test").frames, record["sampling"]["num_context_frames"]
    context = clips[:, :num_context_frames]
    scores = evaluate_prediction(clips, rollout(model, context, clips.shape[1] - num_context_frames))
    found = compare_groups(lambda frames, ahead: rollout(model, frames, ahead), 200, num_context_frames)
    for name, groups in SCORED.items():
        scores |= {f"{name}_{group}": float(np.nanmean(found[group]["prediction"][name])) for group in groups}
    return scores
