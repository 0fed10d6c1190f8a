"""Several conditions of a diffusion transformer: each may be missing, says nothing at first, and has a scale of its own."""

import keras
import numpy as np
import pytest

from vidgen_tf.errors import CourseError
from vidgen_tf.models.conditional_dit import (
    ConditionalDiffusion,
    ConditionalDiffusionConfig,
    ConditionDropout,
    embed_image,
    guided_by_each,
    token_positions,
)

SMALL = {"num_frames": 4, "latent_dim": 3, "hidden_dim": 8, "num_layers": 1, "num_heads": 2, "num_labels": 5}
GRID = SMALL | {"num_attributes": 2, "image_size": 8, "image_channels": 1, "image_filters": (4, 4), "has_grid": True}


def test_a_new_models_image_says_nothing_and_no_image_says_nothing_ever():
    config = ConditionalDiffusionConfig(**GRID)
    image = keras.Input((8, 8, 1))
    branch = keras.Model(image, embed_image(image, config))
    pixels = np.random.default_rng(0).uniform(0, 1, (2, 8, 8, 1)).astype("float32")
    assert branch(pixels).shape == (2, 4, 8) and not np.any(branch(pixels)), "zero weights at first"
    branch.set_weights([np.ones_like(weight) for weight in branch.get_weights()])
    pixels[1] = 0
    features = np.asarray(branch(pixels))
    assert np.all(features[0] != 0) and not features[1].any(), "an empty image is no image, whatever the biases"


def test_a_branch_with_zero_weights_learns_nevertheless():
    """The gradient of a layer of zeros is not zero: it is the features times what comes from above."""
    config = ConditionalDiffusionConfig(**GRID)
    image = keras.Input((8, 8, 1))
    branch = keras.Model(image, embed_image(image, config))
    branch.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    pixels = np.random.default_rng(0).uniform(0, 1, (4, 8, 8, 1)).astype("float32")
    branch.fit(pixels, np.ones((4, 4, 8), "float32"), verbose=0)
    assert np.any(branch(pixels))


def test_dropout_leaves_out_whole_conditions_in_training_alone():
    layer, condition = ConditionDropout(0.5, seed=1), np.ones((2000, 3, 2), "float32")
    assert np.array_equal(layer(condition), condition)
    kept = np.asarray(layer(condition, training=True))
    whole = kept.all(axis=(1, 2))
    assert np.array_equal(whole, kept.any(axis=(1, 2))) and 0.45 < whole.mean() < 0.55
    assert not np.any(ConditionDropout(1.0)(np.ones((3, 2), "int32"), training=True))


class Velocities:
    """A model whose velocity tells what it was given: 1 for words, 10 for an image."""

    def velocity(self, noisy, t, *, conditioning=None):
        given = conditioning or {}
        return np.full_like(noisy, ("labels" in given) + 10 * ("image" in given))


@pytest.mark.parametrize(("image_scale", "words_scale", "expected"), [(1, 1, 11), (1, 3, 13), (2, 1, 21), (2, 3, 23), (0, 0, 0)])
def test_each_condition_has_its_own_scale(image_scale, words_scale, expected):
    conditioning = {"labels": np.ones((1, 2), "int32"), "image": np.ones((1, 8, 8, 1), "float32")}
    guided = guided_by_each(Velocities(), image_scale, words_scale, conditioning=conditioning)
    assert np.all(guided(np.zeros((1, 4, 3), "float32"), np.ones((1, 1), "float32")) == expected)


def test_positions_of_a_grid_tell_rows_and_columns():
    positions = np.asarray(token_positions(ConditionalDiffusionConfig(**GRID)))  # of places (0, 0), (0, 1), (1, 0), (1, 1)
    assert np.array_equal(positions[0, :4], positions[1, :4]) and np.array_equal(positions[0, 4:], positions[2, 4:])
    assert len(np.unique(positions, axis=0)) == 4
    moments = np.asarray(token_positions(ConditionalDiffusionConfig(**SMALL)))
    assert moments.shape == (4, 8) and len(np.unique(moments, axis=0)) == 4


def test_known_tokens_stay_and_missing_conditions_are_zeros():
    model = ConditionalDiffusion(ConditionalDiffusionConfig(**GRID))
    known, mask = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32"), np.array([True, False, False, True])
    sampled = model.sample(2, 2, known_latents=known, known_mask=mask)
    assert np.array_equal(sampled[:, mask], known[:, mask]) and not np.array_equal(sampled[:, ~mask], known[:, ~mask])
    zeros = {"labels": np.zeros((2, 2), "int32"), "image": np.zeros((2, 8, 8, 1), "float32")}
    noisy, t = known, np.full((2, 1), 0.5, "float32")
    assert np.array_equal(model.velocity(noisy, t), model.velocity(noisy, t, conditioning=zeros))
    with pytest.raises(CourseError, match="conditioned on image, labels, so leave out tokens"):
        model.velocity(noisy, t, conditioning={"tokens": np.zeros((2, 1), "int32")})


def test_a_grid_that_does_not_fit_the_image_is_refused():
    with pytest.raises(CourseError, match="2x2 places needs num_frames=4 tokens, got 9"):
        ConditionalDiffusionConfig(**GRID | {"num_frames": 9})
