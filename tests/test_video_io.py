"""vidgen_tf/video_io.py: files that the course wrote, and files of other people."""

import errno
import os

import av
import numpy as np
import pytest
from PIL import Image
from sample_clips import disc, noise, psnr, waves, write_video

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
