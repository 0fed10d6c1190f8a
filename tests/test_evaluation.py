"""The evaluation: it refuses what it can't measure, measures real clips as real, and catches what it claims to catch."""

import contextlib
import functools
import re
import tracemalloc

import numpy as np
import pytest
import scipy.ndimage
from few_clips import evaluated_beside_few

from vidgen_tf import datasets
from vidgen_tf.errors import CourseError
from vidgen_tf.evaluation import measurements, protocol, reference
from vidgen_tf.evaluation.features import clip_features, mean_frame_features, video_features
from vidgen_tf.evaluation.measurements import distribution_scores, frame_scores, memorization_scores, physics_scores
from vidgen_tf.evaluation.protocol import _exact_flows, evaluate
from vidgen_tf.evaluation.report import print_table
from vidgen_tf.evaluation.spec import METRICS
from vidgen_tf.metrics.image import psnr, ssim
from vidgen_tf.metrics.intervals import Estimate
from vidgen_tf.metrics.memorization import nearest_clip
from vidgen_tf.metrics.motion import warping_error
from vidgen_tf.metrics.tracking import track
from vidgen_tf.video import Clip, to_float
from vidgen_tf.worlds import digits, shapes
from vidgen_tf.worlds.corruptions import corrupt

N = 100


@pytest.fixture(scope="module")
def quick():
    """Evaluations beside few real clips, in which features of the same pixels are computed once."""

    @functools.cache
    def features(shape, pixels, dataset):
        return clip_features(np.frombuffer(pixels, np.uint8).reshape(shape), dataset)

    with contextlib.contextmanager(evaluated_beside_few)() as patch:
        for module in (protocol, reference):
            patch.setattr(module, "clip_features", lambda frames, dataset: features(frames.shape, frames.tobytes(), dataset))
        yield


def training(dataset, first=2 * N, count=N):
    return datasets.load(dataset, "train", first + count)[first : first + count]


@pytest.mark.parametrize("dataset", ["digits", "shapes"])
def test_real_clips_pass(dataset, quick, capsys):
    clips = datasets.load(dataset, "validation")[2 * N : 3 * N]  # of the first hundred digits, twice as many as due are 5
    report = evaluate(clips, dataset, conditioning=clips, name="ours", cost={"parameters": 7, "training_minutes": 1.5})
    assert set(report.scores) <= set(METRICS) and report.count == N
    for metric in ("motion_accuracy", "in_distribution", "object_count_consistency"):
        assert report.scores[metric] > 0.97, metric
    if dataset == "shapes":
        for metric in ("color_accuracy", "shape_accuracy", "size_accuracy", "joint_accuracy"):
            assert report.scores[metric] >= 0.98, metric
        assert report.scores["gravity_error"] < 0.05 and report.real["gravity_error"] < 0.05
    assert not any(metric.endswith("_out_of_distribution") for metric in report.scores)
    assert 0.8 < report.scores["nn_distance_ratio"] < 1.25 and report.real["nn_distance_ratio"] == 1
    assert report.scores["frame_frechet_distance"] < 3 * report.real["frame_frechet_distance"]
    assert report.scores["video_frechet_distance"] < 3 * report.real["video_frechet_distance"]
    for row in report.rows:
        assert list(row) == ["metric", "clips", "interval", "real", "reconstruction", "n", "best"]
        assert row["interval"] is None or row["interval"][0] <= row["clips"] <= row["interval"][1]
        assert row["best"] == METRICS[row["metric"]].best
        assert row["n"] == {"parameters": None, "training_minutes": None, "warping_error": 2}.get(row["metric"], row["n"])
    report.table()
    shown = capsys.readouterr().out
    assert re.match(rf"100 clips of ours for \d+ different prompts, data set {dataset}\nmetric", shown)
    assert re.search(r"\nparameters +7 +- +- +- +- +low\n", shown)
    assert report.picture.frames.shape[0] == 16 and repr(report).startswith("Report(ours: 100 clips, ")


def test_it_takes_arrays_floats_clips_and_captions(quick):
    clips = training("digits")
    whole = evaluate(clips, "digits", conditioning=clips)
    for given, conditioning in [
        (clips.frames, list(clips.captions)),
        (to_float(clips.frames), clips.states),
        ([clips[i] for i in range(N)], None),  # their captions are what was asked
    ]:
        assert evaluate(given, "digits", conditioning=conditioning).scores == whole.scores
    assert "digit_accuracy" not in evaluate(clips.frames, "digits").scores


def test_it_notices_when_the_prompts_were_others(quick):
    clips = training("shapes")
    states = {key: clips.states[key].copy() for key in ("objects", "color", "shape", "size", "motion")}
    other = (states["color"][:50, 0] + 1) % 6
    states["color"][:50, 0] = np.where(other == states["color"][:50, 1], (other + 1) % 6, other)  # still not the second's
    states["shape"][50:70, 0] = (states["shape"][50:70, 0] + 1) % 3
    states["size"][70:75, 0] = 1 - states["size"][70:75, 0]
    still = states["motion"][75:, 0] == 5
    states["motion"][75:, 0] = np.where(still, 0, 5)
    scores = evaluate(clips, "shapes", conditioning=states).scores
    assert scores["color_accuracy"] == 0.5 and scores["motion_accuracy"] <= 0.76
    assert scores["shape_accuracy"] <= 0.8 and scores["size_accuracy"] <= 0.95 and scores["joint_accuracy"] == 0
    clips = training("digits")
    states = {"digit": clips.states["digit"], "motion": (clips.states["motion"] + (np.arange(N) < 30)) % 4}
    scores = evaluate(clips, "digits", conditioning=states).scores
    assert scores["motion_accuracy"] == 0.7


def test_objects_out_of_distribution_have_rows_of_their_own(quick):
    clips = training("shapes")
    states = {key: value.copy() for key, value in clips.states.items()}
    single = (states["objects"] == 1) & (states["motion"][:, 0] == 4)
    states["radius"][single] = 2.5  # smaller than any
    report = evaluate(shapes.render(states), "shapes")
    n = {row["metric"]: row["n"] for row in report.rows}
    assert n["gravity_error_out_of_distribution"] == single.sum() and report.scores["gravity_error_out_of_distribution"] < 0.1
    assert report.scores["in_distribution"] == pytest.approx(1 - single.sum() / n["in_distribution"], abs=0.01)
    assert n["gravity_error"] > 0, "those that fall beside another object are as they were"


def test_predictions_are_compared_frame_by_frame(quick):
    true = datasets.load("shapes", "test", N)
    predicted = true.frames.copy()
    predicted[:, 9:] = predicted[:, 8:9]  # the last frame known, again and again
    report = evaluate(predicted, "shapes", true, num_context_frames=8)
    expected = np.minimum(psnr(true.frames[:, 8:], predicted[:, 8:]), 60).mean(axis=0)
    np.testing.assert_allclose(report.horizons["psnr_db"], expected)
    assert report.horizons["psnr_db"][0] == 60 and (np.diff(report.horizons["psnr_db"]) < 0).all()
    np.testing.assert_allclose(report.horizons["ssim"][-1], ssim(true.frames[:, -1], predicted[:, -1]).mean())
    assert report.scores["psnr_db"] == pytest.approx(expected.mean())
    assert report.scores["warping_error_exact"] > 1.5 * report.real["warping_error_exact"]
    for wrong, said in [(0, "from 1 to 15"), (16, "from 1 to 15"), (2.5, "from 1 to 15")]:
        with pytest.raises(CourseError, match=said):
            evaluate(predicted, "shapes", true, num_context_frames=wrong)
    for other in (None, datasets.load("shapes", "test", N + 1)):
        with pytest.raises(CourseError, match="100 clips that they continue"):
            evaluate(predicted, "shapes", other, num_context_frames=8)


@pytest.mark.parametrize("dataset", ["shapes", "digits"])
def test_exact_flows_are_consistent_forward_and_backward(dataset):
    clips = datasets.load(dataset, "test", 6)
    forward, backward = _exact_flows(clips, 3)
    assert forward.shape == backward.shape == (6, 12, 32, 32, 2)
    errors = [warping_error(clip[3:], *flow) for clip, *flow in zip(clips.frames, forward, backward)]
    still = [warping_error(clip[3:], 0 * f, 0 * b) for clip, f, b in zip(clips.frames, forward, backward)]
    assert np.mean(errors) < 0.5 * np.mean(still)
    moves = np.abs(forward[:, 0]).max(axis=(1, 2, 3)) > 0
    np.testing.assert_allclose(
        forward[moves, 0].min(axis=(1, 2)) + forward[moves, 0].max(axis=(1, 2)),
        -(backward[moves, 0].min(axis=(1, 2)) + backward[moves, 0].max(axis=(1, 2))),
        atol=1e-5,
    )


def test_copies_of_training_clips_are_seen(quick):
    report = evaluate(training("digits", first=0), "digits")
    assert report.scores["nn_distance_ratio"] == 0 and report.scores["memorized_share"] == 1
    assert report.real["memorized_share"] <= 2 / 20, "each of two searches calls the nearest of 20 real clips a copy"


def test_data_sets_without_classifiers_and_clips_of_no_data_set_are_measured_as_far_as_it_goes(quick, capsys):
    of_any_clips = {"sharpness", "flicker", "temporal_autocorrelation", "static_share", "warping_error"}
    faces = datasets.load("faces-28", "train", N)
    report = evaluate(faces, "faces-28")
    assert set(report.scores) == {*of_any_clips, "nn_distance_ratio", "memorized_share"}
    report.table()
    assert "There are no classifiers of faces-28" in capsys.readouterr().out
    report = evaluate(faces, None)
    assert set(report.scores) == of_any_clips
    assert all(row["real"] is None for row in report.rows)
    report.table()
    assert "Without a data set" in capsys.readouterr().out
    report = evaluate(faces, None, datasets.load("faces-28", "test", N))
    assert all(row["real"] is not None for row in report.rows)


def test_digit_images_are_evaluated_by_their_first_frame(quick):
    stills = digits.images("train")[0][:N]
    report = evaluate(np.repeat(stills[:, None], 16, axis=1), "digit-images")
    assert report.scores["frame_frechet_distance"] == pytest.approx(report.real["frame_frechet_distance"], rel=0.3)
    assert (
        report.scores["static_share"] == 1 and report.scores["memorized_share"] == 1 and report.real["memorized_share"] <= 2 / 20
    )
    assert report.real.get("flicker") is None


GREY = np.zeros((N, 16, 32, 32, 1), np.uint8)


@pytest.mark.parametrize(
    "clips, dataset, said",
    [
        (GREY[:99], "digits", "At least 100 clips are needed .* got 99"),
        (GREY[0], "digits", r"clips \(n, time, height, width, 1 or 3 channels\), got \(16, 32, 32, 1\)"),
        (GREY.repeat(2, axis=4), "digits", r"got \(100, 16, 32, 32, 2\)"),
        ([], "digits", r"got \(0,\)"),
        (GREY, "shapes", r"Clips of shapes are \(16, 32, 32, 3\) .* got \(16, 32, 32, 1\)"),
        (GREY[:, :8], "digits", r"Clips of digits are \(16, 32, 32, 1\) .* got \(8, 32, 32, 1\)"),
        (GREY, "dogs", "no data set 'dogs' to evaluate beside; there are shapes, digits,"),
        (GREY + np.uint8(1), "digits", "All pixels of these clips are 0 or 1"),
        (GREY.astype(int), "digits", "uint8 from 0 to 255 or as floats from -1 to 1, got int64"),
        (GREY + np.float32(0.5), "digits", "No pixel of these clips is below 0"),
        (GREY - np.float32(127), "digits", "go from -127 to -127"),
        (np.where(np.arange(N)[:, None, None, None, None] == 3, np.nan, GREY), "digits", "1 of these 100 clips hold NaN"),
        (np.full(GREY.shape, np.inf), "digits", "100 of these 100 clips hold NaN"),
        ([Clip(GREY[0])] * 99 + [Clip(GREY[0, :9])], "digits", "clips of one length and size"),
    ],
)
def test_what_can_not_be_evaluated_is_refused_in_a_sentence(clips, dataset, said):
    with pytest.raises(CourseError, match=said):
        evaluate(clips, dataset)


def test_wrong_references_and_prompts_are_refused(quick):
    with pytest.raises(CourseError, match="At least 100 reference clips"):
        evaluate(GREY, "digits", GREY[:50])
    with pytest.raises(CourseError, match="is no caption of"):
        evaluate(GREY, "digits", conditioning=["a cat"] * N)
    with pytest.raises(CourseError, match="100 clips need as many prompts: captions, or the states digit, motion"):
        evaluate(GREY, "digits", conditioning=["the digit 3 is moving up then down ."] * 99)
    with pytest.raises(CourseError, match="captions, or the states digit, motion"):
        evaluate(GREY, "digits", conditioning={"digit": np.zeros(N)})


@pytest.mark.parametrize("look", ["blank", "noisy"])
@pytest.mark.parametrize("dataset, background", [("digits", [0]), ("shapes", shapes.BACKGROUND)], ids=["digits", "shapes"])
def test_blank_and_noisy_clips_are_bad_and_no_error(dataset, background, look, quick):
    clips = np.tile(np.uint8(background), (N, 16, 32, 32, 1))
    if look == "noisy":
        clips = np.random.default_rng(0).integers(0, 256, clips.shape, dtype=np.uint8)
    report = evaluate(clips, dataset, conditioning=datasets.load(dataset, "train", N).states)
    if dataset == "digits":
        assert report.scores["motion_accuracy"] < 0.2 and report.scores["recall"] < 0.2
    else:
        assert report.scores["joint_accuracy"] == 0
    assert all(np.isfinite(value) for value in report.scores.values())


def test_memory_hardly_exceeds_the_clips(monkeypatch):
    """NumPy's share of it, without the classifiers', while what needs no other clips is measured."""
    monkeypatch.setattr(measurements, "NUM_FLOW_CLIPS", 1)
    peaks = []
    for count in (125, 375):
        clips = np.tile(datasets.load("shapes", "test", 125).frames, (count // 125, 1, 1, 1, 1))
        tracemalloc.start()
        frame_scores(clips)
        track(clips, "shapes")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 300e6 and peaks[1] - peaks[0] < 20e6


def static(clips, rng):
    return np.repeat(clips[:, :1], clips.shape[1], axis=1)


def interchanged(clips, rng):
    """Each frame from another clip."""
    return np.stack([clips[rng.permutation(len(clips)), t] for t in range(clips.shape[1])], axis=1)


def blurred(clips, rng):
    return scipy.ndimage.gaussian_filter(clips, (0, 0, 0.7, 0.7, 0))


def repeated(clips, rng):
    return np.resize(clips[: len(clips) // 4], clips.shape)


def noisy(clips, rng):
    return np.uint8(np.clip(clips + 25.5 * rng.normal(size=clips.shape), 0, 255))


SET = 120  # clips on which each metric is measured, and with it its spread over real clips
CAUGHT = [  # what is done to real clips, and the metrics that are there to see it
    (static, "static_share"),
    (static, "video_frechet_distance"),
    ("shuffled", "video_frechet_distance"),
    (interchanged, "video_frechet_distance"),
    ("jittery", "trajectory_residual"),
    ("jittery", "video_frechet_distance"),
    ("changed", "video_frechet_distance"),
    (blurred, "sharpness"),
    ("flickering", "flicker"),
    ("flickering", "video_frechet_distance"),
    (repeated, "recall"),
    (noisy, "sharpness"),
    (noisy, "frame_frechet_distance"),
    ("copied", "memorized_share"),
]


def some_frame_features(frames, dataset):
    """Of every fourth frame: the mean over a clip needs no more of them, and takes a quarter of the time."""
    return mean_frame_features(frames[:, ::4], dataset)


FEATURES = {"frame": some_frame_features, "video": video_features}
DISTRIBUTION = {  # metric -> the features that it is made of
    "frame_frechet_distance": ["frame"],
    "video_frechet_distance": ["video"],
    "recall": ["frame", "video"],
}


@pytest.fixture(scope="module")
def sets():
    """For each data set: training clips to be searched for copies, five sets of real clips that are not among them, test clips,
    and what has been measured of real clips."""
    found = {}
    for dataset in ("shapes", "digits"):
        clips, test = datasets.load(dataset, "train", 7 * SET), datasets.load(dataset, "test", 2 * SET).frames
        parts = [clips[i * SET : (i + 1) * SET] for i in range(2, 7)]
        known = {id(frames): {} for frames in [test, *(part.frames for part in parts)]}
        found[dataset] = {"searched": clips.frames[: 2 * SET], "sets": parts, "test": test, "known": known, "real": {}}
    with pytest.MonkeyPatch.context() as patch:  # values alone: their intervals take a hundred times as long
        patch.setattr(measurements, "resampled_estimate", lambda statistic, n, clusters: Estimate(statistic(np.arange(n)), n))
        yield found


def once(function, frames, *arguments, given):
    """What a function gives of clips; of real clips it is computed once."""
    known = given["known"].get(id(frames), {})
    if function not in known:
        known[function] = function(frames, *arguments)
    return known[function]


def features_of(frames, dataset, kinds, given):
    """Features of these kinds."""
    return {kind: once(FEATURES[kind], frames, dataset, given=given)[kind] for kind in kinds}


def measured(metric, frames, dataset, given):
    """One metric of clips, as `evaluate` takes it."""
    if metric in DISTRIBUTION:
        features = [features_of(clips, dataset, DISTRIBUTION[metric], given) for clips in (frames, given["test"])]
        return distribution_scores(*features)[metric].value
    if metric == "memorized_share":
        pair = given["sets"][0].frames, frames
        unseen, found = (once(nearest_clip, clips, given["searched"], given=given)[1][:, None] for clips in pair)
        return memorization_scores(found, unseen)["memorized_share"].value
    if metric == "trajectory_residual":
        return once(physics_scores, frames, dataset, {}, None, given=given)[metric].value
    return once(frame_scores, frames, given=given)[metric].value


@pytest.mark.parametrize("dataset", ["shapes", "digits"])
@pytest.mark.parametrize("corruption, metric", CAUGHT, ids=lambda value: getattr(value, "__name__", value))
def test_what_is_wrong_is_caught(corruption, metric, dataset, sets, monkeypatch):
    """The metric that is meant for it moves by more than five times what it differs between sets of real clips."""
    given = sets[dataset]
    monkeypatch.setattr(measurements, "NUM_FLOW_CLIPS", 1)
    if metric not in given["real"]:
        given["real"][metric] = [measured(metric, clips.frames, dataset, given) for clips in given["sets"][:4]]
    real, clips = given["real"][metric], given["sets"][4]
    if corruption == "copied":
        wrong = given["searched"][:SET]
    elif isinstance(corruption, str):
        wrong = corrupt(clips, corruption)
    else:
        wrong = corruption(clips.frames, np.random.default_rng(0))
    moved = abs(measured(metric, wrong, dataset, given) - np.mean(real))
    assert moved > 5 * np.ptp(real) and moved > 0.01, f"{metric} moved by {moved:.3g}, real clips lie within {np.ptp(real):.3g}"


@pytest.mark.parametrize("dataset", ["shapes", "digits"])
def test_frame_features_cannot_see_the_order_of_frames(dataset, quick):
    clips = training(dataset)
    features, again = clip_features(clips.frames, dataset), clip_features(corrupt(clips, "shuffled"), dataset)
    np.testing.assert_allclose(features["frame"], again["frame"], atol=2e-4)
    assert np.abs(features["video"] - again["video"]).max() > 1e-3


def test_the_table_lines_up_its_rows(capsys):
    print_table([{"model": "dense", "psnr": 28.341, "steps": 2500}, {"model": "a longer name", "psnr": None, "steps": 7}])
    assert capsys.readouterr().out.splitlines() == [
        "model          psnr  steps",
        "dense          28.3  2,500",
        "a longer name     -      7",
    ]
    for wrong in ([], [{"model": "a", "psnr": 1.0}, {"model": "b"}], [{"model": "a", "psnr": 1.0}, {"psnr": 1.0, "model": "b"}]):
        with pytest.raises(CourseError, match="at least one row, and the same keys"):
            print_table(wrong)


STRENGTHS = (0.25, 0.5, 1)
GROWS = {  # a corruption, and metrics that must move further from real clips the stronger it is
    "shuffled": ("video_frechet_distance",),
    "spliced": ("video_frechet_distance",),
    "changed": ("video_frechet_distance",),
    "jittery": ("video_frechet_distance", "trajectory_residual"),
    "flickering": ("flicker",),
    "frozen": ("video_frechet_distance",),  # the last three are none that the video classifier has learned
    "blurred": ("sharpness", "frame_frechet_distance"),
    "noisy": ("sharpness", "video_frechet_distance", "frame_frechet_distance"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", GROWS)
def test_metrics_grow_with_the_strength_of_the_corruption_that_they_are_meant_for(kind, sets, monkeypatch):
    monkeypatch.setattr(measurements, "NUM_FLOW_CLIPS", 1)
    given = sets["digits"]
    clips = given["sets"][0]
    np.testing.assert_array_equal(corrupt(clips, kind, 3, 0), clips.frames)
    clean = {metric: measured(metric, clips.frames, "digits", given) for metric in GROWS[kind]}
    away = {metric: [0] for metric in clean}
    for strength in STRENGTHS:
        frames = corrupt(clips, kind, 3, strength)
        for metric, found in away.items():
            found.append(abs(measured(metric, frames, "digits", given) - clean[metric]))
    assert all((np.diff(found) > 0).all() for found in away.values()), away
