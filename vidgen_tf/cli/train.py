"""python -m vidgen_tf train: a model of the zoo by its recipe, or text to video from nothing."""

from ..errors import CourseError
from .arguments import filled, number, whole

CLUSTERS = ("tf-config", "slurm", "kubernetes")
MAX_WORKERS = 1024
TRAINED, SCRATCH, OWN = "build/train", "build/from-scratch", "build/own-clips"
MAX_STEPS = 10_000_000
OVERFITTED = 1.15  # times as large as that of training is the loss of clips kept apart


def add_parser(commands):
    """Adds the command to the command line.

    Args:
        commands: subparsers of argparse.
    """
    train = commands.add_parser("train", help="train a model of the zoo by its recipe", allow_abbrev=False)
    train.add_argument("name", type=filled, help="a model's name, see `zoo list`; or text-to-video with --data or --from-scratch")
    train.add_argument("--budget", choices=("fast", "full"), help="training steps (default: full)")
    train.add_argument("--resume", action="store_true", help="go on where an interrupted run stopped")
    train.add_argument(
        "--output-dir",
        type=filled,
        help=f"where weights, record and checkpoint go (default: {TRAINED}; {SCRATCH} if from scratch; {OWN} of --data)",
    )
    train.add_argument("--release", action="store_true", help="put the result into the zoo, with its provenance")
    group = train.add_mutually_exclusive_group()
    group.add_argument("--workers", type=whole(1, MAX_WORKERS), help="processes on this machine, each on its share of a batch")
    group.add_argument("--cluster", choices=CLUSTERS, help="be one worker of several: who they are is in the environment")
    train.add_argument(
        "--data",
        type=filled,
        metavar="FOLDER",
        help="of text-to-video: your own videos with captions (.txt, .csv, .tar)",
    )
    train.add_argument("--fps", type=number(0.01, 1000), help="of --data: frames per second of the clips (default: 8)")
    train.add_argument("--from-scratch", action="store_true", help="of text-to-video: train its autoencoder as well")
    train.add_argument("--dataset", choices=("digits", "shapes"), help="from scratch (default: digits)")
    train.add_argument(
        "--autoencoder-steps",
        type=whole(0, MAX_STEPS),
        help="from scratch; 0: the shipped autoencoder (default: 1500 for digits, 9000 for shapes)",
    )
    train.add_argument("--steps", type=whole(1, MAX_STEPS), help="from scratch: of the transformer (default: 2500)")
    train.set_defaults(run=_train)


def _train(options):
    if options.data:
        return _train_own(options)
    if options.fps:
        raise CourseError("--fps is for your own videos: give their folder with --data.")
    if options.from_scratch:
        if options.workers or options.cluster:
            raise CourseError("--workers and --cluster are for recipes, not for --from-scratch.")
        return _train_from_scratch(options)
    if options.name in ("text-to-video", "diffusion"):
        raise CourseError(f"Train {options.name}-digits or {options.name}-shapes, or see --from-scratch in --help.")
    ignored = {"--dataset": options.dataset, "--autoencoder-steps": options.autoencoder_steps, "--steps": options.steps}
    given = [name for name, value in ignored.items() if value is not None]
    if given:
        raise CourseError(f"{', '.join(given)}: for --from-scratch only. A recipe has its own; choose --budget fast or full.")
    folder = options.output_dir or TRAINED
    if (options.workers or 1) > 1:
        return _launch(options, folder)
    if options.cluster:
        from ..workers import join

        join(options.cluster)
    from ..recipes import run

    path = run.train(options.name, options.budget or "full", folder, options.resume)
    if path is None:  # another worker writes the files
        return
    print(f"wrote {path} and its record {path.parent / (path.name.removesuffix('.weights.h5') + '.json')}")
    if options.release:
        run.release(options.name, folder)
        print(f"released {options.name} into the zoo")


def _launch(options, folder):
    """Starts this command again, once for each worker."""
    from .launch import launch

    arguments = ["train", options.name, "--budget", options.budget or "full", "--output-dir", str(folder)]
    flags = [f"--{flag}" for flag in ("resume", "release") if getattr(options, flag)]
    launch([*arguments, *flags, "--cluster", "tf-config"], options.workers, folder)


def _train_own(options):
    """Text to video of a folder of captioned videos."""
    if options.name != "text-to-video":
        raise CourseError(f"Only text-to-video is trained on --data, not {options.name}.")
    others = {
        "--release": options.release,
        "--workers": options.workers,
        "--cluster": options.cluster,
        "--from-scratch": options.from_scratch,
        "--dataset": options.dataset,
        "--autoencoder-steps": options.autoencoder_steps,
        "--steps": options.steps,
    }
    if given := [name for name, value in others.items() if value is not None and value is not False]:
        raise CourseError(f"{', '.join(given)}: not with --data. Choose --budget fast or full.")
    from ..recipes import own_clips

    folder = options.output_dir or OWN
    scores = own_clips.train(options.data, folder, options.budget or "full", options.resume, options.fps or 8)
    print(f"trained on {scores['num_clips']} clips: loss {scores['loss']:.3f}")
    print(f"kept apart {scores['num_kept_apart']} clips: loss {scores['validation_loss']:.3f}")
    share = scores.get("memorized_share")
    print("too few clips are kept apart to tell copies" if share is None else f"copies of training clips: {share:.0%} of samples")
    if scores["validation_loss"] > OVERFITTED * scores["loss"] or (share or 0) > 0.1:
        print("It knows its clips better than others of their kind: more videos help most, then fewer steps (--budget fast).")
    print(f"wrote {folder}, with samples.webp for captions kept apart; sample with your own prompts:")
    print(f"python -m vidgen_tf sample text-to-video --weights {folder} --prompt ...")


def _train_from_scratch(options):
    """Text to video from nothing, an experiment of which the zoo keeps the record."""
    if options.name != "text-to-video":
        raise CourseError(f"Only text-to-video is trained --from-scratch, not {options.name}.")
    if options.budget:
        raise CourseError("--budget is for recipes: from scratch, give --autoencoder-steps and --steps.")
    if options.release:
        raise CourseError("--release is for recipes: `ablate from-scratch --release` records the accuracies of three seeds.")
    from ..experiments import text_to_video
    from ..recipes.diffusion import WARMUP_STEPS

    dataset, steps = options.dataset or "digits", options.steps or 2500
    autoencoder_steps = options.autoencoder_steps
    if autoencoder_steps is None:
        autoencoder_steps = text_to_video.AUTOENCODER_STEPS[dataset]
    if steps <= WARMUP_STEPS or steps % 50 or autoencoder_steps % 100:
        raise CourseError(f"--steps are a multiple of 50 above {WARMUP_STEPS}, --autoencoder-steps a multiple of 100.")
    folder = options.output_dir or SCRATCH
    rows = text_to_video.train_from_scratch(dataset, folder, autoencoder_steps, steps, resume=options.resume)
    for row in rows:
        others = ", ".join(f"{name} {value:.2f}" for name, value in row.items() if not name.endswith("seconds"))
        print(f"{row['seconds'] / 60:5.1f} minutes: {others}")
    print(f"wrote the weights and curve.json to {folder}; sample with them:")
    print(f"python -m vidgen_tf sample text-to-video --weights {folder} --prompt ...")
