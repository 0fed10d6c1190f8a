"""vidgen_tf/video.py: a video as a value."""

import errno
import io
import os
import subprocess
import sys

import av
import numpy as np
import pytest
from PIL import Image

from vidgen_tf.errors import CourseError
from vidgen_tf.video import FPS_RANGE, SHOWN_BYTES, SUFFIXES, Clip, compare, contact_sheet, decode, grid, to_float, to_uint8


def disc(length=16, size=32, colour=(230, 25, 25)):
    """A saturated disc that moves right by a pixel per frame: hard for codecs that share colours among pixels."""
    y, x = np.mgrid[:size, :size]
    inside = np.stack([np.clip(6.5 - np.hypot(x - 8 - t, y - 16), 0, 1) for t in range(length)])[..., None]
    return np.rint(240 * (1 - inside) + np.array(colour) * inside).astype(np.uint8)


def waves(length=16, height=64, width=64):
    """Smooth colour, every pixel of which changes."""
    t, y, x, c = np.ogrid[:length, :height, :width, :3]
    return (128 + 100 * np.sin((x + 2 * t) / 9 + c) * np.cos(y / 13 + c)).astype(np.uint8)


def noise(length=16, size=64):
    return np.random.default_rng(0).integers(0, 256, (length, size, size, 3), dtype=np.uint8)


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


VIDEOS = {
    "disc": disc(),
    "waves": waves(),
    "grey": waves()[..., :1],
    "odd": waves(5, 33, 31),
    "one": waves(1),
    "one grey": waves(1)[..., :1],
    "still": np.repeat(waves(1), 16, axis=0),
    "still, then moving": np.concatenate([np.repeat(waves(1), 7, axis=0), waves(5), np.repeat(waves()[-1:], 3, axis=0)]),
    "single pixels": noise(4, 1),
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", VIDEOS)
def test_round_trip_keeps_frames_rate_and_caption(name, suffix, tmp_path):
    frames = VIDEOS[name]
    for fps in (7.5, 8, 12, 24):
        path = Clip(frames, fps=fps, caption="the ball falls 球落下 é").save(tmp_path / f"clip{suffix}")
        loaded = Clip.load(path)
        assert (loaded.frames.shape, loaded.fps, loaded.caption) == (frames.shape, fps, "the ball falls 球落下 é")
        if suffix in (".png", ".webp"):
            np.testing.assert_array_equal(loaded.frames, frames)
    if name != "single pixels" and suffix in (".mp4", ".gif"):
        assert np.array_equal(loaded.frames, frames) or psnr(loaded.frames, frames) > (40 if suffix == ".mp4" else 34)


def test_a_clip_without_caption_has_none_when_loaded(tmp_path):
    assert Clip.load(Clip(disc(2)).save(tmp_path / "a.mp4")).caption is None


def test_mp4_is_made_for_browsers(tmp_path):
    path = Clip(disc(), fps=7.5).save(tmp_path / "a.mp4")
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 7.5)
        assert stream.frames == 16
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # it plays while it loads


def test_mp4_keeps_the_size_of_large_frames(tmp_path):
    path = Clip(waves(2, 256, 258)).save(tmp_path / "a.mp4")
    assert next(decode(path))[2]().size == (258, 256)
    assert psnr(Clip.load(path).frames, waves(2, 256, 258)) > 35


@pytest.mark.parametrize("fps", [7.5, 8, 12, 24, 30])
@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_the_tempo_of_pictures_does_not_drift(suffix, fps, tmp_path):
    path = Clip(disc(24), fps=fps).save(tmp_path / f"a{suffix}")
    *_, (_, end, _) = decode(path)
    assert end == pytest.approx(24 / fps, abs=0.0051)


def test_numbers_of_numpy_are_numbers(tmp_path):
    for suffix in SUFFIXES:
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


def write_video(path, frames, codec, rate=30, turn=None):
    with av.open(str(path), "w", options={"movflags": "+faststart"} if path.suffix == ".mp4" else {}) as file:
        stream = file.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        if turn:
            stream.set_display_rotation(turn)
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode(None))


@pytest.mark.parametrize("suffix, codec", [(".mp4", "libx264"), (".webm", "libvpx-vp9"), (".mov", "mpeg4"), (".mkv", "libx264")])
def test_other_peoples_videos_load(suffix, codec, tmp_path):
    write_video(tmp_path / f"a{suffix}", waves(30), codec)
    clip = Clip.load(tmp_path / f"a{suffix}")
    assert repr(clip) == "Clip(30 frames, 64x64 RGB, 30 fps)"
    assert psnr(clip.frames, waves(30)) > 25


def test_a_phone_held_sideways(tmp_path):
    frames = np.zeros((3, 32, 64, 3), np.uint8)
    frames[:, :16, :16] = 255  # white in the top left corner of the sensor
    path = tmp_path / "a.mp4"
    write_video(path, frames, "libx264", turn=90)  # counter-clockwise
    clip = Clip.load(path)
    assert clip.frames.shape == (3, 64, 32, 3)
    assert clip.frames[0, -10, 6].min() > 230 and clip.frames[0, 6, 6].max() < 25


def test_other_peoples_pictures_load(tmp_path):
    images = [Image.fromarray(f) for f in disc(3)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=[100, 300, 200])
    clip = Clip.load(tmp_path / "a.gif")
    assert (len(clip), clip.fps) == (6, 10)  # a frame that lasts three times as long becomes three
    np.testing.assert_array_equal(clip.frames[1], clip.frames[3])

    images[0].save(tmp_path / "b.jpg", quality=95)
    assert repr(Clip.load(tmp_path / "b.jpg")) == "Clip(1 frame, 32x32 RGB, 10 fps)"

    Image.fromarray(np.array([[0, 257, 65535]], np.uint16)).save(tmp_path / "c.png")
    assert Clip.load(tmp_path / "c.png").frames.ravel().tolist() == [0, 1, 255]  # 16 bits are scaled, not clipped

    glass = np.zeros((2, 2, 4), np.uint8)
    glass[0] = 10, 20, 30, 255
    Image.fromarray(glass).save(tmp_path / "d.png")
    assert Clip.load(tmp_path / "d.png").frames[0, :, 0].tolist() == [[10, 20, 30], [255, 255, 255]]

    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was turned by 90 degrees
    Image.fromarray(disc(1)[0, :, :20]).save(tmp_path / "e.jpg", exif=turned)
    assert Clip.load(tmp_path / "e.jpg").frames.shape == (1, 20, 32, 3)


def test_other_peoples_comments_are_no_notes(tmp_path):
    for comment in (b"hello", b"[1]", b'{"frames": 3}', b"\xff\xfe"):
        Image.fromarray(disc(1)[0]).save(tmp_path / "a.gif", comment=comment)
        assert len(Clip.load(tmp_path / "a.gif")) == 1


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ["disc", "still", "one"])
def test_a_file_cut_short_is_named(name, suffix, tmp_path):
    path = Clip(VIDEOS[name]).save(tmp_path / f"clip{suffix}")
    data = path.read_bytes()
    for share in (0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98):
        path.write_bytes(data[: round(len(data) * share)])
        with pytest.raises(CourseError, match="clip.*(damaged|cut short)"):
            Clip.load(path)


@pytest.mark.parametrize("suffix, codec", [(".mp4", "libx264"), (".webm", "libvpx-vp9")])
def test_another_video_cut_short_is_named(suffix, codec, tmp_path):
    path = tmp_path / f"clip{suffix}"
    write_video(path, noise(40), codec)
    data = path.read_bytes()
    for share in (0.01, 0.2, 0.5, 0.8):
        path.write_bytes(data[: round(len(data) * share)])
        with pytest.raises(CourseError, match="clip.*(damaged|cut short)"):
            Clip.load(path)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".webp", ".png", ".jpg"])
def test_a_text_file_is_no_video(suffix, tmp_path):
    path = tmp_path / f"notes{suffix}"
    path.write_text("not a video at all\n" * 50)
    with pytest.raises(CourseError, match="notes.*damaged"):
        Clip.load(path)


def test_what_cannot_be_loaded_is_said(tmp_path, monkeypatch):
    with pytest.raises(CourseError, match="no file .*missing.mp4"):
        Clip.load(tmp_path / "missing.mp4")
    with pytest.raises(CourseError, match="is a folder"):
        Clip.load(tmp_path)
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(CourseError, match=r"a.txt: the suffix must be one of \.mp4"):
        Clip.load(tmp_path / "a.txt")
    path = Clip(disc()).save(tmp_path / "long.png")
    monkeypatch.setattr("vidgen_tf.video.LOADED_BYTES", 10 * 32 * 32 * 3)
    with pytest.raises(CourseError, match="long.png is too long .* vidgen_tf.worlds.files"):
        Clip.load(path)


@pytest.mark.parametrize("name", ["clip.avi", "clip", "clip.mp3"])
def test_unknown_suffix(name, tmp_path):
    with pytest.raises(CourseError, match=r"must be one of \.mp4, \.gif, \.webp, \.png"):
        Clip(disc(1)).save(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(suffix, tmp_path, monkeypatch):
    path = Clip(disc(2)).save(tmp_path / f"clip{suffix}")
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    if suffix == ".mp4":
        monkeypatch.setattr(av, "open", full)
    else:
        monkeypatch.setattr("pathlib.Path.write_bytes", full)
    for _ in ("while writing", "at the last step"):
        with pytest.raises(CourseError, match="No space left on the disk"):
            Clip(disc(3)).save(path)
        assert [p.name for p in tmp_path.iterdir()] == [path.name]
        assert path.read_bytes() == before
        monkeypatch.undo()
        monkeypatch.setattr(os, "replace", full)


def test_a_really_full_disk(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError) as caught, av.open("/dev/full", "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=8)  # what encoders raise is what atomic_path understands
        stream.width = stream.height = 64
        for frame in noise(40):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode(None))
    assert caught.value.errno == errno.ENOSPC


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


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("fps", FPS_RANGE)
def test_every_format_holds_the_slowest_and_the_fastest(fps, suffix, tmp_path):
    for length in (1, 2, 7, 16, 40):
        loaded = Clip.load(Clip(noise(length, 8), fps=fps).save(tmp_path / f"a{suffix}"))
        assert (len(loaded), loaded.fps) == (length, fps)


def test_a_slide_show_of_others_loads_at_the_slowest_rate(tmp_path):
    slides = [Image.fromarray(frame) for frame in noise(2, 8)]
    slides[0].save(tmp_path / "a.gif", save_all=True, append_images=slides[1:], duration=400_000)
    assert repr(Clip.load(tmp_path / "a.gif")) == "Clip(2 frames, 8x8 RGB, 0.01 fps)"


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
