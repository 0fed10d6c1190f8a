"""Style transfer: drawn styles are the same everywhere, statistics are what papers say, and memory follows what moves."""

import hashlib

import keras
import numpy as np
import pytest

from vidgen_tf.errors import CourseError
from vidgen_tf.evaluation import style_pictures
from vidgen_tf.evaluation.moving_frames import exact_motion, pan
from vidgen_tf.evaluation.style_transfer import edges_kept, error_ratio, motion_error
from vidgen_tf.models import style
from vidgen_tf.models.optical_flow import warp
from vidgen_tf.models.style_transfer import Noise, StyleConfig, blend_memory, build_style_network, style_moments
from vidgen_tf.worlds import shapes
from vidgen_tf.worlds.styles import STYLES, draw_style

RNG = np.random.default_rng(0)
CHECKSUMS = {  # first digits of the sha256 of seed 0 at 64 px
    "hatching": "b9b3a78e5b9c382d",
    "pointillism": "198b6e11dc380914",
    "woodcut": "bf44a43c91f996dd",
    "ink-wash": "c1defddd69620940",
    "neon": "fd03b130ef85de64",
    "mosaic": "e2ad90538b00fc27",
    "watercolour": "fe6230095d0d7459",
    "blueprint": "6697b9136a061e1a",
}


def floats(*shape):
    return RNG.uniform(-1, 1, shape).astype("float32")


@pytest.mark.parametrize("name", STYLES)
def test_a_style_has_the_same_bytes_everywhere(name):
    assert hashlib.sha256(draw_style(name, 0, 64).tobytes()).hexdigest()[:16] == CHECKSUMS[name]


def test_each_picture_is_another_one_yet_simple_statistics_tell_its_style():
    pictures = np.stack([[draw_style(name, seed, 64) for seed in range(4)] for name in STYLES]).astype(np.float32) / 255
    assert len({picture.tobytes() for picture in pictures.reshape(-1, 64 * 64 * 3)}) == 4 * len(STYLES)
    mean, std = pictures.mean(axis=(2, 3)), pictures.std(axis=(2, 3))  # (8, 4, 3)
    detail = np.abs(np.diff(pictures, axis=3)).mean(axis=(2, 3))
    statistics = np.concatenate([mean, std, 2 * detail], axis=-1)
    centres = statistics[:, :3].mean(axis=1)  # of three pictures; the fourth is told by the nearest
    distance = np.linalg.norm(statistics[:, 3, None] - centres, axis=-1)
    assert (distance.argmin(axis=1) == np.arange(len(STYLES))).mean() >= 7 / 8


@pytest.mark.parametrize("arguments, said", [
    (("oil", 0), "no style 'oil'; there are hatching"),
    (("neon", -1), "seed"),
    (("neon", 0, 8), "size"),
    (("neon", 0, 600), "up to 512"),
])  # fmt: skip
def test_an_impossible_picture_is_refused(arguments, said):
    with pytest.raises(CourseError, match=said):
        draw_style(*arguments)


def test_recolored_pictures_keep_their_strokes():
    pictures = np.stack([draw_style("neon", seed, 32) for seed in range(4)])
    other = style_pictures.recolored(pictures, seed=1)
    assert (np.ptp(other[0], axis=-1) == 0).all() and (np.sort(other[1], axis=-1) == np.sort(pictures[1], axis=-1)).all()


def test_pictures_are_labelled_and_the_two_networks_share_none(monkeypatch):
    monkeypatch.setattr(style_pictures, "SPLITS", {"train": (0, 1), "validation": (200, 1)})
    seen = {}
    for split in ("train", "validation"):
        for make in (style_pictures.texture_pictures, style_pictures.style_pictures):
            pictures, labels = make(split)
            copies = 2 if split == "train" else 1
            assert (
                pictures.shape == (copies * 36, 64, 64, 3)
                and labels["style"].tolist() == copies * np.repeat(range(9), 4).tolist()
            )
            seen[split, make] = {picture.tobytes() for picture in pictures[:32]}
    assert len(set.union(*seen.values())) == 4 * 32


def test_adain_gives_the_contents_features_the_styles_moments():
    content, look = floats(2, 5, 6, 3), 3 * floats(2, 7, 4, 3) + 1
    mixed = style.adain(content, look)
    for ours, theirs in zip(style.moments(mixed), style.moments(look)):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
    correlation = np.corrcoef(np.ravel(mixed[0, ..., 1]), np.ravel(content[0, ..., 1]))[0, 1]
    assert correlation > 0.999, "what is where stays"


def test_gram_matrix_is_the_mean_product_of_channels():
    features = floats(2, 5, 6, 3)
    flat = features.reshape(2, 30, 3)
    np.testing.assert_allclose(style.gram_matrix(features), np.einsum("bnc,bnd->bcd", flat, flat) / 30, atol=1e-6)
    shuffled = flat[:, RNG.permutation(30)].reshape(features.shape)
    np.testing.assert_allclose(style.gram_matrix(shuffled), style.gram_matrix(features), atol=1e-6)


def test_losses_are_zero_for_the_same_picture_and_content_ignores_contrast():
    network = style.build_texture_network(style.TextureConfig(filters=(3, 4), num_classes=3))
    extractor = style.build_feature_extractor(network)
    frames = floats(2, 16, 16, 3)
    grams = style.style_grams(style.style_features(extractor, frames))
    assert [gram.shape for gram in grams] == [(2, 4, 4), (2, 4, 4), (2, 4, 4), (2, 5, 5)]
    assert np.allclose(style.style_loss(grams, grams), 0)
    assert style_moments(style.style_features(extractor, frames)).shape == (2, 26)
    other = style.style_grams(style.style_features(extractor, -frames))
    sizes = np.stack([style.gram_distance(a, b) for a, b in zip(grams, other)], axis=1)
    # an untrained network's matrices are so small that the loss's 1e-6 against division by 0 can be seen
    np.testing.assert_allclose(style.style_loss(grams, other, sizes), np.mean(sizes / (sizes + 1e-6), axis=1), atol=1e-4)
    assert np.allclose(style.content_loss(frames, frames), 0) and np.all(style.content_loss(frames, floats(2, 16, 16, 3)) > 0.5)
    assert np.all(style.lightness_loss(0.4 * frames + 0.3, frames) < 0.2)
    assert not extractor.trainable_weights
    with pytest.raises(CourseError, match="no layers block1"):
        style.build_feature_extractor(network, ["block1"])


def test_opponent_colors_of_grey_have_no_chroma():
    grey = np.repeat(floats(1, 4, 4, 1), 3, axis=-1)
    opponent = np.asarray(style.opponent_colors(grey))
    np.testing.assert_allclose(opponent[..., 0], grey[..., 0], atol=1e-6)
    np.testing.assert_allclose(opponent[..., 1:], 0, atol=1e-6)


def test_temporal_loss_is_zero_for_a_perfectly_warped_pair():
    frames, flow = floats(2, 8, 8, 3), np.full((2, 8, 8, 2), [1.0, -2.0], np.float32)
    warped = np.asarray(warp(frames, flow))
    mask = np.ones((2, 8, 8, 1), np.float32)
    assert np.allclose(style.temporal_loss(warped, warped, mask), 0)
    changed = warped.copy()
    changed[:, :4] += 0.5
    np.testing.assert_allclose(style.temporal_loss(changed, warped, mask), 0.125, rtol=1e-5)
    mask[:, :4] = 0
    assert np.allclose(style.temporal_loss(changed, warped, mask), 0) and np.allclose(
        style.temporal_loss(changed, warped, 0 * mask), 0
    )


def test_what_was_hidden_or_outside_is_not_visible():
    back, forth = np.zeros((2, 1, 16, 16, 2), np.float32)
    assert style.visible_mask(back, forth).numpy().all()
    back[:, 4:8, 8:12], forth[:, 4:8, 4:8] = [-4, 0], [4, 0]  # a square went 4 px to the right
    mask = style.visible_mask(back, forth).numpy()[0, ..., 0]
    assert mask[4:8, 8:12].all() and not mask[4:8, 4:8].any() and mask[8:].all(), "where it was, the background is new"
    pan = np.float32([8, 0])
    assert not style.visible_mask(back - pan, forth + pan).numpy()[:, 10:, :8].any(), "outside of the frame"


def test_exact_motion_warps_a_clip_onto_itself():
    clips = shapes.make(6, seed=5, size=32)
    flows, masks = exact_motion(clips)
    assert flows.shape == (6, 15, 32, 32, 2) and masks.shape == (6, 15, 32, 32, 1) and 0.8 < masks.mean() < 1
    still = motion_error(clips.frames, np.zeros_like(flows), np.ones_like(masks))
    along = motion_error(clips.frames, flows, masks)
    assert along.mean() < 0.3 * still.mean()
    ratio = error_ratio(along, still)
    assert ratio.low < ratio.value < ratio.high < 0.5
    seen, back, there = pan(clips.frames[:, :3], flows[:, :2], clips.optical_flow()[:, :2], seed=1, size=16)
    assert seen.shape == (6, 3, 16, 16, 3) and back.shape == there.shape == (6, 2, 16, 16, 2)
    visible = [style.visible_mask(*pair) for pair in zip(back, there)]
    assert motion_error(seen, back, visible).mean() < 0.02


def test_edges_are_kept_where_only_colours_change():
    frames = shapes.make(4, seed=1, size=32).frames[:, 0]
    assert (edges_kept(255 - frames, frames) > 0.99).all() and (edges_kept(frames[::-1], frames) < 0.6).any()


def test_memory_keeps_its_share_where_it_is_visible():
    fresh, previous, mask = np.zeros((1, 2, 2, 3)), np.ones((1, 2, 2, 3)), np.array([1.0, 0, 1, 0]).reshape(1, 2, 2, 1)
    blended = np.asarray(blend_memory(fresh, previous, mask, 0.6))
    np.testing.assert_allclose(blended[0, ..., 0].ravel(), [0.6, 0, 0.6, 0])


def test_the_network_takes_any_size_and_sees_memory_only_where_it_is_visible():
    network = build_style_network(StyleConfig(filters=(4, 6), num_blocks=1, style_dim=3, moment_dim=5))
    given = {"frame": floats(1, 20, 24, 3), "previous": floats(1, 20, 24, 3), "mask": np.zeros((1, 20, 24, 1), "float32")}
    given["moments"] = floats(1, 5)
    before = np.asarray(network(given))
    assert before.shape == (1, 20, 24, 3) and np.abs(before).max() <= 1
    hidden = np.asarray(network(given | {"previous": floats(1, 20, 24, 3)}))
    seen = np.asarray(network(given | {"mask": np.ones((1, 20, 24, 1), "float32")}))
    assert np.array_equal(before, hidden) and not np.allclose(before, seen)
    assert not np.allclose(before, network(given | {"moments": floats(1, 5)}))
    noise = np.asarray(Noise()(np.zeros((2, 300, 20, 1), "float32")))
    assert np.array_equal(noise[0], noise[1]) and np.array_equal(noise[:, :49], noise[:, 251:]) and 0.5 < noise.std() < 0.65


@pytest.mark.parametrize("memory", [-0.1, 1.0])
def test_a_memory_that_never_forgets_is_refused(memory):
    with pytest.raises(CourseError, match="memory is a share"):
        StyleConfig(memory=memory)


def test_a_users_own_network_gives_features():
    inputs = x = keras.Input((None, None, 3))
    for name in ("one", "two"):
        x = keras.layers.Conv2D(4, 3, strides=2, padding="same", name=name)(x)
    extractor = style.build_feature_extractor(keras.Model(inputs, x), ["one", "two"])
    assert [part.shape for part in extractor(floats(1, 16, 16, 3))] == [(1, 8, 8, 4), (1, 4, 4, 4)]
