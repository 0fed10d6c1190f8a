"""The command line: python -m vidgen_tf data | train | sample | exam | zoo | bench."""

import argparse
import itertools
import os
import sys
from pathlib import Path

from .errors import CourseError

TRAINED, SCRATCH = "build/train", "build/from-scratch"


def main(arguments=None):
    """Runs one command.

    Args:
        arguments: list of str; those of the process when None.

    Returns:
        int, the exit status: 0, 1 after a mistake that was told in a sentence, 130 after Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    _silence_native_logs()
    try:
        return options.run(options) or 0
    except CourseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        later = " The same command with --resume goes on from here." if "resume" in options else ""
        print(f"\nstopped; files already written are whole.{later}", file=sys.stderr)
        return 130


def _silence_native_logs():
    """Sends what TensorFlow's compiled part logs nowhere, and leaves Python's own stderr where it is. Whoever wants to see the
    log sets TF_CPP_MIN_LOG_LEVEL."""
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ or sys.stderr is not sys.__stderr__:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _parser():
    parser = argparse.ArgumentParser(prog="python -m vidgen_tf", description="Data, models and measurements of the course.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_data(commands)

    train = commands.add_parser("train", help="train a model of the zoo by its recipe")
    train.add_argument("name", help="a model's name, see `zoo list`; or text-to-video, diffusion with what is below")
    train.add_argument("--budget", choices=("fast", "full"), default="full", help="training steps (default: full)")
    train.add_argument("--resume", action="store_true", help="go on where an interrupted run stopped")
    train.add_argument(
        "--folder", help=f"where weights, record and checkpoint go (default: {TRAINED}; {SCRATCH} if from scratch)"
    )
    train.add_argument("--ship", action="store_true", help="put the result into the zoo, with its provenance")
    train.add_argument("--from-scratch", action="store_true", help="of text-to-video: train its encoder as well")
    train.add_argument(
        "--ladder", action="store_true", help="of text-to-video or diffusion: several recipes, and what becomes of each"
    )
    train.add_argument("--world", choices=("digits", "shapes"), default="digits", help="of both (default: digits)")
    train.add_argument(
        "--encoder-steps", type=_natural, help="from scratch; 0: the shipped encoder (default: 1500 for digits, 9000 for shapes)"
    )
    train.add_argument("--steps", type=_natural, default=2500, help="from scratch: of the transformer (default: 2500)")
    train.set_defaults(run=_train)

    _add_sample(commands)

    _add_exam(commands)
    zoo = commands.add_parser("zoo", help="the shipped weights").add_subparsers(required=True, metavar="ACTION")
    zoo.add_parser("list", help="what there is, and how it was trained").set_defaults(run=_zoo_list)
    zoo.add_parser("verify", help="check the files against the manifest").set_defaults(run=_zoo_verify)

    bench = commands.add_parser("bench", help="measure this machine: matrix products, data, pipeline, training steps")
    bench.add_argument("--seconds", type=float, default=3.0, help="about how long to measure each row (default: 3)")
    bench.set_defaults(run=_bench)
    return parser


def _natural(text):
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


def _add_sample(commands):
    sample = commands.add_parser("sample", help="let a model of the zoo make videos")
    sample.add_argument("name", help="a model's name, see `zoo list`; or text-to-video with --prompt or --prompts")
    sample.add_argument("-n", type=int, help="how many clips (default: 16, or one for each prompt)")
    sample.add_argument(
        "-o", "--output", default="build/sample.mp4", help=".mp4, .gif, .webp or .png (default: build/sample.mp4)"
    )
    sample.add_argument("--seed", type=_natural, default=0)
    sample.add_argument(
        "--weights", help="instead of the shipped weights: a file that `train` made, or its folder if from scratch"
    )
    sample.add_argument("--prompt", help="of text-to-video: what to show, in English or Chinese")
    sample.add_argument("--prompts", metavar="FILE", help="of text-to-video: a text file with a prompt in each line")
    sample.add_argument("--guidance", type=float, help="of text-to-video: how strongly to obey (default: as examined)")
    sample.set_defaults(run=_sample)


def _add_data(commands):
    data = commands.add_parser("data", help="the datasets").add_subparsers(required=True, metavar="ACTION")
    data.add_parser("list", help="what there is").set_defaults(run=_data_list)
    make = data.add_parser("make", help="make and cache datasets ahead of time")
    make.add_argument("names", nargs="*", metavar="NAME", help="all when none is given")
    make.add_argument("--record", action="store_true", help="write the checksums to the manifest, after a world was changed")
    make.set_defaults(run=_data_make)
    verify = data.add_parser("verify", help="check the cache against the manifest")
    verify.add_argument("names", nargs="*", metavar="NAME", help="all when none is given")
    verify.set_defaults(run=_data_verify)
    show = data.add_parser("show", help="write some clips of a dataset, or of your own files, as one playing picture")
    show.add_argument("name", metavar="NAME|PATH")
    show.add_argument("--split", default="train")
    show.add_argument("-n", type=int, default=16, help="how many clips (default: 16)")
    show.add_argument("-o", "--output", default="build/show.png", help=".png, .gif, .webp or .mp4 (default: build/show.png)")
    show.set_defaults(run=_data_show)


def _add_exam(commands):
    exam = commands.add_parser("exam", help="measure what a model of the zoo makes, or videos of any other program")
    exam.add_argument("what", nargs="*", metavar="NAME|FILES", help="a model's name, see `zoo list`; or videos, or their folders")
    exam.add_argument("--all", action="store_true", help="every shipped model; writes the scoreboard in README.md and its figure")
    exam.add_argument("--measures", action="store_true", help="say what each row of the table means")
    exam.add_argument("--world", choices=("shapes", "digits", "faces", "faces-32"), help="what your videos show")
    exam.add_argument("--captions", help="a text file with a line for each of your videos: what was asked for")
    exam.add_argument("--fps", type=float, default=8, help="frames per second at which to read your videos (default: 8)")
    exam.add_argument("-n", type=int, default=500, help="how many clips, at least 100 (default: 500)")
    exam.add_argument("--seed", type=_natural, default=1, help="of the sampling (default: 1)")
    exam.add_argument("-o", "--output", default="build/exam.png", help="picture of some of them (default: build/exam.png)")
    exam.set_defaults(run=_exam)


def _data_list(options):
    from .datasets import DATASETS

    for name, dataset in DATASETS.items():
        splits = ", ".join(f"{split} {count}" for split, count in dataset.splits.items())
        print(f"{name:14} {splits:42} card: datasets/{dataset.world}.md")


def _data_make(options):
    from . import datasets

    names = _names(options.names, datasets.DATASETS)
    if options.record:
        datasets.record(names)
    for name in names:
        for split in datasets.DATASETS[name].splits:
            print(f"{name} {split}: {datasets.load(name, split)!r}")


def _data_verify(options):
    from . import datasets

    damaged = 0
    for name in _names(options.names, datasets.DATASETS):
        for split in datasets.DATASETS[name].splits:
            counts = datasets.verify(name, split)
            damaged += counts["damaged"]
            print(f"{name} {split}: " + ", ".join(f"{number} {word}" for word, number in counts.items() if number))
    if damaged:
        print("Damaged chunks are made again when they are next loaded.", file=sys.stderr)
    return int(damaged > 0)


def _data_show(options):
    from . import datasets, video

    clips = datasets.load(options.name, options.split, options.n)
    for caption, chinese in zip(clips.captions, clips.captions_zh, strict=True):
        print(f"{caption}   {chinese}")
    _save(video.grid([clips[i] for i in range(len(clips))]), options.output)


def _train(options):
    from . import zoo

    if options.from_scratch or options.ladder:
        return _train_experiment(options)
    if options.name in ("text-to-video", "diffusion"):
        raise CourseError(f"Train {options.name}-digits or {options.name}-shapes, or see --from-scratch and --ladder in --help.")
    folder = options.folder or TRAINED
    path = zoo.train(options.name, options.budget, folder, options.resume)
    print(f"wrote {path} and its record {path.parent / (options.name + '.json')}")
    if options.ship:
        zoo.ship(options.name, folder)
        print(f"shipped {options.name} to {zoo.FOLDER}")


def _train_experiment(options):
    """Experiments, of which the zoo keeps the records: text to video from nothing, and recipes compared."""
    from . import zoo
    from .models import diffusion, text_to_video

    what = "--from-scratch" if options.from_scratch else "--ladder"
    if options.from_scratch and options.ladder:
        raise CourseError("Train text-to-video --from-scratch or --ladder, one after the other.")
    able = "text-to-video" if options.from_scratch else "text-to-video or diffusion"
    if options.name not in able.split(" or "):
        raise CourseError(f"Only {able} is trained {what}, not {options.name}.")
    begun, module = zoo.origin(), diffusion if options.name == "diffusion" else text_to_video
    rows, details, kind = _from_scratch(options) if options.from_scratch else _ladder(options, module)
    if options.ship:
        name = f"{options.name}-{kind}-{options.world}"
        command = f"python -m vidgen_tf train {options.name} {what} --world {options.world}{details}"
        zoo.record_experiment(name, rows, command, module.RECIPES[options.world].seed, begun)
        print(f"recorded as {name} in {zoo.EXPERIMENTS}")


def _ladder(options, module):
    """Recipes compared: rows, what the command says besides, and the kind of the experiment."""
    from . import zoo

    path = zoo.workplace(options.folder or TRAINED) / f"{options.name}-ladder-{options.world}.json"
    if not options.resume:
        path.unlink(missing_ok=True)
    rows = module.ablate(options.world, path) if options.name == "diffusion" else module.climb(options.world, path)
    for row in rows:
        print(", ".join(f"{name} {value}" for name, value in row.items()))
    return rows, "", "ladder"


def _from_scratch(options):
    """Text to video from nothing: rows, what the command says besides, and the kind of the experiment."""
    from .models import text_to_video
    from .models.diffusion import WARM_UP

    encoder_steps = options.encoder_steps
    if encoder_steps is None:
        encoder_steps = text_to_video.RECIPES[options.world].encoder_steps
    if options.steps <= WARM_UP or options.steps % 50 or encoder_steps % 100:
        raise CourseError("--steps are a multiple of 50 above 100, --encoder-steps a multiple of 100.")
    folder = options.folder or SCRATCH
    rows = text_to_video.from_scratch(options.world, folder, encoder_steps, options.steps, resume=options.resume)
    for row in rows:
        others = ", ".join(f"{name} {value:.2f}" for name, value in row.items() if not name.endswith("seconds"))
        print(f"{row['seconds'] / 60:5.1f} minutes: {others}")
    print(f"wrote the weights and curve.json to {folder}; let it make videos:")
    print(f"python -m vidgen_tf sample text-to-video --weights {folder} --prompt ...")
    details = f" --encoder-steps {encoder_steps} --steps {options.steps}"
    return rows, details, "from-scratch" if encoder_steps else "shipped-encoder"


def _sample(options):
    from . import video, zoo

    if options.n is not None and options.n < 1:
        raise CourseError(f"-n must be at least 1, got {options.n}.")
    if options.name == "text-to-video":
        clips = _filmed(options)
        return _save(clips[0] if len(clips) == 1 else video.grid(clips), options.output)  # one keeps its caption
    if options.prompt or options.prompts or options.guidance is not None:
        raise CourseError(f"Prompts and guidance are for text-to-video, not for {options.name}.")
    maker, count = zoo.recipe(options.name), options.n or 16
    if options.weights:
        model = maker.build()
        zoo.read_weights(model, options.weights)
    else:
        model = zoo.load(options.name)
    _save(video.grid(maker.sample(model, count, options.seed)), options.output)


def _filmed(options):
    """The clips that prompts ask for."""
    from .models.text_to_video import film

    if (options.prompt is None) == (options.prompts is None):
        raise CourseError("Say what to show: --prompt 'a red circle falls and bounces', or --prompts FILE with one in each line.")
    prompts = [options.prompt] if options.prompts is None else [line for line in _lines(options.prompts) if line.strip()]
    prompts = [prompt for prompt in prompts for _ in range(options.n or 1)]
    return film(prompts, options.seed, options.guidance, options.weights)


def _exam(options):
    from . import exam, scoreboard, zoo

    if options.measures:
        for name, measure in exam.MEASURES.items():
            print(f"{name:20} {measure.values}, {measure.best}: {measure.meaning}")
    elif options.all:
        reports = []
        for report in scoreboard.examine_all(options.n, options.seed):
            report.table()
            print(flush=True)
            reports.append(report)
        scoreboard.write_scoreboard(reports)
        print(f"wrote {scoreboard.README} and {scoreboard.FIGURE}")
    elif not options.what:
        raise CourseError("Say what to examine: a model of the zoo, or videos and --world; or --all for every shipped model.")
    else:
        if options.what[0] in zoo.RECIPES:
            report = scoreboard.examine_model(options.what[0], options.n, options.seed)
        else:
            report = _examine_files(options)
        report.table()
        _save(report.picture, options.output)


def _examine_files(options):
    """The exam of videos that any program has made."""
    from . import datasets, exam
    from .worlds import files

    if options.world is None:
        raise CourseError(
            f"{options.what[0]} is no model of the zoo; of videos, say what they show: --world shapes, for instance."
        )
    _, frames, size, _, channels = datasets.load(options.world, "test", 1).frames.shape
    streams = (files.stream(path, size=size, frames=frames, fps=options.fps, grey=channels == 1) for path in options.what)
    clips = [clip for clip, _, _ in itertools.islice(itertools.chain.from_iterable(streams), options.n)]
    asked = None
    if options.captions:
        asked = _lines(options.captions)
    return exam.examine(clips, options.world, asked=asked)


def _zoo_list(options):
    from . import zoo

    shipped = zoo.manifest()
    for name, place in zoo.RECIPES.items():
        entry = shipped.get(name)
        print(f"{name:20} {place}")
        if entry is None:
            print("  not shipped yet")
            continue
        exam = ", ".join(f"{key} {value:.3g}" for key, value in entry["exam"].items())
        print(f"  {entry['bytes'] / 1e6:.1f} MB, {entry['minutes']} minutes on {entry['machine']}, {entry['date']}; {exam}")
        print(f"  made by: {entry['command']}")


def _zoo_verify(options):
    from . import zoo

    failed = 0
    for name in zoo.manifest():
        try:
            print(f"{name}: good, {zoo.checked(name).stat().st_size / 1e6:.1f} MB")
        except CourseError as error:
            failed = 1
            print(f"error: {error}", file=sys.stderr)
    return failed


def _bench(options):
    from .bench import bench

    bench(options.seconds)


def _lines(path):
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(f"{path} can't be read as a text file.") from error


def _names(names, known):
    unknown = [name for name in names if name not in known]
    if unknown:
        raise CourseError(f"There is no dataset {', '.join(unknown)}; there are {', '.join(known)}.")
    return names or list(known)


def _save(clip, output):
    """Saves a clip, enlarged so that a person sees something."""
    from .video import SHOWN_HEIGHT

    scale = 1 if clip.frames.shape[1] >= SHOWN_HEIGHT else 2 * max(1, SHOWN_HEIGHT // (2 * clip.frames.shape[1]))
    print(f"wrote {clip.save(Path(output), scale=scale)}: {clip!r}")


if __name__ == "__main__":
    sys.exit(main())
