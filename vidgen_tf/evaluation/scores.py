"""A trained model and its record in, its scores out: which evaluation a model gets stands in the record."""

import functools

from .autoregressive import evaluate_autoregressive, evaluate_tokenizer
from .bouncing import evaluate_bouncing
from .features import class_accuracy
from .image_to_video import evaluate_animator, evaluate_colorizer, evaluate_image_to_video, evaluate_sketch_to_video
from .images import evaluate_generator, evaluate_glo
from .labels import LABELS
from .latents import evaluate_autoencoder
from .motion import evaluate_flow, evaluate_motion_transfer
from .rollouts import evaluate_latent_model, evaluate_predictor
from .space_time import evaluate_patch_autoencoder, evaluate_space_time
from .style_transfer import evaluate_style_transfer
from .video import evaluate_text_to_video, evaluate_video
from .video_gan import evaluate_video_gan


def evaluate_classifier(labelled, model, record):
    """Accuracy of a classifier on the test split, which shares no image and no person with the others.

    Args:
        labelled: function from a split to frames or clips and their labels.
        model: trained classifier.
        record: dict, unused.

    Returns:
        dict of float in [0, 1]: "accuracy_X" for each of its outputs, the mean over the classes.
    """
    return {f"accuracy_{name}": value for name, value in class_accuracy(model, *labelled("test")).items()}


# Name in a record -> function (model, record) -> dict of float.
EVALUATIONS = {name: functools.partial(evaluate_classifier, labelled) for name, labelled in LABELS.items()} | {
    "glo": evaluate_glo,
    "digit_images": evaluate_generator,
    "face_images": evaluate_generator,
    "autoencoder": evaluate_autoencoder,
    "video_gan": evaluate_video_gan,
    "optical_flow": evaluate_flow,
    "motion_transfer": evaluate_motion_transfer,
    "prediction": evaluate_predictor,
    "bouncing": evaluate_bouncing,
    "latent_rollout": evaluate_latent_model,
    "latent_samples": evaluate_latent_model,
    "video": evaluate_video,
    "text_to_video": evaluate_text_to_video,
    "animator": evaluate_animator,
    "image_to_video": evaluate_image_to_video,
    "colorizer": evaluate_colorizer,
    "sketch_to_video": evaluate_sketch_to_video,
    "patch_autoencoder": evaluate_patch_autoencoder,
    "space_time": evaluate_space_time,
    "video_tokenizer": evaluate_tokenizer,
    "autoregressive": evaluate_autoregressive,
    "style_transfer": evaluate_style_transfer,
}


def evaluate_trained(model, record):
    """The scores that stand in a model's record.

    Args:
        model: trained `keras.Model`.
        record: dict, its record, see `zoo.record`.

    Returns:
        dict of float.
    """
    return EVALUATIONS[record["evaluation"]](model, record)
