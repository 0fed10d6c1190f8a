"""The differentiable renderer: its gradients, its likeness to the path tracer, and what it finds in a clip."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from vidgen_tf.models import renderer
from vidgen_tf.models.renderer import BallScene, RendererConfig, ball_positions, make_view, render_direct
from vidgen_tf.simulation.path_tracer import Camera, Plane, Scene, Sphere, render

CONFIG = RendererConfig(image_size=24)
VIEW = make_view(CONFIG, "float64")
PARAMETERS = np.array([0.5, 0.9, 0.7, 0.8, 0.3, 0.15, -0.3, 1.0, 0.2, 1.0, 2.0, -0.5])
TIMES = np.arange(4) / 12


def frames_of(parameters, softness):
    light, color, position, velocity = ops.split(parameters, 4)
    centers = ball_positions(position, velocity, ops.convert_to_tensor(TIMES, "float64"))
    return render_direct(VIEW, centers, CONFIG.radius, light, color, softness)


def loss_and_gradient(parameters, target, softness):
    parameters = tf.convert_to_tensor(parameters, "float64")
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        loss = tf.reduce_mean((frames_of(parameters, softness) - target) ** 2)
    return float(loss), tape.gradient(loss, parameters).numpy()


def test_gradients_of_soft_frames_are_finite_differences():
    target = frames_of(tf.constant(PARAMETERS + 0.05), 2.0)
    _, gradient = loss_and_gradient(PARAMETERS, target, 2.0)
    steps = 1e-6 * np.eye(12)
    numeric = [
        (loss_and_gradient(PARAMETERS + h, target, 2.0)[0] - loss_and_gradient(PARAMETERS - h, target, 2.0)[0]) / 2e-6
        for h in steps
    ]
    assert gradient == pytest.approx(np.array(numeric), rel=1e-4, abs=1e-8)
    assert np.abs(gradient).min() > 1e-6  # all twelve can be learned


def test_a_hard_silhouette_has_no_gradient_and_a_soft_one_has():
    for width, is_zero in ((0, True), (0.02, False)):
        x = tf.Variable(0.1, dtype="float64")
        with tf.GradientTape() as tape:
            center = tf.reshape(tf.stack([x, 1.1, 0.0]), (1, 1, 1, 3))
            _, coverage = renderer.shade_ball(VIEW["origin"], VIEW["rays"], center, 0.3, np.array([0, 1.0, 0]), np.ones(3), width)
            loss = tf.reduce_sum(coverage * np.linspace(0, 1, 24)[:, None])
        gradient = tape.gradient(loss, x)
        assert (gradient is None or float(gradient) == 0) == is_zero


def test_the_frames_are_those_of_the_path_tracer():
    """Direct light from a lamp far away; the edges are softened over a pixel here, and averaged over it there."""
    light, color, position, velocity = np.split(PARAMETERS, 4)
    far, radius, strength = 1000.0, 15.0, np.linalg.norm(light)
    lamp = Sphere(tuple(far * light / strength), radius, (0, 0, 0), (strength * (far / radius) ** 2,) * 3)
    walls = tuple(Plane(normal, offset, (renderer.WHITE,) * 3) for normal, offset in renderer.WALLS)
    center = position + velocity * TIMES[2] + np.array(renderer.GRAVITY) * TIMES[2] ** 2 / 2
    scene = Scene((*walls, lamp, Sphere(tuple(center), CONFIG.radius, tuple(color))))
    camera = Camera(CONFIG.camera_position, (0, CONFIG.camera_position[1], 0), CONFIG.field_of_view)
    theirs = render(scene, camera, (24, 24), 32, max_bounces=1)
    ours = np.asarray(frames_of(tf.constant(PARAMETERS), 1.0))[2]
    assert np.sqrt(np.mean((ours - theirs) ** 2)) < 0.05
    assert np.median(np.abs(ours - theirs)) < 0.005


def test_the_step_keeps_its_half_and_its_slope():
    assert float(renderer.inside(ops.convert_to_tensor(0.0), 0.3)) == 0.5
    distances = ops.convert_to_tensor([-1.0, 1.0])
    assert np.asarray(renderer.inside(distances, 0)).tolist() == [0, 1]
    rise = np.diff(np.asarray(renderer.inside(ops.convert_to_tensor([-1e-3, 1e-3]), 0.5)))
    assert rise / 2e-3 == pytest.approx(2, rel=1e-2)


def test_a_ball_flies_on_a_parabola():
    times = np.float32([0, 0.5])
    path = np.asarray(ball_positions(np.float32([0, 1, 0]), np.float32([2, 4, 0]), times))
    assert path == pytest.approx(np.array([[0, 1, 0], [1, 1 + 2 - 9.81 / 8, 0]]))


def test_gradient_descent_finds_a_ball_again():
    truth, found = (BallScene(RendererConfig(image_size=16)) for _ in range(2))
    for weight, values in zip(truth.trainable_weights, np.split(PARAMETERS, 4)):
        weight.assign(values)
    times = np.float32(np.arange(8) / 16)
    frames = np.asarray(truth(times))
    found.compile(keras.optimizers.Adam(0.05), loss="mse", jit_compile=False)
    for softness in np.linspace(4, 1, 150):
        found.softness.assign(softness)
        loss = found.train_on_batch(times, frames)
    assert float(loss) < 2e-4
    assert np.linalg.norm(found.velocity) == pytest.approx(np.linalg.norm(truth.velocity), rel=0.1)
