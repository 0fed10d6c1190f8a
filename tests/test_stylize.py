"""Clips in a style: any length in bounded memory, the sound kept, and an interrupted run that goes on."""

import weakref
from fractions import Fraction

import av
import numpy as np
import pytest

from vidgen_tf import cli
from vidgen_tf.errors import CourseError
from vidgen_tf.models.style import TextureConfig, build_feature_extractor, build_texture_network
from vidgen_tf.models.style_transfer import StyleConfig, build_style_network
from vidgen_tf.pipelines import segments
from vidgen_tf.pipelines import stylize as pipeline
from vidgen_tf.worlds import faces
from vidgen_tf.worlds.styles import draw_style

EXTRACTOR = build_feature_extractor(build_texture_network(TextureConfig(filters=(3, 4, 4), num_classes=3)))
NETWORK = build_style_network(StyleConfig(filters=(3, 4), num_blocks=1, style_dim=3, moment_dim=34))


@pytest.fixture
def small(monkeypatch):
    """An untrained network in place of the shipped ones."""
    monkeypatch.setattr(pipeline, "feature_extractor", lambda: EXTRACTOR)
    monkeypatch.setattr(pipeline.zoo, "load", lambda name: NETWORK)
    record = {"sampling": {"memory": 0.6}, "sha256": "0"}
    monkeypatch.setattr(pipeline.zoo, "record", lambda name: record)
    monkeypatch.setattr(segments, "FRAMES_PER_SEGMENT", 4)


def write_clip(path, num_frames=10, sound="aac", size=32):
    """A video of a face with a tone of 440 Hz; its frames."""
    frames = np.resize(faces.make(1, seed=2, size=size).frames[0], (num_frames, size, size, 3))
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=10, options={"crf": "1"})
        video.width = video.height = size
        audio = out.add_stream(sound, rate=44100) if sound else None
        for frame in frames:
            out.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(video.encode(None))
        for start in range(0, int(4410 * num_frames), 1024) if sound else ():
            tone = 0.5 * np.sin(np.arange(start, start + 1024) * 440 * 6.2832 / 44100)
            block = av.AudioFrame.from_ndarray(np.int16(tone * 32767)[None], format="s16", layout="mono")
            block.sample_rate, block.pts = 44100, start
            out.mux(audio.encode(block))
        if sound:
            out.mux(audio.encode(None))
    return frames


def still(previous, current):
    return np.zeros((*current.shape[:2], 2), np.float32), np.ones((*current.shape[:2], 1), np.float32)


def test_memory_does_not_grow_with_the_clip(small):
    alive, most = set(), 0

    class Frame(np.ndarray):
        """An array that a weak reference can tell of."""

    def frames():
        for i in range(2000):
            frame = np.full((16, 16, 3), i % 256, np.uint8).view(Frame)
            alive.add(i)
            weakref.finalize(frame, alive.discard, i)
            yield frame

    for drawn in pipeline.stylize(frames(), "neon", motion=still):
        most = max(most, len(alive))
        assert drawn.shape == (16, 16, 3)
    assert most <= 4


def test_frames_of_any_size_are_drawn_and_memory_steadies_them(small):
    frames = np.random.default_rng(0).integers(0, 256, (3, 21, 30, 3), dtype=np.uint8)
    anew = list(pipeline.stylize(frames, "neon", memory=0))
    assert [frame.shape for frame in anew] == [(21, 30, 3)] * 3
    kept = list(pipeline.stylize(frames, "neon", memory=0.9, motion=still))
    assert np.array_equal(anew[0], kept[0])
    change = [np.abs(np.diff(np.float32(x), axis=0)).mean() for x in (anew, kept)]
    assert change[1] < 0.5 * change[0]
    whole = list(pipeline.stylize(frames, draw_style("neon", 0, 64)))
    assert whole[2].shape == (21, 30, 3)


def test_a_cut_begins_anew(small):
    scene = np.zeros((2, 32, 32, 3), np.uint8)
    scene[1] = 255
    cut = list(pipeline.stylize(scene, "neon"))
    alone = list(pipeline.stylize(scene[1:], "neon"))
    assert np.array_equal(cut[1], alone[0])


def test_estimated_motion_finds_a_shift():
    picture = draw_style("mosaic", 1, 96)
    flow, mask = pipeline.estimate_motion(picture[:64, :64], picture[1:65, 1:65])  # the camera went 1 px right and down
    assert flow.shape == (64, 64, 2) and mask.shape == (64, 64, 1)
    assert np.abs(np.median(flow[8:-8, 8:-8], axis=(0, 1)) - 1).max() < 0.2 and mask[8:-8, 8:-8].mean() > 0.7


@pytest.mark.parametrize("style, said", [("oil", "no style 'oil'"), (np.zeros((4, 4, 3), np.uint8), "A style is a name")])
def test_what_is_no_style_is_refused(style, said):
    with pytest.raises(CourseError, match=said):
        pipeline.describe_style(style, EXTRACTOR)


def test_pixels_are_optimised_towards_a_style():
    content, look = draw_style("watercolour", 0, 32), draw_style("blueprint", 0, 32)
    drawn, losses = pipeline.optimize_pixels(content, look, EXTRACTOR, steps=12)
    assert drawn.shape == content.shape and losses[-1] < losses[0]
    before, after = (np.abs(x.mean(axis=(0, 1)) - look.mean(axis=(0, 1))).sum() for x in (content, drawn))
    assert after < before


@pytest.mark.parametrize("sound", ["aac", "flac", None])
def test_the_command_keeps_the_sound_and_the_length(small, tmp_path, capsys, sound):
    clip, output = tmp_path / "in.mkv", tmp_path / "out.mp4"
    write_clip(clip, sound=sound)
    assert cli.main(["stylize", str(clip), "--style", "neon", "-o", str(output)]) == 0
    assert "wrote" in capsys.readouterr().out and sorted(p.name for p in tmp_path.iterdir()) == ["in.mkv", "out.mp4"]
    with av.open(str(output)) as file:
        assert sum(1 for _ in file.decode(video=0)) == 10 and file.streams.video[0].average_rate == 10
    with av.open(str(output)) as file:
        assert len(file.streams.audio) == (sound is not None)
        if sound:
            samples = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)]).astype(np.float32)
            spectrum = np.abs(np.fft.rfft(samples[4096:36864]))
            assert abs(spectrum.argmax() * 44100 / 32768 - 440) < 3 and abs(len(samples) / 44100 - 1) < 0.1


def test_a_killed_run_goes_on_where_it_stopped(small, tmp_path, monkeypatch):
    clip, output, whole = tmp_path / "in.mp4", tmp_path / "out.mp4", tmp_path / "whole.mp4"
    write_clip(clip)
    command = ["stylize", str(clip), "--style", "mosaic", "-o"]
    assert cli.main([*command, str(whole)]) == 0
    drawn, draw = [], pipeline.Stylizer.draw

    def interrupted(self, frame):
        drawn.append(1)
        if len(drawn) == 7:
            raise KeyboardInterrupt
        return draw(self, frame)

    monkeypatch.setattr(pipeline.Stylizer, "draw", interrupted)
    assert cli.main([*command, str(output)]) == 130 and not output.exists()
    assert cli.main([*command, str(output), "--resume"]) == 0
    assert len(drawn) == 7 + 6, "four frames were kept"
    clips = [[frame.to_ndarray(format="rgb24") for frame in av.open(str(path)).decode(video=0)] for path in (whole, output)]
    first, second = np.float32(clips)
    assert first.shape == second.shape and np.abs(first - second).mean() < 1.5


def test_other_settings_are_not_mixed(small, tmp_path, monkeypatch, capsys):
    folder = segments.Segments(tmp_path / "out.mp4", {"style": "neon"}, resume=False)
    folder.write([np.zeros((32, 32, 3), np.uint8)] * 2, np.zeros((32, 32, 3), np.uint8), Fraction(8))
    assert len(segments.Segments(tmp_path / "out.mp4", {"style": "neon"}, resume=True).paths) == 1
    with pytest.raises(CourseError, match="begun with other settings"):
        segments.Segments(tmp_path / "out.mp4", {"style": "mosaic"}, resume=True)
    assert not segments.Segments(tmp_path / "out.mp4", {"style": "mosaic"}, resume=False).paths


@pytest.mark.parametrize("arguments, said", [
    (["no.mp4", "--style", "neon"], "There is no file no.mp4"),
    ([__file__, "--style", "oil"], "There is no style 'oil', nor such a file; there are hatching"),
    ([__file__, "--style", "neon", "-o", "out.gif"], "out.gif must end in .mp4"),
    ([__file__, "--style", "neon", "-o", "out.mp4"], "test_stylize.py"),
])  # fmt: skip
def test_mistakes_are_answered_in_a_sentence(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["stylize", *arguments]) == 1
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error and not (tmp_path / "out.mp4").exists()
