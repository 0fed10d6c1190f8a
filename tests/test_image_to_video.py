"""Picture to video and sketch to video: prompts, curves, pictures of a user's own, and what the shipped models make of them."""

import imageio.v3 as iio
import numpy as np
import pytest
import tensorflow as tf

from vidgen_tf.errors import CourseError
from vidgen_tf.models.animator import Animator, AnimatorConfig, features_mask, pixel_shuffle
from vidgen_tf.models.colorizer import difference_loss
from vidgen_tf.pipelines import image_to_video, pictures
from vidgen_tf.pipelines.autoregressive import condition_ids
from vidgen_tf.recipes.image_to_video import choose_pairs, motion_examples, sketch_examples
from vidgen_tf.worlds import faces

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def clips():
    return faces.make(20, seed=78)


def test_labels_are_the_ids_of_captions(clips):
    assert np.array_equal(image_to_video.state_labels(clips.states), condition_ids(clips.captions, "faces-32"))
    alone = image_to_video.state_labels(clips.states, ("expression",))
    assert np.array_equal(alone[:, 0], 1 + clips.states["expression"]) and not alone[:, 1:].any()


def test_a_prompt_is_read_in_both_languages_and_what_it_leaves_open_stays_open(clips):
    for captions in (clips.captions, clips.captions_zh):
        read = np.stack([image_to_video.read_prompt(caption) for caption in captions.tolist()])
        asked = condition_ids(captions, "faces-32")
        is_said = read > 0
        assert is_said[:, 0].all() and np.array_equal(read[is_said], asked[is_said])
    assert image_to_video.read_prompt("smiles").tolist() == [2, 0, 0, 0, 0]
    assert image_to_video.read_prompt("戴眼镜，微笑")[[0, 4]].tolist() == [2, 20] and not image_to_video.read_prompt("").any()
    with pytest.raises(CourseError, match=r"never saw: jumps.*smiles"):
        image_to_video.read_prompt("a face jumps")
    with pytest.raises(CourseError, match="two kinds of expression"):
        image_to_video.read_prompt("smiles and blinks")


def test_pixels_are_shuffled_as_tensorflow_does():
    x = RNG.normal(size=(2, 3, 5, 12)).astype("float32")
    assert np.array_equal(pixel_shuffle(x, 3), tf.nn.depth_to_space(x, 2))


def test_a_new_animator_moves_nothing_and_mixes_half_and_half():
    model = Animator(AnimatorConfig(16, 3, 7, (4, 6), 1, (4, 4)))
    picture = RNG.uniform(-1, 1, (2, 16, 16, 3)).astype("float32")
    parts = model.network([picture, RNG.normal(size=(2, 2, 7)).astype("float32")])
    assert not np.any(parts["flow"]) and np.all(np.asarray(parts["mask"]) == 0.5)
    np.testing.assert_allclose(parts["frame"], (picture + parts["residual"]) / 2, atol=1e-6)


def test_the_box_holds_eyes_and_mouth(clips):
    mask = features_mask(64)[..., 0]
    for name in ("left_eye", "right_eye", "mouth"):
        x, y = np.rint(clips.states[name]).astype(int).transpose(2, 0, 1)
        assert mask[y, x].all()
    assert 0.1 < mask.mean() < 0.2


def test_pairs_come_with_the_parameters_of_their_frames(clips):
    pairs, parameters = choose_pairs(clips, 1)
    curves = image_to_video.face_parameters(clips.states)
    for i in (0, 7, 33):
        clip = i // 4
        source, target = (int(np.flatnonzero((curves[clip] == value).all(axis=-1))[0]) for value in parameters[i])
        assert np.array_equal(pairs[i], clips.frames[clip, [source, target]])
    is_first = (parameters[:, 0] == curves[:, 0].repeat(4, axis=0)).all(axis=-1)
    assert 0.35 < is_first.mean() < 0.75


def test_examples_of_motion_and_of_sketches_belong_together(clips):
    examples = motion_examples(10, seed=5)
    states = faces.make(10, seed=5, size=16).states
    assert np.array_equal(examples["latents"], image_to_video.face_parameters(states))
    assert np.array_equal(examples["labels"][:, 0], 1 + states["expression"])
    examples = sketch_examples(clips, 0)
    assert {len(array) for array in examples.values()} == {60} and set(np.unique(examples["sketches"])) == {0, 255}
    assert np.array_equal(examples["pictures"][::3], clips.frames[:, 0])


def test_a_difference_loss_ignores_brightness_and_sees_blur():
    sharp = np.zeros((1, 8, 8, 1), "float32")
    sharp[:, :, 4:] = 1
    blurred = sharp.copy()
    blurred[:, :, 3], blurred[:, :, 4] = 1 / 3, 2 / 3
    assert difference_loss(sharp + 0.5, sharp) == 0 and difference_loss(blurred, sharp) > 0


class ZeroMotion:
    """A model of motion that keeps what it is told to keep, and is 0 elsewhere."""

    def velocity(self, noisy, t, *, conditioning=None):
        return noisy

    def sample(self, count, steps, seed, velocity_fn, known_latents, known_mask):
        return np.where(known_mask[:, None], known_latents, 0).astype("float32")


def test_clips_begin_and_end_with_their_pictures(clips):
    animator = Animator(AnimatorConfig(64, 3, 7, (4, 4), 1, (4, 4)))
    first, last, labels = clips.frames[:2, 0], clips.frames[:2, -1], np.zeros((2, 5), "int32")
    made = image_to_video.image_to_video(animator, ZeroMotion(), first, labels)
    assert made.shape == (2, 16, 64, 64, 3) and np.array_equal(made[:, 0], first) and not np.array_equal(made[:, 1], first)
    made = image_to_video.fill_between(animator, ZeroMotion(), first, last, labels)
    assert np.array_equal(made[:, 0], first) and np.array_equal(made[:, -1], last)


@pytest.mark.parametrize(("mode", "size"), [("L", (90, 64)), ("RGBA", (300, 500)), ("P", (64, 64)), ("RGB", (40, 30))])
def test_a_picture_of_any_mode_and_size_becomes_a_square(mode, size, tmp_path):
    from PIL import Image

    Image.fromarray(RNG.integers(0, 255, (*size, 3)).astype(np.uint8)).convert(mode).save(tmp_path / "a.png")
    picture = pictures.open_picture(tmp_path / "a.png")
    assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8


def test_a_drawing_becomes_thin_lines_in_ink_or_in_chalk(tmp_path):
    drawing = np.full((512, 512), 250, np.uint8)
    drawing[100:110, 50:450] = 10  # ten pixels wide
    for ink in (drawing, 255 - drawing):
        iio.imwrite(tmp_path / "a.png", ink)
        lines = pictures.open_sketch(tmp_path / "a.png")
        assert lines.shape == (64, 64) and set(np.argwhere(lines)[:, 0]) <= {12, 13} and 45 <= lines.sum() <= 55
    with pytest.raises(CourseError, match="has no lines: draw a face"):
        pictures.find_lines(np.full((256, 256), 200, np.uint8))


def test_a_strange_picture_is_noticed():
    known = faces.make(3, seed=79, num_frames=1).frames[:, 0]
    assert max(map(pictures.novelty_score, known)) < pictures.NOVELTY_THRESHOLD
    assert pictures.novelty_score(RNG.integers(0, 255, (64, 64, 3)).astype(np.uint8)) > pictures.NOVELTY_THRESHOLD
