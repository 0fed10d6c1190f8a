"""What is measured: metrics with their meaning, and what there is to measure the clips of each data set with."""

import dataclasses


@dataclasses.dataclass(is_static=True)
class Metric:
    """What a row of the exam's table means.

    Args:
        best: "low", "high", or "as real": what to wish for.
        values: range and unit.
        meaning: definition, and whose it is.
    """

    best: str
    values: str
    meaning: str


METRICS = {
    "psnr_db": Metric("high", "0 to 60 dB", "peak signal-to-noise ratio to the true future, the mean over frames"),
    "ssim": Metric("high", "-1 to 1", "structural similarity to the true future (Wang and others, 2004), window 7, range 255"),
    "sharpness": Metric("as real", "0 to 8", "energy of the Laplacian over the contrast of a frame, see metrics.sharpness"),
    "content_distance": Metric(
        "low", "from 0", "Fréchet distance of a judge's features, averaged over each clip's frames: blind to their order"
    ),
    "motion_distance": Metric(
        "low", "from 0", "Fréchet distance of the features of the judge of motion, which sees whole clips"
    ),
    "precision": Metric("high", "0 to 1", "share of made clips that lie among real ones by both judges' features"),
    "recall": Metric("high", "0 to 1", "share of real clips that lie among made ones (Kynkäänniemi and others, 2019)"),
    "flicker": Metric("as real", "from 0", "mean change of brightness from frame to frame, as a share of the brightness"),
    "warping_error": Metric(
        "as real", "0 to 1", "what changes between two frames that motion doesn't explain (Lai and others, 2018), flow estimated"
    ),
    "warping_error_exact": Metric("low", "0 to 1", "the same with the exact flow of the true future"),
    "frozen": Metric("as real", "0 to 1", "share of clips in which nothing ever moves"),
    "objects": Metric("as real", "from 0", "objects in a clip, the mean over clips"),
    "kept_count": Metric("high", "0 to 1", "share of frames that show as many pieces as most frames of their clip"),
    "in_range": Metric("as real", "0 to 1", "share of objects whose size and speed occur in the training clips"),
    "shape_change": Metric("low", "0 to 1", "deviation of an object's radius over the clip, as a share of its mean"),
    "path_residual": Metric("low", "from 0 px", "distance from uniform motion: straight on, or of digits there and back"),
    "speed_error": Metric("low", "0 to 1", "how far the speed lies outside the world's range, as a share of its bound"),
    "gravity_error": Metric("low", "0 to 1", "difference of a fall's acceleration from gravity, as a share of it"),
    "parabola_residual": Metric("low", "from 0 px", "distance of a fall from a parabola"),
    "energy_drift": Metric("low", "0 to 1", "change of the energy within a flight, as a share of what the fall sets free"),
    "asked_color": Metric("high", "0 to 1", "share of clips with objects of the colours asked for, and no others"),
    "asked_shape": Metric("high", "0 to 1", "share of clips in which each colour has the shape asked for"),
    "asked_size": Metric("high", "0 to 1", "share of clips in which each colour has the size asked for"),
    "asked_digit": Metric("high", "0 to 1", "share of clips that the judge reads as the digit asked for"),
    "asked_motion": Metric("high", "0 to 1", "share of clips that move as asked for, by the path"),
    "asked_jointly": Metric("high", "0 to 1", "share of clips with all of it right"),
    "copy_ratio": Metric(
        "as real", "from 0", "median distance to the nearest_image training clip, as a multiple of that of real clips never trained on"
    ),
    "copies": Metric("low", "0 to 1", "share of clips nearer to a training clip than all but 1 % of such real clips are"),
    "parameters": Metric("low", "from 1", "numbers that the model has learned"),
    "training_minutes": Metric("low", "minutes", "on the machine that the zoo's record names"),
    "clips_per_second": Metric("high", "1/s", "sampled on this machine, the first batch aside"),
    "peak_memory_mb": Metric("low", "MB", "of the process that samples, Python and TensorFlow included"),
}


PHYSICS_METRICS = ("shape_change", "path_residual", "speed_error", "gravity_error", "parabola_residual", "energy_drift")


@dataclasses.dataclass(is_static=True)
class EvaluationSpec:
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


SPECS = {
    "shapes": EvaluationSpec("judge-shapes", "judge-motion-shapes", "vae-shapes", tracked=True),
    "digits": EvaluationSpec("judge-digits-32", "judge-motion-digits", "vae-digits-low-beta", tracked=True),
    "faces": EvaluationSpec("judge-faces"),
    "faces-32": EvaluationSpec("judge-faces"),
    "scans": EvaluationSpec("judge-digits"),  # the digits themselves, which stand still: the first frame of each clip is examined
}
