"""The pictures of the world of spheres: camera, depth, masks, flow and light, against closed form and against one another."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion, map_coordinates
from scipy.spatial.transform import Rotation

from vidgen_tf.worlds import spheres
from vidgen_tf.worlds.base import uniforms
from vidgen_tf.worlds.spheres import camera, motion, scene, surfaces

MOTION = {name: i for i, name in enumerate(spheres.MOTIONS)}


@pytest.fixture(scope="module")
def clips():
    return spheres.make(60, seed=9, size=64)


def turns(rotation):
    return Rotation.from_quat(rotation[..., [1, 2, 3, 0]].reshape(-1, 4))


def test_what_passes_behind_is_hidden_for_a_while():
    draws = uniforms(6, 0, 60, motion.DRAWS)
    draws[:, 0], draws[:, 1] = 0.9, 0.4
    clips = spheres._labelled(motion.simulate(draws), 32)
    assert all(" passes behind " in caption for caption in clips.captions)
    seen, whole = (spheres.masks(some)[:, :, 0].sum(axis=(2, 3)) for some in (clips, only(clips, 0)))
    share = seen / whole
    assert share.min(axis=1).max() < 0.9 and np.median(share.min(axis=1)) < 0.5
    assert np.median(np.maximum(share[:, 0], share[:, -1])) > 0.95


def only(clips, k):
    """The clips with the states of one object alone; frames as they were."""
    kind = np.where(np.arange(2) == k, clips.states["kind"], -1)
    return dataclasses.replace(clips, states=clips.states | {"kind": kind})


def with_states(clips, **changes):
    """The clips that changed states describe, captions as they were."""
    states = clips.states | changes
    return dataclasses.replace(clips, states=states, frames=spheres.render(states, clips.frames.shape[2]))


# Camera, depth, masks and flow


def test_the_camera_is_a_pinhole():
    points = 4 * uniforms(2, 0, 200, 3) - 2
    angle = np.arctan2(5, 12)
    turn = Rotation.from_euler("x", angle).as_matrix()  # the camera looks down
    seen = (points - camera.EYE) @ turn.T
    focal = 64 / (2 * camera.HALF_VIEW)
    x, y, depth = camera.project(tuple(points.T), 64)
    np.testing.assert_allclose(depth, -seen[:, 2], atol=1e-12)
    np.testing.assert_allclose(x, 32 + focal * seen[:, 0] / depth, atol=1e-9)
    np.testing.assert_allclose(y, 32 - focal * seen[:, 1] / depth, atol=1e-9)
    ray = np.stack(camera.rays(x - 0.5, y - 0.5, 64), axis=-1)
    np.testing.assert_allclose(camera.EYE + depth[:, None] * ray, points, atol=1e-9)
    z = points[:, 2]
    np.testing.assert_allclose(camera.project((0 * z, camera.top_of_view(z), z), 64)[1], 0, atol=1e-9)
    np.testing.assert_allclose(camera.project((camera.half_width(points[:, 1], z), points[:, 1], z), 64)[0], 64, atol=1e-9)


def test_pixel_positions_are_where_the_centres_are_seen(clips):
    x, y, _ = camera.project(tuple(np.moveaxis(clips.states["position"].astype(np.float64), -1, 0)), 64)
    present = (clips.states["kind"] >= 0)[:, None]
    np.testing.assert_allclose(clips.states["pixel_position"][..., 0], np.where(present, x, 0), atol=1e-4)
    np.testing.assert_allclose(clips.states["pixel_position"][..., 1], np.where(present, y, 0), atol=1e-4)


def test_depth_in_the_middle_of_a_ball_and_on_the_floor_is_known(clips):
    one = clips[np.flatnonzero((clips.states["kind"][:, 0] == 0) & (clips.states["objects"] == 1))[:1]]
    ray = np.array(camera.rays(np.float64(40), np.float64(35), 64))
    position = one.states["position"].copy()
    position[:, :, 0] = camera.EYE + np.linspace(8, 11, 16)[:, None] * ray  # seen in the middle of the pixel (40, 35)
    depth = spheres.depth(with_states(one, position=position))
    assert depth.shape == (1, 16, 64, 64) and depth.dtype == np.float32
    nearer = one.states["radius"][0, 0] / np.sqrt((ray**2).sum())  # the ray meets the surface a radius before the centre
    np.testing.assert_allclose(depth[0, :, 35, 40], np.linspace(8, 11, 16) - nearer, atol=1e-5)
    floor = camera.EYE[1] / -camera.rays(np.float64(0), np.float64(63), 64)[1]
    np.testing.assert_allclose(depth[0, :, 63, 0], floor, rtol=1e-6)
    wall = (camera.WALL - camera.EYE[2]) / camera.rays(np.float64(0), np.float64(0), 64)[2]
    np.testing.assert_allclose(depth[0, :, 0, 0], wall, rtol=1e-6)


def test_depth_of_a_box_lies_on_its_faces(clips):
    depth, masks = spheres.depth(clips), spheres.masks(clips)
    column, row = np.meshgrid(np.arange(64.0), np.arange(64.0))
    ray = np.stack(camera.rays(column, row, 64), axis=-1)
    checked = 0
    for i, k in np.argwhere(clips.states["kind"] == 1):
        for t in (0, 7, 15):
            inside = binary_erosion(masks[i, t, k])
            point = camera.EYE + depth[i, t, inside][:, None] * ray[inside] - clips.states["position"][i, t, k]
            body = turns(clips.states["rotation"][i, t, k]).inv().apply(point)
            np.testing.assert_allclose(np.abs(body).max(axis=1), clips.states["radius"][i, k], atol=1e-5)
            checked += len(body)
    assert checked > 10000


def test_the_object_in_front_hides_the_other(clips):
    """Objects are drawn from back to front: no pixel shows one that another object's surface lies before."""
    both = 0
    for i in np.flatnonzero(clips.states["objects"] == 2):
        found = np.full((2, 16, 64 * 64), np.inf)
        for n, (_, solid) in enumerate(surfaces.solids(clips.states, i, np.float64)):
            surface = surfaces.look_at(solid, 64, np.float64)
            covered = surface.share >= 0.5
            found[n, np.nonzero(covered)[0], surface.pixel[covered]] = surface.depth[covered]
        assert (found[1] <= found[0])[np.isfinite(found).all(axis=0)].all()
        both += np.isfinite(found).all(axis=0).sum()
    assert both > 2000


def shares(solid, size):
    """How much of each pixel an object covers `(T, size, size)`; its patch must hold all of it."""
    surface = surfaces.look_at(solid, size, np.float64)
    row, column = np.divmod(surface.pixel, size)
    border = np.ones(row.shape[1:], bool)
    border[1:-1, 1:-1] = False
    assert not surface.share[border & (row % (size - 1) > 0) & (column % (size - 1) > 0)].any(), "but at the frame's own border"
    found = np.zeros((16, size * size))
    found[np.arange(16)[:, None, None], surface.pixel] = surface.share
    return found.reshape(16, size, size)


@pytest.mark.parametrize("kind", spheres.KINDS)
def test_outlines_are_as_smooth_as_many_small_pixels_make_them(clips, kind):
    errors, edges = [], 0
    for i, k in np.argwhere(clips.states["kind"] == spheres.KINDS.index(kind))[:6]:
        solid = dict(surfaces.solids(clips.states, i, np.float64))[k]
        fine = (shares(solid, 512) > 0.5).reshape(16, 64, 8, 64, 8).mean(axis=(2, 4))
        edge = (fine > 0) & (fine < 1)
        errors.append(np.abs(shares(solid, 64) - fine)[edge])
        edges += edge.sum()
    error = np.concatenate(errors)
    assert edges > 1000 and error.mean() < 0.025 and error.max() < 0.3, (error.mean(), error.max())


def test_masks_are_disjoint_and_are_what_changes_with_an_objects_colour(clips):
    masks = spheres.masks(clips)
    assert masks.dtype == bool and masks.shape == (60, 16, 2, 64, 64)
    assert not masks.all(axis=2).any() and not masks[clips.states["objects"] == 1, :, 1].any()
    for k in range(2):
        color = clips.states["color"].copy()
        color[:, k] = np.where(color[:, k] < 0, -1, (color[:, k] + 2) % 6)
        plain = np.where(clips.states["texture"] < 0, -1, 0)
        before, after = with_states(clips, texture=plain), with_states(clips, texture=plain, color=color)
        changed = np.abs(before.frames.astype(int) - after.frames).max(axis=-1)
        near = binary_dilation(spheres.masks(only(clips, k))[:, :, k], np.ones((1, 1, 3, 3), bool))
        near &= ~binary_erosion(masks[:, :, 1 - k], np.ones((1, 1, 3, 3), bool))
        assert changed[~near].max() <= 2, "nothing else changes"
        assert (changed[masks[:, :, k]] > 8).mean() > 0.99


def texture_of(clips):
    """Share of the second colour in each pixel of an object, from the frames alone, their light taken out `(N, T, H, W)`."""
    plain = np.where(clips.states["texture"] < 0, -1, 0)
    with pytest.MonkeyPatch.context() as patch:
        first = with_states(clips, texture=plain).frames
        patch.setattr(scene, "PALETTE", scene.SECOND)
        second = with_states(clips, texture=plain).frames
    seen, first, second = (np.square(frames / 255.0) for frames in (clips.frames, first, second))  # as light
    sign = np.sign(second - first)
    return ((seen - first) * sign).sum(axis=-1) / np.maximum(((second - first) * sign).sum(axis=-1), 1e-3)


def warped(image, flow):
    """What an image `(H, W)` has where the flow says that each pixel is next."""
    row, column = np.mgrid[: image.shape[0], : image.shape[1]]
    return map_coordinates(image, [row + flow[..., 1], column + flow[..., 0]], order=1, mode="nearest")


def test_flow_carries_the_turning_texture_to_the_next_frame(clips):
    """What is on a ball is found where flow says, and neither where it was nor where it would be without turning."""
    flow, masks, texture = clips.optical_flow(), spheres.masks(clips), texture_of(clips)
    assert flow.shape == (60, 15, 64, 64, 2) and flow.dtype == np.float32
    assert not flow[~masks[:, :-1].any(axis=2)].any(), "floor and wall stand still"
    errors = []
    turning = np.abs(clips.states["angular_velocity"][:, 0]).max(axis=-1) > 0.1
    for i, k in np.argwhere(turning & (clips.states["texture"] > 0)):
        step = np.diff(clips.states["pixel_position"][i, :, k], axis=0)
        for t in range(0, 15, 2):
            inside, later = (binary_erosion(masks[i, when, k], iterations=2) for when in (t, t + 1))
            inside &= warped(np.float64(later), flow[i, t]) == 1  # not turned out of view
            if inside.sum() > 20:
                ways = flow[i, t], np.broadcast_to(step[t], (64, 64, 2)), np.zeros((64, 64, 2))
                errors.append([np.abs(warped(texture[i, t + 1], way) - texture[i, t])[inside].mean() for way in ways])
    right, without_turning, still = np.mean(errors, axis=0)
    assert len(errors) > 100
    assert right < 0.045 and right < 0.25 * without_turning and right < 0.15 * still, (right, without_turning, still)


def test_flow_of_a_box_is_that_of_its_corners(clips):
    """A box glides without turning: its points all move by one step in space, each by the perspective of its own depth."""
    flow, masks, depth = clips.optical_flow(), spheres.masks(clips), spheres.depth(clips)
    for i, k in np.argwhere(clips.states["kind"] == 1)[:12]:
        row, column = np.nonzero(masks[i, 4, k])
        ray = np.stack(camera.rays(column.astype(float), row.astype(float), 64), axis=-1)
        step = np.diff(clips.states["position"][i, 4:6, k].astype(np.float64), axis=0)
        x, y, _ = camera.project(tuple((camera.EYE + depth[i, 4, row, column][:, None] * ray + step).T), 64)
        np.testing.assert_allclose(flow[i, 4, row, column], np.stack([x - column - 0.5, y - row - 0.5], axis=-1), atol=1e-4)


# Light


def luma(frames):
    return frames.astype(np.float64) @ [0.299, 0.587, 0.114]


def test_shadows_are_dark_soft_and_away_from_the_sun(clips):
    empty = with_states(clips, kind=np.full_like(clips.states["kind"], -1))
    assert (empty.frames == empty.frames[:, :1]).all(), "nothing moves in an empty room"
    away = ~binary_dilation(spheres.masks(clips).any(axis=2), np.ones((1, 1, 5, 5), bool))
    lost = 1 - luma(clips.frames) / luma(empty.frames)
    assert lost[away].min() > -0.02, "no object lights the floor"
    shadow = away & (lost > 0.2)
    assert np.median(shadow.sum(axis=(2, 3))) > 30 and lost[away].max() < 0.75
    assert (away & (lost > 0.05) & (lost < 0.2)).sum() > 0.2 * shadow.sum(), "its edge is soft"
    single = np.flatnonzero((clips.states["objects"] == 1) & shadow[:, 0].any(axis=(1, 2)))
    x = np.array([shadow[i, 0].nonzero()[1].mean() + 0.5 for i in single]) - clips.states["pixel_position"][single, 0, 0, 0]
    assert (np.sign(x) == -np.sign(clips.states["light"][single, 0])).all() and len(single) > 15


def test_shadows_are_softer_from_higher_up():
    size = 200
    x, z = np.meshgrid(np.linspace(-6, 6, size, dtype=np.float32), np.linspace(-6, 6, size, dtype=np.float32))
    light = tuple(np.float32([0.36, 0.8, 0.48]))
    turn = tuple(tuple(np.float32(i == j).reshape(1, 1, 1) for j in range(3)) for i in range(3))
    for is_box in (False, True):
        soft = []
        for height in (1, 2, 4):
            centre = tuple(np.float32(value).reshape(1, 1, 1) for value in (0, height, 0))
            lit = scene.sunlight((x, np.float32(0), z), surfaces.Solid(is_box, np.float32(1), centre, turn), light)[0]
            assert lit.min() == 0 and lit.max() == 1
            dark = lit < 0.5
            middle = [x[dark].mean() / height, z[dark].mean() / height]
            np.testing.assert_allclose(
                middle, [-0.45, -0.6], atol=0.03, err_msg="where the ray through its centre meets the floor"
            )
            soft.append(((lit > 0.02) & (lit < 0.98)).sum())
        assert soft[0] < 0.6 * soft[1] < 0.6 * soft[2], soft


def test_a_ball_is_bright_towards_the_sun(clips):
    masks = spheres.masks(clips)
    found = np.argwhere((clips.states["kind"] == 0) & (clips.states["texture"] == 0))
    assert len(found) > 5
    for i, k in found:
        row, column = np.nonzero(masks[i, 0, k])
        right = column + 0.5 > clips.states["pixel_position"][i, 0, k, 0]
        light = luma(clips.frames[i, 0, row, column])
        assert (light[right].mean() > light[~right].mean()) == (clips.states["light"][i, 0] > 0)


def test_turning_shows_on_textured_balls_alone(clips):
    one = camera.normalized(uniforms(3, 0, 1, 4) - 0.5).astype(np.float32)
    other = with_states(clips, rotation=np.where((clips.states["kind"] == 0)[:, None, :, None], one, clips.states["rotation"]))
    changed = (other.frames != clips.frames).any(axis=-1)
    textured = spheres.masks(clips) & ((clips.states["texture"] > 0) & (clips.states["kind"] == 0))[:, None, :, None, None]
    plain = spheres.masks(clips) & ~textured
    assert changed[textured.any(axis=2)].mean() > 0.3
    inner = binary_erosion(plain.any(axis=2), np.ones((1, 1, 3, 3), bool))
    assert not changed[inner].any()


def test_both_sizes_show_the_same_scene(clips):
    small = spheres.make(60, seed=9, size=32)
    mean = clips.frames.reshape(60, 16, 32, 2, 32, 2, 3).astype(np.float64).mean(axis=(3, 5))
    assert np.abs(mean - small.frames).mean() < 2.5
    np.testing.assert_array_equal(small.captions, clips.captions)
    for key, value in small.states.items():
        np.testing.assert_allclose(2 * value if key == "pixel_position" else value, clips.states[key], rtol=1e-5)


def test_clips_differ_and_their_colours_use_the_range(clips):
    assert len({frames.tobytes() for frames in clips.frames}) == 60
    assert np.percentile(clips.frames, 99.5) > 225 and np.percentile(clips.frames, 0.5) < 60
    moving = (clips.states["motion"] != MOTION["stays"]) & (clips.states["motion"] >= 0)
    changes = np.abs(np.diff(clips.frames.astype(int), axis=1)).max(axis=(2, 3, 4))
    assert (changes[moving.any(axis=1)] > 20).mean() > 0.9 and not changes[~moving.any(axis=1)].any()
