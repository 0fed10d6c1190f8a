"""The exam: it refuses what it can't measure, measures real clips as real, and catches what it claims to catch."""

import re
import time
import tracemalloc

import keras
import numpy as np
import pytest
import scipy.ndimage

from vidgen_tf import datasets, exam, metrics, physics, zoo
from vidgen_tf.errors import CourseError
from vidgen_tf.models import motion
from vidgen_tf.video import Clip, to_float
from vidgen_tf.worlds import digits, shapes

REAL_LOAD, REAL = zoo.load, exam._real
N = 100


@pytest.fixture(scope="module")
def quick():
    """Judges that are not trained where none are shipped, few real clips, and little flow: for what doesn't depend on them."""

    def load(name):
        if name in zoo.manifest():
            return REAL_LOAD(name)
        keras.utils.set_random_seed(0)
        return zoo.recipe(name).build()

    def real(world, split):
        clips = datasets.load(world, split, N if split == "test" else 2 * N)
        return clips.frames, clips.states

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoo, "load", load)
        patch.setattr(exam, "_real", real)
        patch.setattr(exam, "WARPED", 2)
        yield
    exam._loaded.cache_clear()
    exam._standard_yardstick.cache_clear()


def training(world, first=2 * N, count=N):
    return datasets.load(world, "train", first + count)[first : first + count]


def test_the_metrics_can_be_called_from_the_exam():
    for name in set(exam.__all__) - {"MEASURES", "WORLDS", "Report", "examine", "obeyed", "scoreboard"}:
        assert getattr(exam, name) is getattr(metrics, name)


@pytest.mark.parametrize("world", ["digits", "shapes"])
def test_real_clips_pass(world, quick, capsys):
    clips = training(world)
    report = exam.examine(clips, world, asked=clips, name="ours", cost={"parameters": 7, "training_minutes": 1.5})
    assert set(report.scores) <= set(exam.MEASURES) and report.count == N
    for measure in ("asked_motion", "in_range", "kept_count"):
        assert report.scores[measure] > 0.97, measure
    if world == "shapes":
        for measure in ("asked_color", "asked_shape", "asked_size", "asked_jointly"):
            assert report.scores[measure] >= 0.98, measure
        assert report.scores["gravity_error"] < 0.05 and report.real["gravity_error"] < 0.05
    assert not any(measure.endswith("_outside") for measure in report.scores)
    assert 0.8 < report.scores["copy_ratio"] < 1.25 and report.real["copy_ratio"] == 1
    assert report.scores["content_distance"] < 3 * report.real["content_distance"]
    assert report.scores["motion_distance"] < 3 * report.real["motion_distance"]
    for row in report.rows:
        assert list(row) == ["measure", "clips", "real", "rebuilt", "n", "best"]
        assert row["best"] == exam.MEASURES[row["measure"]].best
        assert row["n"] == {"parameters": None, "training_minutes": None, "warping_error": 2}.get(row["measure"], row["n"])
    report.table()
    shown = capsys.readouterr().out
    assert shown.startswith(f"100 clips of ours, world {world}\nmeasure") and re.search(r"\nparameters +7 +- +- +- +low\n", shown)
    assert ("no vae" in shown) == (f"vae-{world}" not in zoo.manifest())
    assert report.picture.frames.shape[0] == 16 and repr(report).startswith("Report(ours: 100 clips, ")


def test_it_takes_arrays_floats_clips_and_captions(quick):
    clips = training("digits")
    whole = exam.examine(clips, "digits", asked=clips)
    for given, asked in [
        (clips.frames, list(clips.captions)),
        (to_float(clips.frames), clips.states),
        ([clips[i] for i in range(N)], None),  # their captions are what was asked
    ]:
        assert exam.examine(given, "digits", asked=asked).scores == whole.scores
    assert "asked_digit" not in exam.examine(clips.frames, "digits").scores


def test_it_notices_when_something_else_was_asked(quick):
    clips = training("shapes")
    states = {key: clips.states[key].copy() for key in ("objects", "color", "shape", "large", "motion")}
    states["color"][:50, 0] = (states["color"][:50, 0] + 1) % 6
    states["shape"][50:70, 0] = (states["shape"][50:70, 0] + 1) % 3
    states["large"][70:75, 0] = 1 - states["large"][70:75, 0]
    still = states["motion"][75:, 0] == 5
    states["motion"][75:, 0] = np.where(still, 0, 5)
    scores = exam.examine(clips, "shapes", asked=states).scores
    assert scores["asked_color"] == 0.5 and scores["asked_motion"] <= 0.76
    assert scores["asked_shape"] <= 0.8 and scores["asked_size"] <= 0.95 and scores["asked_jointly"] == 0
    clips = training("digits")
    states = {"digit": clips.states["digit"], "motion": (clips.states["motion"] + (np.arange(N) < 30)) % 4}
    scores = exam.examine(clips, "digits", asked=states).scores
    assert scores["asked_motion"] == 0.7


def test_objects_outside_the_training_range_have_rows_of_their_own(quick):
    clips = training("shapes")
    states = {key: value.copy() for key, value in clips.states.items()}
    single = (states["objects"] == 1) & (states["motion"][:, 0] == 4)
    states["radius"][single] = 2.5  # smaller than any
    report = exam.examine(shapes.draw(states), "shapes")
    n = {row["measure"]: row["n"] for row in report.rows}
    assert n["gravity_error_outside"] == single.sum() and report.scores["gravity_error_outside"] < 0.1
    assert report.scores["in_range"] == pytest.approx(1 - single.sum() / n["in_range"], abs=0.01)
    assert n["gravity_error"] > 0, "those that fall beside another object are as they were"


def test_predictions_are_compared_frame_by_frame(quick):
    true = datasets.load("shapes", "test", N)
    predicted = true.frames.copy()
    predicted[:, 9:] = predicted[:, 8:9]  # the last frame known, again and again
    report = exam.examine(predicted, "shapes", true, context_frames=8)
    expected = np.minimum(metrics.psnr(true.frames[:, 8:], predicted[:, 8:]), 60).mean(axis=0)
    np.testing.assert_allclose(report.horizons["psnr_db"], expected)
    assert report.horizons["psnr_db"][0] == 60 and (np.diff(report.horizons["psnr_db"]) < 0).all()
    np.testing.assert_allclose(report.horizons["ssim"][-1], metrics.ssim(true.frames[:, -1], predicted[:, -1]).mean())
    assert report.scores["psnr_db"] == pytest.approx(expected.mean())
    assert report.scores["warping_error_exact"] > 1.5 * report.real["warping_error_exact"]
    for wrong, said in [(0, "from 1 to 15"), (16, "from 1 to 15"), (2.5, "from 1 to 15")]:
        with pytest.raises(CourseError, match=said):
            exam.examine(predicted, "shapes", true, context_frames=wrong)
    for reference in (None, datasets.load("shapes", "test", N + 1)):
        with pytest.raises(CourseError, match="100 clips that they continue"):
            exam.examine(predicted, "shapes", reference, context_frames=8)


@pytest.mark.parametrize("world", ["shapes", "digits"])
def test_exact_flows_lead_there_and_back(world):
    clips = datasets.load(world, "test", 6)
    forward, backward = exam._exact_flows(clips, 3)
    assert forward.shape == backward.shape == (6, 12, 32, 32, 2)
    errors = [metrics.warping_error(clip[3:], *flow) for clip, *flow in zip(clips.frames, forward, backward)]
    still = [metrics.warping_error(clip[3:], 0 * f, 0 * b) for clip, f, b in zip(clips.frames, forward, backward)]
    assert np.mean(errors) < 0.5 * np.mean(still)
    moves = np.abs(forward[:, 0]).max(axis=(1, 2, 3)) > 0
    np.testing.assert_allclose(
        forward[moves, 0].min(axis=(1, 2)) + forward[moves, 0].max(axis=(1, 2)),
        -(backward[moves, 0].min(axis=(1, 2)) + backward[moves, 0].max(axis=(1, 2))),
        atol=1e-5,
    )


def test_copies_of_training_clips_are_seen(quick):
    report = exam.examine(training("digits", first=0), "digits")
    assert report.scores["copy_ratio"] == 0 and report.scores["copies"] == 1
    assert report.real["copies"] <= 0.02


def test_worlds_without_judges_and_clips_without_a_world_are_measured_as_far_as_it_goes(quick, capsys):
    faces = datasets.load("faces-28", "train", N)
    report = exam.examine(faces, "faces-28")
    assert {"sharpness", "flicker", "frozen", "warping_error", "copy_ratio", "copies"} == set(report.scores)
    report.table()
    assert "There are no judges of faces-28" in capsys.readouterr().out
    report = exam.examine(faces, None)
    assert {"sharpness", "flicker", "frozen", "warping_error"} == set(report.scores)
    assert all(row["real"] is None for row in report.rows)
    report.table()
    assert "Without a world" in capsys.readouterr().out
    report = exam.examine(faces, None, datasets.load("faces-28", "test", N))
    assert all(row["real"] is not None for row in report.rows)


def test_scans_are_judged_by_their_first_frame(monkeypatch):
    monkeypatch.setattr(exam, "WARPED", 2)
    monkeypatch.setattr(exam, "_real", REAL)
    stills = digits.stills("train")[0][:N]
    report = exam.examine(np.repeat(stills[:, None], 16, axis=1), "scans")
    assert report.scores["content_distance"] == pytest.approx(report.real["content_distance"], rel=1e-3)
    assert report.scores["frozen"] == 1 and report.scores["copies"] == 1 and report.real["copies"] <= 0.02
    assert report.real.get("flicker") is None


GREY = np.zeros((N, 16, 32, 32, 1), np.uint8)


@pytest.mark.parametrize(
    "clips, world, said",
    [
        (GREY[:99], "digits", "At least 100 clips are needed .* got 99"),
        (GREY[0], "digits", r"clips \(n, time, height, width, 1 or 3 channels\), got \(16, 32, 32, 1\)"),
        (GREY.repeat(2, axis=4), "digits", r"got \(100, 16, 32, 32, 2\)"),
        ([], "digits", r"got \(0,\)"),
        (GREY, "shapes", r"Clips of shapes are \(16, 32, 32, 3\) .* got \(16, 32, 32, 1\)"),
        (GREY[:, :8], "digits", r"Clips of digits are \(16, 32, 32, 1\) .* got \(8, 32, 32, 1\)"),
        (GREY, "dogs", "no world 'dogs' with an exam; there are shapes, digits,"),
        (GREY + np.uint8(1), "digits", "All pixels of these clips are 0 or 1"),
        (GREY.astype(int), "digits", "uint8 from 0 to 255 or as floats from -1 to 1, got int64"),
        (GREY + np.float32(0.5), "digits", "No pixel of these clips is below 0"),
        (GREY - np.float32(127), "digits", "go from -127 to -127"),
        (np.where(np.arange(N)[:, None, None, None, None] == 3, np.nan, GREY), "digits", "1 of these 100 clips hold NaN"),
        (np.full(GREY.shape, np.inf), "digits", "100 of these 100 clips hold NaN"),
        ([Clip(GREY[0])] * 99 + [Clip(GREY[0, :9])], "digits", "clips of one length and size"),
    ],
)
def test_what_can_not_be_examined_is_refused_in_a_sentence(clips, world, said):
    with pytest.raises(CourseError, match=said):
        exam.examine(clips, world)


def test_wrong_references_and_questions_are_refused(quick):
    with pytest.raises(CourseError, match="At least 100 reference clips"):
        exam.examine(GREY, "digits", GREY[:50])
    with pytest.raises(CourseError, match="is no caption of this world"):
        exam.examine(GREY, "digits", asked=["a cat"] * N)
    with pytest.raises(CourseError, match="digit, motion, or a caption, for each of the 100 clips"):
        exam.examine(GREY, "digits", asked=["the digit 3 is moving up then down ."] * 99)
    with pytest.raises(CourseError, match="digit, motion, or a caption"):
        exam.examine(GREY, "digits", asked={"digit": np.zeros(N)})


def test_blank_and_noisy_clips_are_bad_and_no_error(quick):
    for clips in (GREY, np.random.default_rng(0).integers(0, 256, GREY.shape, dtype=np.uint8)):
        states = datasets.load("digits", "train", N).states
        report = exam.examine(clips, "digits", asked=states)
        assert report.scores["asked_motion"] < 0.2 and report.scores["recall"] < 0.2
        assert all(np.isfinite(value) for value in report.scores.values())
    colours = np.random.default_rng(0).integers(0, 256, (N, 16, 32, 32, 3), dtype=np.uint8)
    for clips in (colours, np.tile(np.uint8(shapes.BACKGROUND), (N, 16, 32, 32, 1))):
        report = exam.examine(clips, "shapes", asked=datasets.load("shapes", "train", N))
        assert report.scores["asked_jointly"] == 0
        assert all(np.isfinite(value) for value in report.scores.values())


def test_memory_hardly_exceeds_the_clips(monkeypatch):
    """NumPy's share of it, without the judges', while what needs no other clips is measured."""
    monkeypatch.setattr(exam, "WARPED", 1)
    peaks = []
    for count in (125, 375):
        clips = np.tile(datasets.load("shapes", "test", 125).frames, (count // 125, 1, 1, 1, 1))
        tracemalloc.start()
        exam._alone(clips)
        physics.track(clips)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 300e6 and peaks[1] - peaks[0] < 20e6


def frozen(clips, rng):
    return np.repeat(clips[:, :1], clips.shape[1], axis=1)


def mixed(clips, rng):
    """Each frame from another clip."""
    return np.stack([clips[rng.permutation(len(clips)), t] for t in range(clips.shape[1])], axis=1)


def blurred(clips, rng):
    return scipy.ndimage.gaussian_filter(clips, (0, 0, 0.7, 0.7, 0))


def repeated(clips, rng):
    return np.resize(clips[:50], clips.shape)


def noisy(clips, rng):
    return np.uint8(np.clip(clips + 25.5 * rng.normal(size=clips.shape), 0, 255))


SET = 200  # clips of which each measure is taken, and with it its spread over real clips
CAUGHT = [  # what is done to real clips, and the measures that are there to see it
    (frozen, "frozen"),
    (frozen, "motion_distance"),
    ("shuffled", "motion_distance"),
    (mixed, "motion_distance"),
    ("jittery", "path_residual"),
    ("jittery", "motion_distance"),
    ("changed", "motion_distance"),
    (blurred, "sharpness"),
    ("flickering", "flicker"),
    ("flickering", "motion_distance"),
    (repeated, "recall"),
    (noisy, "sharpness"),
    (noisy, "content_distance"),
    ("copied", "copies"),
]
JUDGED = ("content_distance", "motion_distance", "precision", "recall")


@pytest.fixture(scope="module")
def sets():
    """For each world: training clips to be searched for copies, five sets of real clips that are not among them, and what the
    judges see in 400 test clips."""
    found = {}
    for world in ("shapes", "digits"):
        clips = datasets.load(world, "train", 7 * SET)
        looks = exam._looks(datasets.load(world, "test", 400).frames, world)
        parts = [clips[i * SET : (i + 1) * SET] for i in range(2, 7)]
        found[world] = {"searched": clips.frames[: 2 * SET], "sets": parts, "looks": looks, "real": {}}
    return found


def measured(measure, frames, world, given):
    """One measure of clips, as `examine` takes it."""
    if measure in JUDGED:
        return exam._distribution(exam._looks(frames, world), given["looks"])[measure][0]
    if measure == "copies":
        unseen = metrics.nearest_clip(given["sets"][0].frames, given["searched"])[1]
        return exam._copying(metrics.nearest_clip(frames, given["searched"])[1], unseen)["copies"][0]
    found = exam._paths(frames, world, {}, None) if measure == "path_residual" else exam._alone(frames)
    return found[measure][0]


@pytest.mark.parametrize("world", ["shapes", "digits"])
@pytest.mark.parametrize("corruption, measure", CAUGHT, ids=lambda value: getattr(value, "__name__", value))
def test_what_is_wrong_is_caught(corruption, measure, world, sets, monkeypatch):
    """The measure that is meant for it moves by more than five times what it differs between sets of real clips."""
    given = sets[world]
    monkeypatch.setattr(exam, "WARPED", 1)
    if measure not in given["real"]:
        given["real"][measure] = [measured(measure, clips.frames, world, given) for clips in given["sets"][:4]]
    real, clips = given["real"][measure], given["sets"][4]
    if corruption == "copied":
        wrong = given["searched"][:SET]
    elif isinstance(corruption, str):
        wrong = motion.corrupted(clips, corruption)
    else:
        wrong = corruption(clips.frames, np.random.default_rng(0))
    moved = abs(measured(measure, wrong, world, given) - np.mean(real))
    assert moved > 5 * np.ptp(real) and moved > 0.01, f"{measure} moved by {moved:.3g}, real clips lie within {np.ptp(real):.3g}"


@pytest.mark.parametrize("world", ["shapes", "digits"])
def test_content_features_cannot_see_the_order_of_frames(world, quick):
    clips = training(world)
    looks, again = exam._looks(clips.frames, world), exam._looks(motion.corrupted(clips, "shuffled"), world)
    np.testing.assert_allclose(looks["content"], again["content"], atol=2e-4)
    assert np.abs(looks["motion"] - again["motion"]).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("world", ["digits", "shapes"])
def test_a_thousand_clips_take_less_than_a_minute(world):
    """On two idle cores, what is measured of the real clips included."""
    exam._standard_yardstick.cache_clear()
    clips = datasets.load(world, "train", 2000)[1000:]
    start = time.perf_counter()
    exam.examine(clips, world, asked=clips)
    assert time.perf_counter() - start < 60


def test_the_scoreboard_lines_up_its_rows(capsys):
    exam.scoreboard([{"model": "dense", "psnr": 28.341, "steps": 2500}, {"model": "a longer name", "psnr": None, "steps": 7}])
    assert capsys.readouterr().out.splitlines() == [
        "model          psnr  steps",
        "dense          28.3  2,500",
        "a longer name     -      7",
    ]
    for wrong in ([], [{"model": "a", "psnr": 1.0}, {"model": "b"}], [{"model": "a", "psnr": 1.0}, {"psnr": 1.0, "model": "b"}]):
        with pytest.raises(CourseError, match="at least one row, and the same keys"):
            exam.scoreboard(wrong)
