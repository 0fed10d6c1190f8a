"""How the networks of style transfer are trained: two that tell styles apart, and one that draws clips in a style."""

import dataclasses

from ..models.style import TextureConfig
from .classifiers import train_classifier
from .recipe import Recipe

_TEXTURE = Recipe(
    name="texture-network",
    title="Texture network: eight drawn styles and plain frames told apart, any size RGB; its features measure style",
    model="TextureNetwork",
    config=TextureConfig(),
    dataset=("faces", "train"),
    steps={"fast": 100, "full": 400},
    seed=40,
    train=train_classifier,
    evaluation="texture_network",
)
RECIPES = [
    _TEXTURE,
    dataclasses.replace(
        _TEXTURE,
        name="classifier-styles",
        title="Classifier of styles, for evaluation alone: eight drawn styles and plain frames, any size RGB",
        config=TextureConfig(filters=(16, 32, 48), kernel_size=5),
        seed=41,
        evaluation="style_classifier",
    ),
]
