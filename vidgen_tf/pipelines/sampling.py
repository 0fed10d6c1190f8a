"""A model and its record in, clips out: which pipeline samples a model stands in the record."""

from ..errors import CourseError
from .animation import motion_transfer
from .autoregressive import autoregressive_samples, token_reconstruction
from .image_to_video import image_to_video_samples, sketch_to_video_samples
from .images import decoder_interpolation, generator_interpolation, glo_interpolation
from .prediction import frame_prediction, latent_rollout
from .space_time import prompted_samples
from .text_to_video import text_to_video_samples
from .video import video_samples
from .video_gan import video_gan_samples

# Name in a record -> function (model, record, count, seed) -> list of `Clip`.
PIPELINES = {
    "glo_interpolation": glo_interpolation,
    "generator_interpolation": generator_interpolation,
    "decoder_interpolation": decoder_interpolation,
    "video_gan": video_gan_samples,
    "motion_transfer": motion_transfer,
    "image_to_video": image_to_video_samples,
    "sketch_to_video": sketch_to_video_samples,
    "frame_prediction": frame_prediction,
    "latent_rollout": latent_rollout,
    "video": video_samples,
    "text_to_video": text_to_video_samples,
    "space_time": prompted_samples,
    "token_reconstruction": token_reconstruction,
    "autoregressive": autoregressive_samples,
}


def sample(model, record, count, seed=0):
    """Clips of a model of the zoo.

    Args:
        model: trained `keras.Model`.
        record: dict, its record, see `zoo.record`; or that of a recipe.
        count: int, how many clips, at least 1.
        seed: non-negative int.

    Returns:
        list of `Clip`.

    Raises:
        CourseError: a classifier or a network of optical flow, which generate nothing.
    """
    if record["pipeline"] is None:
        raise CourseError("This model generates no clips: sample another model of the zoo.")
    return PIPELINES[record["pipeline"]](model, record, count, seed)
