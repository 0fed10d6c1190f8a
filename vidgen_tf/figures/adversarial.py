"""The two halves of a GAN's training step: what runs forward, and where the gradient goes back."""

from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from ..errors import CourseError
from .style import FONT_SIZE, INK, ROLES

MIDDLES = {  # what a half step computes -> where its box stands
    "latent": (0.65, 0.0),
    "generator": (2.45, 0.0),
    "generated image": (4.75, 0.0),
    "real image": (4.75, 1.1),
    "discriminator": (7.35, 0.55),
    "loss": (9.7, 0.55),
}
WIDTHS = {"latent": 0.95, "generator": 1.6, "generated image": 1.95, "real image": 1.95, "discriminator": 1.8, "loss": 1.5}
HEIGHT = 0.62
NETWORKS = ("discriminator", "generator")
FIXED, ARROW = "#e4e4e4", "#3d4450"  # a network whose weights stay as they are; what runs forward


def draw_gan_step(trained, axes):
    """Half a training step of a GAN: solid arrows run forward, dashed ones carry the gradient, and what learns is filled.

    Args:
        trained: "discriminator" or "generator", the network that takes a step.
        axes: matplotlib axes, about four times as wide as high.

    Raises:
        CourseError: no network of a GAN.
    """
    if trained not in NETWORKS:
        raise CourseError(f"A GAN trains its {' and its '.join(NETWORKS)}, not {trained!r}.")
    for name in MIDDLES:
        _draw_box(axes, name, trained)
    ends = [("latent", "generator"), ("generator", "generated image"), ("generated image", "discriminator")]
    for start, end in [*ends, ("real image", "discriminator"), ("discriminator", "loss")]:
        _draw_arrow(axes, _side(start, 1, end), _side(end, -1, start), ARROW, "-")
    color = ROLES[trained]
    _draw_arrow(axes, _below("loss"), _below("discriminator"), color, "--", bend=-0.35)
    if trained == "generator":
        _draw_arrow(axes, _below("discriminator", -0.2), _below("generator"), color, "--", bend=-0.2)
        axes.text(4.75, -1.1, "gradient, on through the discriminator", ha="center", color=color)
    else:
        axes.text(8.55, -0.5, "gradient", ha="center", color=color)
        axes.plot([6.08, 6.08], [-0.1, 0.5], color=color, linewidth=3)  # across the arrow from the generated image
        axes.text(6.08, -0.62, "stop_gradient", ha="center", color=color)
    axes.set_title(f"the {trained}'s half of a step", loc="left", color=color)
    axes.set(xlim=(0.1, 10.5), ylim=(-1.3, 1.5))
    axes.axis("off")


def _draw_box(axes, name, trained):
    """A network as a box, filled where it learns; anything else as a pill."""
    (x, y), width = MIDDLES[name], WIDTHS[name]
    is_network = name in NETWORKS
    fill = ROLES[name] if name == trained else FIXED if is_network else "white"
    rounding = 0.06 if is_network else 0.3
    corner = (x - width / 2 + rounding, y - HEIGHT / 2 + rounding)
    size = (width - 2 * rounding, HEIGHT - 2 * rounding)
    style = {"boxstyle": f"round,pad={rounding}", "facecolor": fill, "edgecolor": "#8c8c8c"}
    axes.add_patch(FancyBboxPatch(corner, *size, **style))
    label = f"{trained[0]}_loss" if name == "loss" else name
    color = "white" if name == trained else INK
    axes.text(x, y, label, ha="center", va="center", fontsize=FONT_SIZE, color=color)


def _draw_arrow(axes, start, end, color, line, bend=0.0):
    style = {"arrowstyle": "-|>", "mutation_scale": 14, "shrinkA": 0, "shrinkB": 0, "color": color, "linestyle": line}
    curve = f"arc3,rad={bend}"
    axes.add_patch(FancyArrowPatch(start, end, connectionstyle=curve, linewidth=1.6, **style))


def _side(name, sign, other):
    """The point of a box's right (1) or left (-1) edge that is nearest to another box's middle."""
    (x, y), half = MIDDLES[name], HEIGHT / 4
    return x + sign * WIDTHS[name] / 2, y + min(half, max(-half, MIDDLES[other][1] - y))


def _below(name, shift=0.0):
    """The middle of a box's lower edge."""
    x, y = MIDDLES[name]
    return x + shift, y - HEIGHT / 2
