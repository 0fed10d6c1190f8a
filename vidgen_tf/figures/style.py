"""One style for all figures: colours that mean the same in every chapter, sizes that survive the page, fonts found everywhere."""

import matplotlib
from cycler import cycler
from matplotlib import font_manager

from ..errors import CourseError

PAGE_WIDTH = 900  # px that a JupyterLab page gives a figure; a wider one is scaled down, and its labels with it
DPI = 96  # at which a figure's px are the page's, so that a point of its fonts is a point on the page
FONT_SIZE = 11  # pt; a figure 10 % too wide still has labels of 10 pt
INK, PAPER = "#1a1a1a", "#ffffff"  # a paper of its own, not a transparent one, is read on light and on dark pages

# Colours keep a CIEDE2000 distance of 13 from one another and from the greys, also for red-, green- and blue-blind eyes, and a
# contrast of 3 to 1 with the paper. Where two stand together, they stand in this order.
ROLES = {
    "real": INK,
    "generated": "#2c45fb",
    "reconstruction": "#0aa667",
    "prediction": "#d9500b",
    "reference": "#5c5c5c",
    "baseline": "#8c8c8c",
    "generator": "#2c45fb",
    "discriminator": "#d9500b",
    "training": "#2c45fb",
    "validation": "#d9500b",
    "test": INK,
}
FAMILIES = {
    "dense": "#834463",
    "gan": "#d9500b",
    "vae": "#0aa667",
    "convlstm": "#2c45fb",
    "simvp": "#5b8cff",
    "rnn": "#007b97",
    "diffusion": "#563b93",
    "text-to-video": "#a71809",
}
CYCLE = ("#2c45fb", "#d9500b", "#0aa667", "#563b93", "#007b97", "#a71809", "#5b8cff", "#834463")  # of series without a role
WEIGHTS = {
    "glo": "dense",
    "mlp-gan": "gan",
    "dcgan": "gan",
    "flow-gan": "gan",
    "video-gan": "gan",
    "latent-gru": "rnn",
    "svg": "rnn",
}  # shipped name -> family

CJK_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "WenQuanYi Micro Hei",
    "SimHei",
    "Arial Unicode MS",
)


def use_style():
    """Sets matplotlib's parameters for the figures of a notebook: call it once, after the imports."""
    matplotlib.rcParams.update(style_parameters())


def style_parameters():
    """What `use_style` sets, for `matplotlib.rc_context` where a single figure is drawn.

    Returns:
        dict from names of matplotlib's parameters to values. DejaVu Sans comes with matplotlib; the Chinese fonts that this
        machine has stand behind it and draw what it lacks.
    """
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return {
        "font.family": ["DejaVu Sans", *(name for name in CJK_FONTS if name in installed)],
        "font.size": FONT_SIZE,
        **dict.fromkeys(("axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize"), FONT_SIZE),
        **dict.fromkeys(("legend.fontsize", "figure.titlesize", "figure.labelsize", "legend.title_fontsize"), FONT_SIZE),
        "axes.unicode_minus": True,
        "figure.figsize": (7.5, 3.25),
        "figure.dpi": DPI,
        "savefig.dpi": DPI,
        "figure.constrained_layout.use": True,
        **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), PAPER),
        **dict.fromkeys(("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color"), INK),
        "axes.edgecolor": "#8c8c8c",
        "axes.prop_cycle": cycler(color=CYCLE),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#e4e4e4",
        "grid.linewidth": 0.8,
        "lines.linewidth": 2.0,
        "legend.frameon": False,
        "image.interpolation": "nearest",
    }


def color_of(name):
    """The fixed colour of a role, of a model family, or of shipped weights.

    Args:
        name: str, an entry of `ROLES` or `FAMILIES`, or the name of weights that begins with its family: "vae-shapes".

    Returns:
        str "#rrggbb".

    Raises:
        CourseError: nothing of that name has a colour.
    """
    known = ROLES | FAMILIES | {prefix: FAMILIES[family] for prefix, family in WEIGHTS.items()}
    parts = name.split("-")
    for count in range(len(parts), 0, -1):
        if (prefix := "-".join(parts[:count])) in known:
            return known[prefix]
    raise CourseError(f"{name!r} has no colour of its own; these have one: {', '.join(known)}.")


def series_colors(names):
    """Colours for series that are drawn together: the fixed one where a name has it, the next free one of `CYCLE` elsewhere.

    Args:
        names: sequence of str, the labels.

    Returns:
        list of str "#rrggbb", one for each name.
    """
    colors = []
    for name in names:
        try:
            colors.append(color_of(name))
        except CourseError:
            colors.append(None)
    free = [color for color in CYCLE if color not in colors]
    spare = iter([*free, *CYCLE * len(colors)])
    return [color or next(spare) for color in colors]
