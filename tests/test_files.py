"""vidgen_tf/worlds/files.py: a user's own videos and images."""

import itertools
import os
import warnings
from fractions import Fraction

import matplotlib.cbook
import numpy as np
import pytest
from PIL import Image
from sample_clips import CODECS, write_video

from vidgen_tf.errors import CourseError
from vidgen_tf.video import Clip
from vidgen_tf.worlds import files


@pytest.fixture(autouse=True)
def no_silent_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def clock(length, height=32, width=32, step=4):
    """Frame number i is a grey of brightness i * step (modulo 240): it can be read off a clip which frame was taken."""
    levels = (np.arange(length) * step % 240).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (length, height, width, 3))


def read_clock(clip, step=4):
    return np.rint(clip.mean(axis=(1, 2, 3)) / step).astype(int)


def make_video(path, frames, rate=30, times=None):
    return write_video(path, frames, rate=rate, times=times, bit_rate=4_000_000)  # enough to read the clock


def draw(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)
    return path


def damage(path, share=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * share)])
    return path


# time


@pytest.mark.parametrize("suffix", CODECS)
def test_30_fps_to_8_takes_the_nearest_frames(suffix, tmp_path):
    make_video(tmp_path / f"a{suffix}", clock(45, 64, 64, step=5))
    clip, file, start = next(files.stream(tmp_path, num_frames=12))
    np.testing.assert_allclose(read_clock(clip, 5), np.arange(12) * 30 / 8, atol=0.51)
    assert (file, start) == (f"{tmp_path.name}/a{suffix}", 0)


def test_windows_follow_each_other_without_overlap(tmp_path):
    make_video(tmp_path / "a.mp4", clock(60, step=4), rate=10)
    found = list(files.stream(tmp_path, num_frames=16, fps=10))
    assert [start for _, _, start in found] == [0, 1.6, 3.2]
    np.testing.assert_array_equal(np.concatenate([read_clock(clip) for clip, _, _ in found]), np.arange(48))


def test_slow_videos_repeat_frames(tmp_path):
    make_video(tmp_path / "a.mp4", clock(8, step=20), rate=2)
    (clip, _, _), (last, _, _) = files.stream(tmp_path / "a.mp4")
    np.testing.assert_array_equal(read_clock(clip, 20), np.repeat([0, 1, 2, 3], 4))
    np.testing.assert_array_equal(read_clock(last, 20), np.repeat([4, 5, 6, 7], 4))


def test_a_frame_rate_that_changes(tmp_path):
    times = [0, 0.1, 0.2, 0.3, 1.0, 1.1, 1.2, 1.3]  # frame 3 stays on display until 1.0
    make_video(tmp_path / "a.mp4", clock(8, step=20), rate=100, times=times)
    clip, _, _ = next(files.stream(tmp_path, num_frames=13, fps=10))
    assert read_clock(clip, 20).tolist() == [0, 1, 2, 3, 3, 3, 3, 3, 3, 3, 4, 5, 6]


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".webp", ".png"])
@pytest.mark.parametrize("fps", [7.5, 8, 12, 24])
def test_clips_that_the_course_saved_come_back_frame_by_frame(suffix, fps, tmp_path):
    frames = np.concatenate([clock(16, step=15), clock(16, step=15)[::-1]])  # with two equal frames in the middle
    Clip(frames, fps=fps).save(tmp_path / f"a{suffix}")
    found = list(files.stream(tmp_path, fps=fps))
    assert len(found) == 2
    np.testing.assert_array_equal(np.concatenate([read_clock(clip, 15) for clip, _, _ in found]), read_clock(frames, 15))


@pytest.mark.parametrize("fps", [24, 25, 30, 60])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_the_same_rate_takes_every_frame_once(suffix, fps, tmp_path):
    make_video(tmp_path / f"a{suffix}", clock(60, step=4), rate=fps)  # webm rounds times to milliseconds
    ((clip, _, _),) = files.stream(tmp_path, num_frames=60, fps=fps)
    np.testing.assert_array_equal(read_clock(clip), np.arange(60))


# space


def test_the_central_square_is_resized_by_area(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 100, 3), dtype=np.uint8)
    draw(tmp_path / "a.png", pixels)
    clip, _, _ = next(files.stream(tmp_path, size=16, num_frames=1))
    areas = pixels[:, 18:82].reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))
    assert clip.shape == (1, 16, 16, 3) and clip.dtype == np.uint8
    np.testing.assert_allclose(clip[0], areas, atol=1)
    tall, _, _ = next(files.stream(draw(tmp_path / "b.png", pixels.transpose(1, 0, 2)), size=16, num_frames=1))
    np.testing.assert_allclose(tall[0], areas.transpose(1, 0, 2), atol=1)


def test_grey(tmp_path):
    make_video(tmp_path / "a.mp4", clock(16), rate=8)
    clip, _, _ = next(files.stream(tmp_path, grey=True, size=20))
    assert clip.shape == (16, 20, 20, 1)
    np.testing.assert_array_equal(read_clock(clip), np.arange(16))
    green = draw(tmp_path / "b.png", np.full((8, 8, 3), (0, 200, 0), np.uint8))
    clip, _, _ = next(files.stream(green, size=8, num_frames=1, grey=True))
    assert (clip == 117).all()  # 0.587 of it


# folders


def test_numbered_images_are_frames(tmp_path):
    for i in range(25):
        draw(tmp_path / "walks" / f"walk_{i}.png", clock(25)[i])  # walk_10 comes before walk_2 in the alphabet
        draw(tmp_path / "walks" / f"run_{i:03}.jpg", clock(25)[i])
    found = list(files.stream(tmp_path, num_frames=10, fps=5))
    assert [(file, start) for _, file, start in found] == [(f"{tmp_path.name}/walks", s) for s in (0, 2, 0, 2)]
    for (clip, _, _), first in zip(found, (0, 10, 0, 10), strict=True):
        np.testing.assert_array_equal(read_clock(clip), np.arange(first, first + 10))


def test_folders_are_read_in_the_order_of_their_numbers(tmp_path):
    for i in (10, 9, 1):
        (tmp_path / f"part {i}").mkdir()
        make_video(tmp_path / f"part {i}" / "a.mp4", clock(16), rate=8)
    assert [file.split("/")[1] for _, file, _ in files.stream(tmp_path)] == ["part 1", "part 9", "part 10"]


def test_celeba(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (5, 218, 178, 3), dtype=np.uint8)
    for i in range(5):
        draw(tmp_path / "img_align_celeba" / f"{i + 1:06}.jpg", pixels[i])
    (tmp_path / "list_attr_celeba.txt").write_text("5\n")
    faces = files.make(None, tmp_path, num_frames=1, size=64)
    assert faces.frames.shape == (5, 1, 64, 64, 3)
    assert faces.states["file"][4] == f"{tmp_path.name}/img_align_celeba/000005.jpg"
    assert len(files.make(3, tmp_path, num_frames=1)) == 3
    assert faces.captions.tolist() == faces.captions_zh.tolist() == ["000001", "000002", "000003", "000004", "000005"]


def test_every_format_in_one_tree(tmp_path):
    (tmp_path / "b" / "c").mkdir(parents=True)
    make_video(tmp_path / "a video.mp4", clock(16), rate=8)
    make_video(tmp_path / "b" / "d.webm", clock(16), rate=8)
    for name in ("e.gif", "f.webp", "g.png"):
        Clip(clock(16)).save(tmp_path / "b" / "c" / name)
    for i in range(16):
        draw(tmp_path / "h" / f"{i:02}.png", clock(16)[i])
    (tmp_path / ".hidden").mkdir()
    make_video(tmp_path / ".hidden" / "x.mp4", clock(16), rate=8)
    (tmp_path / "._a.mp4").write_bytes(b"what another system leaves behind")
    draw(tmp_path / "cover.jpg", clock(1)[0])
    (tmp_path / "notes.txt").write_text("hello")
    clips = files.make(100, tmp_path)
    assert clips.captions.tolist() == ["a video", "d", "e", "f", "g", "h"]
    assert repr(clips) == "LabelledClips(6 clips of files: 16 frames, 32x32 RGB, 8 fps)"
    for clip in clips.frames:
        np.testing.assert_array_equal(read_clock(clip), np.arange(16))
    assert repr(clips[1]) == "Clip(16 frames, 32x32 RGB, 8 fps)"
    assert clips[[0, 3]].states["start_s"].tolist() == [0, 0]


def test_the_seed_orders_the_files(tmp_path):
    for i in range(20):
        draw(tmp_path / f"{i}.png", clock(20)[i])

    def order(seed):
        return [int(read_clock(clip)[0]) for clip, _, _ in files.stream(tmp_path, num_frames=1, seed=seed)]

    assert order(None) == list(range(20))
    assert order(3) == order(3) != order(4) and order(3) != order(None)
    assert sorted(order(3)) == list(range(20))


def test_relative_paths(tmp_path, monkeypatch):
    make_video(tmp_path / "a.mp4", clock(16), rate=8)
    monkeypatch.chdir(tmp_path)
    assert next(files.stream("."))[1] == f"{tmp_path.name}/a.mp4"
    assert next(files.stream("a.mp4"))[1] == "a.mp4"


# damage


def test_damaged_files_are_skipped_and_named(tmp_path):
    good = make_video(tmp_path / "good.mp4", clock(16), rate=8)
    make_video(tmp_path / "half.mp4", np.random.default_rng(0).integers(0, 256, (64, 64, 64, 3), dtype=np.uint8), rate=8)
    damage(tmp_path / "half.mp4", 0.7)
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "zero.webm").touch()
    Clip(clock(16)).save(tmp_path / "cut.gif")
    damage(tmp_path / "cut.gif")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = [file.rsplit("/")[-1] for _, file, _ in files.stream(tmp_path)]
    said = [str(w.message) for w in caught]
    assert found.count("good.mp4") == 1 and 1 <= found.count("half.mp4") < 4 and set(found) == {"good.mp4", "half.mp4"}
    assert len(said) == 4
    for name, start, end in (
        ("cut.gif", "Skipped", " can't be read as an image: is it damaged or cut short?"),
        ("half.mp4", "Used up to the damage", " seconds."),
        ("text.mp4", "Skipped", " can't be read as a video: is it damaged or cut short?"),
        ("zero.webm", "Skipped", " can't be read as a video: is it damaged or cut short?"),
    ):
        [message] = [message for message in said if name in message]
        assert message.startswith(f"{start}: {tmp_path / name} ") and message.endswith(end)
    assert next(files.stream(good))[0].shape == (16, 32, 32, 3)


def test_a_damaged_image_costs_one_clip(tmp_path):
    for i in range(12):
        draw(tmp_path / f"{i:02}.png", clock(12)[i])
    damage(tmp_path / "05.png")
    with pytest.warns(UserWarning, match=r"05\.png can't be read"):
        starts = [start for _, _, start in files.stream(tmp_path, num_frames=4, fps=4)]
    assert starts == [0, 2]
    with pytest.warns(UserWarning, match=r"Skipped: .*05\.png"):
        assert len(files.make(100, tmp_path, num_frames=1)) == 11


def test_what_is_too_short_is_said(tmp_path):
    make_video(tmp_path / "a.mp4", clock(16), rate=8)
    make_video(tmp_path / "short.mp4", clock(15), rate=8)
    for i in range(3):
        draw(tmp_path / "images" / f"{i}.png", clock(3)[i])
    with pytest.warns(UserWarning) as said:
        assert len(list(files.stream(tmp_path))) == 1
    messages = [str(w.message) for w in said]
    assert len(messages) == 2
    assert messages[0].startswith("Skipped: 3 images like ") and "16 frames" in messages[0]
    assert messages[1] == f"Skipped: {tmp_path}/short.mp4 lasts 1.875 s, a clip takes 2 s: ask for fewer frames."


def test_nothing_usable(tmp_path):
    with pytest.raises(CourseError, match="no file or folder .*missing"):
        files.stream(tmp_path / "missing")
    with pytest.raises(CourseError, match=r"no videos in .*\.mp4.*\.png.*num_frames=1"):
        files.stream(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    for path in (tmp_path, tmp_path / "notes.txt", draw(tmp_path / "one.png", clock(1)[0])):
        with pytest.raises(CourseError, match="no videos in"):
            files.make(1, path)


def test_nothing_usable_is_one_sentence_and_no_warning(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    cause = r"a\.mp4 can't be read as a video: is it damaged or cut short\?"
    with pytest.raises(CourseError, match=rf"^{tmp_path}/{cause}$"):
        files.make(1, tmp_path / "a.mp4")
    with pytest.raises(CourseError, match=rf"^Nothing in {tmp_path} can be used: {tmp_path}/{cause}$"):
        files.make(1, tmp_path)
    make_video(tmp_path / "b.mp4", clock(4), rate=8)
    with pytest.raises(CourseError, match=rf"can be used: {tmp_path}/{cause} So it is with 1 more\.$"):
        files.make(1, tmp_path)
    with pytest.raises(CourseError, match=r"b\.mp4 lasts 0\.5 s, a clip takes 2 s: ask for fewer frames\.$"):
        files.make(1, tmp_path / "b.mp4")
    draw(tmp_path / "images" / "1.png", clock(1)[0])
    draw(tmp_path / "images" / "2.png", clock(1)[0])
    with pytest.raises(CourseError, match=r"can be used: 2 images like .*1\.png are fewer than the 16 frames of a clip"):
        files.make(1, tmp_path / "images")


def test_only_regular_files_are_read(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    for name in ("a.mp4", "b.png", "c.gif", "frame_1.png"):
        os.mkfifo(tmp_path / name)  # to open one would wait for ever
    with pytest.raises(CourseError, match="no videos in"):
        files.make(1, tmp_path)
    with pytest.raises(CourseError, match="a.mp4 is a pipe or device"):
        files.make(1, tmp_path / "a.mp4")
    with pytest.raises(CourseError, match="no image file"):
        files.pan(tmp_path / "b.png")
    with pytest.raises(CourseError, match="a.mp4 is a pipe or device"):
        Clip.load(tmp_path / "a.mp4")
    make_video(tmp_path / "d.mp4", clock(16), rate=8)
    os.symlink(tmp_path / "d.mp4", tmp_path / "e.mp4")
    assert files.make(None, tmp_path).captions.tolist() == ["d", "e"]


def test_a_subfolder_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    make_video(tmp_path / "a.mp4", clock(16), rate=8)
    (tmp_path / "private").mkdir()
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("private"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.warns(UserWarning, match=f"Skipped: {tmp_path}/private can't be opened."):
        assert len(files.make(None, tmp_path)) == 1


def test_pixels_that_are_not_square_and_transparency(tmp_path):
    disc = np.zeros((64, 64, 4), np.uint8)
    disc[np.hypot(*(np.mgrid[:64, :64] - 32)) < 16] = 255, 0, 0, 255
    write_video(tmp_path / "a.mp4", [disc[..., :3]] * 8, rate=8, aspect=Fraction(2, 1))
    y, x = np.nonzero(files.make(1, tmp_path / "a.mp4", size=64, num_frames=8).frames[0, 0, ..., 0] > 128)
    assert (np.ptp(x) + 1, np.ptp(y) + 1) == (62, 31)
    write_video(tmp_path / "b.mov", [disc] * 8, "qtrle", rate=8, pix_fmt="argb")
    frame = files.make(1, tmp_path / "b.mov", size=64, num_frames=8).frames[0, 0]
    assert frame[0, 0].tolist() == [255, 255, 255] and frame[32, 32].tolist() == [255, 0, 0]


@pytest.mark.parametrize("wrong", [{"size": 10**6}, {"num_frames": 10**6}, {"size": 10**30}])
def test_clips_too_large_for_the_memory(wrong, tmp_path):
    for call in (files.stream, files.pan):
        with pytest.raises(CourseError, match="take over 512 MB each: ask for less"):
            call(tmp_path, **wrong)


def test_any_count_is_the_most_to_expect(tmp_path):
    make_video(tmp_path / "a.mp4", clock(32), rate=8)
    assert len(files.make(10**20, tmp_path)) == 2


@pytest.mark.parametrize("wrong", [{"size": 0}, {"num_frames": 0}, {"fps": 0}, {"fps": float("nan")}, {"fps": "8"}])
def test_impossible_clips(wrong, tmp_path):
    [(name, value)] = wrong.items()
    for call in (files.stream, files.pan):
        with pytest.raises(CourseError, match=f"{name} must be .*, got {name}={value!r}"):
            call(tmp_path, **wrong)
    with pytest.raises(CourseError, match="at least 1, got count=0"):
        files.make(0, tmp_path)


@pytest.mark.parametrize("wrong", [{"count": 0}, {"seed": -1}, {"start": -1}])
def test_impossible_pans(wrong, photograph):
    [(name, value)] = wrong.items()
    with pytest.raises(CourseError, match=f"got {name}={value}"):
        files.pan(photograph, **wrong)


# memory


def test_a_long_video_is_never_in_memory(tmp_path):
    resource = pytest.importorskip("resource")
    length = 900  # 207 MB of pixels
    make_video(tmp_path / "long.avi", clock(length, 240, 320), rate=30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = sum(1 for _ in files.stream(tmp_path))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert count == length / 30 * 8 // 16
    assert grown < 60_000  # KiB on Linux, bytes on macOS


def test_the_first_clip_does_not_wait_for_the_last(tmp_path, monkeypatch):
    decoded = []
    iter_frames = files.iter_frames

    def counting(path):
        for frame in iter_frames(path):
            decoded.append(path)
            yield frame

    monkeypatch.setattr(files, "iter_frames", counting)
    make_video(tmp_path / "a.mp4", clock(240), rate=30)
    make_video(tmp_path / "b.mp4", clock(240), rate=30)
    first = list(itertools.islice(files.stream(tmp_path), 1))
    assert len(first) == 1 and len(decoded) < 62  # of 480


# pan


@pytest.fixture(scope="module")
def photograph():
    return matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)


def test_pan_has_the_flow_it_claims(photograph):
    clips = files.pan(photograph, 6, size=64)
    flow = clips.optical_flow()
    assert flow.shape == (6, 15, 64, 64, 2) and flow.dtype == np.float32
    for n, t in itertools.product(range(6), (0, 7, 14)):
        x, y = np.meshgrid(np.arange(64), np.arange(64))
        x, y = x + flow[n, t, ..., 0], y + flow[n, t, ..., 1]
        inside = (x >= 0) & (x < 63) & (y >= 0) & (y < 63)
        assert inside.mean() > 0.7
        left, top = np.floor(x[inside]).astype(int), np.floor(y[inside]).astype(int)
        u, v = (x[inside] - left)[:, None], (y[inside] - top)[:, None]
        later, now = clips.frames[n, t + 1].astype(float), clips.frames[n, t][inside]
        fetched = (1 - v) * ((1 - u) * later[top, left] + u * later[top, left + 1])
        fetched += v * ((1 - u) * later[top + 1, left] + u * later[top + 1, left + 1])
        with_flow, without = np.mean((fetched - now) ** 2), np.mean((later[inside] - now) ** 2)
        assert with_flow < without / 10


def test_pan_flow_in_closed_form():
    clips = files.pan(np.zeros((50, 80), np.uint8), 3, size=20, num_frames=5)
    left, top, side = np.moveaxis(clips.states["square"], -1, 0)  # each (N, T)
    flow = clips.optical_flow()
    seen = left[1, 2] + 0.5 * side[1, 2] / 20  # what the first pixel looks at
    assert flow[1, 2, 0, 0, 0] == pytest.approx((seen - left[1, 3]) * 20 / side[1, 3] - 0.5, abs=1e-5)
    seen = top[1, 2] + 19.5 * side[1, 2] / 20
    assert flow[1, 2, 19, 0, 1] == pytest.approx((seen - top[1, 3]) * 20 / side[1, 3] - 19.5, abs=1e-5)
    assert (left >= 0).all() and (top >= 0).all() and (left + side <= 80).all() and (top + side <= 50 + 1e-9).all()


def test_pan_clips_depend_on_seed_and_number_alone(photograph):
    clips = files.pan(photograph, 4, seed=5)
    np.testing.assert_array_equal(files.pan(photograph, 2, seed=5, start=2).frames, clips.frames[2:])
    assert not np.array_equal(files.pan(photograph, 4, seed=6).frames, clips.frames)
    assert clips.captions.tolist() == ["grace_hopper"] * 4
    assert clips[0].caption == "grace_hopper"


def test_pan_of_arrays():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    assert files.pan(pixels, num_frames=3, size=8).frames.shape == (1, 3, 8, 8, 3)
    assert files.pan(pixels[..., 0], num_frames=3, size=8, grey=True).frames.shape == (1, 3, 8, 8, 1)
    assert files.pan(pixels[..., :1], num_frames=1).frames.shape == (1, 1, 32, 32, 3)
    for wrong in (pixels / 255, pixels[0, 0], pixels[None], pixels[:0]):
        with pytest.raises(CourseError, match="needs a uint8 image"):
            files.pan(wrong)


def test_pan_names_what_it_cannot_open(tmp_path):
    with pytest.raises(CourseError, match="no image file .*missing.jpg"):
        files.pan(tmp_path / "missing.jpg")
    with pytest.raises(CourseError, match="cut.png can't be read as an image"):
        files.pan(damage(draw(tmp_path / "cut.png", np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))))


def test_the_flow_of_other_files_is_unknown(tmp_path):
    make_video(tmp_path / "a.mp4", clock(16), rate=8)
    with pytest.raises(CourseError, match=r"not known: estimate it, or use vidgen_tf.worlds.files.pan\(image\)"):
        files.make(1, tmp_path).optical_flow()
