"""The video GAN: each side's step leaves the other's weights alone, and content stays while motion changes."""

import dataclasses

import keras
import numpy as np
import pytest

from vidgen_tf.errors import CourseError
from vidgen_tf.layers import Shift
from vidgen_tf.models import dcgan, video_gan
from vidgen_tf.pipelines.video_gan import balanced_kinds, generate_clips
from vidgen_tf.recipes.video_gan import clip_kinds, start_from_images
from vidgen_tf.worlds import digits, faces

CONFIG = video_gan.VideoGANConfig(
    content_dim=3,
    noise_dim=2,
    motion_dim=2,
    hidden_dim=4,
    num_motions=2,
    num_contents=3,
    num_groups=2,
    num_frames=7,
    num_shown_frames=3,
    image_size=16,
    filters=(4,),
    frame_filters=(4,),
    discriminator_filters=(4, 4),
    feature_dim=5,
)
RNG = np.random.default_rng(0)
CLIPS = RNG.uniform(-1, 1, (6, 7, 16, 16, 1)).astype("float32")
KINDS = np.array([[0, 2], [1, 0], [1, 1], [0, 1], [1, 2], [0, 0]], "int32")
INDEX = np.tile(np.int32([0, 2, 4]), (6, 1))


def compiled(d_rate=1e-2, g_rate=1e-2, **options):
    keras.utils.set_random_seed(1)
    model = video_gan.VideoGAN(CONFIG, seed=2, **options)
    model.compile(keras.optimizers.SGD(d_rate), keras.optimizers.SGD(g_rate), run_eagerly=True)
    return model


@pytest.fixture(scope="module")
def model():
    """A few steps trained, so that the running statistics aren't those of the start."""
    model = compiled(g_rate=0.05)
    for _ in range(3):
        model.train_on_batch(CLIPS, KINDS)
    model.ema_generator.set_weights(model.generator.get_weights())
    return model


def shift_layer(generator):
    return next(layer for layer in generator.layers if isinstance(layer, Shift))


def whole(model, count=6):
    """The numbers of all frames of some clips."""
    return np.tile(np.arange(model.config.num_frames, dtype="int32"), (count, 1))


@pytest.mark.parametrize(
    "rates, trained, untouched", [((1e-2, 0.0), "discriminator", "generator"), ((0.0, 1e-2), "generator", "discriminator")]
)
def test_each_side_touches_its_own_weights_alone(rates, trained, untouched):
    model = compiled(*rates)
    before = {name: [v.numpy() for v in getattr(model, name).trainable_variables] for name in (trained, untouched)}
    model.train_on_batch(CLIPS, KINDS)
    pairs = {name: list(zip(before[name], getattr(model, name).trainable_variables, strict=True)) for name in before}
    assert all(np.array_equal(a, b) for a, b in pairs[untouched])
    kernels = [(a, b) for a, b in pairs[trained] if a.ndim > 1]  # a last bias adds the same to real and fake logits
    assert not any(np.array_equal(a, b) for a, b in kernels)


@pytest.mark.parametrize("names", [("image",), ("video",), ("image", "video")])
def test_the_generator_is_trained_against_the_discriminators_that_are_named(names):
    model = compiled(discriminators=names)
    logits = model.discriminator([CLIPS[:, :3], INDEX, KINDS])
    shapes = {"image": (6, 2), "video": (6, 1)}
    assert {name: tuple(each.shape) for name, each in logits.items()} == {name: shapes[name] for name in names}


def test_the_image_discriminator_sees_frames_alone_and_the_video_discriminator_all_of_them_in_order(model):
    frames, reverse = CLIPS[:, :3], CLIPS[:, 2::-1]
    straight, other = (model.discriminator([clip, INDEX, KINDS]) for clip in (frames, reverse))
    np.testing.assert_allclose(straight["image"].numpy()[:, ::-1], other["image"], atol=1e-6)
    assert np.abs(straight["video"] - other["video"]).min() > 1e-5
    for later in (INDEX + 1, INDEX // 2):  # begins later; frames that are nearer to one another
        seen = model.discriminator([frames, later, KINDS])
        np.testing.assert_array_equal(straight["image"], seen["image"])
        assert np.abs(straight["video"] - seen["video"]).min() > 1e-6


def test_the_image_discriminator_knows_the_content_asked_for_and_the_video_discriminator_the_motion_too(model):
    def rate(kinds):
        return {name: each.numpy() for name, each in model.discriminator([CLIPS[:, :3], INDEX, kinds]).items()}

    asked = rate(KINDS)
    moved = rate(np.stack([1 - KINDS[:, 0], KINDS[:, 1]], axis=1))
    swapped = rate(np.stack([KINDS[:, 0], (KINDS[:, 1] + 1) % 3], axis=1))
    np.testing.assert_array_equal(asked["image"], moved["image"])
    assert np.abs(asked["video"] - moved["video"]).min() > 1e-6
    assert all(np.abs(asked[name] - swapped[name]).min() > 1e-6 for name in asked)


def test_content_is_the_same_in_all_frames(model):
    """Where nothing moves the features, those of every frame are the content network's, which no motion code reaches."""
    generator = video_gan.build_video_generator(CONFIG)
    generator.set_weights(model.generator.get_weights())
    to_shift = generator.get_layer("to_shift")
    to_shift.set_weights([0 * weight for weight in to_shift.get_weights()])
    moved = keras.Model(generator.inputs, shift_layer(generator).output)
    content, noise = (np.asarray(part) for part in video_gan.sample_codes(CONFIG, 6, seed=3))
    features = generator.get_layer("content_network")([content, KINDS[:, 1]])
    seen = moved([content, noise, KINDS, whole(model)]).numpy()
    assert seen.shape == (6, 7, 8, 8, 4) and np.abs(seen).max() > 0
    np.testing.assert_allclose(seen, np.repeat(features[:, None], 7, axis=1), atol=1e-6)


def test_content_lies_in_empty_space(model):
    content = np.asarray(video_gan.sample_codes(CONFIG, 6, seed=3)[0])
    features = np.array(model.generator.get_layer("content_network")([content, KINDS[:, 1]]))
    assert CONFIG.padding == 2 and features.shape == (6, 8, 8, 4) and features[:, 2:-2, 2:-2].any(axis=(1, 2, 3)).all()
    features[:, 2:-2, 2:-2] = 0
    assert not features.any()


def test_a_recurrent_network_moves_by_itself_and_as_asked(model):
    motion = model.generator.get_layer("motion_network")
    noise = np.ones((2, 2), "float32")
    one, other = motion([noise, np.array([0, 1])]).numpy()
    assert one.shape == (7, 2) and np.abs(np.diff(one, axis=0)).min() > 0 and np.abs(one - other).min() > 0
    assert np.abs(motion([-noise, np.array([0, 1])])[0] - one).min() > 0, "noise makes it another motion of the same kind"


def test_wanted_frames_are_those_of_the_whole_clip(model):
    codes = video_gan.sample_codes(CONFIG, 6, seed=4)
    clip = model([*map(np.asarray, codes), KINDS, whole(model)]).numpy()
    index = np.int32([[0, 3], [1, 4], [2, 3], [0, 6], [3, 4], [0, 4]])
    some = model([*map(np.asarray, codes), KINDS, index]).numpy()
    np.testing.assert_allclose(some, np.take_along_axis(clip, index[..., None, None, None], axis=1), atol=1e-5)


def test_codes_can_be_exchanged(model):
    content, noise = (np.asarray(part) for part in video_gan.sample_codes(CONFIG, 6, seed=5))
    clips = generate_clips(model, KINDS, seed=5)
    assert clips.shape == (6, 7, 16, 16, 1) and clips.dtype == np.uint8
    np.testing.assert_array_equal(generate_clips(model, KINDS, 9, content, noise), clips)
    for given in ({"content": content}, {"noise": noise}):
        assert (generate_clips(model, KINDS, 9, **given) != clips).any()


def test_kinds_are_asked_for_equally_often():
    kinds = balanced_kinds(CONFIG, 12)
    assert {tuple(pair): int(n) for pair, n in zip(*np.unique(kinds, axis=0, return_counts=True))} == {
        (motion, content): 2 for motion in range(2) for content in range(3)
    }


def test_kinds_of_real_clips_are_those_of_their_captions():
    clips = digits.make(8, seed=1)
    for caption, (motion, digit) in zip(clips.captions, clip_kinds(clips)):
        assert caption == f"the digit {digit} is moving {digits.MOTIONS[motion]} ."
    kinds = clip_kinds(faces.make(8, seed=1))
    assert kinds.shape == (8, 2) and not kinds[:, 1].any() and kinds[:, 0].max() < len(faces.EXPRESSIONS)


def test_shown_frames_are_at_equal_distances(model):
    choices = np.concatenate([np.asarray(model.choose_frames(2, seed=seed)) for seed in range(100)])
    assert choices.shape == (200, 3) and (np.diff(choices, axis=1) > 0).all() and (np.diff(choices, 2, axis=1) == 0).all()
    assert choices.min() == 0 and choices.max() == 6
    assert len(np.unique(choices, axis=0)) == 9, "5 with neighbours, 3 with a frame between, 1 with two"


def test_the_penalty_is_that_of_the_gradients_of_the_logits():
    """Against difference quotients at each pixel of the first clip, the only one that the penalty sees here."""
    gan = compiled(penalty_stride=6, gamma=2.0)
    frames = keras.ops.convert_to_tensor(CLIPS[:, :3])
    found = float(gan.penalty(frames, frames, keras.ops.convert_to_tensor(INDEX), keras.ops.convert_to_tensor(KINDS)))
    count, step = 3 * 16 * 16, 0.01
    steps = (step * np.eye(count, dtype="float32")).reshape(count, 3, 16, 16, 1)
    index, kinds = np.repeat(INDEX[:1], count, axis=0), np.repeat(KINDS[:1], count, axis=0)

    def logit(frames):
        logits = gan.discriminator([frames, index, kinds])
        return sum(np.asarray(each).sum(axis=1) / each.shape[-1] ** 0.5 for each in logits.values())

    slopes = (logit(CLIPS[:1, :3] + steps) - logit(CLIPS[:1, :3] - steps)) / (2 * step)
    assert found == pytest.approx(2 * np.square(slopes).sum(), rel=0.05) and found > 0
    assert compiled(gamma=0.0).penalty(CLIPS[:, :3], CLIPS[:, :3], INDEX, KINDS) == 0


def test_a_saved_generator_gives_the_same_clips(model, tmp_path):
    generator = video_gan.VideoGenerator(CONFIG)
    generator.network.set_weights(model.ema_generator.get_weights())
    clips = generate_clips(generator, KINDS, seed=6)
    np.testing.assert_array_equal(clips, generate_clips(model, KINDS, seed=6))
    generator.save(tmp_path / "g.keras")
    np.testing.assert_array_equal(generate_clips(keras.models.load_model(tmp_path / "g.keras"), KINDS, seed=6), clips)
    generator.save_weights(tmp_path / "g.weights.h5")
    fresh = video_gan.VideoGenerator(CONFIG)
    assert (generate_clips(fresh, KINDS, seed=6) != clips).any()
    fresh.load_weights(tmp_path / "g.weights.h5")
    np.testing.assert_array_equal(generate_clips(fresh, KINDS, seed=6), clips)


def test_a_generator_of_faces_begins_with_the_still_pictures_of_an_image_generator():
    pictures = dcgan.build_dcgan_generator(dcgan.DCGANConfig(latent_dim=4, filters=(6, 4)))
    config = video_gan.VideoGANConfig(
        content_dim=4, num_motions=5, num_groups=2, is_styled=True, image_size=16, filters=(6, 4),
        frame_filters=(4, 4), channels=3, num_frames=5,
    )  # fmt: skip
    generator = video_gan.VideoGenerator(config)
    start_from_images(generator.network, pictures)
    content, noise = video_gan.sample_codes(config, 5, seed=1)
    kinds = np.stack([np.arange(5), np.zeros(5)], axis=1).astype("int32")
    clips = generator([np.asarray(content), np.asarray(noise), kinds, whole(generator, 5)]).numpy()
    still = pictures(np.asarray(content), training=False).numpy()
    assert np.ptp(still) > 0
    inner = np.s_[:, :, 2:-2, 2:-2]  # padding is of the smaller map here, and of the larger one there
    np.testing.assert_allclose(clips[inner], np.repeat(still[:, None], 5, axis=1)[inner], atol=1e-5)


@pytest.mark.parametrize("change, said", [
    ({"num_shown_frames": 8}, "7 frames can't show 8"),
    ({"num_shown_frames": 1}, "at least 2"),
    ({"filters": ()}, r"len\(filters\)"),
    ({"image_size": 18}, "multiple of 4"),
    ({"filters": (4, 4, 4)}, "multiple of 4, 32 at least for these filters, got 16"),
    ({"num_groups": 3}, "4 channels can't be cut into 3 groups"),
])  # fmt: skip
def test_sizes_that_cannot_be_built_are_refused(change, said):
    with pytest.raises(CourseError, match=said):
        dataclasses.replace(CONFIG, **change)


@pytest.mark.parametrize("names", [(), ("sound",)])
def test_unknown_discriminators_are_refused(names):
    with pytest.raises(CourseError, match="needs discriminators among image, video"):
        video_gan.VideoGAN(CONFIG, names)
