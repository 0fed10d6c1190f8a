"""Experiment of chapter 13: how much guidance, and at which noise levels, on prompts that are for choosing alone."""

from .. import zoo
from ..datasets import load
from ..evaluation.features import mean_frame_features
from ..evaluation.space_time import prompt_accuracies
from ..metrics.distribution import frechet_distance
from ..pipelines.space_time import VALIDATION_SEED, sample_prompts, world_prompts
from ..pipelines.text_to_video import load_pretrained

SCALES = (1.5, 2.0, 3.0, 5.0)
UNTIL = (0.85, 1.0)  # the timestep up to which there is guidance
NUM_PROMPTS = 150


def run_ablation(dataset, path, num_prompts=NUM_PROMPTS):
    """Samples the zoo's model for the same prompts with each scale and interval.

    Args:
        dataset: str, "faces".
        path: Path of a file (.json) that keeps the rows until all are there: those in it are not made again.
        num_prompts: int.

    Returns:
        list of dicts, one for each scale and interval: "guidance_scale", "until", the scores of `prompt_accuracies`, and
        "frechet_distance" to clips of validation.
    """
    model, autoencoder = load_pretrained(dataset)
    real = mean_frame_features(load(dataset, "validation").frames, dataset)["frame"]
    prompts, said = world_prompts(dataset, num_prompts, seed=VALIDATION_SEED)

    def make(run):
        scale, until = run
        options = {"guidance_interval": (0.0, until), "seed": 1}
        frames = sample_prompts(model, autoencoder, prompts, scale, **options)
        row = {"guidance_scale": scale, "until": until} | prompt_accuracies(frames, said)
        features = mean_frame_features(frames, dataset)["frame"]
        return row | {"frechet_distance": frechet_distance(features, real)}

    return zoo.run_rows(path, [(1.0, 1.0), *((scale, until) for scale in SCALES for until in UNTIL)], make)
