"""The path tracer against closed forms and against itself."""

import ast
import inspect

import numpy as np
import pytest

from vidgen_tf.errors import CourseError
from vidgen_tf.simulation import path_tracer as pt
from vidgen_tf.simulation.denoise import denoise, render_features
from vidgen_tf.simulation.path_tracer import Camera, Plane, Scene, Sphere, column, render, trace

CAMERA = Camera((0, 1, 4), (0, 1, 0), 40)
ROOM = Scene(
    (
        Plane((0, 1, 0), 0.0, (0.7, 0.7, 0.7)),
        Plane((0, 1, 0), 2.0, (0.7, 0.7, 0.7)),
        Plane((1, 0, 0), -1.5, (0.7, 0.1, 0.1)),
        Plane((1, 0, 0), 1.5, (0.1, 0.6, 0.1)),
        Plane((0, 0, 1), -1.5, (0.7, 0.7, 0.7)),
        Plane((0, 0, 1), 5.0, (0.3, 0.3, 0.3)),
        Sphere((0, 1.4, 0), 0.4, (0, 0, 0), (5.0, 5.0, 5.0)),
        Sphere((-0.6, 0.4, 0), 0.4, (0.8, 0.8, 0.8)),
    )
)


def rays(count, origin, direction):
    return np.repeat(column(origin), count, axis=1), np.repeat(column(direction), count, axis=1)


def mean_radiance(scene, origin, direction, count=40_000, seed=0, **options):
    """Mean and standard error of the green radiance along a ray."""
    values = trace(scene, *rays(count, origin, direction), np.random.default_rng(seed), **options)[1]
    return values.mean(dtype=np.float64), values.std(dtype=np.float64) / np.sqrt(count)


def test_a_ray_meets_a_sphere_and_a_plane_where_geometry_says():
    origins, directions = rays(1, (0, 1, 4), (0, 0, -1))
    assert Sphere((0, 1, 0), 1.0).distance(origins, directions) == pytest.approx([3])
    assert Sphere((0, 2.5, 0), 1.0).distance(origins, directions) == np.inf
    assert Sphere((0, 1, 6), 1.0).distance(origins, directions) == np.inf  # behind
    assert Sphere((0, 1, 4), 1.0).distance(origins, directions) == pytest.approx([1])  # from within
    assert Plane((0, 0, 1), -1.5).distance(origins, directions) == pytest.approx([5.5])
    assert Plane((0, 1, 0), 0.0).distance(origins, directions) == np.inf  # parallel


def test_the_middle_of_the_picture_is_the_target_and_up_is_up():
    origins, directions = pt.camera_rays(CAMERA, 3, 5)
    assert directions.shape == origins.shape == (3, 15)
    assert directions[:, 7] == pytest.approx([0, 0, -1], abs=1e-6)
    assert directions[1, 0] > 0 > directions[1, -1] and directions[0, 0] < 0 < directions[0, -1]


@pytest.mark.parametrize("angle", [0, 30, 60])
@pytest.mark.parametrize("use_light_sampling", [True, False])
def test_the_light_of_a_spherical_lamp_is_that_of_the_closed_form(angle, use_light_sampling):
    """A lamp of radiance L gives the irradiance pi L (r / d)^2 cos(angle); a Lambertian reflects albedo / pi of it."""
    distance, radius = 2.0, 0.7
    place = distance * np.array([np.sin(np.radians(angle)), np.cos(np.radians(angle)), 0])
    scene = Scene((Plane((0, 1, 0), 0.0, (0.5, 0.5, 0.5)), Sphere(tuple(place), radius, (0, 0, 0), (3.0, 3.0, 3.0))))
    view = np.array([-0.6, 0.6, -0.5])
    start, direction = view, -view / np.linalg.norm(view)
    mean, error = mean_radiance(scene, start, direction, use_light_sampling=use_light_sampling, max_bounces=1)
    expected = 0.5 * 3 * (radius / distance) ** 2 * np.cos(np.radians(angle))
    assert mean == pytest.approx(expected, abs=4 * error + 2e-3 * expected)


def test_a_white_furnace_shows_nothing_but_white():
    """Where everything reflects all light and light comes from everywhere alike, there is nothing to see."""
    white = {"albedo": (1.0, 1.0, 1.0)}
    balls = (
        Sphere((0, 1, 0), 0.8, **white),
        Sphere((1, 0.4, 0.8), 0.4, **white),
        Sphere((-1, 0.5, 0.5), 0.5, **white, is_mirror=True),
    )
    scene = Scene((Plane((0, 1, 0), 0.0, **white), *balls), sky=(1.0, 1.0, 1.0))
    image = render(scene, CAMERA, (24, 24), 64, max_bounces=400)
    assert abs(image.mean() - 1) < 0.01
    grey = Scene((Sphere((0, 1, 0), 0.8, (0.5, 0.5, 0.5)),), sky=(1.0, 1.0, 1.0))
    origin, direction = rays(10, (0, 1, 4), (0, 0, -1))
    assert trace(grey, origin, direction, np.random.default_rng(0)) == pytest.approx(np.full((3, 10), 0.5))  # without variance


VIEW = (0, 1, 4), tuple(np.array([-0.25, -0.2, -1]) / np.linalg.norm([-0.25, -0.2, -1]))


def test_russian_roulette_leaves_the_mean():
    without, error = mean_radiance(ROOM, *VIEW, roulette_start=None, max_bounces=40)
    early, error_early = mean_radiance(ROOM, *VIEW, seed=1, roulette_start=0, max_bounces=400)
    assert early == pytest.approx(without, abs=4 * np.hypot(error, error_early))
    cut, _ = mean_radiance(ROOM, *VIEW, max_bounces=2)
    assert cut < 0.9 * without  # a path that is cut off loses light: that is a bias


def test_light_sampling_leaves_the_mean_and_lowers_the_noise():
    plain, error_plain = mean_radiance(ROOM, *VIEW, use_light_sampling=False)
    sampled, error = mean_radiance(ROOM, *VIEW, seed=1)
    assert sampled == pytest.approx(plain, abs=4 * np.hypot(error, error_plain))
    assert error < 0.7 * error_plain


def test_a_mirror_shows_what_is_behind_the_camera():
    scene = Scene((Sphere((0, 0, 0), 1.0, (0.9, 0.9, 0.9), is_mirror=True), Sphere((0, 0, 9), 1.0, (0, 0, 0), (2.0, 1.0, 0.5))))
    seen = trace(scene, *rays(1, (0, 0, 4), (0, 0, -1)), np.random.default_rng(0))
    assert seen[:, 0] == pytest.approx([1.8, 0.9, 0.45])


def test_cosine_directions_have_the_density_of_lambert():
    normals = np.repeat(column((0, 1, 0)), 100_000, axis=1)
    directions = pt.cosine_directions(normals, np.random.default_rng(0))
    cos = directions[1]
    assert np.allclose(pt.dot(directions, directions), 1, atol=1e-5) and cos.min() > 0
    assert cos.mean() == pytest.approx(2 / 3, abs=0.01)  # the mean of cos under cos / pi
    assert np.mean(cos**2) == pytest.approx(1 / 2, abs=0.01)


def test_motion_blurs_over_the_exposure_and_only_then():
    def moving(time):
        return Scene((Sphere((time, 1, 0), 0.3, (0, 0, 0), (1.0, 1.0, 1.0)),))

    still, blurred = (render(moving, CAMERA, (24, 24), 32, shutter=shutter) for shutter in ((0, 0), (-0.5, 0.5)))
    assert blurred.max() < still.max()  # it moves farther than its width
    assert np.count_nonzero(blurred[12, :, 0]) > 1.5 * np.count_nonzero(still[12, :, 0])
    assert blurred.sum() == pytest.approx(still.sum(), rel=0.1)  # the light is spread, not lost


def test_a_seed_makes_the_same_picture_and_another_seed_another():
    first, again, other = (render(ROOM, CAMERA, (8, 8), 2, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.dtype == np.float32 and first.shape == (8, 8, 3)


def test_pixels_are_encoded_for_a_screen():
    assert pt.develop(np.array([0.0, 0.5, 1.0, 7.0])).tolist() == [0, 186, 255, 255]
    assert pt.develop(np.array([0.25]), exposure=2.0, gamma=1.0).tolist() == [128]


def test_a_picture_needs_samples_and_a_shutter_that_opens_first():
    with pytest.raises(CourseError, match="num_samples"):
        render(ROOM, CAMERA, (8, 8), 0)
    with pytest.raises(CourseError, match="shutter"):
        render(ROOM, CAMERA, (8, 8), 1, shutter=(1.0, 0.0))


def test_the_clamp_limits_what_a_path_brings():
    assert render(ROOM, CAMERA, (8, 8), 2, clamp=0.5).max() <= 0.5


def test_denoising_takes_away_most_of_the_error():
    size = (48, 48)
    noisy, other = (render(ROOM, CAMERA, size, n, seed=n, max_bounces=3) for n in (4, 100))
    features = render_features(ROOM, CAMERA, size, 8)
    assert {name: values.shape for name, values in features.items()} == dict.fromkeys(("albedo", "normals", "points"), (*size, 3))

    def error(image):
        return np.sqrt(np.mean((np.minimum(image, 1) - np.minimum(other, 1)) ** 2))

    assert error(denoise(noisy, features)) < 0.6 * error(noisy)
    flat = np.full((*size, 3), 0.3, np.float32)
    grey = {name: np.ones_like(flat) for name in features}
    assert denoise(flat, grey) == pytest.approx(flat)


def test_features_see_through_mirrors():
    scene = Scene((Sphere((0, 1, 0), 1.0, (1.0, 1.0, 1.0), is_mirror=True), Plane((0, 0, 1), 6.0, (0.2, 0.4, 0.6))))
    features = render_features(scene, CAMERA, (9, 9), 4)
    assert features["albedo"][4, 4] == pytest.approx([0.2, 0.4, 0.6])
    assert features["points"][4, 4, 2] == pytest.approx(6, abs=1e-2)


def test_the_tracer_has_under_a_hundred_lines():
    names = ("camera_rays", "intersect", "surface", "cosine_directions", "light_directions", "direct_light", "trace")
    lines = 0
    for name in names:
        node = ast.parse(inspect.getsource(getattr(pt, name))).body[0]
        lines += node.end_lineno - node.body[0].end_lineno + 1  # the signature's line counts, the docstring doesn't
    assert lines < 100
