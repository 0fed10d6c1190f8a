"""How the generator of frames with learned latents (GLO) is trained."""

import keras
import numpy as np

from .. import training
from ..datasets import load, pipeline
from ..models.glo import GLOConfig
from .recipe import Recipe

NUM_CLIPS = 400  # training clips, of which every other frame is learned


def training_frames(recipe):
    """The frames that are fitted: every other frame of the first clips.

    Args:
        recipe: `Recipe`.

    Returns:
        uint8 array `(3200, 64, 64, 3)`.
    """
    clips = load(*recipe.dataset, count=NUM_CLIPS)
    return clips.frames[:, ::2].reshape(-1, *clips.frames.shape[2:])


def _train(recipe, model, steps, checkpoint):
    """Fits generator and latents to the frames by their mean squared error."""
    frames, index = training_frames(recipe), np.arange(model.num_frames)
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    model.compile(keras.optimizers.Adam(learning_rate), loss="mse", jit_compile=True)

    def batches(first):
        return pipeline(index, frames, batch_size=64, seed=recipe.seed, first_step=first)

    return training.fit(model, batches, steps, checkpoint=checkpoint, log_interval=100)


RECIPES = [
    Recipe(
        name="glo-faces",
        title="Dense frame generator with learned latents (GLO): 3200 frames of 400 drawn faces",
        model="GLO",
        config=GLOConfig(num_frames=3200, hidden_dims=(256, 192)),  # a narrower last layer: a file of the zoo stays under 6 MB
        dataset=("faces", "train"),
        steps={"fast": 2500, "full": 20000},
        seed=2,
        train=_train,
        evaluation="glo",
        pipeline="glo_interpolation",
        reference="faces",
    )
]
