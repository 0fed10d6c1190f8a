"""The diffusion transformer: what its velocity depends on, its sampler, and what a Keras user does with both."""

import dataclasses
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from vidgen_tf import training
from vidgen_tf.errors import CourseError
from vidgen_tf.models.dit import DiffusionConfig, DiTBlock, LatentDiffusion, build_transformer
from vidgen_tf.models.flow_matching import euler, heun

SMALL = DiffusionConfig(num_frames=5, latent_dim=3, hidden_dim=8, num_layers=1, num_heads=2)
RNG = np.random.default_rng(0)
CLIPS = RNG.normal(size=(40, 5, 3)).astype("float32")
TOKENS = RNG.integers(1, 60, (40, 7)).astype("int32")
CONDITIONINGS = {
    "unconditional": {},
    "captions": {"has_captions": True, "per_frame_timestep_prob": 0.0},
    "scene layers": {"num_scene_layers": 2},
    "captions and scene layers": {"has_captions": True, "num_scene_layers": 2},
}


def awake(network, seed=3):
    """Fills a network with random weights, its zero-initialised parts too."""
    rng = np.random.default_rng(seed)
    network.set_weights([w + 0.2 * rng.normal(size=w.shape) for w in network.get_weights()])


def small(seed=3, **changes):
    training.set_seed(seed)
    model = LatentDiffusion(dataclasses.replace(SMALL, **changes))
    awake(model.network, seed)
    return model


def inputs(model, count=6):
    """A batch for `call`."""
    timesteps = np.full((count, *model.input_shapes["timesteps"][1:]), 0.3, "float32")
    conditioning = {"tokens": TOKENS[:count], "background": CLIPS[::-1][:count].copy()}
    batch = {"noisy": CLIPS[:count], "timesteps": timesteps}
    return batch | {name: conditioning[name] for name in model.conditioning_shapes}


def test_a_new_block_is_the_identity_and_a_new_network_predicts_zero():
    x, condition = RNG.normal(size=(4, 5, 8)).astype("float32"), RNG.normal(size=(4, 1, 8)).astype("float32")
    np.testing.assert_array_equal(DiTBlock(8, 2)(x, condition), x)
    network = build_transformer(SMALL)
    assert not np.asarray(network({"noisy": CLIPS, "timesteps": np.full((40, 5), 0.5, "float32")})).any()


def test_a_timestep_for_all_frames_is_the_same_timestep_for_each():
    model = small()
    shared, each = (np.full((40, times), 0.3, "float32") for times in (1, 5))
    np.testing.assert_allclose(model.velocity(CLIPS, shared), model.velocity(CLIPS, each), atol=1e-5)
    each[:, 2] = 0.9
    assert (np.abs(model.velocity(CLIPS, shared) - model.velocity(CLIPS, each)).max(axis=(0, 2)) > 1e-4).all()


def test_the_order_of_frames_matters_only_by_their_positional_encoding():
    t, order = np.full((1, 1), 0.5, "float32"), [3, 1, 4, 0, 2]
    without, with_positions = small(position_scale=0.0), small()
    np.testing.assert_allclose(without.velocity(CLIPS[:, order], t), without.velocity(CLIPS, t)[:, order], atol=1e-5)
    change = with_positions.velocity(CLIPS[:, order], t) - with_positions.velocity(CLIPS, t)[:, order]
    assert np.abs(change).max() > 1e-3


def test_the_velocity_depends_on_each_conditioning_and_on_no_other():
    model, t = small(has_captions=True, num_scene_layers=2), np.full((1, 1), 0.5, "float32")
    assert model.conditioning_shapes == {"tokens": (None, None), "background": (None, 5, 3)}
    given = {"tokens": TOKENS, "background": CLIPS[::-1]}
    velocity = model.velocity(CLIPS, t, conditioning=given)
    for name, other in (("tokens", TOKENS[::-1]), ("background", CLIPS)):
        changed = model.velocity(CLIPS, t, conditioning=given | {name: other})
        assert np.abs(changed - velocity).max() > 1e-3, name
    null = model.velocity(CLIPS, t, conditioning=given | {"tokens": np.zeros_like(TOKENS)})
    np.testing.assert_allclose(null, model.velocity(CLIPS, t, conditioning={"background": CLIPS[::-1]}), atol=1e-5)
    with pytest.raises(CourseError, match="needs the conditioning 'background'"):
        model.velocity(CLIPS, t, conditioning={"tokens": TOKENS})
    with pytest.raises(CourseError, match="is conditioned on background, tokens, so leave out image, sketch"):
        model.velocity(CLIPS, t, conditioning=given | {"image": 1, "sketch": 2})
    assert small().conditioning_shapes == {}
    with pytest.raises(CourseError, match="is conditioned on nothing, so leave out tokens"):
        small().velocity(CLIPS, t, conditioning={"tokens": TOKENS})


@pytest.mark.parametrize("solver", [euler, heun])
def test_known_frames_stay_exactly_and_condition_the_others(solver):
    model = small()
    model.normalization.adapt(3 * CLIPS + 1, np.full_like(CLIPS, -6.0))
    known = np.array([True, False, False, True, False])
    sampled = model.sample(40, 3, seed=1, solver=solver, known_latents=CLIPS, known_mask=known)
    np.testing.assert_array_equal(sampled[:, known], CLIPS[:, known])
    free = model.sample(40, 3, seed=1, solver=solver)
    assert np.abs(sampled - free)[:, ~known].max() > 1e-3
    np.testing.assert_array_equal(free, model.sample(40, 3, seed=1, solver=solver))
    assert np.abs(free - model.sample(40, 3, seed=2, solver=solver)).max() > 0.1


def test_samples_have_the_scale_of_the_latents():
    """With velocity `noise` all data is 0 in normalised latents: sampling ends at their mean, to rounding."""
    model = small()
    model.normalization.adapt(3 * CLIPS + 1, np.full_like(CLIPS, -6.0))
    sampled = model.sample(7, 4, velocity_fn=lambda z, t: z / np.maximum(t[..., None], 1e-6))
    np.testing.assert_allclose(sampled, np.broadcast_to((3 * CLIPS + 1).mean(axis=(0, 1)), (7, 5, 3)), atol=1e-4)


def test_impossible_samples_are_refused():
    model = small()
    for wrong in ({"count": 0}, {"count": 2, "num_inference_steps": 0}, {"count": 2.5}):
        with pytest.raises(CourseError, match="must be a whole number, at least 1"):
            model.sample(**wrong)
    for latents, mask in ((CLIPS[:, :4], np.ones(5)), (CLIPS, np.ones(4)), (CLIPS[:7], np.ones(5))):
        with pytest.raises(CourseError, match="known_latents are"):
            model.sample(40, known_latents=latents, known_mask=mask)
    with pytest.raises(CourseError, match="per_frame_timestep_prob above 0"):
        small(per_frame_timestep_prob=0.0).sample(40, known_latents=CLIPS, known_mask=np.ones(5))


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"num_frames": 0}, "num_frames must be a whole number, at least 1"),
        ({"num_layers": 1.5}, "num_layers must be a whole number"),
        ({"hidden_dim": 10, "num_heads": 4}, "multiple of num_heads, 4, got 10"),
        ({"hidden_dim": 9, "num_heads": 3}, "must be even"),
        ({"per_frame_timestep_prob": 1.5}, "per_frame_timestep_prob is a probability from 0 to 1, got 1.5"),
        ({"caption_dropout": float("nan")}, "caption_dropout is a probability"),
    ],
)
def test_impossible_sizes_are_refused(wrong, said):
    with pytest.raises(CourseError, match=said):
        DiffusionConfig(**wrong)


@pytest.mark.parametrize("changes", CONDITIONINGS.values(), ids=CONDITIONINGS)
def test_model_and_network_are_saved_and_loaded_with_their_predictions(changes, tmp_path):
    model = small(**changes)
    model.normalization.adapt(3 * CLIPS + 1, np.full_like(CLIPS, -6.0))
    batch = inputs(model)
    expected = np.asarray(model(batch))
    for part in (model, model.network):
        part.save(tmp_path / "model.keras")
        np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(batch), expected)
    again = LatentDiffusion(model.config)
    model.save_weights(tmp_path / "model.weights.h5")
    again.load_weights(tmp_path / "model.weights.h5")
    for a, b in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_exported_model_predicts_the_same(tmp_path):
    import tensorflow as tf

    model = small(has_captions=True, num_scene_layers=2)
    batch = inputs(model)
    expected = model.predict(batch, verbose=0)
    model.export(tmp_path / "model", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "model"))
    served = exported.serve({name: tf.cast(x, "float32") for name, x in batch.items()})
    np.testing.assert_allclose(served, expected, atol=1e-5)


JAX = """
import sys, numpy as np
from vidgen_tf.models.dit import DiffusionConfig, LatentDiffusion
sizes = {"num_frames": 5, "latent_dim": 3, "hidden_dim": 8, "num_layers": 2, "num_heads": 2}
config = DiffusionConfig(**sizes, has_captions=True, num_scene_layers=2)
model, rng = LatentDiffusion(config), np.random.default_rng(0)
model.network.set_weights([rng.normal(size=w.shape) * 0.3 for w in model.network.get_weights()])
conditioning = {"tokens": rng.integers(0, 9, (6, 7)).astype("int32"), "background": rng.normal(size=(6, 5, 3)).astype("float32")}
velocity = model.velocity(rng.normal(size=(6, 5, 3)), rng.uniform(size=(6, 5)), conditioning=conditioning)
np.save(sys.argv[1], velocity)
"""


def test_the_velocity_is_the_same_under_jax(tmp_path):
    pytest.importorskip("jax")
    velocities = []
    for backend in ("tensorflow", "jax"):
        path = tmp_path / f"{backend}.npy"
        environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run([sys.executable, "-c", JAX, str(path)], env=environment, check=True)
        velocities.append(np.load(path))
    np.testing.assert_allclose(*velocities, atol=1e-5)
    assert np.abs(velocities[0]).max() > 0.1
