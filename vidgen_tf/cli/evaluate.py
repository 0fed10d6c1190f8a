"""python -m vidgen_tf evaluate: a model of the zoo, or videos of any program."""

import itertools

from ..errors import CourseError
from .arguments import MAX_COUNT, check_output, filled, number, read_lines, save_clip, seed, whole

DATASETS = ("shapes", "digits", "faces", "faces-32", "spheres", "spheres-64")


def add_parser(commands):
    """Adds the command to the command line.

    Args:
        commands: subparsers of argparse.
    """
    evaluate = commands.add_parser(
        "evaluate", help="evaluate what a model of the zoo generates, or videos of any other program", allow_abbrev=False
    )
    evaluate.add_argument(
        "what", nargs="*", type=filled, metavar="NAME|FILES", help="a model's name, see `zoo list`; or videos, or their folders"
    )
    evaluate.add_argument("--all", action="store_true", help="every shipped model; writes README.md's results and figure")
    evaluate.add_argument("--list-metrics", action="store_true", help="say what each row of the table means")
    evaluate.add_argument("--dataset", choices=DATASETS, help="of your videos: which data set they are like")
    evaluate.add_argument("--captions", type=filled, help="of your videos: a text file with the prompt of each in a line")
    evaluate.add_argument("--fps", type=number(0.01, 1000), help="of your videos: frames per second to read them at (default: 8)")
    evaluate.add_argument("-n", type=whole(100, MAX_COUNT), default=500, help="how many clips, at least 100 (default: 500)")
    evaluate.add_argument("--seed", type=seed, default=1, help="of the sampling (default: 1)")
    evaluate.add_argument(
        "-o",
        "--output",
        type=filled,
        default="build/evaluation.png",
        help="picture of some of them (default: build/evaluation.png)",
    )
    evaluate.set_defaults(run=_evaluate)


def _evaluate(options):
    if options.list_metrics:
        from ..evaluation.spec import METRICS

        for name, metric in METRICS.items():
            print(f"{name:24} {metric.values}, {metric.best}: {metric.meaning}")
        return
    if options.all:
        return _evaluate_all(options)
    if not options.what:
        raise CourseError("Say what to evaluate: a model of the zoo, or videos and --dataset; or --all for every shipped model.")
    from .. import zoo

    check_output(options.output)
    if zoo.current_name(options.what[0]) in zoo.manifest():
        _refuse_options_of_videos(options)
        from ..evaluation import results

        report = results.evaluate_model(zoo.current_name(options.what[0]), options.n, options.seed)
    else:
        report = _evaluate_files(options)
    report.table()
    save_clip(report.picture, options.output)


def _refuse_options_of_videos(options):
    given = {"--dataset": options.dataset, "--captions": options.captions, "--fps": options.fps}
    unused = [name for name, value in given.items() if value is not None]
    if unused or len(options.what) > 1:
        raise CourseError(f"A model of the zoo is evaluated by itself: leave out {', '.join([*options.what[1:], *unused])}.")


def _evaluate_all(options):
    """The evaluation of every shipped model, for the README."""
    if options.what:
        raise CourseError(f"--all evaluates every shipped model: leave out {', '.join(options.what)}.")
    from ..evaluation import results
    from ..evaluation.real import write_real_scores

    write_real_scores()
    reports = []
    for report in results.evaluate_all(options.n, options.seed):
        report.table()
        print(flush=True)
        reports.append(report)
    results.write_results(reports)
    results.write_weights_table()
    print(f"wrote {results.README} and {results.FIGURE}")


def _evaluate_files(options):
    """The evaluation of videos that any program has made."""
    if options.dataset is None:
        raise CourseError(
            f"{options.what[0]} is no model of the zoo; of videos, say what they are like: --dataset shapes, for instance."
        )
    conditioning = read_lines(options.captions) if options.captions else None
    from .. import datasets
    from ..evaluation.protocol import evaluate
    from ..worlds import files

    _, num_frames, size, _, channels = datasets.load(options.dataset, "test", 1).frames.shape
    fit = {"size": size, "num_frames": num_frames, "fps": options.fps or 8, "grey": channels == 1}
    streams = (files.stream(path, **fit) for path in options.what)
    clips = [clip for clip, _, _ in itertools.islice(itertools.chain.from_iterable(streams), options.n)]
    return evaluate(clips, options.dataset, conditioning=conditioning)
