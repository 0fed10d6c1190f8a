"""The judges of motion: what they are trained to tell is what their labels say, and the shipped ones can tell it."""

import keras
import numpy as np
import pytest

from vidgen_tf import datasets, zoo
from vidgen_tf.errors import CourseError
from vidgen_tf.models import judge as judges
from vidgen_tf.models import motion
from vidgen_tf.worlds import shapes

NAMES = ("judge-motion-digits", "judge-motion-shapes")


@pytest.fixture(scope="module")
def clips():
    return {name: datasets.load(name, "validation", 80) for name in ("shapes", "digits")}


@pytest.mark.parametrize("world", ["shapes", "digits"])
def test_shuffled_clips_hold_the_same_frames_in_another_order(world, clips):
    true = clips[world].frames
    frames = motion.corrupted(clips[world], "shuffled", seed=1)
    for before, after in zip(true, frames):
        assert sorted(frame.tobytes() for frame in before) == sorted(frame.tobytes() for frame in after)
    assert (frames != true).any(axis=(1, 2, 3, 4)).mean() > 0.8
    orders = {
        tuple(int(np.argmin(np.abs(before.astype(int) - f).sum((1, 2, 3)))) for f in after)
        for before, after in zip(true[:20], frames[:20])
    }
    assert len(orders) > 10, "each clip in an order of its own"


@pytest.mark.parametrize("world", ["shapes", "digits"])
def test_spliced_clips_have_one_run_of_frames_of_another_clip(world, clips):
    true = clips[world].frames
    frames = motion.corrupted(clips[world], "spliced", seed=2)
    lengths = []
    for i, clip in enumerate(frames):
        foreign = np.flatnonzero((clip != true[i]).any(axis=(1, 2, 3)))
        if len(foreign):
            sources = [j for j in range(80) if np.array_equal(true[j, foreign], clip[foreign])]
            assert sources and i not in sources
            lengths.append(np.ptp(foreign) + 1)
    assert len(lengths) > 70 and min(lengths) == 1 and max(lengths) == 8


def test_changed_clips_keep_their_path_and_their_beginning(clips):
    from vidgen_tf import physics

    for world in ("digits", "shapes"):
        true = clips[world]
        frames = motion.corrupted(true, "changed", seed=3)
        first = [np.flatnonzero((a != b).any(axis=(1, 2, 3)))[:1].tolist() for a, b in zip(frames, true.frames)]
        assert all(4 <= start[0] <= 12 for start in first if start) and sum(map(bool, first)) > 76
    single = true.states["objects"] == 1
    tracks = physics.track(frames[single])
    assert (tracks.color[:, 1] >= 0).mean() > 0.9, "it has another colour"
    way = tracks.centre - true.states["position"][single, :, :1]  # of the one and of the other
    assert np.nanmax(np.abs(way)) < 2.0, "a triangle's centre of mass lies below its middle"


@pytest.mark.parametrize("world", ["shapes", "digits"])
def test_jittery_frames_are_moved_and_flickering_ones_are_darker_or_brighter(world, clips):
    true = clips[world].frames.astype(int)
    frames = motion.corrupted(clips[world], "jittery", seed=4)
    moves = {(0, 0)}
    for i, t in np.ndindex(6, 16):
        found = [
            (dy, dx)
            for dy in range(-3, 4)
            for dx in range(-3, 4)
            if np.array_equal(np.roll(true[i, t], (dy, dx), axis=(0, 1)), frames[i, t])
        ]
        assert found
        moves.update(found[:1])
    assert len(moves) > 30
    frames = motion.corrupted(clips[world], "flickering", seed=4)
    gain = frames.sum(axis=(2, 3, 4)) / true.sum(axis=(2, 3, 4))
    assert 0.6 < gain.min() < 0.75 and 1.1 < gain.max() < 1.3 and gain.std(axis=1).min() > 0.05
    np.testing.assert_array_equal(motion.corrupted(clips[world], "true"), true)


def test_changed_digits_become_another_digit():
    digits = datasets.load("digits", "validation", 200)
    kinds = digits.states["digit"][:, 0]
    pictures = motion._others(digits, np.random.default_rng(0))["picture"]
    same = {picture.tobytes(): kind for picture, kind in zip(digits.states["picture"], kinds)}
    assert np.mean([same[picture.tobytes()] != kind for picture, kind in zip(pictures, kinds)]) > 0.95


def test_orders_that_there_are_not_are_refused(clips):
    with pytest.raises(CourseError, match="shuffled, spliced, changed, jittery, flickering, backwards"):
        motion.corrupted(clips["shapes"], "sideways")
    with pytest.raises(CourseError, match="At least two clips"):
        motion.corrupted(clips["shapes"][:1], "spliced")


@pytest.mark.parametrize("name", NAMES)
def test_labels_say_what_was_done_and_are_left_open_where_it_does_not_show(name):
    recipe = zoo.recipe(name)
    frames, labels = recipe.data("validation")
    clips = datasets.load(recipe.dataset[0], "validation")
    half = len(clips)
    looks = recipe.config.looks.keys()
    assert labels.keys() == recipe.config.classes.keys() | looks and frames.shape[1:] == recipe.config.shape
    np.testing.assert_array_equal(frames[:half], clips.frames)
    assert (labels["order"][:half] == 0).all() and (labels["order"][half:] != 0).all()
    assert set(labels["order"][half:]) - {-1} == set(range(1, recipe.config.classes["order"]))
    assert np.mean(labels["order"][half:] == -1) < 0.25
    same = (frames[half:] == clips.frames).all(axis=(1, 2, 3, 4))
    assert (labels["order"][half:][same] == -1).all()
    for head in labels.keys() - {"order"}:
        assert (labels[head][:half] >= 0).all()
        lost = {"spliced", "changed"} if head in looks else {"spliced", "shuffled", "jittery", "backwards"}
        lost = np.isin(labels["order"][half:], [motion.ORDERS.index(kind) for kind in lost])
        known = np.isin(labels["order"][half:], [motion.ORDERS.index("flickering")]) | (~lost if head in looks else False)
        np.testing.assert_array_equal(labels[head][half:][known], labels[head][:half][known])
        assert (labels[head][half:][lost] == -1).all()
    if name == "judge-motion-shapes":
        backwards = np.flatnonzero(labels["order"][half:] == motion.ORDERS.index("backwards"))
        assert len(backwards) > 20
        assert (clips.states["motion"][backwards] == shapes.MOTIONS.index("falls")).any(axis=1).all()
        np.testing.assert_array_equal(frames[half:][backwards], clips.frames[backwards, ::-1])


@pytest.mark.parametrize("name", NAMES)
def test_a_judge_of_motion_is_small_and_sees_the_order_of_frames(name, tmp_path):
    recipe = zoo.recipe(name)
    judge = recipe.build()
    clips = np.random.default_rng(0).integers(0, 256, (5, *recipe.config.shape), dtype=np.uint8)
    said = judges.judged(judge, clips)
    assert said["features"].shape == (5, 64)
    assert {
        key: value.shape[1] for key, value in said.items() if key != "features"
    } == recipe.config.classes | recipe.config.looks
    assert np.abs(said["features"] - judges.judged(judge, clips[:, ::-1])["features"]).max() > 1e-3
    large = clips.repeat(2, axis=2).repeat(2, axis=3)
    np.testing.assert_allclose(judges.judged(judge, large)["features"], said["features"], atol=1e-5)
    zoo.write_weights(judge, tmp_path / "w.weights.h5")
    assert (tmp_path / "w.weights.h5").stat().st_size < 1e6
    for wrong in (clips[0], clips[:, :8], clips[:, :, :16]):
        with pytest.raises(CourseError, match=r"\(n, 16, 32, 32, \d\) or a whole multiple"):
            judges.judged(judge, wrong)


class Drifts(motion._MotionJudge):
    """A recipe that learns in a moment: whether a bright bar goes right or left."""

    seed = 1
    sizes = {"filters": (4,), "frame_features": 8, "time_filters": (8,)}
    config = motion.MotionJudgeConfig(shape=(4, 8, 8, 1), classes={"way": 2}, looks={}, **sizes)

    def data(self, split):
        way, start = np.arange(96) % 2, np.arange(96) % 5
        frames = np.zeros((96, 4, 8, 8, 1), np.uint8)
        for i in range(96):
            for t in range(4):
                frames[i, t, :, start[i] + (t if way[i] else 3 - t)] = 255
        return frames, {"way": way.astype(np.int32)}


def test_a_judge_of_motion_learns_what_no_single_frame_shows():
    keras.utils.set_random_seed(1)
    model = Drifts().build()
    Drifts().train(model, 100, None)
    assert judges.accuracies(model, *Drifts().data("test"))["way"] > 0.95


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_judge_tells_motion_and_order_of_clips_it_never_saw(name):
    exam = zoo.manifest()[name]["exam"]
    for head, accuracy in exam.items():
        assert accuracy > (0.8 if head == "accuracy_order" else 0.9), head
