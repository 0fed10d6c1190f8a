"""The visible mark of generated clips: "AI" and the Chinese for "generated", in a corner that can be chosen."""

import functools
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..errors import CourseError

HEIGHT = 20  # px: of the mark in a frame of 256 px; China's standard asks for text of 5 % of the shorter side, which is 13 px
MARGIN = 6  # px: from the edges
OPACITY = 0.65  # of the dark ground behind the text
CORNERS = ("top left", "top right", "bottom left", "bottom right")  # first the one that no player's controls cover
# The two signs as strokes on a square of 100: the fonts that come with the course have no Chinese.
STROKES = {
    "生": [[(28, 8), (12, 42)], [(24, 28), (88, 28)], [(18, 58), (84, 58)], [(6, 92), (96, 92)], [(52, 6), (52, 92)]],
    "成": [
        [(20, 26), (94, 26)],
        [(20, 26), (20, 60), (6, 94)],
        [(20, 54), (46, 54), (44, 84), (34, 80)],
        [(54, 4), (60, 50), (84, 90), (94, 90), (96, 72)],
        [(86, 42), (66, 72), (46, 92)],
        [(72, 6), (84, 16)],
    ],
}


@functools.cache
def _mark():
    """The text, white on black: uint8 `(HEIGHT, width)`."""
    import matplotlib  # its fonts come with the course

    scale = 4  # drawn larger and reduced, for smooth edges
    side = int(0.8 * HEIGHT * scale)
    font = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans-Bold.ttf"), side)
    text_width = round(font.getlength("AI"))
    gap, top = side // 4, (HEIGHT * scale - side) // 2
    image = Image.new("L", (text_width + 2 * side + 4 * gap, HEIGHT * scale), 0)
    draw = ImageDraw.Draw(image)
    draw.text((gap, HEIGHT * scale // 2), "AI", fill=255, font=font, anchor="lm")
    for i, strokes in enumerate(STROKES.values()):
        left = text_width + 2 * gap + i * (side + gap // 2)
        for stroke in strokes:
            draw.line(
                [(left + x * side / 100, top + y * side / 100) for x, y in stroke], fill=255, width=side // 9, joint="curve"
            )
    return np.asarray(image.reduce(scale))


def draw_mark(frames, corner=CORNERS[0]):
    """Draws the visible mark on every frame.

    Args:
        frames: uint8 `(T, H, W, C)` of at least 128 px.
        corner: str, one of `CORNERS`.

    Returns:
        uint8 of the same shape.

    Raises:
        CourseError: another corner, or frames that are too small to read a mark on.
    """
    if corner not in CORNERS:
        raise CourseError(f"The mark stands in a corner, {', '.join(CORNERS)}, not at {corner!r}.")
    text = _mark().astype(np.float32)[:, :, None]
    height, width = text.shape[:2]
    if min(frames.shape[1:3]) < 128:
        raise CourseError(f"Frames of {frames.shape[2]}x{frames.shape[1]} are too small for a mark: enlarge them first.")
    vertical, horizontal = corner.split()
    top = MARGIN if vertical == "top" else frames.shape[1] - MARGIN - height
    left = MARGIN if horizontal == "left" else frames.shape[2] - MARGIN - width
    marked = frames.copy()
    place = marked[:, top : top + height, left : left + width]
    place[:] = np.rint(place * ((1 - OPACITY) * (1 - text / 255)) + text)
    return marked
