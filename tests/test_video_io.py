"""vidgen_tf/video_io.py: files that the course wrote, and files of other people."""

import errno
import json
import os
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from sample_clips import disc, noise, psnr, waves, write_video

from vidgen_tf import video_io
from vidgen_tf.errors import CourseError
from vidgen_tf.video import Clip
from vidgen_tf.video_io import FPS_RANGE, WRITABLE, iter_frames

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


@pytest.mark.parametrize("suffix", WRITABLE)
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


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    frames=arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 40), st.integers(1, 40), st.sampled_from((1, 3)))),
    fps=st.floats(*FPS_RANGE) | st.integers(1, 1000),
    caption=st.none() | st.text(max_size=40),
    suffix=st.sampled_from(WRITABLE),
)
def test_round_trip_of_any_clip(frames, fps, caption, suffix, tmp_path):
    loaded = Clip.load(Clip(frames, fps=fps, caption=caption).save(tmp_path / f"a{suffix}"))
    assert (loaded.frames.shape, loaded.fps, loaded.caption) == (frames.shape, fps, caption)
    if suffix in (".png", ".webp"):
        np.testing.assert_array_equal(loaded.frames, frames)


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
    assert next(iter_frames(path))[2]().size == (258, 256)
    assert psnr(Clip.load(path).frames, waves(2, 256, 258)) > 35


@pytest.mark.parametrize("fps", [7.5, 8, 12, 24, 30])
@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_the_tempo_of_pictures_does_not_drift(suffix, fps, tmp_path):
    path = Clip(disc(24), fps=fps).save(tmp_path / f"a{suffix}")
    *_, (_, end, _) = iter_frames(path)
    assert end == pytest.approx(24 / fps, abs=0.0051)


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
    write_video(path, frames, "libx264", rotation=90)  # counter-clockwise
    clip = Clip.load(path)
    assert clip.frames.shape == (3, 64, 32, 3)
    assert clip.frames[0, -10, 6].min() > 230 and clip.frames[0, 6, 6].max() < 25


def test_mirrored_and_turned(tmp_path):
    """The display matrix of a selfie camera: each of the eight ways in which a picture can be held."""
    corner = np.zeros((2, 32, 64, 3), np.uint8)
    corner[:, :16, :16] = 255
    for a, b, c, d in [
        (1, 0, 0, 1),
        (-1, 0, 0, 1),
        (1, 0, 0, -1),
        (-1, 0, 0, -1),
        (0, 1, 1, 0),
        (0, 1, -1, 0),
        (0, -1, 1, 0),
        (0, -1, -1, 0),
    ]:
        path = write_video(tmp_path / "a.mp4", corner, matrix=(a, b, c, d))
        expected = corner[0] if a else corner[0].swapaxes(0, 1)  # (x, y) goes to (a x + c y, b x + d y)
        expected = expected[:, :: a + c][:: b + d]
        assert np.abs(Clip.load(path).frames[0].astype(int) - expected).mean() < 3, (a, b, c, d)


DISC = np.zeros((64, 64, 4), np.uint8)  # opaque and red in the middle, black and transparent around it
DISC[np.hypot(*(np.mgrid[:64, :64] - 32)) < 16] = 255, 0, 0, 255


def extent(frame):
    """Width and height of what is red."""
    y, x = np.nonzero(frame[..., 0] > 128)
    return int(np.ptp(x)) + 1, int(np.ptp(y)) + 1


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mov"])
def test_pixels_that_are_not_square(suffix, tmp_path):
    opaque = [DISC[..., :3]] * 3
    wide = Clip.load(write_video(tmp_path / f"wide{suffix}", opaque, aspect=Fraction(2, 1)))
    assert wide.frames.shape == (3, 64, 128, 3) and extent(wide.frames[0]) == (62, 31)
    tall = Clip.load(write_video(tmp_path / f"tall{suffix}", opaque, aspect=Fraction(1, 2)))
    assert tall.frames.shape == (3, 128, 64, 3) and extent(tall.frames[0]) == (31, 62)


def test_pixels_that_are_not_square_and_a_phone_held_sideways(tmp_path):
    path = write_video(tmp_path / "a.mp4", [DISC[..., :3]] * 3, aspect=Fraction(2, 1), rotation=90)
    turned = Clip.load(path).frames
    assert turned.shape == (3, 128, 64, 3) and extent(turned[0]) == (31, 62)


def test_a_nonsensical_pixel_aspect_is_ignored(tmp_path):
    path = write_video(tmp_path / "a.mp4", [DISC[..., :3]] * 3, aspect=Fraction(200, 1))
    assert Clip.load(path).frames.shape == (3, 64, 64, 3)


@pytest.mark.parametrize(
    "name, codec, pix_fmt",
    [
        ("a.mov", "qtrle", "argb"),
        ("a.mov", "png", "rgba"),
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.mkv", "ffv1", "yuva420p"),
        ("a.avi", "png", "rgba"),
    ],
)
def test_what_is_transparent_in_a_video_becomes_white(name, codec, pix_fmt, tmp_path):
    frames = Clip.load(write_video(tmp_path / name, [DISC] * 10, codec, pix_fmt=pix_fmt)).frames
    assert len(frames) == 10
    for frame in frames:
        assert frame[0, 0].min() > 250
        np.testing.assert_allclose(frame[32, 32], (255, 0, 0), atol=4)


def test_colours_of_high_definition(tmp_path):
    """What names no colour matrix is BT.709 from 720 lines on, as players have it; below, BT.601."""
    for height, standard in ((720, "ITU709"), (64, "ITU601")):
        pixels = np.full((height, 64, 3), (200, 30, 30), np.uint8)
        with av.open(str(tmp_path / "a.mp4"), "w") as file:
            stream = file.add_stream("libx264", rate=10, options={"crf": "1"})
            stream.width, stream.height, stream.pix_fmt = 64, height, "yuv420p"
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p", dst_colorspace=standard)
            frame.colorspace = 2  # unspecified
            file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        np.testing.assert_allclose(Clip.load(tmp_path / "a.mp4").frames[0, 5, 5], (200, 30, 30), atol=3)


def boxes(data, start, end):
    """(start, end, name) of the atoms of an mp4 between two places."""
    while start < end:
        length = int.from_bytes(data[start : start + 4], "big")
        yield start, start + length, data[start + 4 : start + 8]
        start += length


def test_a_cover_image_before_the_video_is_passed_over(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        video, cover = file.add_stream("libx264", rate=10), file.add_stream("mjpeg", rate=10)
        cover.disposition = Disposition.attached_pic
        for stream, layout in ((video, "yuv420p"), (cover, "yuvj420p")):
            stream.width, stream.height, stream.pix_fmt = 64, 64, layout
        for stream, colour, length in ((video, (200, 0, 0), 20), (cover, (0, 0, 200), 1)):
            for _ in range(length):
                file.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((64, 64, 3), colour, np.uint8), format="rgb24")))
            file.mux(stream.encode(None))
    data = (tmp_path / "a.mp4").read_bytes()
    [(start, end, _)] = [box for box in boxes(data, 0, len(data)) if box[2] == b"moov"]
    inner = list(boxes(data, start + 8, end))
    inner.sort(key=lambda box: [b"mvhd", b"udta", b"trak"].index(box[2]))  # as programs that tag files write it
    (tmp_path / "b.mp4").write_bytes(data[: start + 8] + b"".join(data[a:b] for a, b, _ in inner) + data[end:])
    with av.open(str(tmp_path / "b.mp4")) as file:
        assert [stream.codec_context.name for stream in file.streams.video] == ["mjpeg", "h264"]
    for name in ("a.mp4", "b.mp4"):
        clip = Clip.load(tmp_path / name)
        assert repr(clip) == "Clip(20 frames, 64x64 RGB, 10 fps)"
        np.testing.assert_allclose(clip.frames[0, 0, 0], (200, 0, 0), atol=4)


def test_covers_and_further_images_of_image_files_are_passed_over(tmp_path):
    red, green, blue = (Image.new("RGB", (8, 8), colour) for colour in ("#f00", "#0f0", "#00f"))
    red.save(tmp_path / "a.png", save_all=True, append_images=[green, blue], default_image=True, duration=100)
    assert Clip.load(tmp_path / "a.png").frames[:, 0, 0].tolist() == [[0, 255, 0], [0, 0, 255]]
    red.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[green])  # a phone's photo with its gain map
    assert Clip.load(tmp_path / "a.jpg").frames.shape == (1, 8, 8, 3)


def test_a_variable_frame_rate_keeps_its_pauses(tmp_path):
    times = [0.1 * i for i in range(10)] + [5 + 0.1 * i for i in range(10)]
    shades = [np.full((64, 64, 3), 12 * i, np.uint8) for i in range(20)]
    clip = Clip.load(write_video(tmp_path / "a.mp4", shades, times=times))
    assert (len(clip), clip.fps) == (60, 10)
    expected = [*range(9), *[9] * 41, *range(10, 20)]
    np.testing.assert_allclose(clip.frames.mean(axis=(1, 2, 3)), np.multiply(expected, 12), atol=2)


@pytest.mark.parametrize(
    "durations, repeats, fps",
    [
        ([33, 34, 33, 33, 34, 33], [1, 1, 1, 1, 1, 1], 30),  # webm rounds to milliseconds
        ([25, 42, 30, 36, 38, 29, 33, 33], [1] * 8, 30),  # a phone, which isn't exact
        ([17, 17, 33, 17, 200, 17], [1, 1, 2, 1, 12, 1], 60),  # a recorded screen
        ([1, 33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 33], [1] * 12, 33),  # one odd time stamp
        ([0, 100, 100], [1, 1, 1], 15),  # two frames at the same time
        ([10_000, 2_000, 6_000], [5, 1, 3], 0.5),  # slides
    ],
)
def test_frames_at_uneven_times(durations, repeats, fps):
    found, rate = video_io._constant_rate(np.array(durations) / 1000, is_video=False)
    assert found.tolist() == repeats
    assert rate == pytest.approx(fps, rel=0.05)


def test_the_last_frame_of_a_video_lasts_as_long_as_the_others():
    for guess in (0.001, 0.1):
        repeats, fps = video_io._constant_rate(np.array([0.1, 0.1, 0.1, guess]), is_video=True)
        assert (repeats.tolist(), fps) == ([1, 1, 1, 1], 10)


def test_a_small_animation_does_not_eat_the_memory(tmp_path):
    frames = [Image.new("RGB", (200, 200), colour) for colour in ("black", "red")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=[10, 655350])
    with pytest.raises(CourseError, match=r"a.gif is too long to be held in memory at full size \(512 MB\)"):
        Clip.load(tmp_path / "a.gif")
    metadata = json.dumps({"vidgen_tf": 1, "frames": 10**9, "channels": 3, "fps": 8, "caption": None, "doubled": False})
    frames[0].save(tmp_path / "b.gif", comment=metadata.encode())
    with pytest.raises(CourseError, match="b.gif is too long"):
        Clip.load(tmp_path / "b.gif")


def test_sound_alone_is_no_video(tmp_path):
    with av.open(str(tmp_path / "song.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    with pytest.raises(CourseError, match="song.mp4 holds no video, only sound.$"):
        Clip.load(tmp_path / "song.mp4")


def test_too_large_an_image_is_said_to_be_so(tmp_path, monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000_000)
    Image.new("1", (11_000, 10_000)).save(tmp_path / "a.png")
    with pytest.raises(CourseError, match=r"a.png is too large: an image may have 100 megapixels. Make it smaller first.$"):
        Clip.load(tmp_path / "a.png")
    Image.new("1", (8_000, 8_000)).save(tmp_path / "b.png")
    assert Clip.load(tmp_path / "b.png").frames.shape == (1, 8_000, 8_000, 1)
    assert not recwarn.list  # Pillow warns from half of it on


def test_a_suffix_that_is_not_that_of_the_content_is_named(tmp_path):
    path = write_video(tmp_path / "a.mp4", [DISC[..., :3]] * 3).rename(tmp_path / "a.gif")
    with pytest.raises(CourseError, match="a.gif is not what its suffix says: rename it to a.mp4.$"):
        Clip.load(path)
    Image.fromarray(DISC[..., :3]).save(tmp_path / "b.png")
    assert Clip.load((tmp_path / "b.png").rename(tmp_path / "b.jpg")).frames.shape == (1, 64, 64, 3)


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    def forbidden(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(av, "open", forbidden)
    monkeypatch.setattr(Image, "open", forbidden)
    for name in ("a.mp4", "a.png"):
        (tmp_path / name).touch()
        with pytest.raises(CourseError, match=f"{name} can't be opened: you have no permission to read it.$"):
            Clip.load(tmp_path / name)


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


@pytest.mark.parametrize("suffix", WRITABLE)
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


@pytest.mark.parametrize("suffix", WRITABLE)
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


@pytest.mark.parametrize("suffix", WRITABLE)
@pytest.mark.parametrize("fps", FPS_RANGE)
def test_every_format_holds_the_slowest_and_the_fastest(fps, suffix, tmp_path):
    for length in (1, 2, 7, 16, 40):
        loaded = Clip.load(Clip(noise(length, 8), fps=fps).save(tmp_path / f"a{suffix}"))
        assert (len(loaded), loaded.fps) == (length, fps)


def test_a_slide_show_of_others_loads_at_the_slowest_rate(tmp_path):
    slides = [Image.fromarray(frame) for frame in noise(2, 8)]
    slides[0].save(tmp_path / "a.gif", save_all=True, append_images=slides[1:], duration=400_000)
    assert repr(Clip.load(tmp_path / "a.gif")) == "Clip(2 frames, 8x8 RGB, 0.01 fps)"
