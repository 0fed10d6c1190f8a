"""python -m vidgen_tf ablate: recipes with one choice changed, trained equally long and evaluated."""

from ..errors import CourseError
from .arguments import filled
from .train import TRAINED

# Study -> the data sets that it is made of, the default first.
STUDIES = {
    "gan-losses": ("digits",),
    "gan-output": ("faces",),
    "vae-beta": ("digits", "shapes"),
    "teacher-forcing": ("moving-digits",),
    "priors": ("digits",),
    "diffusion": ("digits", "shapes"),
    "text-to-video": ("digits", "shapes"),
    "from-scratch": ("digits", "shapes"),
    "guidance": ("faces",),
    "video-gan": ("digits",),
    "video-gan-live": ("digits",),
    "flow-gan": ("faces",),
    "autoregressive": ("digits",),
    "unseen-corruptions": ("digits",),
}


def add_parser(commands):
    """Adds the command to the command line.

    Args:
        commands: subparsers of argparse.
    """
    ablate = commands.add_parser(
        "ablate", help="an ablation study: variants of a recipe, trained and evaluated; or of its sampling", allow_abbrev=False
    )
    ablate.add_argument("name", choices=STUDIES, help="which study")
    known = sorted({dataset for datasets in STUDIES.values() for dataset in datasets})
    ablate.add_argument("--dataset", choices=known, help="(default: the study's first or only one)")
    ablate.add_argument("--resume", action="store_true", help="go on where an interrupted run stopped")
    where = f"where rows wait until all are there (default: {TRAINED})"
    ablate.add_argument("--output-dir", type=filled, default=TRAINED, help=where)
    ablate.add_argument("--release", action="store_true", help="record the rows in the zoo, with their provenance")
    ablate.set_defaults(run=_ablate)


def _ablate(options):
    from .. import zoo
    from ..files import check_writable
    from ..recipes import run

    dataset = options.dataset or STUDIES[options.name][0]
    if dataset not in STUDIES[options.name]:
        raise CourseError(f"There is no ablation study of {options.name} on {dataset}.")
    begun, name = run.provenance(), f"{options.name}-ablation-{dataset}"
    path = check_writable(options.output_dir) / f"{name}.json"
    if not options.resume:
        path.unlink(missing_ok=True)
    rows = _study(options.name)(dataset, path)
    for row in rows:
        print(", ".join(f"{key} {value}" for key, value in row.items()))
    if options.release:
        command = f"python -m vidgen_tf ablate {options.name} --dataset {dataset}"
        zoo.record_experiment(name, rows, command, min(row.get("seed", 0) for row in rows), begun)
        print(f"recorded as {name} in the zoo")


def _study(name):
    """The function that makes a study's rows, of a data set and the path of the file that keeps them."""
    from ..experiments import (
        autoregressive,
        convlstm,
        corruptions,
        diffusion,
        flow_gan,
        gan,
        guidance,
        latent_rnn,
        text_to_video,
        vae,
        video_gan,
    )

    return {
        "gan-losses": gan.run_losses,
        "gan-output": gan.run_outputs,
        "vae-beta": vae.run_betas,
        "teacher-forcing": convlstm.run_schedules,
        "priors": latent_rnn.run_priors,
        "diffusion": diffusion.run_ablation,
        "text-to-video": text_to_video.run_ablation,
        "from-scratch": text_to_video.run_from_scratch,
        "guidance": guidance.run_ablation,
        "video-gan": video_gan.run_ablation,
        "video-gan-live": video_gan.run_live,
        "flow-gan": flow_gan.run_ablation,
        "autoregressive": autoregressive.run_ablation,
        "unseen-corruptions": corruptions.run_unseen,
    }[name]
