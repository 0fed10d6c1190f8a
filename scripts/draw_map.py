"""Draws the map of the chapters, with an arrow from each to those that need it: python scripts/draw_map.py [FILE]"""

import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

from vidgen_tf.coursebook.notebook import read, title_of
from vidgen_tf.figures import style

ROOT = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT = 1.04, 0.66  # of a box, where a column and a row are 1.12 and 1
COLUMN = 1.12
# Chapter -> column, row, family of its colour, and what is made in it.
PLACES = {
    "00": (0.5, 0, None, "set-up, and where it leads"),
    "01": (1.5, 0, None, "clips as arrays, optical flow"),
    "02": (1.5, 1, "dense", "frames from noise"),
    "10": (3, 1, "simvp", "light and collisions"),
    "03": (1.5, 2, "gan", "handwritten digits"),
    "04": (1.5, 3, "gan", "faces, and a walk"),
    "05": (0.5, 4, "vae", "a smooth latent space"),
    "06": (1.5, 4, "convlstm", "the next frames"),
    "09": (3, 4, "gan", "one face moves another"),
    "16": (0, 5, None, "what each metric misses"),
    "07": (1, 5, "rnn", "one past, many futures"),
    "15": (2, 5, "simvp", "a clip in another look"),
    "11": (0, 6, "rnn", "clips token by token"),
    "12": (1, 6, "diffusion", "clips out of noise"),
    "08": (2, 6, "gan", "a chosen motion"),
    "17": (0, 7, None, "many machines, one model"),
    "13": (1, 7, "text-to-video", "a prompt becomes a clip"),
    "14": (3, 8, "text-to-video", "a picture or sketch moves"),
    "18": (2, 9, "text-to-video", "a studio in a web page"),
}


def read_chapters(folder=ROOT / "notebooks"):
    """Titles of the chapters, and which each needs first, as they say themselves.

    Args:
        folder: Path of the notebooks.

    Returns:
        dict from a number of two digits to a title and the set of earlier chapters' numbers.
    """
    chapters = {}
    for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")):
        notebook = read(path)
        title = title_of(notebook, path).partition(":")[0]
        needs = re.search(r"\*\*You need first.*|$", notebook.cells[0].source)[0]
        ranges = re.findall(r"(\d\d) to (\d\d)", needs)
        named = {*re.findall(r"\b[01]\d\b", needs), *(f"{n:02}" for a, b in ranges for n in range(int(a), int(b)))}
        title = re.sub("^(A|An|The) (.)", lambda match: match[2].upper(), title)
        title = title.replace(" to video and ", " and ")
        number = path.stem[:2]
        chapters[number] = title, {other for other in named if other < number} - {"00"}
    return chapters


def direct_needs(chapters):
    """Which chapters each needs, without those that another one that it needs has needed before.

    Args:
        chapters: dict of `read_chapters`.

    Returns:
        dict from a number to a set of numbers.
    """
    before = {}
    for number, (_, needs) in sorted(chapters.items()):
        before[number] = needs.union(*(before[other] for other in needs))
    return {number: needs.difference(*(before[other] for other in needs)) for number, (_, needs) in chapters.items()}


def draw(chapters, path):
    """Draws the map.

    Args:
        chapters: dict of `read_chapters`.
        path: file (.png or .svg).
    """
    figure, axes = plt.subplots(figsize=(style.PAGE_WIDTH / style.DPI, 7.9))
    centre = {number: (column * COLUMN, -row) for number, (column, row, *_) in PLACES.items()}
    for number, needs in direct_needs(chapters).items():
        for other in needs:
            (x0, y0), (x1, y1) = centre[other], centre[number]
            arrow = {"arrowstyle": "-|>", "color": style.ROLES["baseline"], "shrinkA": 0, "shrinkB": 0, "linewidth": 1.3}
            axes.annotate("", (x1, y1 + HEIGHT / 2 + 0.02), (x0, y0 - HEIGHT / 2), arrowprops=arrow, zorder=1)
    for number, (_, _, family, made) in PLACES.items():
        x, y = centre[number]
        color = style.FAMILIES.get(family, style.ROLES["reference"])
        corner, rounded = (x - WIDTH / 2, y - HEIGHT / 2), "round,pad=0,rounding_size=0.08"
        axes.add_patch(
            FancyBboxPatch(corner, WIDTH, HEIGHT, rounded, facecolor=style.PAPER, edgecolor=color, linewidth=1.6, zorder=2)
        )
        title = chapters[number][0]
        text = {"ha": "center", "va": "center", "zorder": 3}
        axes.text(x, y + 0.13, title, **text, fontsize=min(10, 10 * 22 / len(title)), weight="bold", color=color)
        axes.text(x, y - 0.14, made, **text, fontsize=10, color=style.INK)
        badge = {"boxstyle": "circle,pad=0.25", "facecolor": color, "edgecolor": style.PAPER}
        axes.text(corner[0], corner[1] + HEIGHT, number, **text, fontsize=10, color=style.PAPER, bbox=badge)
    axes.set(xlim=(-0.63, 3 * COLUMN + 0.6), ylim=(-9.45, 0.5))
    axes.axis("off")
    figure.subplots_adjust(0, 0, 1, 1)
    figure.savefig(path, dpi=1.5 * style.DPI, facecolor=style.PAPER)


if __name__ == "__main__":
    draw(read_chapters(), *(sys.argv[1:2] or [ROOT / "assets" / "map.png"]))
