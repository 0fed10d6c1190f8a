"""Evaluation of latent video diffusion models, unconditional and conditioned on prompts."""

from ..pipelines.text_to_video import evaluation_prompts, sample_captions
from ..pipelines.video import load_autoencoder, sample_clips
from .adherence import adherence_scores
from .copies import TrainingClips
from .protocol import evaluate

NUM_CLIPS = 500
NUM_HELD_OUT = 400  # clips of held-out attribute combinations
UNCONDITIONAL_METRICS = ("frame_frechet_distance", "video_frechet_distance", "trajectory_residual", "memorized_share")
CONDITIONAL_METRICS = ("video_frechet_distance", "memorized_share", "gravity_error")


def evaluate_video(model, record):
    """Distribution, motion and memorisation of 500 clips of an unconditional model.

    Args:
        model: trained `LatentDiffusion`.
        record: dict with "reference", "uses" and "sampling", its record.

    Returns:
        dict of float: those metrics of `protocol.evaluate` that the clips have, without tracked objects no trajectory; and
        "video_frechet_distance_real", of as many training clips.
    """
    vae, sampling = load_autoencoder(record["uses"]["autoencoder"]), record["sampling"]
    clips = sample_clips(model, vae, NUM_CLIPS, seed=1, num_inference_steps=sampling["num_inference_steps"])
    report = evaluate(clips, record["reference"], training=TrainingClips.of(record))
    return _chosen(report, UNCONDITIONAL_METRICS)


def evaluate_text_to_video(model, record):
    """Prompt adherence, distribution and memorisation of 500 clips for test prompts, and of 400 for held-out combinations.

    Args:
        model: trained `LatentDiffusion` with captions.
        record: dict with "reference", "uses" and "sampling", its record.

    Returns:
        dict of float: metrics of `protocol.evaluate`; "X_accuracy_reconstruction", the accuracies of real clips after the
        autoencoder, an upper bound; "video_frechet_distance_real", of as many training clips; and "held_out_joint_accuracy", of
        prompts for held-out attribute combinations.
    """
    dataset, sampling = record["reference"], record["sampling"]
    vae, scale = load_autoencoder(record["uses"]["autoencoder"]), sampling["guidance_scale"]
    steps = {"num_inference_steps": sampling["num_inference_steps"]}
    clips, prompts = evaluation_prompts(dataset, NUM_CLIPS)
    sampled = sample_captions(model, vae, prompts, scale, seed=1, **steps)
    report = evaluate(sampled, dataset, conditioning=clips, training=TrainingClips.of(record))
    accuracies = [name for name in report.scores if name.endswith("_accuracy")]
    held_out = evaluation_prompts(dataset, NUM_HELD_OUT, held_out=True)
    held_out = adherence_scores(model, vae, *held_out, scale, seed=2, **steps)["joint_accuracy"]
    upper_bounds = {f"{name}_reconstruction": report.reconstruction[name] for name in accuracies}
    return _chosen(report, (*accuracies, *CONDITIONAL_METRICS)) | upper_bounds | {"held_out_joint_accuracy": held_out}


def _chosen(report, metrics):
    """Scores of a report by name, and its real-to-real distance."""
    scores = {name: report.scores[name] for name in metrics if name in report.scores}
    return scores | {"video_frechet_distance_real": report.real["video_frechet_distance"]}
