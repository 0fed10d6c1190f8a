"""Convolutional LSTM (ConvLSTM): predicts the next frame, and rolls out on its own predictions."""

import dataclasses
import keras
import numpy as np
from keras import layers, ops
from ..layers import depth_to_space, space_to_depth


BACKGROUND_LOGIT = keras.initializers.Constant(-3.0)  # the logit of 5 % brightness: most of a frame is black, so begin there


class ConvLSTMCell(layers.Layer):
    """One step of a convolutional LSTM: a memory with a place for each place of the picture.

    Weights of the input, forget, candidate and output gates lie beside each other in this order, as in
    `keras.layers.ConvLSTM2D`.

    Args:
        filters: channels of the memory and of the hidden state.
        kernel_size: side of both kernels.

    Call arguments:
        x: float `(B, h, w, C)`, the input of this step.
        states: hidden state and memory of the step before, each float `(B, h, w, filters)`.

    Output shape:
        The hidden state `(B, h, w, filters)`, and the list of hidden state and memory for the next step.

    References:
        Shi, Chen, Wang, Yeung, Wong and Woo, 2015, "Convolutional LSTM network: a machine learning approach for precipitation
        nowcasting" (ours, like Keras', leaves out the direct weights from the memory to the gates).
    """

    def __init__(self, filters, kernel_size):
        super().__init__()
        self.filters, self.kernel_size = filters, kernel_size

    def build(self, x_shape, states_shape=None):
        """Makes the weights. The forget gate's bias begins at 1: remember, until told otherwise.

        Args:
            x_shape: shape of the input.
            states_shape: unused; it follows.
        """
        side, gates = (self.kernel_size, self.kernel_size), 4 * self.filters
        self.kernel = self.add_weight((*side, x_shape[-1], gates), "glorot_uniform", name="kernel")
        recurrent_shape = (*side, self.filters, gates)
        self.recurrent_kernel = self.add_weight(recurrent_shape, "orthogonal", name="recurrent_kernel")
        self.bias = self.add_weight((gates,), "zeros", name="bias")
        self.bias.assign(np.repeat([0.0, 1.0, 0.0, 0.0], self.filters))

    def blank(self, folded):
        """The states before anything has been seen.

        Args:
            folded: float `(B, T, h, w, C)`, what will be read.

        Returns:
            list of hidden state and memory, zeros `(B, h, w, filters)`.
        """
        batch, _, height, width, _ = ops.shape(folded)
        return [ops.zeros((batch, height, width, self.filters)) for _ in range(2)]

    def call(self, x, states):
        hidden, memory = states
        gates = ops.conv(x, self.kernel, padding="same") + self.bias
        gates = gates + ops.conv(hidden, self.recurrent_kernel, padding="same")
        i, f, g, o = ops.split(gates, 4, axis=-1)  # (B, h, w, 4 * F) -> 4 x (B, h, w, F)
        memory = ops.sigmoid(f) * memory + ops.sigmoid(i) * ops.tanh(g)
        hidden = ops.sigmoid(o) * ops.tanh(memory)
        return hidden, [hidden, memory]


@dataclasses.dataclass(is_static=True)
class ConvLSTMConfig:
    """Sizes of a next-frame model."""

    frame_size: int = 32  # height and width, px
    channels: int = 1
    patch: int = 4  # squares of patch x patch pixels are folded into channels
    filters: tuple[int, ...] = (32, 32)  # channels of each cell
    kernel_size: int = 3
    head_frames: int = 1  # moments that an output looks at: 1 its own; 3 (a bug) also those before and after


class ConvLSTM(keras.Model):
    """Convolutional LSTM cells read folded frames, and a convolution writes the next frame after each.

    After the frames that it is shown, the model can go on by itself, reading what it wrote.

    Args:
        config: `ConvLSTMConfig`.
        free_frames: how many frames it reads of its own in `fit` and `predict`; 0 is teacher forcing.

    Call arguments:
        frames: float `(B, T, H, W, C)` in [-1, 1].
        free_frames: as above, for this call.

    Output shape:
        `(B, T + free_frames, H, W, C)`, logits: the output at t predicts frame t + 1, as `tanh(logit / 2)`.

    References:
        Shi and others, 2015, "Convolutional LSTM network".
    """

    def __init__(self, config, free_frames=0):
        super().__init__(name="convlstm")
        self.config, self.free_frames = config, free_frames
        self.cells = [ConvLSTMCell(filters, config.kernel_size) for filters in config.filters]
        kernel = (config.head_frames, 3, 3)  # time, height, width
        depth = config.patch**2 * config.channels
        self.head = layers.Conv3D(depth, kernel, padding="same", bias_initializer=BACKGROUND_LOGIT)
        self(np.zeros((1, 1, config.frame_size, config.frame_size, config.channels), "float32"))

    def call(self, frames, free_frames=None):
        """Logits of the frames 1 to T + free_frames."""
        known, states = self.read(frames)
        logits = [self.head(ops.stack(known, axis=1))]  # (B, T, h, w, K) -> (B, T, h, w, p * p * C)
        for _ in range(self.free_frames if free_frames is None else free_frames):
            now, states = self.step(pixels(logits[-1][:, -1]), states)
            known.append(now)
            recent = ops.stack(known[-self.config.head_frames :], axis=1)
            logits.append(self.head(recent)[:, -1:])
        return depth_to_space(ops.concatenate(logits, axis=1), self.config.patch)

    def read(self, frames):
        """What is known after each frame.

        Args:
            frames: float `(B, T, H, W, C)` in [-1, 1].

        Returns:
            list of T arrays `(B, h, w, K)`, see `step`, and the states of all cells after the last frame.
        """
        folded, known = space_to_depth(frames, self.config.patch), []
        states = [cell.blank(folded) for cell in self.cells]
        for t in range(folded.shape[1]):
            now, states = self.step(folded[:, t], states)
            known.append(now)
        return known, states

    def step(self, x, states):
        """One folded frame through all cells.

        Args:
            x: float `(B, h, w, p * p * C)`.
            states: list of each cell's states.

        Returns:
            the frame and every cell's hidden state side by side, float `(B, h, w, K)`, and the list of each cell's new states.
        """
        known, after = [x], []
        for cell, state in zip(self.cells, states):
            hidden, state = cell(known[-1], state)
            known.append(hidden)
            after.append(state)
        return ops.concatenate(known, axis=-1), after


def pixels(logits):
    """Logits as pixels in [-1, 1]: twice the sigmoid, minus one.

    Args:
        logits: float tensor of any shape.

    Returns:
        float tensor of that shape.
    """
    return ops.tanh(logits / 2)


def bce_loss(frames, logits):
    """Binary cross-entropy of each predicted frame, summed over its pixels; mean over batch and time.

    Args:
        frames: float `(B, T, H, W, C)` in [-1, 1], the real ones.
        logits: float of the same shape, see `pixels`.

    Returns:
        scalar, in nats per frame; smallest where each pixel is predicted at its expected brightness.
    """
    each = ops.binary_crossentropy((frames + 1) / 2, logits, from_logits=True)
    return ops.mean(ops.sum(each, axis=(2, 3, 4)))


def bce_l1_loss(frames, logits, weight=2.0):
    """`bce_loss` plus the weighted absolute error of each pixel in [0, 1], summed like it.

    An absolute error alone is smallest at the median, so it takes away a glow where black is likelier than not.

    Args:
        frames: float `(B, T, H, W, C)` in [-1, 1], the real ones.
        logits: float of the same shape, see `pixels`.
        weight: of the absolute error.

    Returns:
        scalar.
    """
    absolute = ops.sum(ops.abs(frames - pixels(logits)), axis=(2, 3, 4)) / 2  # [-1, 1] is 2 wide
    return bce_loss(frames, logits) + weight * ops.mean(absolute)


def mse_metric(frames, logits):
    """Squared error of each predicted frame with pixels in [0, 1], summed over its pixels; mean over batch and time.

    Args:
        frames: float `(B, T, H, W, C)` in [-1, 1], the real ones.
        logits: float of the same shape, see `pixels`.

    Returns:
        scalar.
    """
    return ops.mean(ops.sum(ops.square(frames - pixels(logits)), axis=(2, 3, 4))) / 4
