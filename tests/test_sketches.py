"""Sketches: Sobel's filters, thin lines, a hand that shakes, and the score of lines."""

import numpy as np
import pytest
from skimage.feature import canny
from skimage.filters import sobel_h, sobel_v

from vidgen_tf.metrics.edges import boundary_f_score
from vidgen_tf.worlds import faces, sketches


@pytest.fixture(scope="module")
def pictures():
    return faces.make(24, seed=77, num_frames=1).frames[:, 0]


def test_gradients_are_sobels(pictures):
    grey = pictures[:2].mean(axis=-1).astype(np.uint8)
    gx, gy = sketches.sobel(grey[..., None])
    for ours, theirs in ((gx, sobel_v), (gy, sobel_h)):
        for one, image in zip(ours, grey):
            np.testing.assert_allclose(one[1:-1, 1:-1], theirs(image / 255)[1:-1, 1:-1], atol=1e-5)


def test_the_channel_that_changes_most_decides():
    frame = np.full((1, 8, 8, 3), 100, np.uint8)
    frame[:, :, 4:, 2] = 200  # blue alone
    gx, gy = sketches.sobel(frame)
    assert gx[0, 4].argmax() in (3, 4) and gx.max() == pytest.approx(100 / 255) and not gy.any()


@pytest.mark.parametrize("turned", [False, True])
def test_an_edge_becomes_a_line_of_one_pixel(turned):
    frame = np.zeros((1, 12, 12, 1), np.uint8)
    frame[:, :, 6:] = 255
    lines = sketches.draw_sketches(frame.swapaxes(1, 2) if turned else frame)[0]
    assert np.all((lines.sum(axis=0 if turned else 1)) == 1) and set(np.argwhere(lines)[:, 0 if turned else 1]) <= {5, 6}


def test_a_weak_line_is_drawn_only_where_it_goes_on_from_a_strong_one():
    frame = np.full((2, 20, 20, 1), 100, np.uint8)
    frame[:, :, 10:] = 140  # weak by itself: 40 of 255
    frame[1, :10, 10:] = 255
    alone, joined = sketches.draw_sketches(frame)
    assert not alone.any() and joined[12:].any(), "hysteresis"


def test_lines_agree_with_scikit_images(pictures):
    ours = sketches.draw_sketches(pictures)
    theirs = [canny(picture.mean(axis=-1) / 255, sigma=0.5, low_threshold=0.1, high_threshold=0.25) for picture in pictures]
    assert boundary_f_score(ours, np.array(theirs), 1).mean() > 0.8


def test_a_hand_shakes_and_leaves_gaps_but_draws_the_same_face(pictures):
    lines = sketches.draw_sketches(pictures)
    rough = sketches.roughen(lines, 3)
    assert rough.dtype == bool and 0.7 < rough.sum() / lines.sum() < 1.05
    assert boundary_f_score(rough, lines, 0).mean() < 0.8 < boundary_f_score(rough, lines, 2).mean()
    assert np.array_equal(rough, sketches.roughen(lines, 3)) and not np.array_equal(rough, sketches.roughen(lines, 4))


def test_colors_of_places_are_means(pictures):
    layout = sketches.color_layout(pictures[:3])
    assert layout.shape == (3, 8, 8, 3) and layout.dtype == np.uint8
    np.testing.assert_allclose(layout[1, 2, 5], pictures[1, 16:24, 40:48].mean(axis=(0, 1)), atol=0.51)


def test_the_f_score_counts_lines_within_the_tolerance():
    wanted = np.zeros((4, 10, 10), bool)
    wanted[:, 4] = True
    drawn = wanted.copy()
    drawn[1] = np.roll(wanted[1], 1, axis=0)  # a pixel lower
    drawn[2, :, 5:] = False  # half of the line
    drawn[3] = False
    assert boundary_f_score(drawn, wanted, 0) == pytest.approx([1, 0, 2 / 3, 0])
    assert boundary_f_score(drawn, wanted, 1)[1] == 1
    assert boundary_f_score(drawn[3:], drawn[3:]) == 1
