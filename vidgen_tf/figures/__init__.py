"""Figures in one style: fixed colours for the same things in every chapter, the charts that recur, pictures of single pixels, and
diagrams of networks that are drawn from the Keras models themselves. It imports no Keras: a model comes as an argument."""

from .adversarial import draw_gan_step
from .architecture import Architecture, draw_architecture
from .charts import compare_bars, compare_curves, loss_curves, running_mean
from .pixels import draw_motion_vectors, draw_numbers, draw_patch, draw_row_warp
from .spectra import compare_spectra
from .style import FAMILIES, ROLES, color_of, use_style

__all__ = [
    "FAMILIES",
    "ROLES",
    "Architecture",
    "color_of",
    "compare_bars",
    "compare_curves",
    "compare_spectra",
    "draw_architecture",
    "draw_gan_step",
    "draw_motion_vectors",
    "draw_numbers",
    "draw_patch",
    "draw_row_warp",
    "loss_curves",
    "running_mean",
    "use_style",
]
