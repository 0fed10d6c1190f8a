"""Clips in sharded TFRecord files: written once with checksums, then read in any order, by any number of workers.

A folder of shards holds `clips-00000.tfrecord` and so on, which any TensorFlow program can read (records are
`tf.train.Example`s with the features "frames" and "caption"), `records.npz`, the length and checksum of every record, and
`index.json`, which names the files with their sha256. As every record's place is known, the order of an epoch can be a
permutation of all clips, drawn anew from a seed: nothing is buffered, and a batch depends on the seed and on its number
alone.
"""

import array
import dataclasses
import functools
import hashlib
import json
import os
import sys
import zlib
from pathlib import Path

import numpy as np

from .datasets import to_float
from .errors import CourseError, check_whole
from .files import atomic_path, check_writable, progress

INDEX, RECORDS = "index.json", "records.npz"
HEADER = 12  # bytes before a record's data in a TFRecord file: its length, and a checksum of that
FOOTER = 4  # bytes behind: a checksum of the data
ON_CORRUPT = ("stop", "skip")


def write(clips, folder, clips_per_shard=1000):
    """Writes clips into shards, one at a time: the memory needed does not grow with their number, but for 12 bytes a clip.

    Args:
        clips: iterable of pairs: frames, uint8 `(T, H, W, C)`, the same shape in all, and a caption, str.
        folder: where the files go; it must not hold shards yet.
        clips_per_shard: int.

    Returns:
        Path of the index, which is written last: a folder without it is unfinished.

    Raises:
        CourseError: no clips, frames of another dtype or shape than the first clip's, a folder that holds shards or can't be
            written to.
    """
    check_whole(1, clips_per_shard=clips_per_shard)
    folder = check_writable(folder)
    if (folder / INDEX).exists():
        raise CourseError(f"{folder} holds shards already: choose another folder, or delete it.")
    shape, shards, lengths, checksums = None, [], array.array("i"), array.array("q")
    stream = iter(progress(clips, label="writing clips", unit="clip", delay=2))
    while block := [clip for _, clip in zip(range(clips_per_shard), stream)]:
        shape = shape or block[0][0].shape
        path = folder / f"clips-{len(shards):05d}.tfrecord"
        data = [_serialized(frames, caption, shape) for frames, caption in block]
        shards.append({"file": path.name, "clips": len(data)} | _write_shard(path, data))
        lengths.extend(map(len, data))
        checksums.extend(map(zlib.crc32, data))
    if not shards:
        raise CourseError("There are no clips to write.")
    with atomic_path(folder / RECORDS) as temporary:
        np.savez(temporary, length=np.array(lengths, np.int32), crc32=np.array(checksums, np.uint32))
    index = {"shape": list(shape), "shards": shards, "records": _file_checksum(folder / RECORDS)}
    with atomic_path(folder / INDEX) as temporary:
        temporary.write_text(json.dumps(index, indent=1) + "\n")
    return folder / INDEX


def verify(folder):
    """Reads every shard and compares it with its sha256.

    Args:
        folder: of shards.

    Returns:
        dict from a file's name to "good", "damaged" or "missing".

    Raises:
        CourseError: no index, or a damaged one.
    """
    folder, result = Path(folder), {}
    for shard in _read_index(folder)["shards"]:
        path = folder / shard["file"]
        is_good = path.exists() and _file_checksum(path)["sha256"] == shard["sha256"]
        result[shard["file"]] = "good" if is_good else "damaged" if path.exists() else "missing"
    return result


@dataclasses.dataclass(frozen=True)
class ShardedClips:
    """Endless batches of the clips in a folder of shards, in an order that mixes all of them: what `training.fit` trains on.

    Args:
        folder: of shards.
        batch_size: int, clips per batch of all workers; an epoch's remainder is dropped.
        seed: non-negative int, order of the clips.
        on_corrupt: "stop" raises at the first record whose checksum is wrong, "skip" says so on stderr, once for each shard, and
            takes the next clip of the order in its place.
        with_captions: bool, whether batches are pairs of frames and captions.

    Call arguments:
        first_step: int, number of the first batch.

    Raises:
        CourseError: no index or a damaged one, fewer clips than a batch, an unknown `on_corrupt`.
    """

    folder: str | Path
    batch_size: int
    seed: int = 0
    on_corrupt: str = "stop"
    with_captions: bool = False

    def __post_init__(self):
        check_whole(1, batch_size=self.batch_size)
        check_whole(0, seed=self.seed)
        if self.on_corrupt not in ON_CORRUPT:
            raise CourseError(f"on_corrupt must be one of {', '.join(ON_CORRUPT)}, got {self.on_corrupt!r}.")
        if len(self) < self.batch_size:
            raise CourseError(f"{self.folder} holds {len(self)} clips, fewer than a batch of {self.batch_size}.")

    def __len__(self):
        return len(self._reader.lengths)

    def __call__(self, first_step=0):
        """The batches from a step on.

        Args:
            first_step: int.

        Returns:
            `tf.data.Dataset` of float32 `(batch_size, T, H, W, C)` in [-1, 1], or of pairs with str `(batch_size,)`.
        """
        return self.for_worker(first_step, 0, 1)

    def for_worker(self, first_step, index, count):
        """A worker's rows of the batches from a step on. It reads no others.

        Args:
            first_step: int.
            index: int, the worker's number.
            count: int, how many workers there are.

        Returns:
            `tf.data.Dataset` like that of a call, with `batch_size / count` rows.

        Raises:
            CourseError: the batch can't be divided among the workers.
        """
        import tensorflow as tf

        if self.batch_size % count:
            raise CourseError(f"A batch of {self.batch_size} can't be divided among {count} workers: choose a divisor.")
        share = self.batch_size // count
        shape = (share, *self._reader.shape)
        signature = tf.TensorSpec(shape, tf.uint8), tf.TensorSpec((share,), tf.string)
        rows = functools.partial(self._rows, first_step, index * share, share)
        data = tf.data.Dataset.from_generator(rows, output_signature=signature)
        options = tf.data.Options()
        options.autotune.enabled = False  # see `datasets.pipeline`
        return data.map(self._model_input).prefetch(2).with_options(options)

    def _model_input(self, frames, captions):
        return (to_float(frames), captions) if self.with_captions else to_float(frames)

    @functools.cached_property
    def _reader(self):
        return _Reader(self.folder)

    def _rows(self, first_step, start, share):
        """Yields the frames and captions of rows [start, start + share) of each batch."""
        steps, epoch, reader = len(self) // self.batch_size, None, self._reader
        step = first_step
        while True:
            if epoch != step // steps:
                epoch = step // steps
                order = np.arange(len(self), dtype=np.int32)
                np.random.default_rng([self.seed, epoch]).shuffle(order)
            first = step % steps * self.batch_size + start
            clips = [reader.clip(order, place, self.on_corrupt) for place in range(first, first + share)]
            yield np.stack([frames for frames, _ in clips]), np.array([caption for _, caption in clips])
            step += 1


class _Reader:
    """Reads single records of a folder of shards."""

    def __init__(self, folder):
        self.folder = Path(folder)
        index = _read_index(self.folder)
        try:
            is_good = _file_checksum(self.folder / RECORDS)["sha256"] == index["records"]["sha256"]
        except OSError:
            is_good = False
        if not is_good:
            raise CourseError(f"{self.folder / RECORDS} is missing or damaged: write the shards again.")
        with np.load(self.folder / RECORDS, allow_pickle=False) as file:
            self.lengths, self.checksums = file["length"], file["crc32"]
        self.shape, self.shards = tuple(index["shape"]), index["shards"]
        self.first = np.cumsum([0] + [shard["clips"] for shard in self.shards])  # number of each shard's first clip
        ends = np.cumsum(self.lengths.astype(np.int64) + HEADER + FOOTER)
        self.ends, self.told, self.files = ends, set(), {}

    def clip(self, order, place, on_corrupt):
        """Frames and caption at a place of an order; where they are damaged, those that follow, or an error."""
        for step in range(len(order)):
            number = int(order[(place + step) % len(order)])
            data = self._read(number)
            if data is not None:
                return _parsed(data, self.shape)
            shard = self._shard_of(number)
            name, record = self.folder / self.shards[shard]["file"], number - int(self.first[shard])
            if on_corrupt == "stop":
                raise CourseError(f"{name} is damaged at record {record}: copy it again, or train with on_corrupt='skip'.")
            if shard not in self.told:
                self.told.add(shard)
                print(f"note: {name} is damaged at record {record}: its damaged clips are skipped.", file=sys.stderr)
        raise CourseError(f"All clips in {self.folder} are damaged.")

    def _shard_of(self, number):
        """The number of the shard that holds a clip."""
        return int(np.searchsorted(self.first, number, "right")) - 1

    def _read(self, number):
        """A record's data, or None where they aren't what the checksum says."""
        shard = self._shard_of(number)
        base = self.ends[self.first[shard] - 1] if shard else 0  # bytes of the shards before
        length = int(self.lengths[number])
        start = int(self.ends[number] - base) - length - FOOTER
        try:
            if shard not in self.files:
                self.files[shard] = open(self.folder / self.shards[shard]["file"], "rb")  # noqa: SIM115 - stays open
            file = self.files[shard]
            file.seek(start)
            data = file.read(length)
        except OSError:
            return None
        return data if zlib.crc32(data) == self.checksums[number] else None


def _serialized(frames, caption, shape):
    """A record's data."""
    import tensorflow as tf

    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.shape != tuple(shape) or frames.ndim != 4:
        raise CourseError(f"Clips must be uint8 (T, H, W, C), all of the shape {shape}, got {frames.dtype} {frames.shape}.")
    values = {"frames": frames.tobytes(), "caption": str(caption).encode()}
    lists = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for name, value in values.items()}
    return tf.train.Example(features=tf.train.Features(feature=lists)).SerializeToString(deterministic=True)


def _parsed(data, shape):
    """Frames and caption of a record's data."""
    import tensorflow as tf

    features = tf.train.Example.FromString(data).features.feature
    frames, caption = (features[name].bytes_list.value[0] for name in ("frames", "caption"))
    return np.frombuffer(frames, np.uint8).reshape(shape), caption.decode()


def _write_shard(path, records):
    import tensorflow as tf

    with atomic_path(path) as temporary:
        with tf.io.TFRecordWriter(os.fspath(temporary)) as writer:
            for record in records:
                writer.write(record)
        return _file_checksum(temporary)


def _file_checksum(path):
    with open(path, "rb") as file:
        return {"bytes": os.fstat(file.fileno()).st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _read_index(folder):
    try:
        index = json.loads((folder / INDEX).read_text())
        if not all({"file", "clips", "sha256"} <= shard.keys() for shard in index["shards"]):
            raise ValueError(folder)
        return index | {"shape": index["shape"], "records": index["records"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CourseError(f"{folder} has no readable {INDEX}: it holds no shards, or writing them was interrupted.") from error
