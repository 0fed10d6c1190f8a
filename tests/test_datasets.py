"""Named datasets: made once, verified, made again when damaged; and the pipeline that feeds them."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidgen_tf import datasets
from vidgen_tf.errors import CourseError


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A dataset of two small shards, recorded in a manifest of its own, in an empty cache."""
    spec = datasets.Dataset("shapes", {"train": 30, "test": 8}, seed=7)
    monkeypatch.setattr(datasets, "DATASETS", {"small": spec})
    monkeypatch.setattr(datasets, "CLIPS_PER_SHARD", 20)
    monkeypatch.setattr(datasets, "MANIFEST", tmp_path / "datasets_manifest.json")
    monkeypatch.setenv("VIDGEN_CACHE", str(tmp_path / "cache"))
    datasets.write_manifest(["small"])
    for split, index in [("train", 0), ("train", 1), ("test", 0)]:
        datasets.shard_path("small", split, index).unlink()
    return spec


def cached(split="train"):
    return [index for index in range(2) if datasets.shard_path("small", split, index).exists()]


def test_only_the_shards_that_are_asked_for_are_made(small):
    clips = datasets.load("small", count=5)
    assert len(clips) == 5 and cached() == [0]
    assert len(datasets.load("small")) == 30 and cached() == [0, 1]


def test_cached_clips_equal_fresh_ones_with_all_their_labels(small):
    for _ in range(2):  # made, then read
        clips = datasets.load("small")
        fresh = small.make("train", 0, 30)
        np.testing.assert_array_equal(clips.frames, fresh.frames)
        np.testing.assert_array_equal(clips.captions, fresh.captions)
        np.testing.assert_array_equal(clips.captions_zh, fresh.captions_zh)
        assert clips.states.keys() == fresh.states.keys()
        for key, value in fresh.states.items():
            np.testing.assert_array_equal(clips.states[key], value)
            assert clips.states[key].dtype == value.dtype
    np.testing.assert_array_equal(clips[3:5].optical_flow(), fresh[3:5].optical_flow())
    assert clips.world == "shapes" and len(pickle.loads(pickle.dumps(clips))) == 30


def test_splits_do_not_share_clips(small):
    train, test = datasets.load("small").frames, datasets.load("small", "test").frames
    assert not (train[:, None] == test[None]).all(axis=(2, 3, 4, 5)).any()


@pytest.mark.parametrize("damage", ["flip", "header", "cut", "text", "empty"])
def test_a_damaged_shard_is_named_and_made_again(small, damage, capsys):
    right = datasets.load("small").frames
    path = datasets.shard_path("small", "train", 0)
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    entry = data.rindex(b"PK\1\2")  # in the archive's table of contents
    header = data[: entry + 10] + b"\xff\xff" + data[entry + 12 :]  # an unknown way of compression
    path.write_bytes({"flip": data, "header": header, "cut": data[:5000], "text": b"hello", "empty": b""}[damage])
    assert datasets.verify("small", "train") == {"good": 1, "damaged": 1, "missing": 0}
    np.testing.assert_array_equal(datasets.load("small").frames, right)
    assert str(path) in capsys.readouterr().err
    assert datasets.verify("small", "train") == {"good": 2, "damaged": 0, "missing": 0}


def test_a_world_that_changed_is_noticed(small):
    manifest = json.loads(datasets.MANIFEST.read_text())
    manifest["small"]["train"]["sha256"][0] = "0" * 64
    datasets.MANIFEST.write_text(json.dumps(manifest))
    with pytest.raises(CourseError, match="came out different.*--record"):
        datasets.load("small")
    assert cached() == []


def test_the_manifest_knows_every_shard():
    recorded = json.loads(datasets.MANIFEST.read_text())
    assert recorded.keys() == datasets.DATASETS.keys()
    for name, spec in datasets.DATASETS.items():
        assert {split: entry["clips"] for split, entry in recorded[name].items()} == spec.splits
        for split, entry in recorded[name].items():
            assert len(entry["sha256"]) == -(-entry["clips"] // datasets.CLIPS_PER_SHARD), (name, split)
            assert len(datasets.checksum(name, split)) == 64


@pytest.mark.parametrize("name", datasets.DATASETS)
def test_the_recorded_shards_are_those_of_the_code(name, tmp_path, monkeypatch):
    """The first shard of a split, made anew, has the recorded sha256. Where splits differ in their seed alone, one will do."""
    monkeypatch.setenv("VIDGEN_CACHE", str(tmp_path))
    spec = datasets.DATASETS[name]
    for split in spec.splits if spec.has_split_option else ["validation"]:
        datasets.load(name, split, count=1)
        assert datasets.verify(name, split)["good"] == 1


def test_a_former_name_answers_with_todays(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VIDGEN_CACHE", str(tmp_path))
    clips = datasets.load("random-digits", "validation", count=2)
    assert capsys.readouterr().err.startswith("The data set random-digits is now called stochastic-digits;")
    np.testing.assert_array_equal(clips.frames, datasets.load("stochastic-digits", "validation", count=2).frames)
    assert capsys.readouterr().err == "" and [folder.name for folder in tmp_path.iterdir()] == ["stochastic-digits"]
    assert datasets.checksum("random-digits", "test") == datasets.checksum("stochastic-digits", "test")
    assert datasets.verify("random-digits", "validation")["good"] == 1
    assert not datasets.RENAMED.keys() & datasets.DATASETS.keys() and set(datasets.RENAMED.values()) <= datasets.DATASETS.keys()


def test_a_cache_that_cannot_be_written_to_is_done_without(small, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("VIDGEN_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        assert len(datasets.load("small")) == 30
    said = capsys.readouterr().err
    assert said.count("\n") == 1, "told once, though four shards were made"
    assert f"can't be kept in {tmp_path / 'file'} (" in said and "VIDGEN_CACHE" in said
    assert datasets.verify("small", "train") == {"good": 0, "damaged": 0, "missing": 2}
    with pytest.raises(CourseError, match="Can't write"):
        datasets.write_manifest(["small"])


def test_the_cache_is_where_the_user_wants_it_or_in_the_checkout(monkeypatch):
    monkeypatch.setenv("VIDGEN_CACHE", "~/data")
    assert datasets.cache_folder() == Path.home() / "data"
    checkout = Path(datasets.__file__).parents[1]
    monkeypatch.setenv("VIDGEN_CACHE", "")
    assert datasets.cache_folder() == checkout / "datasets" / "cache"
    monkeypatch.delenv("VIDGEN_CACHE")
    assert datasets.cache_folder() == checkout / "datasets" / "cache"


def test_the_package_makes_its_data_outside_of_its_checkout(tmp_path):
    """As from a wheel: the manifest comes with the package, and the clips are cached where the user's caches are."""
    package = Path(datasets.__file__).parent
    shutil.copytree(package, tmp_path / "site" / "vidgen_tf", ignore=shutil.ignore_patterns("*.h5", "__pycache__"))
    code = "from vidgen_tf import datasets; print(datasets.__file__, len(datasets.load('shapes', 'validation', count=3)))"
    kept = {key: value for key, value in os.environ.items() if key not in ("VIDGEN_CACHE", "PYTHONPATH")}
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "caches"), "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run([sys.executable, "-c", code], env=kept | home, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tmp_path / "site" / "vidgen_tf" / "datasets.py"), "3"] and done.stderr == ""
    [shard] = tmp_path.rglob("validation-000.npz")
    assert "vidgen-tf" in shard.parts and tmp_path / "site" not in shard.parents


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("nothing",), "neither a data set .*shapes"),
        (("shapes", "holdout"), "no split 'holdout'; it has train, validation, test"),
        (("shapes", "test", 10**6), "1000 clips, so count must be"),
        (("shapes", "test", 0), "count must be from 1"),
        (("shapes", "test", 4, 0), "A batch holds at least one clip, not 0"),
    ],
)
def test_mistakes_are_told_with_what_there_is(arguments, message):
    with pytest.raises(CourseError, match=message):
        datasets.load(*arguments)


@pytest.mark.parametrize("damage", ["{", "[]", '{"small": 3}', "{}", None])
def test_nothing_is_loaded_without_a_manifest_that_knows_it(small, damage):
    if damage is None:
        datasets.MANIFEST.unlink()
    else:
        datasets.MANIFEST.write_text(damage)
    for act in (datasets.load, datasets.checksum, datasets.verify):
        with pytest.raises(
            CourseError, match=r"datasets_manifest\.json (is missing or no valid JSON|has no checksum of small train)"
        ):
            act("small", "train")


def test_options_of_other_data_are_refused(small, tmp_path):
    with pytest.raises(CourseError, match="small is made as it is, without size"):
        datasets.load("small", size=64)
    with pytest.raises(CourseError, match=r"can be loaded with size, \w+, .*not with sizee"):
        datasets.load(tmp_path, sizee=64)
    with pytest.raises(CourseError, match="at least one clip, not -1"):
        datasets.load(tmp_path, count=-1, batch_size=2)


def test_pipeline_gives_each_item_once_an_epoch_in_a_new_order_each_time():
    items = np.arange(12)
    stream = datasets.pipeline(items, batch_size=4, seed=1).take(6).as_numpy_iterator()
    batches = np.array(list(stream))
    first, second = batches[:3].ravel(), batches[3:].ravel()
    np.testing.assert_array_equal(np.sort(first), items)
    np.testing.assert_array_equal(np.sort(second), items)
    assert (first != second).any()


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.data())
def test_pipeline_resumes_at_any_step(data):
    """Batch number k is the same whether the pipeline starts with it or came to it, over several epochs."""
    length = data.draw(st.integers(1, 12))
    batch_size, seed = data.draw(st.integers(1, length)), data.draw(st.integers(0, 2**31))
    step, count = data.draw(st.integers(0, 30)), 4

    def take(first_step, count):
        stream = datasets.pipeline(np.arange(length), batch_size=batch_size, seed=seed, first_step=first_step)
        return np.array(list(stream.take(count).as_numpy_iterator()))

    whole = take(0, step + count)
    np.testing.assert_array_equal(take(step, count), whole[step:])
    steps = length // batch_size
    for epoch in range(len(whole) // steps):
        seen = whole[epoch * steps : (epoch + 1) * steps].ravel()
        assert len(set(seen.tolist())) == steps * batch_size, "no item twice in an epoch"


def test_no_thread_of_a_pipeline_outlives_its_training():
    """TensorFlow's autotuning sleeps for up to a minute, and an ended training would wait for it."""
    assert datasets.pipeline(np.zeros((4, 2)), batch_size=2).options().autotune.enabled is False


def test_pipeline_turns_pixels_into_model_values_and_keeps_the_rest():
    pixels = np.array([0, 255, 128, 51], np.uint8).reshape(4, 1)
    frames, index = next(iter(datasets.pipeline(pixels, np.arange(4), batch_size=4)))
    order = index.numpy()
    assert frames.dtype == "float32"
    np.testing.assert_allclose(frames.numpy(), pixels[order] / 127.5 - 1, atol=1e-6)
    with pytest.raises(CourseError, match="at least the batch size 8"):
        datasets.pipeline(pixels, batch_size=8)


def test_load_feeds_a_model_directly(small):
    batch = next(iter(datasets.load("small", batch_size=6)))
    assert batch.shape == (6, 16, 32, 32, 3) and float(batch.numpy().min()) >= -1


def test_a_users_folder_is_streamed_batch_by_batch(tmp_path, monkeypatch):
    from vidgen_tf.video import Clip
    from vidgen_tf.worlds import files

    for i in range(3):
        brightness = np.arange(100 * i, 100 * i + 16, dtype=np.uint8).reshape(16, 1, 1, 1)
        Clip(np.broadcast_to(brightness, (16, 20, 20, 3))).save(tmp_path / f"clip {i} of mine.webp")
    monkeypatch.setattr(files, "make", lambda count, path, size: pytest.fail("holds the whole folder in memory"))
    stream = datasets.load(tmp_path, batch_size=2, size=16).take(30).as_numpy_iterator()
    batches = np.array(list(stream))
    assert batches.shape == (30, 2, 16, 16, 16, 3) and batches.dtype == np.float32
    levels, counts = np.unique(batches[..., 0, 0, 0, 0], return_counts=True)
    np.testing.assert_allclose(levels, np.array([0, 100, 200]) / 127.5 - 1, atol=1e-6)
    assert counts.min() > 10, "the folder is gone through again and again"
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.mp4").write_bytes(b"no video")
    with pytest.raises(CourseError, match=r"Nothing in .*broken can be used.*a\.mp4"):
        datasets.load(tmp_path / "broken", batch_size=2)
