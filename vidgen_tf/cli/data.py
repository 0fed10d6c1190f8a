"""python -m vidgen_tf data list | make | verify | show | shard."""

import itertools
import sys
from pathlib import Path

from ..errors import CourseError
from .arguments import check_output, count, filled, save_clip, whole


def add_parser(commands):
    """Adds the command to the command line.

    Args:
        commands: subparsers of argparse.
    """
    data = commands.add_parser("data", help="the data sets").add_subparsers(required=True, metavar="ACTION")
    data.add_parser("list", help="what there is", allow_abbrev=False).set_defaults(run=_list)
    make = data.add_parser("make", help="make and cache data sets ahead of time", allow_abbrev=False)
    make.add_argument("names", nargs="*", metavar="NAME", help="all when none is given")
    make.add_argument("--record", action="store_true", help="write the checksums to the manifest, after a world was changed")
    make.set_defaults(run=_make)
    verify = data.add_parser("verify", help="check the cache against the manifest", allow_abbrev=False)
    verify.add_argument(
        "names", nargs="*", metavar="NAME|FOLDER", help="a data set, or a folder of shards; all data sets when none"
    )
    verify.set_defaults(run=_verify)
    show = data.add_parser(
        "show", help="write some clips of a data set, or of your own files, as one playing picture", allow_abbrev=False
    )
    show.add_argument("name", metavar="NAME|PATH", type=filled)
    show.add_argument("--split", default="train", help="of a data set (default: train)")
    show.add_argument("-n", type=count, default=16, help="how many clips (default: 16)")
    show.add_argument("--num-frames", type=whole(1, 1000), help="of your own files: frames of a clip (default: 16; 1: pictures)")
    show.add_argument(
        "-o", "--output", type=filled, default="build/show.png", help=".png, .gif, .webp or .mp4 (default: build/show.png)"
    )
    show.set_defaults(run=_show)
    shard = data.add_parser("shard", help="write clips into TFRecord files that many workers can read", allow_abbrev=False)
    shard.add_argument("name", metavar="NAME|PATH", type=filled)
    shard.add_argument("--split", default="train", help="of a data set (default: train)")
    shard.add_argument("-n", type=count, help="how many clips, from the first (default: all)")
    shard.add_argument("--clips-per-shard", type=whole(1, 1_000_000), default=1000, help="clips in a file (default: 1000)")
    shard.add_argument("-o", "--output-dir", type=filled, required=True, help="where the files go")
    shard.set_defaults(run=_shard)


def _list(options):
    from ..datasets import DATASETS

    for name, dataset in DATASETS.items():
        splits = ", ".join(f"{split} {count}" for split, count in dataset.splits.items())
        print(f"{name:18} {splits:42} card: datasets/{dataset.world}.md")


def _make(options):
    from .. import datasets

    names = _names(options.names)
    if options.record:
        datasets.write_manifest(names)
    for name in names:
        for split in datasets.DATASETS[name].splits:
            print(f"{name} {split}: {datasets.load(name, split)!r}")


def _verify(options):
    from .. import datasets, shards

    damaged = 0
    folders = [name for name in options.names if name not in datasets.DATASETS and (Path(name) / shards.INDEX).exists()]
    for folder in folders:
        states = shards.verify(folder)
        damaged += sum(state != "good" for state in states.values())
        bad = [f"{name} is {state}" for name, state in states.items() if state != "good"]
        print(f"{folder}: {len(states)} shards, {', '.join(bad) or 'all good'}")
    if folders and len(folders) == len(options.names):
        return int(damaged > 0)
    for name in _names([name for name in options.names if name not in folders]):
        for split in datasets.DATASETS[name].splits:
            counts = datasets.verify(name, split)
            damaged += counts["damaged"]
            print(f"{name} {split}: " + ", ".join(f"{number} {word}" for word, number in counts.items() if number))
    if damaged:
        print("Damaged shards are made again when they are next loaded.", file=sys.stderr)
    return int(damaged > 0)


def _show(options):
    from .. import datasets, video

    check_output(options.output)
    own = {}
    if options.num_frames is not None:
        if options.name in datasets.DATASETS:
            raise CourseError("--num-frames is for your own files: the clips of a data set have a fixed length.")
        own = {"num_frames": options.num_frames}
    clips = datasets.load(options.name, options.split, options.n, **own)
    for caption, chinese in zip(clips.captions, clips.captions_zh, strict=True):
        print(f"{caption}   {chinese}")
    save_clip(video.grid([clips[i] for i in range(len(clips))]), options.output)


def _shard(options):
    from .. import datasets, shards
    from ..worlds import files

    if options.name in datasets.DATASETS:
        clips = datasets.load(options.name, options.split, options.n)
        pairs = zip(clips.frames, clips.captions)
    else:  # one's own files are streamed: they may be more than the memory holds
        stream = ((frames, Path(file).stem) for frames, file, _ in files.stream(options.name))
        pairs = itertools.islice(stream, options.n)
    index = shards.write(pairs, options.output_dir, options.clips_per_shard)
    print(f"wrote {index} and the shards that it names")


def _names(names):
    """The present names of data sets, all where none is given."""
    from ..datasets import DATASETS, current_name

    names = [current_name(name) for name in names]
    unknown = [name for name in names if name not in DATASETS]
    if unknown:
        raise CourseError(f"There is no data set {', '.join(unknown)}; there are {', '.join(DATASETS)}.")
    return names or list(DATASETS)
