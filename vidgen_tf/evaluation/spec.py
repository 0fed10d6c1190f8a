"""What is measured: every metric with its meaning, and what there is to evaluate the clips of each data set with."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Metric:
    """What a row of an evaluation's table means.

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
    "sharpness": Metric("as real", "0 to 8", "energy of the Laplacian over the contrast of a frame, see laplacian_sharpness"),
    "frame_frechet_distance": Metric(
        "low", "from 0", "Fréchet distance (as FID) of a frame classifier's features, averaged over each clip: blind to order"
    ),
    "video_frechet_distance": Metric("low", "from 0", "Fréchet distance (as FVD) of a video classifier's features of clips"),
    "frame_kernel_distance": Metric(
        "low", "about 0 up", "kernel distance (as KID) of the same features as the frame Fréchet distance: no bias"
    ),
    "video_kernel_distance": Metric(
        "low", "about 0 up", "kernel distance (as KID) of a video classifier's features: no bias at small n"
    ),
    "precision": Metric("high", "0 to 1", "share of generated clips within the manifold of real ones, by both sets of features"),
    "recall": Metric("high", "0 to 1", "share of real clips within that of generated ones (Kynkäänniemi and others, 2019)"),
    "density": Metric("as real", "from 0", "how densely real clips lie around generated ones (Naeem and others, 2020), k 5"),
    "coverage": Metric("high", "0 to 1", "share of real clips with a generated one among their neighbours (the same), k 5"),
    "temporal_autocorrelation": Metric("as real", "-1 to 1", "how much a frame tells of the next one; 0 where nothing moves"),
    "flicker": Metric("as real", "from 0", "mean change of brightness from frame to frame, as a share of the brightness"),
    "warping_error": Metric(
        "as real", "0 to 1", "change between frames that motion doesn't explain (Lai and others, 2018), optical flow estimated"
    ),
    "warping_error_exact": Metric("low", "0 to 1", "the same with the exact optical flow of the true future"),
    "static_share": Metric("as real", "0 to 1", "share of clips in which nothing ever moves (low dynamic degree)"),
    "objects": Metric("as real", "from 0", "objects in a clip, the mean over clips"),
    "object_count_consistency": Metric("high", "0 to 1", "share of frames with as many connected pieces as most of their clip's"),
    "in_distribution": Metric("as real", "0 to 1", "share of objects whose size and speed occur in the training clips"),
    "shape_change": Metric("low", "0 to 1", "deviation of an object's radius over the clip, as a share of its mean"),
    "trajectory_residual": Metric("low", "from 0 px", "distance from uniform motion: straight, or of digits to a wall and back"),
    "speed_error": Metric("low", "0 to 1", "how far the speed lies outside the data set's range, as a share of its bound"),
    "gravity_error": Metric("low", "0 to 1", "difference of a fall's acceleration from gravity, as a share of it"),
    "parabola_residual": Metric("low", "from 0 px", "distance of a fall from a parabola"),
    "energy_drift": Metric("low", "0 to 1", "change of the energy within a flight, as a share of what the fall sets free"),
    "color_accuracy": Metric("high", "0 to 1", "prompt adherence: share of clips with the prompt's colours and no others"),
    "shape_accuracy": Metric("high", "0 to 1", "prompt adherence: share of clips in which each colour has the prompt's shape"),
    "size_accuracy": Metric("high", "0 to 1", "prompt adherence: share of clips in which each colour has the prompt's size"),
    "digit_accuracy": Metric("high", "0 to 1", "prompt adherence: share of clips classified as the prompt's digit"),
    "motion_accuracy": Metric("high", "0 to 1", "prompt adherence: share of clips that move as in the prompt, by the trajectory"),
    "joint_accuracy": Metric("high", "0 to 1", "prompt adherence: share of clips with all attributes right"),
    "nn_distance_ratio": Metric(
        "as real", "from 0", "median distance to the nearest training clip, as a multiple of that of held-out real clips"
    ),
    "memorized_share": Metric("low", "0 to 1", "share of clips nearer to a training clip than all but 1 % of held-out real ones"),
    "parameters": Metric("low", "from 1", "weights that the model has learned"),
    "training_minutes": Metric("low", "minutes", "on the machine that the zoo's record names"),
    "clips_per_second": Metric("high", "1/s", "sampled on this machine, the first batch aside"),
    "peak_memory_mb": Metric("low", "MB", "of the process that samples, Python and TensorFlow included"),
}
PHYSICS_METRICS = (
    "shape_change",
    "trajectory_residual",
    "speed_error",
    "gravity_error",
    "parabola_residual",
    "energy_drift",
)
OUT = "_out_of_distribution"  # behind a physics metric of objects whose size or speed doesn't occur in the training clips


def metric_of(key):
    """The metric of a row.

    Args:
        key: str, a name in `METRICS`, with or without `OUT` behind it.

    Returns:
        `Metric`.
    """
    return METRICS[key.removesuffix(OUT)]


@dataclasses.dataclass(frozen=True)
class EvaluationSpec:
    """What there is to evaluate the clips of a data set with.

    Args:
        frame_classifier: str, the zoo's classifier of its frames.
        video_classifier: str, the zoo's classifier of its clips, or None.
        autoencoder: str, the zoo's autoencoder of its frames, or None.
        tracker: str, a tracker of `metrics.tracking` that follows its objects, or None.
    """

    frame_classifier: str
    video_classifier: str | None = None
    autoencoder: str | None = None
    tracker: str | None = None


DIGIT_IMAGES = "digit-images"  # the digits themselves, which stand still: the first frame of each clip is evaluated
SPECS = {
    "shapes": EvaluationSpec("classifier-shapes", "video-classifier-shapes", "vae-shapes", "shapes"),
    "digits": EvaluationSpec("classifier-digits", "video-classifier-digits", "vae-digits-low-beta", "digits"),
    "faces": EvaluationSpec("classifier-faces"),
    "faces-32": EvaluationSpec("classifier-faces"),
    DIGIT_IMAGES: EvaluationSpec("classifier-digits-28"),
}
