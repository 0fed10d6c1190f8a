"""vidgen_tf/video.py: a video as a value."""

import io
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sample_clips import disc, noise, waves

from vidgen_tf import video
from vidgen_tf.errors import CourseError
from vidgen_tf.video import (
    DISPLAY_BYTES,
    DISPLAY_WIDTH,
    FONT_SIZE,
    Clip,
    compare,
    contact_sheet,
    filmstrip,
    grid,
    to_float,
    to_uint8,
)
from vidgen_tf.video_io import WRITABLE


def test_numbers_of_numpy_are_numbers(tmp_path):
    for suffix in WRITABLE:
        path = Clip(disc(2), fps=np.float32(7.5)).save(tmp_path / f"a{suffix}", scale=np.float64(2))
        assert repr(Clip.load(path)) == "Clip(2 frames, 64x64 RGB, 7.5 fps)"


def test_scale_repeats_pixels(tmp_path):
    frames = noise(2, 3)
    loaded = Clip.load(Clip(frames).save(tmp_path / "a.png", scale=4)).frames
    assert loaded.shape == (2, 12, 12, 3)
    for i in range(4):
        for j in range(4):
            np.testing.assert_array_equal(loaded[:, i::4, j::4], frames)


def test_what_cannot_be_loaded_is_said(tmp_path, monkeypatch):
    with pytest.raises(CourseError, match="no file .*missing.mp4"):
        Clip.load(tmp_path / "missing.mp4")
    with pytest.raises(CourseError, match="is a folder"):
        Clip.load(tmp_path)
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(CourseError, match=r"a.txt: the suffix must be one of \.mp4"):
        Clip.load(tmp_path / "a.txt")
    path = Clip(disc()).save(tmp_path / "long.png")
    monkeypatch.setattr("vidgen_tf.video_io.MAX_BYTES", 10 * 32 * 32 * 3)
    with pytest.raises(CourseError, match="long.png is too long .* vidgen_tf.worlds.files"):
        Clip.load(path)


@pytest.mark.parametrize("name", ["clip.avi", "clip", "clip.mp3"])
def test_unknown_suffix(name, tmp_path):
    with pytest.raises(CourseError, match=r"must be one of \.mp4, \.gif, \.webp, \.png"):
        Clip(disc(1)).save(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "frames, message",
    [
        (np.zeros((2, 4, 4, 3)), "uint8 .* got float64.*from_float"),
        (np.zeros((4, 4, 3), np.uint8), r"got \(4, 4, 3\)"),
        (np.zeros((2, 4, 4, 4), np.uint8), r"got \(2, 4, 4, 4\)"),
        (np.zeros((0, 4, 4, 3), np.uint8), r"got \(0, 4, 4, 3\)"),
        (np.zeros((2, 0, 4, 3), np.uint8), r"got \(2, 0, 4, 3\)"),
        ([], "got float64"),
        ([[1, 2], [3]], "must be one array, of one height and width"),
        (None, "got object"),
        (np.zeros((2, 4, 4, 3), complex), "got complex128"),
        ("abc", "got <U3"),
    ],
)
def test_what_is_no_video(frames, message):
    with pytest.raises(CourseError, match=message):
        Clip(frames)


@pytest.mark.parametrize("fps", [0, -1, 0.009, 1001, 1e6, float("nan"), float("inf"), "8", None, [8], 8j])
def test_no_frame_rate(fps):
    with pytest.raises(CourseError, match=f"from 0.01 to 1000, got fps={re.escape(repr(fps))}"):
        Clip(disc(1), fps=fps)


@pytest.mark.parametrize("fps, plain", [(8, 8), (np.int64(8), 8), (np.float32(7.5), 7.5), (Fraction(15, 2), 7.5), (7.5, 7.5)])
def test_frame_rates_of_other_types_are_plain_numbers(fps, plain):
    clip = Clip(disc(1), fps=fps)
    assert repr(clip.fps) == repr(plain)
    assert repr(clip) == f"Clip(1 frame, 32x32 RGB, {plain:g} fps)"


@pytest.mark.parametrize("caption", [Path("x"), np.int64(3), 5, b"ball", ["a", "b"], float("nan")])
def test_no_caption(caption):
    with pytest.raises(CourseError, match=f"A caption must be a text or None, got {re.escape(repr(caption))}"):
        Clip(disc(1), caption=caption)
    with pytest.raises(CourseError, match="A caption must be"):
        Clip.from_float(np.zeros((1, 4, 4, 3)), caption=caption)


def test_a_caption_out_of_an_array_is_a_plain_text():
    assert type(Clip(disc(1), caption=np.array(["a ball"])[0]).caption) is str


@pytest.mark.parametrize("scale", [0, 1.5, -2, float("nan"), float("inf"), None, [2], "2", 2j])
def test_no_scale(scale, tmp_path):
    for call in (Clip(disc(1)).enlarged, lambda scale: Clip(disc(1)).save(tmp_path / "a.png", scale=scale)):
        with pytest.raises(CourseError, match=f"whole number from 1, got scale={re.escape(repr(scale))}"):
            call(scale)
    assert not list(tmp_path.iterdir())


def test_what_would_fill_the_memory_is_refused(tmp_path):
    with pytest.raises(CourseError, match="Enlarged 1000000 times, this clip would take 3072000000 MB, more than 512"):
        Clip(disc(1)).save(tmp_path / "a.png", scale=10**6)
    with pytest.raises(CourseError, match="This grid would take .* MB, more than 512: make it smaller"):
        grid(noise(4, 4)[:, None], gap=10**6)
    assert grid(noise(4, 4)[:, None], num_columns=10**9).frames.shape == (1, 4, 4 * 4 + 3 * 2, 3)


def test_from_float_refuses_what_is_not_a_models_output():
    frames = np.zeros((2, 4, 4, 3), np.float32)
    frames[0, 0, 0] = np.nan, np.inf, 0
    for call in (Clip.from_float, to_uint8):
        with pytest.raises(CourseError, match=r"2 of the 96 values of this array \(2, 4, 4, 3\) are NaN"):
            call(frames)
        for wrong, name in ((disc(1), "uint8"), (None, "object"), (frames.astype(complex), "complex128"), (["a"], "<U1")):
            with pytest.raises(CourseError, match=rf"Only floats in \[-1, 1\] can become pixels, got {name}"):
                call(wrong)
        with pytest.raises(CourseError, match="must be one array"):
            call([[0.0, 1.0], [0.0]])
    for wrong in (np.zeros(3), np.zeros(3, int), None, [0, 255]):
        with pytest.raises(CourseError, match="Only uint8 pixels 0..255 become model values, got "):
            to_float(wrong)


def test_values_and_pixels():
    assert to_uint8([-1.0, 0.0, 1.0, -7.0, 7.0]).tolist() == [0, 128, 255, 0, 255]
    halves = np.linspace(-1, 1, 256, dtype=np.float16)  # as half precision gives them: computed in single
    np.testing.assert_array_equal(to_uint8(halves), to_uint8(halves.astype(np.float32)))
    pixels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(to_float(pixels)), pixels)
    assert to_float(pixels).dtype == np.float32 and to_float(pixels)[[0, -1]].tolist() == [-1, 1]
    np.testing.assert_array_equal(Clip.from_float(to_float(disc())).frames, disc())


def test_repr():
    assert repr(Clip(waves(16))) == "Clip(16 frames, 64x64 RGB, 8 fps)"
    assert repr(Clip(waves(1, 20, 30)[..., :1], fps=7.5)) == "Clip(1 frame, 30x20 grey, 7.5 fps)"


def displayed(clip):
    """What a notebook shows: uint8 frames `(T, H, W, 3)`, milliseconds per frame, and bytes."""
    data = clip._repr_png_()
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG" and image.info.get("loop", 0) == 0
    frames, durations = [], []
    for i in range(image.n_frames):
        image.seek(i)
        frames.append(np.asarray(image.convert("RGB")))
        durations.append(image.info.get("duration", 0))
    return np.stack(frames), durations, len(data)


def test_displays_itself_as_an_animation():
    frames, durations, size = displayed(Clip(disc()))
    assert frames.shape == (16, 192, 192, 3) and durations == [125] * 16
    for i in range(6):
        for j in range(6):
            np.testing.assert_array_equal(frames[:, i::6, j::6], disc())
    assert size < 8_000


@pytest.mark.parametrize(
    "shape, scale",
    [
        ((16, 16), 12),
        ((20, 600), 1),
        ((28, 28), 6),
        ((32, 32), 6),
        ((64, 64), 3),
        ((100, 100), 2),
        ((127, 200), 2),
        ((128, 128), 1),
    ],
)
def test_small_clips_are_enlarged_by_a_whole_number(shape, scale):
    pixels = waves(2, *shape)
    frames, _, _ = displayed(Clip(pixels))
    assert frames.shape == (2, scale * shape[0], scale * shape[1], 3)
    assert frames.shape[1] >= 128 or frames.shape[2] + shape[1] > DISPLAY_WIDTH
    np.testing.assert_array_equal(frames[:, ::scale, ::scale], pixels)


def test_clips_larger_than_a_page_are_reduced_by_a_whole_number():
    frames, _, _ = displayed(Clip(np.full((2, 700, 1930, 3), 77, np.uint8)))
    assert frames.shape[1:] == (234, 644, 3) and (frames == 77).all()
    assert displayed(Clip(np.full((1, 1000, 20, 1), 77, np.uint8)))[0].shape == (1, 500, 10, 3)


def test_what_is_shown_has_true_colours():
    for pixels in (waves(), waves(16, 32, 32), noise(4, 32), waves()[..., :1]):
        frames, _, size = displayed(Clip(pixels))
        scale = frames.shape[2] // pixels.shape[2]
        step = -(-len(pixels) // len(frames))
        np.testing.assert_array_equal(
            frames[:, : pixels.shape[1] * scale : scale, ::scale], np.broadcast_to(pixels, (*pixels.shape[:3], 3))[::step]
        )
        assert size <= DISPLAY_BYTES


def test_what_is_too_large_for_a_notebook_shows_fewer_frames_and_says_so():
    pixels = noise(16)
    frames, durations, size = displayed(Clip(pixels))
    assert size <= DISPLAY_BYTES
    assert 4 <= len(frames) < 16 and frames.shape[1:] == (128 + 28, 128, 3)
    step = -(-16 // len(frames))
    np.testing.assert_array_equal(frames[:, :128:2, ::2], pixels[::step])  # no colour is lost
    assert durations == [125 * step] * len(frames)  # nor does it play faster
    assert (frames[:, 128:] < 100).any() and (frames[:, 128:, -4:] == 255).all()  # "6 of 16 frames"


def test_four_frames_are_always_shown():
    frames, durations, size = displayed(grid(np.random.default_rng(0).integers(0, 256, (6, 16, 64, 64, 3), dtype=np.uint8)))
    assert len(frames) == 4 and durations == [500] * 4 and size > DISPLAY_BYTES
    assert len(displayed(Clip(noise(3, 400)))[0]) == 3


def test_a_long_clip_is_shown_in_bounded_time_and_memory(monkeypatch):
    monkeypatch.setattr(video, "MAX_ENCODED_BYTES", 128 * 128 * 3 * 6)
    frames, durations, _ = displayed(Clip(disc(16)))
    assert frames.shape == (6, 192 + 28, 192, 3) and durations == [375] * 6  # "6 of 16 frames"
    np.testing.assert_array_equal(frames[:, :192:6, ::6], disc(16)[::3])


def test_grids_are_enlarged_until_each_clip_is_large_enough():
    clips = [Clip(disc(2)) for _ in range(12)]
    assert displayed(grid(clips))[0].shape == (2, 6 * (3 * 32 + 4), 6 * (4 * 32 + 6), 3)
    assert displayed(grid(clips, 6))[0].shape == (2, 4 * (2 * 32 + 2), 4 * (6 * 32 + 10), 3)
    assert displayed(grid(clips).enlarged(2))[0].shape == displayed(grid(clips))[0].shape
    assert displayed(grid(clips, 12))[0].shape == (2, 2 * 32, 2 * (12 * 32 + 22), 3)  # the page is no wider
    assert displayed(contact_sheet(Clip(disc())))[0].shape == (1, 4 * (3 * 32 + 4), 4 * (6 * 32 + 10), 3)


def test_a_filmstrip_stands_beside_a_clip_whose_first_frame_is_empty():
    pixels = disc(16)
    pixels[:3] = noise(3, 32) // 16  # as good as black
    frames, _, _ = displayed(Clip(pixels))
    scale, wide = 5, 32 + 2
    assert frames.shape[1:] == (scale * 32, scale * (5 * 32 + 4 * 2), 3)
    shown = frames[:, ::scale, ::scale]
    np.testing.assert_array_equal(shown[-1, :, :32], pixels[-1])
    for i, t in enumerate((4, 8, 11, 15)):  # evenly spaced, without the first
        left = (i + 1) * wide
        np.testing.assert_array_equal(shown[0, :, left : left + 32], pixels[t])
    for empty in (np.zeros((4, 32, 32, 3), np.uint8), np.arange(4 * 32 * 32).reshape(4, 32, 32, 1).astype(np.uint8) // 128):
        assert displayed(Clip(empty))[0].shape[2] == 192  # where all are alike, it would say nothing
    assert displayed(Clip(np.repeat(np.repeat(pixels, 20, axis=1), 20, axis=2)))[0].shape[2] == 640  # there is no room beside it


def test_filmstrip():
    clip = Clip(noise(16, 4), fps=12)
    strip = filmstrip(clip, num_frames=4)
    assert strip.frames.shape == (1, 4, 4 * 4 + 3 * 2, 3) and strip.fps == 12
    for i, t in enumerate((0, 5, 10, 15)):
        np.testing.assert_array_equal(strip.frames[0, :, 6 * i : 6 * i + 4], clip.frames[t])
    assert filmstrip(clip).frames.shape == (1, 4, 6 * 4 + 5 * 2, 3)
    assert filmstrip(Clip(noise(2, 4))).frames.shape == (1, 4, 2 * 4 + 2, 3)
    np.testing.assert_array_equal(filmstrip(clip, num_frames=1).frames, clip.frames[:1])
    with pytest.raises(CourseError, match="num_frames must be a whole number, at least 1, got num_frames=0"):
        filmstrip(clip, num_frames=0)


def test_contact_sheet_is_in_reading_order():
    frames = noise(10, 4)
    sheet = contact_sheet(Clip(frames), num_columns=8).frames
    assert sheet.shape == (1, 4 + 2 + 4, 8 * 4 + 7 * 2, 3)
    np.testing.assert_array_equal(sheet[0, :4, 6:10], frames[1])
    np.testing.assert_array_equal(sheet[0, 6:, 6:10], frames[9])
    assert (sheet[0, 6:, 12:] == 255).all()
    assert contact_sheet(Clip(frames), num_columns=5, gap=0).frames.shape == (1, 8, 20, 3)
    for wrong in ({"num_columns": -1}, {"num_columns": 0}, {"num_columns": 2.5}, {"gap": -1}):
        [(name, value)] = wrong.items()
        for call in (lambda **wrong: contact_sheet(Clip(frames), **wrong), lambda **wrong: grid([Clip(frames)], **wrong)):
            with pytest.raises(CourseError, match=f"{name} must be a whole number, at least [01], got {name}={value}"):
                call(**wrong)


@pytest.mark.parametrize("length, columns", [(1, 1), (6, 6), (7, 4), (8, 4), (12, 6), (16, 6), (20, 5)])
def test_contact_sheets_have_rows_of_equal_length(length, columns):
    rows = -(-length // columns)
    assert contact_sheet(Clip(noise(length, 32))).frames.shape == (1, 34 * rows - 2, 34 * columns - 2, 3)


def test_grid_holds_last_frames_and_mixes_grey_with_colour():
    long, short = Clip(noise(5, 4), fps=12), Clip(noise(2, 4)[..., :1])
    both = grid([long, short], num_columns=2, gap=3)
    assert (both.frames.shape, both.fps) == ((5, 4, 11, 3), 12)
    np.testing.assert_array_equal(both.frames[:, :, :4], long.frames)
    np.testing.assert_array_equal(both.frames[4, :, 7:], np.repeat(short.frames[1], 3, axis=-1))
    assert grid(noise(6, 4)[:, None]).frames.shape == (1, 2 * 4 + 2, 3 * 4 + 4, 3)  # an array (N, T, H, W, C)
    with pytest.raises(CourseError, match="one height and width"):
        grid([long, Clip(noise(2, 5))])
    with pytest.raises(CourseError, match="at least one"):
        grid([])


BAR = 28  # px: a label of one line


def test_compare_labels_rows():
    both = compare(
        {"real": [Clip(disc(4)), Clip(disc(6))], "a label that is much longer than its only clip is wide": Clip(disc(5))}
    )
    assert len(both) == 6
    top = BAR + 4 * 32  # a row is a bar with the label, and the clips enlarged
    np.testing.assert_array_equal(both.frames[:5, BAR + top : BAR + top + 128 : 4, 0:128:4], disc(5))
    np.testing.assert_array_equal(both.frames[5, BAR + top : BAR + top + 128 : 4, 0:128:4], disc(5)[-1])  # held
    for bar in (both.frames[0, :BAR], both.frames[0, top : top + BAR]):
        assert (bar < 100).any() and (bar[:, -4:] == 255).all()  # there is a text, and it isn't cut off
        assert (bar[:3] == 255).all() and (bar[-2:] == 255).all()  # nor does it touch the clips


def test_what_is_compared_is_shown_as_it_is():
    """No page scales it, so labels keep their 14 px and clips their 128."""
    for size, count, columns in ((32, 8, 4), (28, 6, 6), (64, 7, 4), (100, 5, 3), (128, 3, 3), (500, 2, 1)):
        both = compare({"real": [Clip(disc(1, size))] * count, "generated": [Clip(disc(1, size))] * count})
        scale = max(1, -(-128 // size))
        lines = -(-count // columns)
        assert both.frames.shape[1] == 2 * (BAR + scale * (lines * (size + 2) - 2))
        assert both.frames.shape[2] == scale * (columns * (size + 2) - 2) <= DISPLAY_WIDTH
        np.testing.assert_array_equal(displayed(both)[0], both.frames)
    assert FONT_SIZE >= 14  # px, which are 10.5 pt


def test_compare_fits_the_page_whatever_is_compared():
    wide = compare({"wide": Clip(np.full((1, 100, 2000, 3), 9, np.uint8)), "small": Clip(disc(1))})
    assert wide.frames.shape == (1, 2 * BAR + 34 + 128, 667, 3)
    sheets = compare({"sheet": contact_sheet(Clip(noise(20, 32)), num_columns=20)})
    assert sheets.frames.shape == (1, BAR + 32, 20 * 34 - 2, 3)
    text = "many words that " * 20
    long = compare({text: Clip(disc(1))})
    assert long.frames.shape[1] == 8 + 4 * 20 + 128 and long.frames.shape[2] <= DISPLAY_WIDTH
    assert long.frames[0, 8 + 3 * 20 : 8 + 4 * 20].min() < 100


def test_compare_takes_any_label_and_grey():
    both = compare({3: Clip(disc(1)[..., :1]), "w = 1.5, β → x²": Clip(disc(1)[..., :1])})
    assert both.frames.shape[-1] == 1
    blank = video._text_image("\ue000" * 3)  # a sign that no font has is drawn as a box
    assert not np.array_equal(video._text_image("β→²"), blank)


def test_compare_needs_rows():
    with pytest.raises(CourseError, match="at least one labelled row"):
        compare({})
    with pytest.raises(CourseError, match="at least one clip"):
        compare({"real": []})


def test_imports_without_tensorflow():
    code = "import sys, vidgen_tf.video, vidgen_tf.worlds.files; assert not {'tensorflow', 'keras'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
