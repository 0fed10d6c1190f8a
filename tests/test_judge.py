"""The judges: right about real frames that they never saw, not fooled by noise, and their features tell real from unreal."""

import keras
import numpy as np
import pytest

from vidgen_tf import exam, zoo
from vidgen_tf.errors import CourseError
from vidgen_tf.models import judge as judges
from vidgen_tf.worlds import faces

NAMES = ("judge-digits", "judge-digits-32", "judge-faces", "judge-shapes")
TINY = judges.JudgeConfig(shape=(8, 8, 1), classes={"kind": 3}, filters=(4,), features=5, bend=0.1, shift=0.1)


@pytest.fixture(scope="module")
def shipped():
    """The judges of the zoo, each with the frames and labels of its test split."""
    return {name: (zoo.load(name), *zoo.recipe(name).data("test")) for name in NAMES}


def noise_like(frames, seed=0):
    return np.random.default_rng(seed).integers(0, 256, frames.shape, dtype=np.uint8)


def blurred(frames, width):
    """Each pixel the mean of the square of this odd width around it."""
    steps = range(-(width // 2), width // 2 + 1)
    rows = sum(np.roll(frames.astype(np.float32), i, axis=1) for i in steps)
    return (sum(np.roll(rows, i, axis=2) for i in steps) / width**2).astype(np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_the_judge_is_right_about_frames_it_never_saw(name, shipped):
    judge, frames, labels = shipped[name]
    assert labels.keys() == zoo.recipe(name).config.classes.keys()
    for head, accuracy in judges.accuracies(judge, frames, labels).items():
        assert accuracy >= 0.95, head
    for head, p in judges.judged(judge, frames).items():
        if head != "features":
            assert np.mean(p.max(axis=1)[labels[head] >= 0] >= 0.9) >= 0.9, f"{head} is unsure of real frames"


def test_faces_at_twice_the_size_are_judged_after_halving(shipped):
    from vidgen_tf.datasets import load

    clips = load("faces", "test")
    frames = clips.frames[:, [0, 6, 12]].reshape(-1, 64, 64, 3)
    labels = judges.face_labels(clips.states, np.tile([0, 6, 12], (len(clips), 1)))
    for head, accuracy in judges.accuracies(shipped["judge-faces"][0], frames, labels).items():
        assert accuracy >= 0.9, head


@pytest.mark.parametrize("name", NAMES)
def test_noise_and_blank_frames_do_not_pass_for_a_varied_world(name, shipped):
    """The bar of the chapters, confident judgements spread over all classes, is out of reach without a picture."""
    judge, frames, _ = shipped[name]
    blank = np.linspace(0, 255, 256).astype(np.uint8)[:, None, None, None] * np.ones(frames.shape[1:], np.uint8)
    for unreal in (noise_like(frames[:256]), blank):
        for head, p in judges.judged(judge, unreal).items():
            if head != "features" and p.shape[1] > 2:  # of two classes, noise may well look like either
                sure = p.argmax(axis=1)[p.max(axis=1) >= 0.9]
                shares = np.bincount(sure, minlength=p.shape[1]) / len(p)
                assert shares.min() < 0.03 or shares.sum() < 0.5, head


@pytest.mark.parametrize("name, others, blur", [("judge-digits", "train", 9), ("judge-faces", "validation", 5)])
def test_features_of_real_frames_lie_near_each_other_and_far_from_unreal_ones(name, others, blur, shipped):
    """A digit's blur is wider: a pixel of its scan is 3.5 pixels of the frame."""
    judge, frames, _ = shipped[name]
    reference = judges.judged(judge, zoo.recipe(name).data(others)[0])["features"]

    def distance(frames):
        return exam.frechet_distance(reference, judges.judged(judge, frames)["features"])

    floor = distance(frames)
    assert distance(noise_like(frames)) > 10 * floor
    assert distance(blurred(frames, blur)) > 3 * floor


@pytest.mark.parametrize("name", NAMES)
def test_a_judge_written_and_read_again_judges_the_same(name, shipped, tmp_path):
    judge, frames, _ = shipped[name]
    again = zoo.recipe(name).build()
    zoo.write_weights(judge, tmp_path / "judge.weights.h5")
    zoo.read_weights(again, tmp_path / "judge.weights.h5")
    before, after = judges.judged(judge, frames[:64]), judges.judged(again, frames[:64])
    for key, value in before.items():
        np.testing.assert_array_equal(value, after[key], err_msg=key)


def test_a_judge_makes_no_videos():
    for name in NAMES:
        with pytest.raises(CourseError, match="makes none"):
            zoo.recipe(name).sample(None, 1, 0)


def test_frames_of_twice_the_size_are_halved_and_others_refused():
    judge = judges.build_judge(TINY)
    frames = noise_like(np.empty((6, 8, 8, 1)))
    large = frames.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(judges.judged(judge, large)["kind"], judges.judged(judge, frames)["kind"], rtol=1e-5)
    p = judges.judged(judge, frames)
    assert p["kind"].shape == (6, 3) and p["features"].shape == (6, 5)
    np.testing.assert_allclose(p["kind"].sum(axis=1), 1, rtol=1e-5)
    for wrong in (frames[0], frames[:, :4, :4], frames[:, :, :7], large[:, :12, :12], frames.repeat(3, axis=3)):
        with pytest.raises(CourseError, match=r"\(n, 8, 8, 1\) or a whole multiple"):
            judges.judged(judge, wrong)


def test_accuracy_is_the_mean_over_classes_and_leaves_out_what_has_no_label():
    class Yes:
        input_shape = (None, 8, 8, 1)

        def predict(self, frames, **options):
            return {"kind": np.tile([0.0, 1.0], (len(frames), 1)), "features": np.zeros((len(frames), 2))}

    labels = {"kind": np.array([1, 1, 1, 0, -1, -1])}
    assert judges.accuracies(Yes(), noise_like(np.empty((6, 8, 8, 1))), labels) == {"kind": 0.5}


def test_random_affine_is_an_affine_map_near_the_identity_in_training_alone():
    """A picture of its own coordinates shows, after the map, where each pixel came from."""
    side, bend, shift = 21, 0.1, 0.05
    y, x = np.mgrid[:side, :side].astype(np.float32)
    grid = np.repeat(np.stack([x, y], axis=-1)[None], 64, axis=0)
    layer = judges.RandomAffine(bend, shift, seed=7)
    np.testing.assert_array_equal(layer(grid), grid)
    moved = np.asarray(layer(grid, training=True))
    middle = side // 2
    offset = moved[:, middle, middle] - middle
    across = (moved[:, middle, middle + 4] - moved[:, middle, middle - 4]) / 8 - [1, 0]  # what the matrix adds in x
    down = (moved[:, middle + 4, middle] - moved[:, middle - 4, middle]) / 8 - [0, 1]
    assert 0.8 * shift * side < np.abs(offset).max() <= shift * side + 1e-3
    for added in (across, down):
        assert 0.8 * bend < np.abs(added).max() <= bend + 1e-3
    np.testing.assert_array_equal(moved, judges.RandomAffine(bend, shift, seed=7)(grid, training=True))
    assert np.abs(moved - np.asarray(layer(grid, training=True))).max() > 1  # each batch anew


def test_face_labels_are_left_open_where_nothing_can_be_told():
    names = ("skin", "hair_style", "hair_colour", "glasses", "beard")
    states = {name: np.array([1, 0, 0]) for name in names} | {"hair_colour": np.array([4, 3, 2]), "beard": np.array([0, 0, 1])}
    assert faces.HAIR_STYLES[0] == "bald"
    states |= {name: np.array([[0.0, 0.5, 1.0]] * 3) for name in ("mouth_open", "smile", "eye_open")}
    labels = judges.face_labels(states, np.tile([0, 1, 2], (3, 1)))
    np.testing.assert_array_equal(labels["skin"], [1, 1, 1, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(labels["hair_colour"], [4, 4, 4, -1, -1, -1, 2, 2, 2])  # a beard shows it
    np.testing.assert_array_equal(labels["smile"].reshape(3, 3), [[0, -1, 1]] * 3)
    np.testing.assert_array_equal(labels["mouth_open"].reshape(3, 3), [[0, -1, 1]] * 3)
    np.testing.assert_array_equal(labels["eyes_shut"].reshape(3, 3), [[1, -1, 0]] * 3)


class Stripes(judges._Judge):
    """A recipe that learns in a moment: which third of the frame is bright."""

    seed = 1
    config = TINY

    def data(self, split):
        label = np.arange(96) % 3
        frames = noise_like(np.empty((96, 8, 8, 1))) // 4
        for i, kind in enumerate(label):
            frames[i, 3 * kind : 3 * kind + 2] += 150
        return frames, {"kind": np.where(np.arange(96) % 4, label, -1).astype(np.int32)}


def test_a_judge_learns_and_resumes_to_the_same_weights(tmp_path, monkeypatch):
    def trained(checkpoint):
        keras.utils.set_random_seed(1)
        model = Stripes().build()
        Stripes().train(model, 100, checkpoint)
        return model

    whole = trained(None)
    assert judges.accuracies(whole, *Stripes().data("test"))["kind"] > 0.95
    state, end = judges.training._State, judges.training._State.on_epoch_end

    def stop(self, epoch, logs=None):
        end(self, epoch, logs)
        self.save()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(state, "on_epoch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "c.npz")
    keras.utils.set_random_seed(1)
    for a, b in zip(whole.get_weights(), trained(tmp_path / "c.npz").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
