"""How each shipped model is trained: data, configuration and budget, a frozen `Recipe` each."""

from . import (
    autoregressive,
    classifiers,
    diffusion,
    flow,
    gan,
    glo,
    image_to_video,
    latent_rnn,
    predictors,
    space_time,
    style,
    text_to_video,
    vae,
    video_gan,
)
from .recipe import Recipe

__all__ = ["RECIPES", "Recipe"]

_FAMILIES = [
    *(glo, classifiers, gan, latent_rnn, vae, predictors, diffusion, text_to_video, flow, video_gan, autoregressive),
    *(image_to_video, style, space_time),
]
RECIPES = {recipe.name: recipe for family in _FAMILIES for recipe in family.RECIPES}
