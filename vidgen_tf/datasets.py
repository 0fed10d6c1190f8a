"""A name becomes verified, cached clips: `load` gives arrays or a `tf.data` pipeline, `pipeline` feeds arrays to a model.

Data is made in shards. Each is written whole to the cache and checked against the sha256 that stands in datasets_manifest.json; a
missing or damaged shard is made again. A data set is one function of a world with fixed arguments, seeds and splits.
"""

import dataclasses
import functools
import hashlib
import inspect
import itertools
import json
import os
import sys
from pathlib import Path

import numpy as np
import platformdirs

from .errors import CourseError
from .files import atomic_path, progress
from .worlds import WORLDS, LabelledClips, files

MANIFEST = Path(__file__).with_name("datasets_manifest.json")
CLIPS_PER_SHARD = 250
STREAM_BUFFER = 64  # clips of the user's own files among which the next one is drawn


@dataclasses.dataclass(frozen=True)
class Dataset:
    """How a named data set is made: `make(split, start, count)` draws its clips.

    Args:
        world: name of a world, a key of `worlds.WORLDS`.
        splits: number of clips in each split; a split's seed is `seed` plus its position in this dict.
        seed: first seed.
        options: keyword arguments of the world's function.
        function: name of the world's function that makes the clips.
        has_split_option: whether that function takes the split's name, to keep the splits' material apart.
    """

    world: str
    splits: dict
    seed: int
    options: dict = dataclasses.field(default_factory=dict)
    function: str = "make"
    has_split_option: bool = False

    def make(self, split, start, count):
        """Clips of a split, drawn now.

        Args:
            split: a name in `splits`.
            start: index of the first clip.
            count: number of clips.

        Returns:
            `LabelledClips`.
        """
        options = self.options | ({"split": split} if self.has_split_option else {})
        seed = self.seed + list(self.splits).index(split)
        return getattr(WORLDS[self.world], self.function)(count, seed=seed, start=start, **options)


DATASETS = {
    "shapes": Dataset("shapes", {"train": 6000, "validation": 500, "test": 1000}, seed=100, options={"size": 32}),
    "shapes-64": Dataset("shapes", {"train": 1000, "validation": 250, "test": 250}, seed=110, options={"size": 64}),
    "digits": Dataset("digits", {"train": 8000, "validation": 500, "test": 1000}, seed=200, has_split_option=True),
    "moving-digits": Dataset(
        "digits", {"train": 2000, "validation": 250, "test": 500}, seed=210, function="make_moving_mnist", has_split_option=True
    ),
    "stochastic-digits": Dataset(
        "digits",
        {"train": 4000, "validation": 250, "test": 500},
        seed=220,
        options={"size": 32, "num_frames": 24, "num_digits": 1, "stochastic_bounces": True},
        function="make_moving_mnist",
        has_split_option=True,
    ),
    "faces": Dataset("faces", {"train": 2000, "validation": 250, "test": 250}, seed=300, options={"size": 64}),
    "faces-32": Dataset("faces", {"train": 4000, "validation": 250, "test": 500}, seed=310, options={"size": 32}),
    "faces-28": Dataset("faces", {"train": 4000, "validation": 250, "test": 500}, seed=320, options={"size": 28, "grey": True}),
    "spheres": Dataset("spheres", {"train": 6000, "validation": 500, "test": 1000}, seed=400, options={"size": 32}),
    "spheres-64": Dataset("spheres", {"train": 2000, "validation": 250, "test": 250}, seed=410, options={"size": 64}),
    "bouncing-spheres": Dataset("spheres", {"train": 2000, "validation": 250, "test": 500}, seed=420, function="make_bouncing"),
}
# Drawn anew whenever they are needed, in any number, and never stored: what long trainings learn from besides the stored clips.
DRAWN = {
    **{f"more-{name}": dataclasses.replace(DATASETS[name], seed=900) for name in ("shapes", "digits", "faces-32", "faces")},
    "free-motion-digits": Dataset(  # bouncing about in any direction; their captions name the digit alone
        "digits",
        {"train": 0},
        seed=910,
        options={"size": 32, "num_frames": 16, "num_digits": 1},
        function="make_moving_mnist",
        has_split_option=True,
    ),
}
BLOCK = 500  # clips that are drawn together
RENAMED = {"random-digits": "stochastic-digits"}  # former name -> name; answers for one version


def load(name, split="train", count=None, batch_size=None, seed=0, **options):
    """The clips of a data set, made and cached at the first call, verified at each.

    Args:
        name: a name in `DATASETS`, or the path of your own video, picture or folder.
        split: "train", "validation" or "test". Your own files are not split.
        count: number of clips, from the first; all when None. Only the shards that hold them are made.
        batch_size: None for arrays; a number for an endless shuffled `tf.data` pipeline of float32 batches
            `(batch_size, T, H, W, C)` in [-1, 1]. Your own files are then streamed, so a folder may be larger than the memory.
        seed: order of the pipeline's batches.
        **options: for your own files: the arguments of `vidgen_tf.worlds.files.make`.

    Returns:
        `LabelledClips`, or a `tf.data.Dataset`.

    Raises:
        CourseError: unknown name, split or option, too large a count, an unusable file.
    """
    if batch_size is not None and batch_size < 1:
        raise CourseError(f"A batch holds at least one clip, not {batch_size}.")
    name = current_name(name)
    if name not in DATASETS:
        return _load_files(name, count, batch_size, seed, options)
    if options:
        raise CourseError(f"{name} is made as it is, without {', '.join(options)}; there are {', '.join(DATASETS)}.")
    clips = _load_cached(name, split, count)
    return clips if batch_size is None else pipeline(clips.frames, batch_size=batch_size, seed=seed)


def iter_drawn(name, count):
    """Training clips of no stored data set, some at a time, as all of them at once might fill the memory.

    Args:
        name: a name in `DRAWN`.
        count: int, how many clips in all.

    Yields:
        `LabelledClips`.
    """
    for first in progress(range(0, count, BLOCK), label="making clips", unit="block", delay=2):
        yield DRAWN[name].make("train", first, min(BLOCK, count - first))


def current_name(name):
    """The name by which a data set is known today; a former name is answered with a sentence on stderr.

    Args:
        name: str, or the path of your own files.

    Returns:
        The same, or the name that it now has.
    """
    if name in RENAMED:
        print(f"The data set {name} is now called {RENAMED[name]}; the old name will go with the next version.", file=sys.stderr)
    return RENAMED.get(name, name)


def pipeline(*arrays, batch_size, seed=0, first_step=0):
    """Endless shuffled batches. Batch number `step` depends on `seed` and `step` alone: a resumed run sees what an
    uninterrupted one would have seen.

    Args:
        *arrays: arrays of one length; uint8 pixels become float32 in [-1, 1], everything else passes as it is.
        batch_size: items per batch; an epoch's remainder is dropped.
        seed: order of the items.
        first_step: number of the first batch.

    Returns:
        `tf.data.Dataset` of tensors `(batch_size, ...)`, or of tuples of them where there are several arrays.

    Raises:
        CourseError: fewer items than a batch, or arrays of different lengths.
    """
    import tensorflow as tf

    lengths = {len(array) for array in arrays}
    if len(lengths) != 1 or not 1 <= batch_size <= min(lengths):
        raise CourseError(f"A pipeline needs arrays of one length, at least the batch size {batch_size}, got {sorted(lengths)}.")
    length = lengths.pop()
    steps = length // batch_size
    with tf.device("CPU:0"):
        tensors = [tf.constant(array) for array in arrays]

    def batches(epoch):
        order = tf.random.experimental.stateless_shuffle(tf.range(length), seed=tf.stack([seed, epoch]))
        return tf.data.Dataset.from_tensor_slices(tf.reshape(order[: steps * batch_size], (steps, batch_size)))

    def fetch(rows):
        out = [to_float(tf.gather(tensor, rows)) for tensor in tensors]
        return out[0] if len(out) == 1 else tuple(out)

    options = tf.data.Options()
    options.autotune.enabled = False  # there is nothing to tune; its thread sleeps for up to a minute, and `fit` waits for it
    epochs = tf.data.Dataset.range(first_step // steps, tf.int64.max).flat_map(batches)
    return epochs.skip(first_step % steps).map(fetch, num_parallel_calls=2).prefetch(2).with_options(options)


def verify(name, split):
    """Checks the cached shards of a split against the manifest.

    Args:
        name: a name in `DATASETS`.
        split: one of its splits.

    Returns:
        dict with the number of shards that are "good", "damaged" and "missing".

    Raises:
        CourseError: unknown name or split, or one that the manifest doesn't know.
    """
    name = current_name(name)
    checksum(name, split)  # complains where the manifest doesn't know the split
    result = {"good": 0, "damaged": 0, "missing": 0}
    for index in range(_num_shards(DATASETS[name].splits[split])):
        path = shard_path(name, split, index)
        result["missing" if not os.path.exists(path) else "good" if _read(path, name, split, index) else "damaged"] += 1
    return result


def write_manifest(names):
    """Makes every shard of the named data sets and writes their sha256 to the manifest: for whoever changes a world.

    Args:
        names: names in `DATASETS`.
    """
    manifest = _manifest() if MANIFEST.exists() else {}
    for name in names:
        for split, total in DATASETS[name].splits.items():
            sums = []
            for index in _progress(range(_num_shards(total)), f"{name} {split}"):
                arrays = _make_shard(name, split, index)
                sums.append(digest(arrays))
                _write(shard_path(name, split, index), arrays)
            manifest.setdefault(name, {})[split] = {"clips": total, "clips_per_shard": CLIPS_PER_SHARD, "sha256": sums}
        with atomic_path(MANIFEST) as temporary:
            temporary.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def checksum(name, split):
    """One sha256 for a whole split: that of its shards' recorded sums.

    Args:
        name: a name in `DATASETS`.
        split: one of its splits.

    Returns:
        str, 64 hexadecimal digits.

    Raises:
        CourseError: unknown name or split, or one that the manifest doesn't know.
    """
    name = current_name(name)
    shards = range(_num_shards(_known(name, split).splits[split]))
    return hashlib.sha256("".join(_expected(name, split, index) for index in shards).encode()).hexdigest()


def shard_path(name, split, index):
    """Where a shard is cached.

    Args:
        name: a name in `DATASETS`.
        split: one of its splits.
        index: number of the shard, from 0.

    Returns:
        Path of an .npz file in `cache_folder()`.
    """
    return cache_folder() / name / f"{split}-{index:03d}.npz"


def cache_folder():
    """The folder of the cached data: $VIDGEN_CACHE; else datasets/cache/ of the checkout that the package lies in; else, where
    the package is installed, the user's cache.

    Returns:
        Path.
    """
    if os.environ.get("VIDGEN_CACHE"):
        return Path(os.environ["VIDGEN_CACHE"]).expanduser()
    checkout = Path(__file__).parents[1]
    if all((checkout / file).is_file() for file in ("pyproject.toml", "course.py")):
        return checkout / "datasets" / "cache"
    return Path(platformdirs.user_cache_dir("vidgen-tf", appauthor=False))


def digest(arrays):
    """sha256 of named arrays: of their names, dtypes, shapes and bytes, not of the file that holds them.

    Args:
        arrays: dict from name to array.

    Returns:
        str, 64 hexadecimal digits.
    """
    total = hashlib.sha256()
    for key in sorted(arrays):
        array = np.ascontiguousarray(arrays[key])
        total.update(f"{key} {array.dtype.str} {array.shape}".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def _known(name, split):
    if name not in DATASETS:
        raise CourseError(f"There is no data set {name!r}; there are {', '.join(DATASETS)}, or the path of your own videos.")
    if split not in DATASETS[name].splits:
        raise CourseError(f"{name} has no split {split!r}; it has {', '.join(DATASETS[name].splits)}.")
    return DATASETS[name]


def _load_cached(name, split, count):
    dataset = _known(name, split)
    total = dataset.splits[split]
    count = total if count is None else count
    if not 1 <= count <= total:
        raise CourseError(f"{name} {split} has {total} clips, so count must be from 1 to {total}, got {count}.")
    arrays = {}
    for index in _progress(range(_num_shards(count)), f"{name} {split}"):
        for key, value in _shard(name, split, index).items():
            if key not in arrays:
                arrays[key] = np.empty((count, *value.shape[1:]), _widest(value.dtype))
            part = arrays[key][index * CLIPS_PER_SHARD : (index + 1) * CLIPS_PER_SHARD]
            part[...] = value[: len(part)]
    states = {key[6:]: value for key, value in arrays.items() if key.startswith("state_")}
    return LabelledClips(arrays["frames"], arrays["captions"], arrays["captions_zh"], states, world=dataset.world)


def _load_files(path, count, batch_size, seed, options):
    known = inspect.signature(files.make).parameters
    if not options.keys() <= known.keys():
        raise CourseError(f"Your own files can be loaded with {', '.join(list(known)[2:])}, not with {', '.join(options)}.")
    if count is not None and count < 1:
        raise CourseError(f"Ask for at least one clip, not {count}.")
    if not Path(path).exists():
        raise CourseError(f"{str(path)!r} is neither a data set ({', '.join(DATASETS)}) nor a file or folder.")
    if batch_size is None:
        return files.make(count, path=path, **options)
    import tensorflow as tf

    first, _, _ = next(files.stream(path, **options))  # gives the shape, and fails at once if nothing can be used

    def clips():
        for epoch in itertools.count():
            stream = files.stream(path, **options | {"seed": seed + epoch})
            yield from (clip for clip, _, _ in itertools.islice(stream, count))

    data = tf.data.Dataset.from_generator(clips, output_signature=tf.TensorSpec(first.shape, tf.uint8))
    data = data.shuffle(STREAM_BUFFER, seed=seed).batch(batch_size, drop_remainder=True)
    return data.map(to_float).prefetch(2)


def to_float(x):
    """Pixels as models take them; anything else as it is.

    Args:
        x: tensor of any shape and dtype.

    Returns:
        float32 tensor in [-1, 1] where x is uint8, 0..255; else x.
    """
    import tensorflow as tf

    return tf.cast(x, tf.float32) / 127.5 - 1.0 if x.dtype == tf.uint8 else x


def _widest(dtype):
    return np.dtype("U120") if dtype.kind == "U" else dtype  # shards' longest captions differ


def _num_shards(count):
    return -(-count // CLIPS_PER_SHARD)


def _shard(name, split, index):
    """Arrays of one shard: from the cache when they are there and right, else made and written."""
    path = shard_path(name, split, index)
    arrays = _read(path, name, split, index)
    if arrays is None:
        if os.path.exists(path):
            print(f"{path} is damaged or out of date: making it again.", file=sys.stderr)
        arrays = _make_shard(name, split, index)
        if digest(arrays) != _expected(name, split, index):
            raise CourseError(
                f"{name} {split} shard {index} came out different from {MANIFEST.name}; if you changed the world on "
                f"purpose, record it: python -m vidgen_tf data make {name} --record"
            )
        try:
            _write(path, arrays)
        except CourseError as error:
            reason = error.__cause__.strerror
            _tell_once(
                f"Data sets can't be kept in {cache_folder()} ({reason}), so they are made anew each time; set the environment "
                "variable VIDGEN_CACHE to a folder that can be written to."
            )
    return arrays


@functools.cache
def _tell_once(sentence):
    print(sentence, file=sys.stderr)


def _make_shard(name, split, index):
    dataset = DATASETS[name]
    start = index * CLIPS_PER_SHARD
    clips = dataset.make(split, start, min(CLIPS_PER_SHARD, dataset.splits[split] - start))
    states = {f"state_{key}": value for key, value in clips.states.items()}
    return {"frames": clips.frames, "captions": clips.captions, "captions_zh": clips.captions_zh} | states


def _read(path, name, split, index):
    """Arrays of a cached shard, or None where it is missing, damaged or not what the manifest says."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except Exception:  # NumPy and zipfile raise whatever they like on damaged files
        return None
    return arrays if digest(arrays) == _expected(name, split, index) else None


def _write(path, arrays):
    with atomic_path(path) as temporary:
        np.savez(temporary, **arrays)


def _expected(name, split, index):
    try:
        return _manifest()[name][split]["sha256"][index]
    except (KeyError, IndexError, TypeError) as error:
        raise CourseError(
            f"{MANIFEST} has no checksum of {name} {split} shard {index}: restore it with git checkout, or record a data set of "
            f"your own with python -m vidgen_tf data make {name} --record"
        ) from error


def _manifest():
    try:
        return json.loads(MANIFEST.read_text())
    except (OSError, ValueError) as error:
        raise CourseError(
            f"{MANIFEST} is missing or no valid JSON: restore it with git checkout, or install the package again."
        ) from error


def _progress(items, label):
    """A bar that shows only when the work takes more than two seconds and a person may be looking."""
    return progress(items, label=label, unit="shard", delay=2)
