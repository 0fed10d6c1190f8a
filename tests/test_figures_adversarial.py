"""The two halves of a GAN's step: which network is filled, and how far the gradient's arrows reach."""

import matplotlib
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from vidgen_tf.errors import CourseError
from vidgen_tf.figures import ROLES, draw_gan_step
from vidgen_tf.figures.adversarial import FIXED, MIDDLES


@pytest.fixture(params=["discriminator", "generator"])
def trained(request):
    return request.param


@pytest.fixture
def axes(trained):
    axes = Figure(figsize=(9, 2.3)).subplots()
    draw_gan_step(trained, axes)
    return axes


def fills(axes):
    """Label -> colour of its box."""
    boxes = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    labels = [text.get_text() for text in axes.texts][: len(boxes)]
    return {label: matplotlib.colors.to_hex(box.get_facecolor()) for label, box in zip(labels, boxes)}


def test_only_the_network_that_learns_is_filled_with_its_colour(axes, trained):
    other = {"generator": "discriminator", "discriminator": "generator"}[trained]
    colors = fills(axes)
    assert colors[trained] == ROLES[trained] and colors[other] == FIXED
    assert {name for name, color in colors.items() if color == "#ffffff"} == {
        "latent",
        "real image",
        "generated image",
        f"{trained[0]}_loss",
    }


def test_the_gradient_goes_from_the_loss_to_the_network_that_learns(axes, trained):
    arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    forward = [arrow for arrow in arrows if arrow.get_linestyle() == "-"]
    backward = [arrow for arrow in arrows if arrow.get_linestyle() == "--"]
    assert len(forward) == 5 and len(backward) == {"discriminator": 1, "generator": 2}[trained]
    assert {matplotlib.colors.to_hex(arrow.get_edgecolor()) for arrow in backward} == {ROLES[trained]}
    last = backward[-1]._posA_posB
    assert last[0][0] > last[1][0] == MIDDLES[trained][0]  # from right to left, to the middle of that network
    stops = [text for text in axes.texts if text.get_text() == "stop_gradient"]
    assert len(stops) == len(axes.lines) == (trained == "discriminator")


def test_labels_can_be_read(axes):
    assert min(text.get_fontsize() for text in axes.texts) >= 10


def test_a_gan_has_two_networks():
    with pytest.raises(CourseError, match="not 'critic'"):
        draw_gan_step("critic", Figure().subplots())
