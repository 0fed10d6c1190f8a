"""Predicting frames: a convolutional LSTM that writes one frame after another, and a convolutional predictor without recurrence
that writes ten at once. Both are trained on digits that bounce about: 10 frames to look at, 10 to predict."""

import dataclasses
import itertools

import keras
import numpy as np
from keras import layers, ops

from .. import training
from ..datasets import load, to_model
from ..metrics import ssim
from ..video import Clip, to_float, to_uint8
from ..worlds import digits

CONTEXT, FUTURE = 10, 10  # frames to look at, frames to predict: the benchmark's
DARK = keras.initializers.Constant(-3.0)  # the logit of 5 % brightness: most of a frame is black, so begin there


def fold(frames, patch):
    """Squares of patch x patch pixels become the channels of one place; nothing is lost.

    Args:
        frames: float `(B, T, H, W, C)`, H and W multiples of `patch`.
        patch: side of a square, px.

    Returns:
        float `(B, T, H/patch, W/patch, patch * patch * C)`.
    """
    times, height, width, channels = frames.shape[1:]
    x = ops.reshape(frames, (-1, times, height // patch, patch, width // patch, patch, channels))
    x = ops.transpose(x, (0, 1, 2, 4, 3, 5, 6))  # (B, T, h, p, w, p, C) -> (B, T, h, w, p, p, C)
    return ops.reshape(x, (-1, times, height // patch, width // patch, patch * patch * channels))


def unfold(folded, patch):
    """Undoes `fold`.

    Args:
        folded: float `(B, T, h, w, patch * patch * C)`.
        patch: side of a square, px.

    Returns:
        float `(B, T, h * patch, w * patch, C)`.
    """
    times, height, width, depth = folded.shape[1:]
    x = ops.reshape(folded, (-1, times, height, width, patch, patch, depth // patch**2))
    x = ops.transpose(x, (0, 1, 2, 4, 3, 5, 6))  # (B, T, h, w, p, p, C) -> (B, T, h, p, w, p, C)
    return ops.reshape(x, (-1, times, height * patch, width * patch, depth // patch**2))


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


@dataclasses.dataclass(frozen=True)
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
        self.head = layers.Conv3D(depth, kernel, padding="same", bias_initializer=DARK)
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
        return unfold(ops.concatenate(logits, axis=1), self.config.patch)

    def read(self, frames):
        """What is known after each frame.

        Args:
            frames: float `(B, T, H, W, C)` in [-1, 1].

        Returns:
            list of T arrays `(B, h, w, K)`, see `step`, and the states of all cells after the last frame.
        """
        folded, known = fold(frames, self.config.patch), []
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


def frame_loss(frames, logits):
    """Binary cross-entropy of each predicted frame, summed over its pixels; mean over batch and time.

    Args:
        frames: float `(B, T, H, W, C)` in [-1, 1], the real ones.
        logits: float of the same shape, see `pixels`.

    Returns:
        scalar, in nats per frame; smallest where each pixel is predicted at its expected brightness.
    """
    each = ops.binary_crossentropy((frames + 1) / 2, logits, from_logits=True)
    return ops.mean(ops.sum(each, axis=(2, 3, 4)))


def crisp_loss(frames, logits, weight=2.0):
    """`frame_loss` plus the weighted absolute error of each pixel in [0, 1], summed like it.

    An absolute error alone is smallest at the median, so it takes away a glow where black is likelier than not.

    Args:
        frames: float `(B, T, H, W, C)` in [-1, 1], the real ones.
        logits: float of the same shape, see `pixels`.
        weight: of the absolute error.

    Returns:
        scalar.
    """
    absolute = ops.sum(ops.abs(frames - pixels(logits)), axis=(2, 3, 4)) / 2  # [-1, 1] is 2 wide
    return frame_loss(frames, logits) + weight * ops.mean(absolute)


def frame_error(frames, logits):
    """Squared error of each predicted frame with pixels in [0, 1], summed over its pixels; mean over batch and time.

    Args:
        frames: float `(B, T, H, W, C)` in [-1, 1], the real ones.
        logits: float of the same shape, see `pixels`.

    Returns:
        scalar.
    """
    return ops.mean(ops.sum(ops.square(frames - pixels(logits)), axis=(2, 3, 4))) / 4


@dataclasses.dataclass(frozen=True)
class SimVPConfig:
    """Sizes of a predictor without recurrence."""

    frame_size: int = 32  # height and width, px
    channels: int = 1
    patch: int = 4  # squares of patch x patch pixels are folded into channels
    filters: int = 128
    blocks: int = 4


def build_simvp(config):
    """Convolutions from ten frames to the next ten. Time becomes channels too, so no layer knows of it.

    Args:
        config: `SimVPConfig`.

    Returns:
        `keras.Model` from float32 `(B, 10, H, W, C)` in [-1, 1] to logits of that shape, see `pixels`.

    References:
        Gao, Tan, Wu and Li, 2022, "SimVP: simpler yet better video prediction" (theirs has Inception blocks, and convolutions
        that read and write single frames where ours folds).
    """
    frames = keras.Input((CONTEXT, config.frame_size, config.frame_size, config.channels), name="frames")
    x = fold(frames, config.patch)
    times, height, width, depth = x.shape[1:]
    x = ops.transpose(x, (0, 2, 3, 1, 4))  # (B, T, h, w, p * p * C) -> (B, h, w, T, p * p * C)
    x = ops.reshape(x, (-1, height, width, times * depth))
    x = layers.Conv2D(config.filters, 3, padding="same")(x)
    for _ in range(config.blocks):
        y = layers.LayerNormalization()(x)
        y = layers.Conv2D(config.filters, 3, padding="same", activation="relu")(y)
        x = x + layers.Conv2D(config.filters, 3, padding="same")(y)
    x = layers.LayerNormalization()(x)
    x = layers.Conv2D(FUTURE * depth, 3, padding="same", bias_initializer=DARK)(x)
    x = ops.reshape(x, (-1, height, width, FUTURE, depth))
    x = ops.transpose(x, (0, 3, 1, 2, 4))  # (B, h, w, T, p * p * C) -> (B, T, h, w, p * p * C)
    return keras.Model(frames, unfold(x, config.patch), name="simvp")


def lesson(model):
    """Which frames of a clip of 20 a predictor is shown in training, and which it has to predict.

    Args:
        model: `ConvLSTM`, or a model of `build_simvp`.

    Returns:
        two slices.
    """
    whole = CONTEXT + FUTURE
    if hasattr(model, "free_frames"):  # it predicts a frame at every step, so all but the first are its targets
        return slice(0, whole - 1 - model.free_frames), slice(1, whole)
    return slice(0, CONTEXT), slice(CONTEXT, whole)


def fresh_batches(model, world, batch_size, first_step=0):
    """Endless batches of training clips that are drawn as they are needed, none of them twice.

    Args:
        model: whose `lesson` it is.
        world: dict of arguments of `vidgen_tf.worlds.digits.make_canonical`, a seed among them.
        batch_size: clips per batch.
        first_step: number of the first batch; batch `step` is the same whatever it is.

    Returns:
        `tf.data.Dataset` of (shown, wanted) frames, float32 `(batch_size, T, H, W, 1)` in [-1, 1].
    """
    import tensorflow as tf

    shown, wanted = lesson(model)

    def draw():
        for step in itertools.count(first_step):
            yield digits.make_canonical(batch_size, start=step * batch_size, **world).frames

    data = tf.data.Dataset.from_generator(draw, output_signature=tf.TensorSpec(next(draw()).shape, tf.uint8)).map(to_model)
    return data.map(lambda clips: (clips[:, shown], clips[:, wanted])).prefetch(2)


def fit_predictor(model, world, steps, batch_size=8, rate=2e-3, loss=frame_loss, **options):
    """Trains a predictor on fresh clips.

    The optimizer is Adam. Its step size rises over the first twentieth of the steps and then falls along a cosine, and a gradient
    longer than 100 is shortened to that.

    Args:
        model: `ConvLSTM`, or a model of `build_simvp`.
        world: dict of arguments of `vidgen_tf.worlds.digits.make_canonical`, a seed among them.
        steps: training steps in all.
        batch_size: clips per step.
        rate: largest step size.
        loss: `frame_loss` or `crisp_loss`.
        **options: checkpoint, callbacks and the other options of `training.fit`.

    Returns:
        The history of `training.fit`: "loss", and "frame_error", the squared error.
    """
    warm = steps // 20
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps - warm, warmup_target=rate, warmup_steps=warm)
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=100.0)
    model.compile(optimizer, loss=loss, metrics=[frame_error], jit_compile=False)

    def batches(first):
        return fresh_batches(model, world, batch_size, first)

    return training.fit(model, batches, steps, **options)


def rollout(model, context, num_frames=FUTURE, contrast=1.0):
    """The frames that a predictor expects after those that it is shown, without ever seeing another.

    Args:
        model: `ConvLSTM`, or a model of `build_simvp`.
        context: uint8 `(N, T, H, W, C)`, the frames to look at; 10 for a model of `build_simvp`.
        num_frames: how many to predict; 10 for a model of `build_simvp`.
        contrast: of what comes out, not of what the model reads on its way: logits are multiplied by it. At 1 a pixel is as
            bright as is expected of it; above, doubts are shown darker or brighter than that.

    Returns:
        uint8 `(N, num_frames, H, W, C)`.
    """
    options = {"free_frames": num_frames - 1} if hasattr(model, "free_frames") else {}
    batches = (to_float(context[i : i + 50]) for i in range(0, len(context), 50))
    logits = (model(batch, **options)[:, -num_frames:] for batch in batches)
    return np.concatenate([to_uint8(pixels(contrast * block)) for block in logits])


def copy_last(context, num_frames=FUTURE):
    """The baseline that expects nothing to move.

    Args:
        context: uint8 `(N, T, H, W, C)`.
        num_frames: how many frames to predict.

    Returns:
        uint8 `(N, num_frames, H, W, C)`.
    """
    return np.repeat(context[:, -1:], num_frames, axis=1)


def squared_errors(real, predicted):
    """Squared error of each frame with pixels in [0, 1], summed over its pixels.

    Args:
        real: uint8 `(N, T, H, W, C)`.
        predicted: uint8 of the same shape.

    Returns:
        float32 `(N, T)`.
    """
    difference = (real.astype(np.float32) - predicted) / 255
    return np.sum(difference**2, axis=(2, 3, 4))


def examine_future(clips, predicted):
    """How near predicted frames come to those that followed, beside predictions that need no model.

    Args:
        clips: uint8 `(N, T, H, W, C)`, real clips.
        predicted: uint8 `(N, K, H, W, C)`, a prediction of their last K frames.

    Returns:
        dict of float: "squared_error", the mean over frames of `squared_errors`; "of_copy_last" and "of_zeros", the same as a
        multiple of what the last frame seen and black frames score; "ssim".
    """
    count = predicted.shape[1]
    context, real = clips[:, :-count], clips[:, -count:]
    guesses = predicted, copy_last(context, count), np.zeros_like(real)
    error, last, zeros = (float(squared_errors(real, guess).mean()) for guess in guesses)
    alike = float(ssim(real, predicted).mean())
    return {"squared_error": error, "of_copy_last": error / last, "of_zeros": error / zeros, "ssim": alike}


def change_before(model, frames, t, seed=0):
    """Replaces frame t of a video by noise, and looks at the model's outputs before t.

    Args:
        model: function from float `(B, T, H, W, C)` to outputs `(B, T, ...)`, one for each frame.
        frames: float `(B, T, H, W, C)`.
        t: which frame, from 1.
        seed: of the noise.

    Returns:
        float, the largest change of any output before t: exactly 0 for a model that does not see the future.
    """
    disturbed = np.array(frames)
    disturbed[:, t] = np.random.default_rng(seed).uniform(-1, 1, disturbed[:, t].shape)
    before, after = (ops.convert_to_numpy(model(x))[:, :t] for x in (frames, disturbed))
    return float(np.abs(before - after).max())


class _PredictorRecipe:
    """What the recipes of both predictors share: the benchmark's clips, without end. The first 2000 are the dataset's own."""

    dataset = ("moving-digits", "train")
    drawn = {"seed": 210}
    context_frames = CONTEXT
    contrast = 1.5  # of sampled clips: of 1, 1.5, 2 and 3 the one with the best SSIM on validation clips
    seed = 9

    def train(self, model, steps, checkpoint):
        def loss(frames, logits):
            return crisp_loss(frames, logits, self.crispness)

        options = {"loss": loss, "checkpoint": checkpoint, "log_steps": 100}
        return fit_predictor(model, self.drawn, steps, self.batch_size, self.rate, **options)

    def truth(self, count, seed):
        """The test clips whose future `sample` predicts."""
        return load("moving-digits", "test").drawn(count, seed)

    def sample(self, model, count, seed):
        """Clips of 20 frames: ten of a test clip, and ten that the model expects to follow."""
        past = self.truth(count, seed).frames[:, :CONTEXT]
        return [Clip(frames) for frames in np.concatenate([past, self.predicted(model, past)], axis=1)]

    def predicted(self, model, past):
        """Ten frames more, with contrast."""
        return rollout(model, past, contrast=self.contrast)

    def examine(self, model):
        """All test clips, whose digits were never seen: ten frames predicted from ten, as they are expected and with contrast."""
        clips = load("moving-digits", "test").frames
        crisp = examine_future(clips, self.predicted(model, clips[:, :CONTEXT]))
        expected = examine_future(clips, rollout(model, clips[:, :CONTEXT]))
        return expected | {f"crisp_{name}": crisp[name] for name in ("of_copy_last", "ssim")}


class ConvLSTMDigits(_PredictorRecipe):
    """How the zoo's "convlstm-digits" is trained: from the first step on its own predictions."""

    title = "ConvLSTM: two digits that bounce about, 64x64 grey, 10 frames after 10"
    steps = {"fast": 400, "full": 3500}
    batch_size, rate, crispness = 8, 1e-3, 4.0
    config = ConvLSTMConfig(frame_size=64, filters=(64, 64))

    def build(self):
        """The model before training.

        Returns:
            `ConvLSTM`.
        """
        return ConvLSTM(self.config, free_frames=FUTURE - 1)


class SimVPDigits(_PredictorRecipe):
    """How the zoo's "simvp-digits" is trained."""

    title = "Convolutions alone: two digits that bounce about, 64x64 grey, 10 frames after 10"
    steps = {"fast": 600, "full": 9000}
    batch_size, rate, crispness = 16, 1e-3, 2.0
    config = SimVPConfig(frame_size=64, filters=96, blocks=6)

    def build(self):
        """The model before training.

        Returns:
            `keras.Model`, see `build_simvp`.
        """
        return build_simvp(self.config)
