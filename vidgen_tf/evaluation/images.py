"""Evaluation of models that generate single images: digits, faces, and frames of a generator with learned latents."""

import functools

import numpy as np

from .. import zoo
from ..datasets import load
from ..errors import CourseError
from ..metrics.distribution import frechet_distance
from ..metrics.image import psnr
from ..metrics.memorization import nearest_image, nn_distance_ratio
from ..metrics.motion import temporal_autocorrelation
from ..models.latent_space import gaussian_latents, interpolate_latents
from ..video import to_uint8
from ..worlds import digits
from .features import predict_probabilities
from .labels import face_images

NUM_FACES = 500  # whose features are compared


def evaluate_digits(classifier, generated):
    """Quality, mode coverage, distribution and memorisation of generated digits.

    Args:
        classifier: the zoo's "classifier-digits-28".
        generated: uint8 `(N, 28, 28, 1)`, N at least 100.

    Returns:
        dict of float: "confident_share", the share of images that the classifier names with a probability of 0.9 or more;
        "min_class_share", the smallest share of a digit among these; "frechet_distance" of the features to those of the training
        images; "nn_distance_ratio", the median distance to the nearest training image, as a multiple of that of test images.
    """
    real, _ = digits.images("train")
    test, _ = digits.images("test")
    outputs = predict_probabilities(classifier, generated)
    named = outputs["digit"].argmax(axis=1)[outputs["digit"].max(axis=1) >= 0.9]
    return {
        "confident_share": len(named) / len(generated),
        "min_class_share": float(np.bincount(named, minlength=10).min() / max(1, len(named))),
        "frechet_distance": frechet_distance(outputs["features"], predict_probabilities(classifier, real)["features"]),
        "nn_distance_ratio": nn_distance_ratio(generated, test, real),
    }


def evaluate_faces(classifier, generated):
    """Distribution, mode coverage and memorisation of generated faces.

    They are compared with as many people that no model was trained on, one image of each.

    Args:
        classifier: the zoo's "classifier-faces".
        generated: uint8 `(N, S, S, 3)`, S 32 or 64, N at least 500.

    Returns:
        dict of float: "frechet_distance", and "frechet_distance_real", that of as many training people, both with n = 500;
        "min_attribute_share", the smallest share of a value of an attribute, as a multiple of its share among real images;
        "nn_distance_ratio", the median distance to the nearest training image, as a multiple of that of held-out people.

    Raises:
        CourseError: fewer than 500 faces.
    """
    if len(generated) < NUM_FACES:
        raise CourseError(f"{NUM_FACES} faces are needed to estimate how they are distributed, got {len(generated)}.")
    held_out, training_images, real = _real_faces(classifier, generated.shape[1])
    outputs = {"generated": predict_probabilities(classifier, generated)} | real
    features = {name: parts["features"][:NUM_FACES] for name, parts in outputs.items()}
    shares = {name: _class_shares(parts) for name, parts in outputs.items()}
    return {
        "frechet_distance": frechet_distance(features["generated"], features["held out"]),
        "frechet_distance_real": frechet_distance(features["train"], features["held out"]),
        "min_attribute_share": float((shares["generated"] / shares["train"]).min()),
        "nn_distance_ratio": nn_distance_ratio(generated[:NUM_FACES], held_out, training_images),
    }


@functools.lru_cache(maxsize=1)
def _real_faces(classifier, size):
    """Held-out people, all training images, and what the classifier says of the first and of one image of each training person:
    the same for all that is evaluated."""
    people = {split: face_images(size, split) for split in ("train", "validation", "test")}
    one = {split: images[np.arange(len(images)), np.arange(len(images)) % 5] for split, images in people.items()}
    held_out = np.concatenate([one["test"], one["validation"]])[:NUM_FACES]
    real = {"held out": predict_probabilities(classifier, held_out), "train": predict_probabilities(classifier, one["train"])}
    return held_out, people["train"].reshape(-1, *held_out.shape[1:]), real


def _class_shares(outputs):
    """The share of images for which each class of each attribute is the likeliest, from what `predict_probabilities` gives."""
    shares = []
    for name, probabilities in outputs.items():
        if name != "features":
            named = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1])
            shares.append(named / len(probabilities))
    return np.concatenate(shares)


def evaluate_generator(model, record):
    """The evaluation of 1000 images of a GAN's generator of digits or of faces.

    Args:
        model: trained generator.
        record: dict, its record.

    Returns:
        dict of float, see `evaluate_digits` and `evaluate_faces`.
    """
    latents = np.random.default_rng(1000).normal(size=(1000, model.input_shape[-1]))
    generated = to_uint8(model.predict(latents, batch_size=250, verbose=0))
    evaluate = evaluate_digits if record["evaluation"] == "digit_images" else evaluate_faces
    return evaluate(zoo.load(record["uses"]["frame_classifier"]), generated)


def evaluate_glo(model, record):
    """Reconstruction of the training frames, coherence of a path between new faces, and how far new faces are from copies.

    Args:
        model: trained `GLO`.
        record: dict, its record.

    Returns:
        dict of float.
    """
    clips = load(record["dataset"]["name"], record["dataset"]["split"], count=model.num_frames // 8).frames[:, ::2]
    real, latents = clips.reshape(-1, *clips.shape[2:]), model.latents.embeddings
    reconstruction = to_uint8(model.predict(np.arange(len(real)), batch_size=256, verbose=0))
    path = model.generator.predict(interpolate_latents(gaussian_latents(latents, 8), 100), verbose=0)
    new = to_uint8(model.generator.predict(gaussian_latents(latents, 200), verbose=0))
    return {
        "psnr_db": float(psnr(real, reconstruction).mean()),
        "temporal_autocorrelation": temporal_autocorrelation(to_uint8(path)),
        "distance_to_nearest_training_frame": float(np.median(nearest_image(new, real)[1])),
    }
