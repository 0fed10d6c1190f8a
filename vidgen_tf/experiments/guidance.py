"""Experiment of chapter 13: how much guidance, and at which noise levels, on prompts that are for choosing alone."""

from .. import zoo
from ..evaluation.space_time import said_accuracies
from ..pipelines.space_time import VALIDATION_SEED, sample_prompts, unseen_prompts
from ..pipelines.text_to_video import load_pretrained

SCALES = (2.0, 3.0, 4.0, 6.0)
UNTIL = (0.5, 0.65, 0.8, 1.0)  # the timestep up to which there is guidance
NUM_PROMPTS = 200


def run_ablation(dataset, path, num_prompts=NUM_PROMPTS):
    """Samples the zoo's model for the same prompts with each scale and interval.

    Args:
        dataset: str, "faces".
        path: Path of a file (.json) that keeps the rows until all are there: those in it are not made again.
        num_prompts: int.

    Returns:
        list of dicts, one for each scale and interval: "guidance_scale", "until", and the scores of `said_accuracies`.
    """
    model, autoencoder = load_pretrained(dataset)
    prompts, said = unseen_prompts(dataset, num_prompts, seed=VALIDATION_SEED)

    def make(run):
        scale, until = run
        options = {"guidance_interval": (0.0, until), "seed": 1, "world": dataset}
        frames = sample_prompts(model, autoencoder, prompts, scale, **options)
        return {"guidance_scale": scale, "until": until} | said_accuracies(frames, said, dataset)

    return zoo.run_rows(path, [(1.0, 1.0), *((scale, until) for scale in SCALES for until in UNTIL)], make)
