"""vidgen_tf/studio: the visible mark, the metadata, and the watermark with its false alarms and attacks."""

import io
import json
import os
import subprocess
import sys

import av
import numpy as np
import pytest
from PIL import Image
from scipy import stats

from vidgen_tf.cli import main
from vidgen_tf.errors import CourseError
from vidgen_tf.metrics.image import psnr
from vidgen_tf.studio.credentials import ISSUER, make_certificate, read_credentials, sign
from vidgen_tf.studio.history import finish
from vidgen_tf.studio.labels import DETECTED, LABELLED, Label, inspect_file, read_label, write_label
from vidgen_tf.studio.mark import CORNERS, HEIGHT, draw_mark
from vidgen_tf.studio.watermark import SIZE, detect_watermark, embed_watermark, watermark_sequence
from vidgen_tf.video import Clip
from vidgen_tf.video_io import repeat_pixels
from vidgen_tf.worlds import faces, shapes

PLAIN = {
    "faces": repeat_pixels(faces.make(1, seed=7, size=64).frames[0], 4),
    "shapes": repeat_pixels(shapes.make(1, seed=7, size=32).frames[0], 8),
    "black": np.zeros((4, SIZE, SIZE, 1), np.uint8),
    "white": np.full((4, SIZE, SIZE, 3), 255, np.uint8),
}
MARKED = {name: embed_watermark(frames) for name, frames in PLAIN.items()}


def through_h264(frames, crf=23):
    """Frames as an encoder's default quality leaves them."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=8, options={"crf": str(crf)})
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for frame in np.broadcast_to(frames, (*frames.shape[:3], 3)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def resized(frames, size):
    images = [Image.fromarray(frame.squeeze()).resize((size, size), Image.Resampling.BILINEAR) for frame in frames]
    return np.stack([np.asarray(image) for image in images]).reshape(len(frames), size, size, -1)


ATTACKS = {
    "nothing": lambda frames: frames,
    "h264": through_h264,
    "half the size": lambda frames: resized(frames, 128),
    "one and a half": lambda frames: resized(frames, 384),
    "h264 at half the size": lambda frames: through_h264(resized(frames, 128)),
    "darker": lambda frames: (frames * 0.7 + 10).astype(np.uint8),
    "one frame of it": lambda frames: frames[:1],
    "noise": lambda frames: np.clip(frames + np.random.default_rng(0).normal(0, 10, frames.shape), 0, 255).astype(np.uint8),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("name", PLAIN)
def test_the_watermark_is_found_after_an_attack(name, attack):
    attacked = ATTACKS[attack](MARKED[name])
    assert detect_watermark(attacked) > DETECTED
    assert abs(detect_watermark(attacked, key=1)) < DETECTED, "another key finds nothing"


@pytest.mark.parametrize("name", PLAIN)
def test_the_watermark_costs_little(name):
    assert psnr(PLAIN[name][None], MARKED[name][None]).min() > 41.5
    assert abs(detect_watermark(PLAIN[name])) < DETECTED


@pytest.mark.parametrize("name", ["faces", "black"])
def test_false_alarms_are_as_rare_as_the_normal_distribution_says(name):
    z = np.array([detect_watermark(PLAIN[name][:1] if name == "faces" else PLAIN[name], key) for key in range(200)])
    if name == "black":
        assert not z.any(), "a black picture has no signs: it says nothing"
    else:
        assert stats.kstest(z, "norm").pvalue > 0.01
        assert np.mean(z > 3) < 0.02


def test_a_sequence_is_of_its_key_alone():
    (first, band), (again, _), (other, _) = (watermark_sequence(key) for key in (1, 1, 2))
    assert np.array_equal(first, again) and abs(np.corrcoef(first, other)[0, 1]) < 0.05
    assert len(first) == band.sum() > 4000 and not band[:10, :10].any()


@pytest.mark.parametrize("corner", CORNERS)
def test_the_mark_stands_in_its_corner_of_every_frame_and_nowhere_else(corner):
    frames = np.full((3, SIZE, SIZE, 1), 90, np.uint8)
    changed = draw_mark(frames, corner) != frames
    rows, columns = np.nonzero(changed.all(axis=0)[..., 0])
    assert np.array_equal(changed[0], changed[2])
    ink = np.flatnonzero((draw_mark(frames, corner)[0, ..., 0] > 200).any(axis=1))
    assert 0.05 * SIZE <= np.ptp(ink) + 1 <= HEIGHT, "the text itself is 5 % of the side high, or more"
    assert (rows.max() < SIZE / 4) == corner.startswith("top") and (columns.max() < SIZE / 2) == corner.endswith("left")
    assert draw_mark(frames, corner).max() > 250, "the text is white"


def test_a_mark_needs_a_corner_and_room():
    with pytest.raises(CourseError, match="stands in a corner"):
        draw_mark(PLAIN["black"], "middle")
    with pytest.raises(CourseError, match="too small"):
        draw_mark(np.zeros((1, 64, 64, 3), np.uint8))
    with pytest.raises(CourseError, match="divides 256"):
        finish(Clip(np.zeros((1, 50, 50, 3), np.uint8)))


@pytest.mark.parametrize("suffix", LABELLED)
@pytest.mark.parametrize("is_composite", [False, True])
def test_a_label_is_read_back_and_changes_no_frame(suffix, is_composite, tmp_path):
    path = tmp_path / f"clip{suffix}"
    clip = Clip(MARKED["faces"][:4], fps=7.5, caption="一个 <b>&amp;")
    clip.save(path)
    before = Clip.load(path)
    write_label(path, Label("20260101-000000-0a1b2c3d", is_composite))
    after = Clip.load(path)
    assert np.array_equal(after.frames, before.frames) and (after.fps, after.caption) == (before.fps, before.caption)
    found = inspect_file(path)
    kind = "compositeWithTrainedAlgorithmicMedia" if is_composite else "trainedAlgorithmicMedia"
    assert found["source_type"] == kind and found["tool"].startswith("vidgen_tf")
    assert found["aigc"] == Label("20260101-000000-0a1b2c3d").aigc and found["watermark"] > DETECTED
    assert path.read_bytes().count(b"<x:xmpmeta") == 1, "one label a file"


@pytest.mark.parametrize("suffix", LABELLED)
def test_a_signature_holds_until_a_byte_is_changed(suffix, tmp_path):
    path = Clip(MARKED["faces"][:4]).save(tmp_path / f"clip{suffix}")
    write_label(path, Label("1"))
    before, size = Clip.load(path).frames, path.stat().st_size
    assert read_credentials(path) is None
    sign(path, Label("1"), tmp_path / "certificate")
    assert np.array_equal(Clip.load(path).frames, before) and path.stat().st_size < size + 10_000
    found = inspect_file(path)
    assert found["source_type"] == found["credentials"]["source_type"] == "trainedAlgorithmicMedia"
    assert found["credentials"]["state"] == "valid, untrusted" and found["credentials"]["issuer"] == ISSUER
    data = bytearray(path.read_bytes())
    data[data.find(b"<x:xmpmeta") + 40] ^= 1  # in the label
    path.write_bytes(data)
    assert read_credentials(path)["state"] == "broken"


def test_a_certificate_is_made_once_and_its_key_is_private(tmp_path):
    chain, key = make_certificate(tmp_path / "certificate")
    before = chain.read_bytes(), key.read_bytes()
    make_certificate(tmp_path / "certificate")
    assert (chain.read_bytes(), key.read_bytes()) == before
    assert os.name == "nt" or key.stat().st_mode & 0o077 == 0
    key.write_text("damaged")
    path = Clip(PLAIN["faces"][:1]).save(tmp_path / "clip.png")
    before = path.read_bytes()
    with pytest.raises(CourseError, match="a new certificate is made"):
        sign(path, Label("1"), tmp_path / "certificate")
    assert path.read_bytes() == before and {p.name for p in tmp_path.iterdir()} == {"certificate", "clip.png"}


def test_pillow_and_ffmpeg_see_the_labels_too(tmp_path):
    for suffix in (".png", ".webp"):
        path = Clip(MARKED["shapes"][:2]).save(tmp_path / f"clip{suffix}")
        write_label(path, Label("1"))
        with Image.open(path) as image:
            assert b"TC260:AIGC" in bytes(image.info["xmp"])
    path = Clip(MARKED["shapes"][:2]).save(tmp_path / "clip.mp4")
    write_label(path, Label("1"))
    with av.open(str(path)) as container:
        assert json.loads(container.metadata["AIGC"])["Label"] == "1"


def test_reencoding_strips_the_metadata_and_not_the_watermark(tmp_path):
    path = Clip(MARKED["faces"]).save(tmp_path / "clip.mp4")
    write_label(path, Label("1"))
    Clip(Clip.load(path).frames).save(tmp_path / "again.mp4")
    found = inspect_file(tmp_path / "again.mp4")
    assert found["source_type"] is None and found["aigc"] is None and found["watermark"] > DETECTED


def test_labels_of_others_and_damaged_ones_are_read_without_harm(tmp_path):
    cases = {
        b'<x:xmpmeta><r Iptc4xmpExt:DigitalSourceType="http://a/b/digitalCapture"/></x:xmpmeta>': "digitalCapture",
        b"<x:xmpmeta><e:DigitalSourceType>http://a/b/composite</e:DigitalSourceType></x:xmpmeta>": "composite",
        b"<x:xmpmeta><TC260:AIGC>{no json</TC260:AIGC></x:xmpmeta>": None,
        b"<x:xmpmeta>" * 1000: None,
        b"\x00\xff": None,
    }
    for data, wanted in cases.items():
        (tmp_path / "any.bin").write_bytes(data)
        found = read_label(tmp_path / "any.bin")
        assert found["source_type"] == wanted and found["aigc"] is None


def test_inspect_prints_what_it_found(tmp_path, capsys):
    path = Clip(MARKED["shapes"]).save(tmp_path / "clip.webp")
    assert main(["inspect", str(path)]) == 0, "the watermark alone is a label"
    write_label(path, Label("20260101-1"))
    assert main(["inspect", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "ProduceID 20260101-1" in shown and "watermark of this studio: found" in shown
    plain = Clip(PLAIN["shapes"]).save(tmp_path / "plain.webp")
    assert main(["inspect", str(plain)]) == 1 and "proves nothing" in capsys.readouterr().out


def test_inspect_refuses_in_a_sentence(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("no picture")
    (tmp_path / "fake.png").write_text("no picture")
    for name, words in {"nothing.png": "no file", "text.txt": "neither a video nor a picture", "fake.png": "damaged"}.items():
        assert main(["inspect", str(tmp_path / name)]) == 1
        assert words in capsys.readouterr().err
    with pytest.raises(CourseError, match="A label goes into"):
        write_label(tmp_path / "text.txt", Label("1"))


def test_the_labels_need_no_tensorflow_and_no_gradio():
    code = "import sys; from vidgen_tf.studio import labels, mark, watermark, history, prompts, server, uploads\n"
    code += "assert not {'tensorflow', 'keras', 'gradio'} & sys.modules.keys()"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
