"""python -m vidgen_tf ablate: recipes with one choice changed, trained equally long and evaluated."""

from ..errors import CourseError
from .arguments import filled
from .train import TRAINED

RECIPE_OF = {"guidance": "text-to-video", "autoregressive": "gpt"}  # of studies that aren't named as their recipe
STUDIES = ("diffusion", "text-to-video", "guidance", "video-gan", "flow-gan", "autoregressive")


def add_parser(commands):
    """Adds the command to the command line.

    Args:
        commands: subparsers of argparse.
    """
    ablate = commands.add_parser(
        "ablate", help="an ablation study: variants of a recipe, trained and evaluated; or of its sampling", allow_abbrev=False
    )
    ablate.add_argument("name", choices=STUDIES, help="whose study")
    ablate.add_argument(
        "--dataset", choices=("digits", "shapes", "faces"), help="(default: digits, of flow-gan and guidance faces)"
    )
    ablate.add_argument("--resume", action="store_true", help="go on where an interrupted run stopped")
    where = f"where rows wait until all are there (default: {TRAINED})"
    ablate.add_argument("--output-dir", type=filled, default=TRAINED, help=where)
    ablate.add_argument("--release", action="store_true", help="record the rows in the zoo, with their provenance")
    ablate.set_defaults(run=_ablate)


def _ablate(options):
    from .. import zoo
    from ..experiments import autoregressive, diffusion, flow_gan, guidance, text_to_video, video_gan
    from ..files import check_writable
    from ..recipes import RECIPES, run

    known = {"flow-gan": ("faces",), "guidance": ("faces",), "video-gan": ("digits",), "autoregressive": ("digits",)}
    dataset = options.dataset or known.get(options.name, ("digits",))[0]
    if dataset not in known.get(options.name, ("digits", "shapes")):
        raise CourseError(f"There is no ablation study of {options.name} on {dataset}.")
    module = {
        "diffusion": diffusion,
        "text-to-video": text_to_video,
        "guidance": guidance,
        "video-gan": video_gan,
        "flow-gan": flow_gan,
        "autoregressive": autoregressive,
    }[options.name]
    begun, name = run.provenance(), f"{options.name}-ablation-{dataset}"
    path = check_writable(options.output_dir) / f"{name}.json"
    if not options.resume:
        path.unlink(missing_ok=True)
    rows = module.run_ablation(dataset, path)
    for row in rows:
        print(", ".join(f"{key} {value}" for key, value in row.items()))
    if options.release:
        command = f"python -m vidgen_tf ablate {options.name} --dataset {dataset}"
        recipe = RECIPES[f"{RECIPE_OF.get(options.name, options.name)}-{dataset}"]
        zoo.record_experiment(name, rows, command, recipe.seed, begun)
        print(f"recorded as {name} in the zoo")
