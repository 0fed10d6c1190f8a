"""Worlds: synthetic scenes whose clips come with captions, states and exact optical flow; and your own files.

Each world is a module that keeps the protocol `World`: it makes labelled clips, renders states, parses captions and knows the
optical flow. `WORLDS` finds a world by its name. `files` reads your own videos, of which less is known: it only makes clips, and
knows the flow of a camera that pans over a picture.

Clip number i of a seed is the same to the byte whatever `start` and `count` are, on every machine: all chance comes from
`uniforms`, and only IEEE-exact arithmetic (+ - * / sqrt, comparisons) lies on the way to a pixel. No sin, exp, dot or
float sum: their last bit differs between machines.
"""

from .base import WORLDS, LabelledClips, World, uniforms

# isort: split
from . import digits, faces, files, shapes, spheres

WORLDS.update({"shapes": shapes, "digits": digits, "faces": faces, "spheres": spheres, "files": files})

__all__ = ["WORLDS", "LabelledClips", "World", "digits", "faces", "files", "shapes", "spheres", "uniforms"]
