"""Sharded clips: what is written is read again, in one order for all, by each worker apart, and damage is noticed."""

import collections
import itertools
import json
import resource

import keras
import numpy as np
import pytest
import tensorflow as tf

from vidgen_tf import shards, training
from vidgen_tf.datasets import to_float
from vidgen_tf.errors import CourseError
from vidgen_tf.video import Clip

SHAPE = (2, 4, 4, 1)


def numbered(count, shape=SHAPE):
    """Clips whose pixels are their number, modulo 256, and whose captions say it."""
    return ((np.full(shape, i % 256, np.uint8), f"clip {i}") for i in range(count))


@pytest.fixture
def folder(tmp_path):
    shards.write(numbered(50), tmp_path / "s", clips_per_shard=12)
    return tmp_path / "s"


def numbers(data, steps):
    """The numbers of the clips in the first batches."""
    return [[int(text.decode().split()[1]) for text in captions.numpy()] for _, captions in data.take(steps)]


def clips_of(folder, **options):
    return shards.ShardedClips(folder, **{"batch_size": 8, "with_captions": True} | options)


def damage(folder, shard, position=-10):
    path = folder / f"clips-{shard:05d}.tfrecord"
    data = bytearray(path.read_bytes())
    data[position] ^= 255
    path.write_bytes(data)
    return path


def test_an_epoch_has_each_clip_once_and_frames_belong_to_their_captions(folder):
    clips = clips_of(folder)
    seen = numbers(clips(), 6)
    assert len(clips) == 50 and len({*itertools.chain(*seen)}) == 48, "the remainder of 50 clips is dropped"
    for frames, captions in clips().take(2):
        pixels = np.array([int(text.decode().split()[1]) for text in captions.numpy()], np.uint8)
        assert frames.shape == (8, *SHAPE) and np.allclose(frames[:, 0, 0, 0, 0], to_float(tf.constant(pixels)))


def test_the_order_mixes_all_shards_and_each_epoch_anew(folder):
    seen = numbers(clips_of(folder)(), 12)
    assert len({number // 12 for number in seen[0]}) >= 3, "a batch has clips of most shards"
    assert seen[:6] != seen[6:], "the second epoch has another order"
    assert numbers(clips_of(folder, seed=1)(), 1) != seen[:1]


def test_a_resumed_reader_goes_on_with_the_same_batches(folder):
    clips = clips_of(folder)
    assert numbers(clips(9), 5) == numbers(clips(), 14)[9:]


def test_workers_read_the_rows_of_one_batch_and_no_others(folder, monkeypatch):
    reads = collections.defaultdict(list)
    read = shards._Reader._read
    monkeypatch.setattr(shards._Reader, "_read", lambda self, number: reads[id(self)].append(number) or read(self, number))
    workers = [clips_of(folder) for _ in range(4)]
    parts = [numbers(clips.for_worker(3, i, 4), 2) for i, clips in enumerate(workers)]
    assert [list(itertools.chain(*(part[step] for part in parts))) for step in range(2)] == numbers(clips_of(folder)(3), 2)
    for clips, part in zip(workers, parts):
        assert reads[id(clips._reader)][:4] == [*itertools.chain(*part)], "a worker reads its own rows, ahead in their order"
    with pytest.raises(CourseError, match="batch of 8 can't be divided among 3 workers"):
        clips_of(folder).for_worker(0, 0, 3)


def test_any_tensorflow_program_can_read_the_files(folder):
    features = {name: tf.io.FixedLenFeature((), tf.string) for name in ("frames", "caption")}
    records = [tf.io.parse_single_example(r, features) for r in tf.data.TFRecordDataset(str(folder / "clips-00001.tfrecord"))]
    assert [r["caption"].numpy().decode() for r in records] == [f"clip {i}" for i in range(12, 24)]
    assert np.all(tf.io.decode_raw(records[0]["frames"], tf.uint8) == 12)


def test_a_corrupt_shard_is_named_and_stops_the_training(folder):
    path = damage(folder, 2)
    assert shards.verify(folder)[path.name] == "damaged" and set(shards.verify(folder).values()) == {"good", "damaged"}
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile("sgd", loss=lambda y, p: p)
    clips = shards.ShardedClips(folder, 8)
    with pytest.raises(CourseError, match=r"clips-00002.tfrecord is damaged at record 11: copy it again") as raised:
        training.fit(model, lambda first: clips(first).map(lambda x: (x, x[:, 0, 0, 0])), 6, log_interval=1)
    assert "\n" not in str(raised.value)


def test_a_corrupt_record_is_skipped_where_asked_and_said_once(folder, capfd):
    damage(folder, 2)
    seen = numbers(clips_of(folder, on_corrupt="skip")(), 12)
    assert 35 not in itertools.chain(*seen) and all(len(batch) == 8 for batch in seen)
    assert capfd.readouterr().err.count("clips-00002.tfrecord is damaged at record 11") == 1


def test_a_missing_shard_is_damaged_as_well(folder):
    (folder / "clips-00003.tfrecord").unlink()
    assert shards.verify(folder)["clips-00003.tfrecord"] == "missing"
    seen = numbers(clips_of(folder, on_corrupt="skip")(), 6)
    assert not {*range(36, 48)} & {*itertools.chain(*seen)}
    for path in folder.glob("*.tfrecord"):
        path.unlink()
    with pytest.raises(Exception, match="All clips in .* are damaged"):
        next(iter(clips_of(folder, on_corrupt="skip")()))


@pytest.mark.parametrize("name, said", [("index.json", "no readable index.json"), ("records.npz", "missing or damaged")])
@pytest.mark.parametrize("how", ["unlink", "write"])
def test_a_damaged_index_is_told(folder, name, said, how):
    (folder / name).unlink()
    if how == "write":
        (folder / name).write_text("{}")
    with pytest.raises(CourseError, match=said):
        shards.ShardedClips(folder, 8)


def test_bad_clips_and_arguments_are_told(tmp_path, folder):
    frames = np.zeros(SHAPE, np.uint8)
    for clips in ([(frames, ""), (frames[:1], "")], [(frames.astype(float), "")], [(frames[0], "")]):
        with pytest.raises(CourseError, match="Clips must be uint8"):
            shards.write(clips, tmp_path / "bad")
    assert not (tmp_path / "bad" / "index.json").exists(), "an unfinished folder has no index"
    with pytest.raises(CourseError, match="no clips to write"):
        shards.write([], tmp_path / "none")
    with pytest.raises(CourseError, match="holds shards already"):
        shards.write(numbered(1), folder)
    with pytest.raises(CourseError, match="on_corrupt must be one of stop, skip"):
        shards.ShardedClips(folder, 8, on_corrupt="ignore")
    with pytest.raises(CourseError, match="50 clips, fewer than a batch of 51"):
        shards.ShardedClips(folder, 51)


def test_the_same_clips_give_the_same_checksums(folder, tmp_path):
    shards.write(numbered(50), tmp_path / "t", clips_per_shard=12)
    first, second = (json.loads((f / "index.json").read_text()) for f in (folder, tmp_path / "t"))
    assert first["shards"] == second["shards"]


def test_the_command_line_writes_shards_and_verifies_them(tmp_path, capsys):
    from vidgen_tf.cli import main

    video = tmp_path / "bounce.gif"
    Clip(np.zeros((16, 32, 32, 3), np.uint8)).save(video)
    for name, folder, count in ((str(video), "own", 1), ("shapes", "drawn", 5)):
        assert main(["data", "shard", name, "-n", "5", "-o", str(tmp_path / folder)]) == 0
        assert len(shards.ShardedClips(tmp_path / folder, 1)) == count
    assert main(["data", "verify", str(tmp_path / "drawn")]) == 0
    damage(tmp_path / "drawn", 0)
    assert main(["data", "verify", str(tmp_path / "drawn")]) == 1
    out = capsys.readouterr().out
    assert "1 shards, all good" in out and "clips-00000.tfrecord is damaged" in out
    assert main(["data", "shard", "shapes", "-o", str(tmp_path / "drawn")]) == 1


def test_memory_does_not_grow_with_the_number_of_clips(tmp_path):
    shape = (4, 16, 16, 1)
    shards.write(numbered(100, shape), tmp_path / "few", clips_per_shard=50)  # what TensorFlow takes at first
    for _ in clips_of(tmp_path / "few")().take(2):
        pass
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    shards.write(numbered(60_000, shape), tmp_path / "many", clips_per_shard=500)  # 60 MB of pixels
    for _ in clips_of(tmp_path / "many", batch_size=64)().take(200):
        pass
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 20_000, f"{grown} KB more for 60,000 clips"
