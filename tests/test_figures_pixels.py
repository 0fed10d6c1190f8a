"""Pictures of single pixels: the numbers, arrows, holes and overlaps that they were given, in text that a page shows well."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.quiver import Quiver
from matplotlib.text import Annotation

from vidgen_tf.errors import CourseError
from vidgen_tf.figures import draw_motion_vectors, draw_numbers, draw_patch, draw_row_warp
from vidgen_tf.figures.pixels import HOLE, OVERLAP

ROW = np.array([20, 250, 200, 60])


@pytest.fixture
def axes():
    return Figure(figsize=(3, 3)).subplots()


def texts(axes):
    return [text for text in axes.texts if not isinstance(text, Annotation)]


def arrows(axes):
    """(tail, head) of each arrow, in columns and rows of the picture."""
    return [(note.get_position(), note.xy) for note in axes.texts if isinstance(note, Annotation)]


def test_each_number_stands_in_its_square(axes):
    draw_numbers(axes, np.array([[3, -12], [0, 7], [1, 2]]))
    found = {text.get_position(): text.get_text() for text in axes.texts}
    assert found == {(0, 0): "3", (1, 0): "−12", (0, 1): "0", (1, 1): "7", (0, 2): "1", (1, 2): "2"}
    assert min(text.get_fontsize() for text in axes.texts) >= 10


def test_the_colour_of_a_number_says_its_sign_and_size(axes):
    draw_numbers(axes, np.array([[0, 10, -10, 5]]))
    (picture,) = axes.images
    zero, above, below, half = picture.cmap(picture.norm(np.array([0, 10, -10, 5])))[:, :3]
    assert zero.min() > 0.99
    assert above[0] > above[2] + 0.5 and below[2] > below[0] + 0.5
    assert above.sum() < half.sum() < zero.sum()


@pytest.mark.parametrize("values", [np.zeros((2, 2)), np.zeros(4, int), np.zeros((2, 2, 1), int)])
def test_only_a_matrix_of_whole_numbers_can_be_drawn(axes, values):
    with pytest.raises(CourseError, match="matrix"):
        draw_numbers(axes, values)


def test_arrows_lead_from_blocks_to_their_patches(axes):
    vectors = np.zeros((2, 3, 2), int)
    vectors[1, 2] = 3, -2
    draw_motion_vectors(axes, np.zeros((8, 12, 1), np.uint8), vectors, chosen=(1, 2))
    (quiver,) = axes.findobj(Quiver)
    assert quiver.get_offsets().tolist() == [[9.5, 5.5]]  # the middle of the block
    assert (quiver.U.tolist(), quiver.V.tolist()) == ([3], [-2]) and quiver.angles == "xy" and quiver.scale == 1
    assert [(patch.get_xy(), patch.get_width()) for patch in axes.patches] == [((7.5, 3.5), 4)]
    assert len(axes.lines) == 3  # the edges between 2 rows and 3 columns
    assert axes.get_ylim() == (7.5, -0.5)  # y points down


def test_blocks_that_do_not_fill_the_frame_are_refused(axes):
    with pytest.raises(CourseError, match="don't fill"):
        draw_motion_vectors(axes, np.zeros((9, 12), np.uint8), np.zeros((2, 3, 2), int))


def test_a_patch_is_framed_along_the_edges_of_its_pixels(axes):
    draw_patch(axes, 4, 2, 8)
    assert axes.patches[0].get_bbox().bounds == (3.5, 1.5, 8, 8)


def test_forward_arrows_end_on_their_targets_and_show_holes_and_overlaps(axes):
    draw_row_warp(axes, ROW, np.array([20, 0, 250, 200]), targets=np.array([0, 2, 3, 3]))
    assert [(tail[0], head[0]) for tail, head in arrows(axes)] == [(0.5, 0.5), (1.5, 2.5), (2.5, 3.5), (3.5, 3.5)]
    assert all(tail[1] < head[1] for tail, head in arrows(axes))  # the old row stands above
    assert [text.get_text() for text in texts(axes)] == ["20", "250", "200", "60", "20", "?", "250", "200"]
    squares = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [round(patch.get_x()) for patch in squares if to_hex(patch.get_facecolor()) == HOLE] == [1]
    assert [round(patch.get_x()) for patch in squares if to_hex(patch.get_edgecolor()) == OVERLAP] == [3]
    colors = [to_hex(note.arrow_patch.get_edgecolor()) for note in axes.texts if isinstance(note, Annotation)]
    assert [color == OVERLAP for color in colors] == [False, False, True, True]
    assert min(text.get_fontsize() for text in texts(axes)) >= 10


def test_backward_arrows_end_where_a_new_pixel_looks_up(axes):
    draw_row_warp(axes, ROW, np.array([20, 250, 225, 60]), sources=np.array([0, 1, 1.5, 3]))
    assert [(tail[0], head[0]) for tail, head in arrows(axes)] == [(0.5, 0.5), (1.5, 1.5), (2.5, 2.0), (3.5, 3.5)]
    assert all(tail[1] > head[1] for tail, head in arrows(axes))
    assert "?" not in [text.get_text() for text in texts(axes)]
    assert all(isinstance(note.arrow_patch, FancyArrowPatch) for note in axes.texts if isinstance(note, Annotation))


@pytest.mark.parametrize(
    "positions",
    [
        {},
        {"targets": np.arange(4), "sources": np.arange(4)},
        {"targets": np.arange(3)},
        {"targets": np.array([0, 1, 2, 4])},
        {"sources": np.array([-0.5, 1, 2, 3])},
    ],
)
def test_a_warp_needs_one_position_within_the_row_for_each_pixel(axes, positions):
    with pytest.raises(CourseError):
        draw_row_warp(axes, ROW, ROW, **positions)
