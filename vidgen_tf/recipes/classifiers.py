"""How the classifiers of frames and of clips are trained."""

import dataclasses

import keras

from .. import training
from ..datasets import pipeline
from ..evaluation.labels import LABELS
from ..models.classifier import ClassifierConfig
from ..models.video_classifier import VideoClassifierConfig
from ..worlds import digits, faces, shapes
from ..worlds.corruptions import CORRUPTIONS
from .recipe import Recipe


def fit_classifier(model, frames, labels, steps, seed=0, checkpoint=None):
    """Trains a classifier with the cross-entropy of each of its outputs; a label of -1 counts for nothing.

    Args:
        model: classifier of frames, of clips or of styles.
        frames: uint8 `(N, ...)`, as the model takes them.
        labels: dict from an output to int `(N,)`.
        steps: training steps in all, a multiple of 50.
        seed: non-negative int, order of the batches.
        checkpoint: file of the checkpoint, or None.

    Returns:
        The history of `training.fit`.
    """
    learning_rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    model.compile(keras.optimizers.AdamW(learning_rate, weight_decay=0.01), dict.fromkeys(labels, loss), jit_compile=False)

    def batches(first):
        data = pipeline(frames, *labels.values(), batch_size=64, seed=seed, first_step=first)
        return data.map(lambda frames, *batch: (frames, dict(zip(labels, batch))))

    return training.fit(model, batches, steps, checkpoint=checkpoint, log_interval=50)


def train_classifier(recipe, model, steps, checkpoint):
    """Trains a classifier on what its evaluation says.

    Args:
        recipe: `Recipe`, whose evaluation is a name in `LABELS`.
        model: classifier of frames, of clips or of styles.
        steps: training steps in all.
        checkpoint: file of the checkpoint, or None.

    Returns:
        The history of `training.fit`.
    """
    return fit_classifier(model, *LABELS[recipe.evaluation]("train"), steps, recipe.seed, checkpoint)


_DIGIT_IMAGES = Recipe(
    name="classifier-digits-28",
    title="Classifier of digit images: which of ten, on 28x28 grey",
    model="Classifier",
    config=ClassifierConfig(shape=(28, 28, 1), classes={"digit": 10}),
    dataset=("digits", "train"),
    steps={"fast": 750, "full": 1500},
    seed=3,
    train=train_classifier,
    evaluation="digit_image_classifier",
)
_DIGITS = dataclasses.replace(
    _DIGIT_IMAGES,
    name="classifier-digits",
    title="Classifier of moving digits: which of ten, on 32x32 grey frames",
    config=ClassifierConfig(shape=(32, 32, 1), classes={"digit": 10}, max_shift=0.03),
    steps={"fast": 1000, "full": 2200},
    evaluation="digit_classifier",
)
_SHAPES = dataclasses.replace(
    _DIGITS,
    name="classifier-shapes",
    title="Classifier of shapes: how many, which and in what colours, on 32x32 RGB frames",
    config=ClassifierConfig(
        shape=(32, 32, 3),
        classes={"objects": 2} | dict.fromkeys([*shapes.SHAPES, *shapes.COLORS], 2),
        max_affine=0.02,
        max_shift=0.02,
    ),
    dataset=("shapes", "train"),
    evaluation="shape_classifier",
)
_FACES = dataclasses.replace(
    _DIGITS,
    name="classifier-faces",
    title="Classifier of faces: traits and expression, on 32x32 RGB frames",
    config=ClassifierConfig(
        shape=(32, 32, 3),
        classes={
            "skin": 8,
            "hair_style": len(faces.HAIR_STYLES),
            "hair_colour": len(faces.HAIR_COLOURS),
            "glasses": len(faces.GLASSES),
            "beard": len(faces.BEARDS),
            "mouth_open": 2,
            "smile": 2,
            "eyes_shut": 2,
        },
        max_affine=0.02,
        max_shift=0.03,
    ),
    dataset=("faces-32", "train"),
    evaluation="face_classifier",
)
_DIGIT_CLIPS = dataclasses.replace(
    _DIGITS,
    name="video-classifier-digits",
    title="Video classifier of a moving digit: its motion, and how a clip was corrupted, on 16 frames of 32x32 grey",
    model="VideoClassifier",
    config=VideoClassifierConfig(
        shape=(16, 32, 32, 1),
        classes={"order": len(CORRUPTIONS) - 1, "motion": len(digits.MOTIONS)},
        appearance_classes={"digit": 10},
    ),
    steps={"fast": 500, "full": 2000},
    evaluation="digit_video_classifier",
)
_SHAPE_CLIPS = dataclasses.replace(
    _DIGIT_CLIPS,
    name="video-classifier-shapes",
    title="Video classifier of shapes: their motions, and how a clip was corrupted, on 16 frames of 32x32 RGB",
    config=VideoClassifierConfig(
        shape=(16, 32, 32, 3),
        classes={"order": len(CORRUPTIONS)} | dict.fromkeys(shapes.MOTIONS, 2),
        appearance_classes=dict.fromkeys([*shapes.SHAPES, *shapes.COLORS], 2),
    ),
    dataset=("shapes", "train"),
    evaluation="shape_video_classifier",
)
RECIPES = [_DIGIT_IMAGES, _DIGITS, _FACES, _SHAPES, _DIGIT_CLIPS, _SHAPE_CLIPS]
