"""Clips in a style: frames and the name of a style, or a picture in it, in; frames out, one at a time."""

import functools

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from .. import zoo
from ..errors import CourseError
from ..metrics.motion import estimate_optical_flow
from ..models.optical_flow import warp
from ..models.style import (
    build_feature_extractor,
    content_loss,
    gram_distance,
    style_features,
    style_grams,
    style_loss,
    unchanged_color,
    visible_mask,
)
from ..models.style_transfer import CONTENT_LEVEL, SIDE_FACTOR, blend_memory, style_moments
from ..video import to_float, to_uint8
from ..worlds.styles import draw_style

NUM_PICTURES = 4  # of a named style, whose mean moments describe it
PICTURE_SIDE = 256  # px, to which the longer side of a picture of a style is reduced
FLOW_SIDE = 128  # px, to which the longer side of frames is reduced before their flow is estimated
NUM_WARPS = 3  # iterations of that estimate
CUT = 0.25  # where less than this share of a frame was visible before, it begins a new shot


@functools.cache
def feature_extractor():
    """The features of the shipped texture network.

    Returns:
        `keras.Model`, see `build_feature_extractor`.
    """
    return build_feature_extractor(zoo.load("texture-network"))


def describe_style(style, extractor=None):
    """What the style network reads of a style.

    Args:
        style: str, a name in `worlds.styles.STYLES`, or a picture, uint8 `(h, w, 3)`.
        extractor: `keras.Model` of `build_feature_extractor`; None for that of the shipped texture network.

    Returns:
        float32 `(1, moment_dim)`.

    Raises:
        CourseError: an unknown name, or no such picture.
    """
    if isinstance(style, str):
        pictures = np.stack([draw_style(style, seed) for seed in range(NUM_PICTURES)])
    else:
        pictures = np.asarray(style)
        if pictures.dtype != np.uint8 or pictures.ndim != 3 or pictures.shape[2] != 3 or min(pictures.shape[:2]) < 16:
            raise CourseError(f"A style is a name or a picture, uint8 (h, w, 3) of 16 px or more, got {pictures.shape}.")
        pictures = _reduced(pictures, PICTURE_SIDE)[None]
    features = style_features(extractor or feature_extractor(), to_float(pictures))
    return np.asarray(style_moments(features)).mean(axis=0, keepdims=True)


def _reduced(picture, side):
    """A picture, uint8 `(h, w, 3)`, whose longer side has at most so many px."""
    height, width = picture.shape[:2]
    share = side / max(height, width)
    if share >= 1:
        return picture
    size = max(round(width * share), 16), max(round(height * share), 16)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def estimate_motion(previous, current):
    """Estimated flow of a frame to the one before, and what was visible there.

    Args:
        previous: uint8 `(H, W, 3)`.
        current: uint8 of the same shape.

    Returns:
        float32 `(H, W, 2)`, (dx, dy) in px, from the current frame to the previous one; and float32 `(H, W, 1)`, 1 where the flow
        back is consistent with the flow forth and the colour is the same.
    """
    small = np.stack([_reduced(frame, FLOW_SIDE) for frame in (current, previous)])
    pair = [estimate_optical_flow(frames, NUM_WARPS) for frames in (small, small[::-1])]  # back and forth, (1, h, w, 2)
    back, visible = _visible(tf.concat(pair, axis=0), to_float(previous[None]), to_float(current[None]))
    return back.numpy()[0], visible.numpy()[0]


@tf.function
def _visible(flows, previous, current):
    """The flow back at full size, and what was visible: flows back and forth `(2, h, w, 2)`, frames `(1, H, W, 3)`."""
    height, width = current.shape[1:3]
    scale = np.float32([width / flows.shape[2], height / flows.shape[1]])
    flows = keras.ops.image.resize(flows, (height, width)) * scale
    back, forth = flows[:1], flows[1:]
    return back, visible_mask(back, forth) * unchanged_color(current, warp(previous, back))


def _given(frames, previous, mask, moments):
    """What the style network reads, all of it tensors."""
    given = {"frame": to_float(frames), "previous": previous, "mask": mask, "moments": moments}
    return {name: tf.convert_to_tensor(value, tf.float32) for name, value in given.items()}


class Stylizer:
    """Draws one frame after the other in a style; it holds two frames, however long the clip.

    Args:
        style: as of `describe_style`.
        network: `keras.Model` of `build_style_network`; None for the shipped one.
        memory: float in [0, 1), share of the last output where it is visible, 0 draws each frame anew; None as evaluated.
        motion: function from the previous and the current frame, uint8 `(H, W, 3)`, to flow and mask, see `estimate_motion`.

    Raises:
        CourseError: no such style, or no such share.
    """

    def __init__(self, style, network=None, memory=None, motion=estimate_motion):
        self.moments = describe_style(style)
        self.network = zoo.load("style-network") if network is None else network
        self.memory = zoo.record("style-network")["sampling"]["memory"] if memory is None else memory
        if not 0 <= self.memory < 1:
            raise CourseError(f"memory is a share from 0 to below 1, got memory={memory!r}.")
        self.motion, self.last, self.drawn = motion, None, None
        self.run = tf.function(lambda given: self.network(given))

    def draw(self, frame):
        """The next frame in the style.

        Args:
            frame: uint8 `(H, W, 3)`, or `(H, W, 1)`, as large as those before.

        Returns:
            uint8 `(H, W, 3)`.

        Raises:
            CourseError: another shape or dtype.
        """
        frame = np.asarray(frame)
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] not in (1, 3):
            raise CourseError(f"Frames are uint8 (H, W, 3), got {frame.dtype} {frame.shape}.")
        frame = np.broadcast_to(frame, (*frame.shape[:2], 3))
        height, width = frame.shape[:2]
        frame = np.pad(frame, ((0, -height % SIDE_FACTOR), (0, -width % SIDE_FACTOR), (0, 0)), mode="edge")
        previous, mask = np.zeros((2, 1, *frame.shape), np.float32)
        mask = mask[..., :1]
        if self.last is not None and self.memory:
            flow, visible = self.motion(self.last, frame)
            if visible.mean() >= CUT:
                previous, mask = warp(self.drawn, flow[None]), visible[None]
        fresh = self.run(_given(frame[None], previous, mask, self.moments))
        self.last, self.drawn = frame, blend_memory(fresh, previous, mask, self.memory)
        return to_uint8(self.drawn)[0, :height, :width]

    def remember(self, frame, drawn):
        """Goes on from a frame that was drawn before, by this stylizer or by another.

        Args:
            frame: uint8 `(H, W, 3)`, the last frame of the clip so far.
            drawn: uint8 `(H, W, 3)`, what was drawn of it.
        """
        pad = [(0, -side % SIDE_FACTOR) for side in frame.shape[:2]] + [(0, 0)]
        self.last = np.pad(np.broadcast_to(frame, drawn.shape), pad, mode="edge")
        self.drawn = to_float(np.pad(drawn, pad, mode="edge")[None])


def stylize(frames, style, **options):
    """Frames in a style, without flicker; memory doesn't grow with their number.

    Args:
        frames: iterable of uint8 `(H, W, 3)` or `(H, W, 1)`, such as the frames of a `Clip`.
        style: str, a name in `worlds.styles.STYLES`, or a picture, uint8 `(h, w, 3)`.
        **options: network, memory and motion, see `Stylizer`.

    Yields:
        uint8 `(H, W, 3)`, a frame each.

    Raises:
        CourseError: no such style, or frames of another kind.
    """
    stylizer = Stylizer(style, **options)
    for frame in frames:
        yield stylizer.draw(frame)


def stylize_clips(network, frames, moments, flows=None, masks=None, memory=0.0):
    """Clips in styles along known motion, all at once.

    Args:
        network: `keras.Model` of `build_style_network`.
        frames: uint8 `(N, T, H, W, 3)`, H and W multiples of 4.
        moments: float `(N, moment_dim)`, of each clip's style.
        flows: float `(N, T-1, H, W, 2)`, from each frame but the first to the one before; None to draw each frame anew.
        masks: float `(N, T-1, H, W, 1)`, 1 where that is visible; None to draw each frame anew.
        memory: float in [0, 1), share of the last output where it is visible.

    Returns:
        uint8 `(N, T, H, W, 3)`.
    """
    drawn, last = [], None
    previous = np.zeros(frames[:, 0].shape, np.float32)
    mask = previous[..., :1]
    for t in range(frames.shape[1]):
        if t and flows is not None:
            previous, mask = warp(last, flows[:, t - 1]), np.float32(masks[:, t - 1])
        fresh = network(_given(frames[:, t], previous, mask, moments))
        last = blend_memory(fresh, previous, mask, memory)
        drawn.append(to_uint8(last))
    return np.stack(drawn, axis=1)


def optimize_pixels(content, style, extractor, steps=100, content_weight=0.05, learning_rate=0.04):
    """A picture in a style by gradient descent on its pixels.

    Args:
        content: uint8 `(H, W, 3)`, what to show.
        style: uint8 `(h, w, 3)`, a picture in the style.
        extractor: `keras.Model` of `build_feature_extractor`.
        steps: int, steps of Adam.
        content_weight: float, weight of the content loss beside the style loss; 0 synthesises a texture.
        learning_rate: float.

    Returns:
        uint8 `(H, W, 3)`, and the loss at each step, float `(steps,)`.

    References:
        Gatys, Ecker and Bethge, 2016, "Image style transfer using convolutional neural networks".
    """
    target = style_grams(style_features(extractor, to_float(style[None])))
    plain = style_features(extractor, to_float(content[None]))
    distances = [gram_distance(a, b) for a, b in zip(style_grams(plain), target)]
    sizes = tf.stack(distances, axis=1)  # with them the content's own loss is 1
    pixels = tf.Variable(to_float(content[None]))
    optimizer, losses = keras.optimizers.Adam(learning_rate), []

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            features = style_features(extractor, pixels)
            kept = content_loss(features[CONTENT_LEVEL], plain[CONTENT_LEVEL])
            loss = style_loss(style_grams(features), target, sizes) + content_weight * kept
            loss = tf.reduce_sum(loss)
        optimizer.apply([tape.gradient(loss, pixels)], [pixels])
        pixels.assign(tf.clip_by_value(pixels, -1.0, 1.0))
        return loss

    optimizer.build([pixels])
    for _ in range(steps):
        losses.append(float(step()))
    return to_uint8(pixels.numpy())[0], np.array(losses)
