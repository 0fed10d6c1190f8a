"""Convolutional LSTM (ConvLSTM) for next-frame prediction, and the losses of frame predictors."""

import dataclasses

import keras
import numpy as np
from keras import layers, ops

from ..layers import depth_to_space, space_to_depth
from .base import Config, ConfiguredModel, check_float_frames, check_multiple

NUM_CONTEXT_FRAMES, NUM_FUTURE_FRAMES = 10, 10  # of Moving MNIST (Srivastava et al., 2015)
BACKGROUND_LOGIT = keras.initializers.Constant(-3.0)  # a brightness of 5 %: most pixels of a frame are black


@keras.saving.register_keras_serializable(package="vidgen_tf")
class ConvLSTMCell(layers.Layer):
    """One time step of a convolutional LSTM, whose hidden state and cell state are feature maps.

    The kernels of the input, forget, candidate and output gates are concatenated along their last axis in this order, as in
    `keras.layers.ConvLSTM2D`.

    Args:
        filters: int, channels of the hidden state and of the cell state.
        kernel_size: int, side of the input kernel and of the recurrent kernel.
        **options: `name` and the other options of `keras.layers.Layer`.

    Call arguments:
        x: float `(B, h, w, C)`, the input of this time step.
        states: list of hidden state and cell state after the time step before, float `(B, h, w, filters)` each.

    Output shape:
        The hidden state `(B, h, w, filters)`, and the list of hidden state and cell state for the next time step.

    References:
        Shi, Chen, Wang, Yeung, Wong and Woo, 2015, "Convolutional LSTM network: a machine learning approach for precipitation
        nowcasting" (ours, like Keras', has no peephole connections).
    """

    def __init__(self, filters, kernel_size, **options):
        super().__init__(**options)
        self.filters, self.kernel_size = filters, kernel_size

    def build(self, x_shape, states_shape=None):
        """Makes the weights; the bias of the forget gate starts at 1.

        Args:
            x_shape: shape of the input, `(B, h, w, C)`.
            states_shape: unused: it follows from `filters`.
        """
        side, gates = (self.kernel_size, self.kernel_size), 4 * self.filters
        self.kernel = self.add_weight((*side, x_shape[-1], gates), "glorot_uniform", name="kernel")
        recurrent_shape = (*side, self.filters, gates)
        self.recurrent_kernel = self.add_weight(recurrent_shape, "orthogonal", name="recurrent_kernel")
        self.bias = self.add_weight((gates,), "zeros", name="bias")
        self.bias.assign(np.repeat([0.0, 1.0, 0.0, 0.0], self.filters))

    def get_initial_state(self, inputs):
        """The states before the first time step: zeros.

        Args:
            inputs: float `(B, T, h, w, C)`, the inputs of all time steps.

        Returns:
            list of hidden state and cell state, zeros `(B, h, w, filters)`.
        """
        batch, _, height, width, _ = ops.shape(inputs)
        return [ops.zeros((batch, height, width, self.filters), self.compute_dtype) for _ in range(2)]

    def call(self, x, states):
        hidden_state, cell_state = states
        gates = ops.conv(x, self.kernel, padding="same") + self.bias
        gates = gates + ops.conv(hidden_state, self.recurrent_kernel, padding="same")
        i, f, g, o = ops.split(gates, 4, axis=-1)  # (B, h, w, 4 * F) -> 4 x (B, h, w, F)
        cell_state = ops.sigmoid(f) * cell_state + ops.sigmoid(i) * ops.tanh(g)
        hidden_state = ops.sigmoid(o) * ops.tanh(cell_state)
        return hidden_state, [hidden_state, cell_state]

    def get_config(self):
        """The constructor's arguments, as Keras writes them into a file.

        Returns:
            dict.
        """
        return super().get_config() | {"filters": self.filters, "kernel_size": self.kernel_size}


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class ConvLSTMConfig(Config):
    """Sizes of a ConvLSTM for next-frame prediction.

    Raises:
        CourseError: a size that is no whole number or below 1, or an image size that patches don't divide.
    """

    image_size: int = 32  # height and width of a frame, px
    channels: int = 1
    patch_size: int = 4  # side of the patches that become channels (space-to-depth), px
    filters: tuple[int, ...] = (32, 32)  # channels of each cell
    kernel_size: int = 3
    head_kernel_time: int = 1  # the head's kernel size along time; above 1, future frames leak in

    def __post_init__(self):
        super().__post_init__()
        check_multiple(self.image_size, self.patch_size, "it is cut into patches")


@keras.saving.register_keras_serializable(package="vidgen_tf")
class ConvLSTM(ConfiguredModel):
    """Stacked ConvLSTM cells on space-to-depth frames, and a convolution that predicts the next frame.

    After the given frames it can be free-running: it reads its own predictions.

    Args:
        config: `ConvLSTMConfig`.
        num_free_running_frames: int, predictions that it reads itself in `fit`, `evaluate` and `predict`; 0 is teacher forcing.

    Call arguments:
        frames: float `(B, T, H, W, C)` in [-1, 1].
        num_free_running_frames: int or None; replaces that of the constructor.

    Output shape:
        `(B, T + num_free_running_frames, H, W, C)`, float32 logits; those at t predict frame t + 1, see `logits_to_pixels`.

    Raises:
        CourseError: pixels that are no floats, see `check_float_frames`.

    References:
        Shi, Chen, Wang, Yeung, Wong and Woo, 2015, "Convolutional LSTM network: a machine learning approach for precipitation
        nowcasting".
    """

    def __init__(self, config, num_free_running_frames=0):
        super().__init__(name="convlstm")
        self.config, self.num_free_running_frames = config, num_free_running_frames
        self.cells = [ConvLSTMCell(filters, config.kernel_size) for filters in config.filters]
        depth = config.patch_size**2 * config.channels
        options = {"padding": "same", "bias_initializer": BACKGROUND_LOGIT, "dtype": "float32"}
        self.head = layers.Conv3D(depth, (config.head_kernel_time, 3, 3), **options)  # time, height, width
        self.build((None, NUM_CONTEXT_FRAMES, config.image_size, config.image_size, config.channels))

    def build(self, frames_shape):
        """Makes the weights of the cells and of the head.

        Args:
            frames_shape: `(B, T, H, W, C)`.
        """
        depth = frames_shape[-1] * self.config.patch_size**2
        for cell, channels in zip(self.cells, (depth, *self.config.filters)):
            cell.build((None, None, None, channels))
        self.head.build((None, None, None, None, depth + sum(self.config.filters)))

    def call(self, frames, num_free_running_frames=None):
        """Logits of frames 1 to T + num_free_running_frames."""
        check_float_frames(frames)
        count = self.num_free_running_frames if num_free_running_frames is None else num_free_running_frames
        features, states = self.encode_context(frames)
        logits = [self.head(ops.stack(features, axis=1))]  # (B, T, h, w, K) -> (B, T, h, w, p * p * C)
        for _ in range(count):
            current, states = self.step(logits_to_pixels(logits[-1][:, -1]), states)
            features.append(current)
            window = ops.stack(features[-self.config.head_kernel_time :], axis=1)
            logits.append(self.head(window)[:, -1:])
        return depth_to_space(ops.concatenate(logits, axis=1), self.config.patch_size)

    def encode_context(self, frames):
        """The features of each frame and the states after the last one.

        Args:
            frames: float `(B, T, H, W, C)` in [-1, 1].

        Returns:
            list of T float tensors `(B, h, w, K)`, see `step`, and the list of each cell's states.
        """
        patches, features = space_to_depth(frames, self.config.patch_size), []
        states = [cell.get_initial_state(patches) for cell in self.cells]
        for t in range(patches.shape[1]):
            current, states = self.step(patches[:, t], states)
            features.append(current)
        return features, states

    def step(self, x, states):
        """One time step of all cells.

        Args:
            x: float `(B, h, w, p * p * C)`, a space-to-depth frame.
            states: list of each cell's states.

        Returns:
            the features, float `(B, h, w, K)`: the frame and every cell's hidden state, concatenated; and the list of each cell's
            new states.
        """
        features, new_states = [x], []
        for cell, state in zip(self.cells, states, strict=True):
            hidden_state, state = cell(features[-1], state)
            features.append(hidden_state)
            new_states.append(state)
        return ops.concatenate(features, axis=-1), new_states


def logits_to_pixels(logits):
    """Expected pixels of logits, in [-1, 1]: twice the sigmoid, minus one.

    Args:
        logits: float tensor of any shape.

    Returns:
        float tensor of the same shape.
    """
    return ops.tanh(logits / 2)


@keras.saving.register_keras_serializable(package="vidgen_tf")
def bce_loss(frames, logits):
    """Binary cross-entropy of predicted frames, summed over pixels, mean over batch and time.

    Args:
        frames: float `(B, T, H, W, C)` in [-1, 1], the targets.
        logits: float of the same shape, see `logits_to_pixels`.

    Returns:
        float scalar, in nats per frame; smallest where each pixel is predicted at its expected brightness.
    """
    bce = ops.binary_crossentropy((frames + 1) / 2, logits, from_logits=True)
    return ops.mean(ops.sum(bce, axis=(2, 3, 4)))


@keras.saving.register_keras_serializable(package="vidgen_tf")
def bce_l1_loss(frames, logits, l1_weight=2.0):
    """`bce_loss` plus the weighted L1 error with pixels in [0, 1], summed and averaged like it.

    The L1 error is smallest at the median, so it darkens pixels that are more likely black than white.

    Args:
        frames: float `(B, T, H, W, C)` in [-1, 1], the targets.
        logits: float of the same shape, see `logits_to_pixels`.
        l1_weight: float, weight of the L1 error.

    Returns:
        float scalar.
    """
    l1_error = ops.sum(ops.abs(frames - logits_to_pixels(logits)), axis=(2, 3, 4)) / 2  # [-1, 1] is 2 wide
    return bce_loss(frames, logits) + l1_weight * ops.mean(l1_error)


@keras.saving.register_keras_serializable(package="vidgen_tf")
def mse_metric(frames, logits):
    """Squared error of predicted frames with pixels in [0, 1], summed over pixels, mean over batch and time.

    Args:
        frames: float `(B, T, H, W, C)` in [-1, 1], the targets.
        logits: float of the same shape, see `logits_to_pixels`.

    Returns:
        float scalar.
    """
    return ops.mean(ops.sum(ops.square(frames - logits_to_pixels(logits)), axis=(2, 3, 4))) / 4
