"""vidgen_tf/video.py: a video as a value."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from sample_clips import disc, noise, psnr, waves

from vidgen_tf.errors import CourseError
from vidgen_tf.video import SHOWN_BYTES, Clip, compare, contact_sheet, grid, to_float, to_uint8
from vidgen_tf.video_io import WRITABLE


def test_numbers_of_numpy_are_numbers(tmp_path):
    for suffix in WRITABLE:
        path = Clip(disc(2), fps=np.float32(7.5)).save(tmp_path / f"a{suffix}", scale=np.float64(2))
        assert repr(Clip.load(path)) == "Clip(2 frames, 64x64 RGB, 7.5 fps)"
    for scale in (0, 1.5, -2):
        with pytest.raises(CourseError, match="whole number from 1"):
            Clip(disc(1)).enlarged(scale)


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
    ],
)
def test_what_is_no_video(frames, message):
    with pytest.raises(CourseError, match=message):
        Clip(frames)


@pytest.mark.parametrize("fps", [0, -1, 0.009, 1001, 1e6, float("nan"), float("inf"), "8", None])
def test_no_frame_rate(fps):
    with pytest.raises(CourseError, match=f"from 0.01 to 1000, got fps={fps!r}"):
        Clip(disc(1), fps=fps)


def test_from_float_refuses_what_is_not_a_models_output():
    frames = np.zeros((2, 4, 4, 3), np.float32)
    frames[0, 0, 0] = np.nan, np.inf, 0
    with pytest.raises(CourseError, match=r"2 of the 96 values of this video \(2, 4, 4, 3\) are NaN"):
        Clip.from_float(frames)
    with pytest.raises(CourseError, match=r"use Clip\(frames\)"):
        Clip.from_float(disc(1))


def test_values_and_pixels():
    assert to_uint8([-1, 0, 1, -7, 7]).tolist() == [0, 128, 255, 0, 255]
    pixels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(to_float(pixels)), pixels)
    assert to_float(pixels).dtype == np.float32 and to_float(pixels)[[0, -1]].tolist() == [-1, 1]
    np.testing.assert_array_equal(Clip.from_float(to_float(disc())).frames, disc())


def test_repr():
    assert repr(Clip(waves(16))) == "Clip(16 frames, 64x64 RGB, 8 fps)"
    assert repr(Clip(waves(1, 20, 30)[..., :1], fps=7.5)) == "Clip(1 frame, 30x20 grey, 7.5 fps)"


def shown(clip):
    data = clip._repr_png_()
    image = Image.open(io.BytesIO(data))
    return image, len(data)


def test_shows_itself_as_a_crisp_animation():
    image, size = shown(Clip(disc()))
    assert (image.format, image.n_frames, image.size, image.info["loop"]) == ("PNG", 16, (192, 192), 0)
    image.seek(5)
    np.testing.assert_array_equal(np.asarray(image.convert("RGB"))[3::6, 3::6], disc()[5])
    assert image.info["duration"] == 125
    assert size < 8_000


def test_what_is_shown_fits_a_page():
    for frames in (waves(), waves(16, 32, 32), waves()[..., :1]):
        assert shown(Clip(frames))[1] <= SHOWN_BYTES
    assert shown(Clip(noise()))[1] < 100_000  # 290 kB without a palette
    assert shown(Clip(waves(2, 700, 1930)))[0].size == (644, 234)
    assert shown(Clip(waves(2, 20, 600)))[0].size == (600, 20)


def test_a_palette_changes_colours_little_and_flickers_not():
    frames = waves()
    frames[:, 32:, 32:] = frames[:1, 32:, 32:]  # a quarter of it stands still
    image, _ = shown(Clip(frames))
    seen = []
    for i in range(16):
        image.seek(i)
        seen.append(np.asarray(image.convert("RGB"))[1::3, 1::3])
    assert psnr(np.stack(seen), frames) > 33
    for frame in seen:
        np.testing.assert_array_equal(frame[32:, 32:], seen[0][32:, 32:])


def test_contact_sheet_is_in_reading_order():
    frames = noise(10, 4)
    sheet = contact_sheet(Clip(frames)).frames
    assert sheet.shape == (1, 4 + 2 + 4, 8 * 4 + 7 * 2, 3)
    np.testing.assert_array_equal(sheet[0, :4, 6:10], frames[1])
    np.testing.assert_array_equal(sheet[0, 6:, 6:10], frames[9])
    assert (sheet[0, 6:, 12:] == 255).all()
    assert contact_sheet(Clip(frames), columns=5, gap=0).frames.shape == (1, 8, 20, 3)
    for wrong in ({"columns": -1}, {"columns": 0}, {"columns": 2.5}, {"gap": -1}):
        [(name, value)] = wrong.items()
        for call in (lambda **wrong: contact_sheet(Clip(frames), **wrong), lambda **wrong: grid([Clip(frames)], **wrong)):
            with pytest.raises(CourseError, match=f"{name} must be a whole number, at least [01], got {name}={value}"):
                call(**wrong)


def test_grid_holds_last_frames_and_mixes_grey_with_colour():
    long, short = Clip(noise(5, 4), fps=12), Clip(noise(2, 4)[..., :1])
    both = grid([long, short], columns=2, gap=3)
    assert (both.frames.shape, both.fps) == ((5, 4, 11, 3), 12)
    np.testing.assert_array_equal(both.frames[:, :, :4], long.frames)
    np.testing.assert_array_equal(both.frames[4, :, 7:], np.repeat(short.frames[1], 3, axis=-1))
    assert grid(noise(6, 4)[:, None]).frames.shape == (1, 2 * 4 + 2, 3 * 4 + 4, 3)  # an array (N, T, H, W, C)
    with pytest.raises(CourseError, match="one height and width"):
        grid([long, Clip(noise(2, 5))])
    with pytest.raises(CourseError, match="at least one"):
        grid([])


def test_compare_labels_rows():
    both = compare({"real": [Clip(disc(4)), Clip(disc(6))], "a label longer than its only clip is wide": Clip(disc(5))})
    assert len(both) == 6
    top = 20 + 4 * 32  # a row is a bar with the label, and the clips enlarged
    np.testing.assert_array_equal(both.frames[:5, 20 + top : 20 + top + 128 : 4, 0:128:4], disc(5))
    for bar in (both.frames[0, :20], both.frames[0, top : top + 20]):
        assert (bar < 100).any() and (bar[:, -4:] == 255).all()  # there is a text, and it isn't cut off


def test_compare_needs_rows():
    with pytest.raises(CourseError, match="at least one labelled row"):
        compare({})
    with pytest.raises(CourseError, match="at least one clip"):
        compare({"real": []})


def test_imports_without_tensorflow():
    code = "import sys, vidgen_tf.video, vidgen_tf.worlds.files; assert not {'tensorflow', 'keras'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
