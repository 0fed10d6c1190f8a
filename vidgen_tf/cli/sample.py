"""python -m vidgen_tf sample: clips of a model of the zoo, or of prompts."""

from pathlib import Path

from ..errors import CourseError
from .arguments import check_output, count, filled, number, read_lines, save_clip, seed


def add_parser(commands):
    """Adds the command to the command line.

    Args:
        commands: subparsers of argparse.
    """
    sample = commands.add_parser("sample", help="sample clips from a model of the zoo", allow_abbrev=False)
    sample.add_argument(
        "name", type=filled, help="a model's name, see `zoo list`; or text-to-video, image-to-video or sketch-to-video"
    )
    sample.add_argument("-n", type=count, help="how many clips (default: 16, or one for each prompt)")
    sample.add_argument(
        "-o", "--output", type=filled, default="build/sample.mp4", help=".mp4, .gif, .webp or .png (default: build/sample.mp4)"
    )
    sample.add_argument("--seed", type=seed, default=0, help="(default: 0)")
    sample.add_argument(
        "--weights",
        type=filled,
        help="instead of the shipped weights: a file that `train` made; of text-to-video, the folder of --data or --from-scratch",
    )
    sample.add_argument("--prompt", help="of text-to-video, image-to-video and sketch-to-video: what to show, English or Chinese")
    sample.add_argument("--prompts", type=filled, metavar="FILE", help="of text-to-video: a text file with a prompt in each line")
    sample.add_argument("--image", type=filled, metavar="FILE", help="of image-to-video: a picture of a face, the first frame")
    sample.add_argument("--last-image", type=filled, metavar="FILE", help="of image-to-video: a picture that the clip ends with")
    sample.add_argument(
        "--sketch", type=filled, metavar="FILE", help="of sketch-to-video: a drawing of a face, lines on a ground"
    )
    sample.add_argument(
        "--guidance-scale",
        type=number(0, 20),
        help="of text-to-video: 1 for the caption as learned, above 1 to exaggerate it, up to 20 (default: as evaluated)",
    )
    sample.set_defaults(run=_sample)


def _sample(options):
    check_output(options.output)
    from .. import video

    if options.name == "text-to-video":
        clips = _from_prompts(options)
        return save_clip(clips[0] if len(clips) == 1 else video.grid(clips), options.output)  # one keeps its caption
    if options.name in ("image-to-video", "sketch-to-video"):
        return save_clip(video.grid(_from_picture(options)), options.output)
    if options.image or options.last_image or options.sketch:
        raise CourseError(f"--image is for image-to-video and --sketch for sketch-to-video, not for {options.name}.")
    if options.prompt is not None or options.prompts or options.guidance_scale is not None:
        raise CourseError(f"Prompts and guidance are for text-to-video, not for {options.name}.")
    from .. import zoo
    from ..pipelines.sampling import sample

    record = zoo.record(options.name)
    if record["pipeline"] is None:
        raise CourseError(f"{options.name} generates no clips: sample another model of the zoo.")
    if options.weights:
        from ..zoo.weights import read_weights

        model = zoo.build(record)
        read_weights(model, options.weights)
    else:
        model = zoo.load(options.name)
    save_clip(video.grid(sample(model, record, options.n or 16, options.seed)), options.output)


def _from_prompts(options):
    """The clips of the prompts."""
    if (options.prompt is None) == (options.prompts is None):
        raise CourseError("Say what to show: --prompt 'a red circle falls and bounces', or --prompts FILE with one in each line.")
    prompts = [options.prompt] if options.prompts is None else [line for line in read_lines(options.prompts) if line.strip()]
    prompts = [prompt for prompt in prompts for _ in range(options.n or 1)]
    if options.weights:
        if not Path(options.weights).exists():
            raise CourseError(f"There is no {options.weights}: give the folder into which text-to-video was trained.")
    else:
        from ..subwords import world_of_prompt

        for prompt in prompts:
            world_of_prompt(prompt)  # complains before Keras is there
    from ..pipelines.text_to_video import text_to_video

    return text_to_video(prompts, options.seed, options.guidance_scale, options.weights)


def _from_picture(options):
    """Clips of a picture or of a sketch that moves."""
    wanted, given = {"image-to-video": ("--image", options.image), "sketch-to-video": ("--sketch", options.sketch)}[options.name]
    if given is None:
        raise CourseError(f"Say what to begin with: {options.name} {wanted} FILE, and --prompt 'smiles'.")
    if options.weights or options.prompts or options.guidance_scale is not None:
        raise CourseError(f"{options.name} takes {wanted}, --prompt, -n and --seed.")
    from ..pipelines import image_to_video, pictures

    labels, count = image_to_video.read_prompt(options.prompt or ""), options.n or 1
    if options.name == "sketch-to-video":
        print(f"{given}: its central square, {pictures.SIZE}x{pictures.SIZE} px, its lines thinned")
        return image_to_video.clips_of_sketch(pictures.open_sketch(given), labels, count, options.seed)
    files = [path for path in (given, options.last_image) if path]
    ends = [pictures.open_picture(path) for path in files]
    for path, picture in zip(files, ends):
        print(f"{path}: its central square, {pictures.SIZE}x{pictures.SIZE} px")
        if pictures.novelty_score(picture) > pictures.NOVELTY_THRESHOLD:
            print(f"{path} is unlike all drawn faces that the model learned from: expect little.")
    return image_to_video.clips_of_picture(*ends, labels=labels, count=count, seed=options.seed)
