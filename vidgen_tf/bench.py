"""What this machine can do, and what the course makes of it: one table."""

import math
import os
import time

import numpy as np

from .errors import CourseError

FLOW_SIZE = 32  # height and width of the frames whose optical flow is estimated, px


def bench(seconds=3.0):
    """Prints the peak rate of matrix products, the speed of each data set, of each model's training step, and of its pipeline.

    Args:
        seconds: about how long each row is measured, above 0.

    Returns:
        list of dicts, one for each printed row: "name" str, "rate" float, "unit" str, "remark" str.

    Raises:
        CourseError: no positive number of seconds.
    """
    if not 0 < seconds < math.inf:
        raise CourseError(f"A measurement takes more than 0 seconds, got {seconds}.")
    import keras
    import tensorflow as tf

    print(f"Keras {keras.__version__}, TensorFlow {tf.__version__}, {os.cpu_count()} cores")
    rows = []
    for name, rate, unit, remark in _measurements(seconds):
        rows.append({"name": name, "rate": rate, "unit": unit, "remark": remark})
        print(f"{name:44} {rate:8.{0 if rate >= 100 else 1}f} {unit}{remark}", flush=True)
    return rows


def _measurements(seconds):
    """Yields name, rate, unit and a remark on each row of the table."""
    peak = matrix_rate(seconds)
    yield "matrix product, float32 2048 x 2048", peak / 1e9, "GFLOP/s", ""
    for name, rate in data_rates(seconds):
        yield f"data {name}", rate, "clips/s", " on one core"
    for name, build, batch in MODELS:
        model, data = build(batch)
        feeds = batches_per_second(data, seconds)
        steps = steps_per_second(model, data, seconds)
        share = batch * step_flops(model, _times(data)) * steps / peak
        yield f"train {name}", steps, "steps/s", f" of {batch}, {share:.0%} of peak FLOP/s (MFU)"
        yield f"feed {name}", feeds, "batches/s", f", {feeds / steps:.0f} times what the model takes"


def matrix_rate(seconds):
    """The rate of a float32 matrix product, 2048 x 2048 by 2048 x 2048: the best of several runs.

    Args:
        seconds: about how long it is measured.

    Returns:
        float, floating point operations per second.
    """
    import tensorflow as tf

    a = tf.random.normal((2048, 2048))
    multiply = tf.function(lambda x: tf.matmul(x, a))
    multiply(a)
    best, until = np.inf, time.monotonic() + seconds
    while time.monotonic() < until:
        start = time.perf_counter()
        multiply(a).numpy()
        best = min(best, time.perf_counter() - start)
    return 2 * 2048**3 / best


def data_rates(seconds):
    """How fast the clips of each data set are drawn.

    Args:
        seconds: about how long each is measured, in processor time.

    Yields:
        (name, rate): the data set's name, and clips per second of processor time.
    """
    from .datasets import DATASETS

    for name, dataset in DATASETS.items():
        dataset.make("train", 0, 4)
        made, start = 0, time.process_time()
        while time.process_time() - start < seconds:
            dataset.make("train", made, 64)
            made += 64
        yield name, made / (time.process_time() - start)


def batches_per_second(data, seconds):
    """How fast a pipeline gives batches that nobody uses.

    Args:
        data: endless `tf.data.Dataset` of batches.
        seconds: about how long it is measured.

    Returns:
        float, batches per second.
    """
    iterator = iter(data)
    next(iterator)
    count, start = 0, time.monotonic()
    while time.monotonic() - start < seconds:
        next(iterator)
        count += 1
    return count / (time.monotonic() - start)


def steps_per_second(model, data, seconds):
    """How fast a model trains, compilation and the start of `fit` left out.

    Args:
        model: compiled `keras.Model`.
        data: endless `tf.data.Dataset` of batches for its `fit`.
        seconds: about how long it is measured, at least 20 steps.

    Returns:
        float, steps per second.
    """
    import keras

    def rate(steps):
        ends = []
        clock = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: ends.append(time.monotonic()))
        model.fit(data, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0, callbacks=[clock])
        return (steps - 6) / (ends[-1] - ends[5])

    return rate(max(20, int(seconds * rate(20))))


def step_flops(model, times=1):
    """The work of a training step for one item: a backward pass costs twice a forward one, or once to the images alone.

    Args:
        model: built `keras.Model`, or one of the models `GAN`, `FlowGAN`, `VideoGAN`, `FlowNet`, `Animator`, `GPT` and
            `FlowMatching`.
        times: how often an item passes through the model, once for each of its frames where they are read one by one.

    Returns:
        float, floating point operations.
    """
    from .models.animator import Animator
    from .models.autoregressive import GPT
    from .models.flow_gan import FlowGAN
    from .models.flow_matching import FlowMatching
    from .models.gan import GAN
    from .models.optical_flow import FlowNet, build_flow_network
    from .models.video_gan import VideoGAN

    if isinstance(model, FlowNet):  # its own network takes any size, and so tells none
        return 3 * forward_flops(build_flow_network(model.config, FLOW_SIZE))
    if isinstance(model, FlowGAN):  # one generated batch for both; the discriminator as below, its first two passes once only
        penalty = 12 / model.config.penalty_stride if model.config.gamma else 0
        return 3 * forward_flops(model.generator) + (9 + penalty) * forward_flops(model.discriminator)
    if isinstance(model, Animator):  # its encoder reads both frames of a pair
        return 3 * (forward_flops(model.network) + 2 * forward_flops(model.encoder))
    if isinstance(model, VideoGAN):
        return _video_gan_flops(model)
    if isinstance(model, GPT):  # each kernel is used once a position
        return 3 * (model.config.condition_length + model.config.num_tokens) * forward_flops(model)
    if isinstance(model, FlowMatching):  # each kernel is used about once a frame, those of timesteps and tokens as well
        return 3 * model.model.config.num_frames * forward_flops(model.network)
    if not isinstance(model, GAN):
        return 3 * times * forward_flops(model)
    generator, discriminator = forward_flops(model.generator), forward_flops(model.discriminator)
    # The generator runs twice and learns once; the discriminator runs on four batches, learns from two, passes a gradient on.
    # A penalty is a forward pass, one back to the images, and both of these back to the weights; for real and for generated ones.
    return 4 * generator + 9 * discriminator + (12 / model.penalty_stride * discriminator if model.gamma else 0)


def _video_gan_flops(model):
    """`step_flops` of a video GAN: content once for a clip, motion codes for all frames, the rest for those that are shown."""
    config, nested = model.config, {layer.name: layer for layer in model.generator._flatten_layers()}
    shown, frames = config.num_shown_frames, {"content_network": 1, "motion_network": config.num_frames}
    generator = sum(times * forward_flops(nested[name]) for name, times in (frames | {"frame_network": shown}).items())
    times = {"image": (shown + 1) // 2, "video": 1}
    nested = {layer.name: layer for layer in model.discriminator.layers}
    discriminators = sum(times[name] * forward_flops(nested[f"{name}_discriminator"]) for name in model.discriminators)
    # Two batches forward, both back to the weights, one to the images, once each; the penalties as below.
    return 3 * generator + (7 + (12 / model.penalty_stride if model.gamma else 0)) * discriminators


def forward_flops(model):
    """The work of a forward pass for one item: two operations for each use of a weight of a dense, convolution or GRU kernel,
    and of a vector with which codes are compared.

    Args:
        model: built `keras.Model`. An item of a ConvLSTM is a clip of 20 frames; of recurrent models of latents, a single frame.

    Returns:
        int, floating point operations.
    """
    from keras import layers

    from .models.code_embedding import CodeHead
    from .models.convlstm import ConvLSTM

    if isinstance(model, ConvLSTM):  # each kernel is applied at each location, for every frame of a clip but the last
        kernels = [kernel for cell in model.cells for kernel in (cell.kernel, cell.recurrent_kernel)] + [model.head.kernel]
        locations = (model.config.image_size // model.config.patch_size) ** 2
        return 2 * sum(math.prod(kernel.shape) for kernel in kernels) * locations * 19
    total = 0
    for layer in model._flatten_layers():
        if isinstance(layer, layers.Dense):
            total += 2 * math.prod(layer.kernel.shape)
        elif isinstance(layer, CodeHead):
            total += 2 * math.prod(layer.levels) * layer.hidden_dim
        elif isinstance(layer, layers.GRUCell):
            total += 2 * (math.prod(layer.kernel.shape) + math.prod(layer.recurrent_kernel.shape))
        elif isinstance(layer, layers.Conv2D | layers.Conv2DTranspose):
            grid = layer.output if isinstance(layer, layers.Conv2D) else layer.input  # where the kernel is applied
            total += 2 * math.prod(layer.kernel.shape) * math.prod(grid.shape[1:3])
    return total


def _times(data):
    """How many frames an item has, if the batches are latent trajectories `(B, T, D)`, read frame by frame; else 1."""
    shape = getattr(data.element_spec, "shape", ())
    return shape[1] if len(shape) == 3 else 1


def _noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _dense(batch):
    import keras

    from .datasets import pipeline
    from .models.glo import GLO, DenseConfig

    frames = _noise(512, 64, 64, 3)
    model = GLO(len(frames), DenseConfig())
    model.compile(keras.optimizers.Adam(1e-3), loss="mse", jit_compile=True)
    return model, pipeline(np.arange(len(frames)), frames, batch_size=batch)


def _mlp_gan(batch, losses="rpgan_losses", gamma=1.0):
    import keras

    from .datasets import pipeline
    from .models import gan

    config = gan.MLPGANConfig()
    pair = gan.build_mlp_generator(config), gan.build_mlp_discriminator(config)
    model = gan.GAN(*pair, getattr(gan, losses), gamma)
    model.compile(*(keras.optimizers.Adam(2e-4, beta_1=0.0, beta_2=0.99) for _ in range(2)), jit_compile=True)
    return model, pipeline(_noise(1024, 28, 28, 1), batch_size=batch)


def _classic_gan(batch):
    return _mlp_gan(batch, "non_saturating_losses", 0.0)


def _dcgan(batch, size=32):
    from .datasets import pipeline
    from .models.dcgan import DCGANConfig, build_dcgan
    from .recipes import RECIPES

    config = DCGANConfig() if size == 32 else RECIPES["dcgan-faces"].config
    return build_dcgan(config), pipeline(_noise(512, size, size, 3), batch_size=batch)


def _large_dcgan(batch):
    return _dcgan(batch, 64)


def _vae(batch):
    import keras

    from .datasets import pipeline
    from .models.vae import VAE, VAEConfig

    model = VAE(VAEConfig())
    model.compile(keras.optimizers.Adam(2e-3), jit_compile=False)
    return model, pipeline(_noise(1024, 32, 32, 3), batch_size=batch)


def _predictor(name, batch):
    import keras

    from .models.convlstm import ConvLSTM, bce_l1_loss
    from .recipes import RECIPES, predictors

    model = RECIPES[name].build()
    if isinstance(model, ConvLSTM):
        model.num_free_running_frames = predictors.NUM_FUTURE_FRAMES - 1
    model.compile(keras.optimizers.Adam(1e-3), loss=bce_l1_loss, jit_compile=False)
    return model, predictors.streaming_batches(model, predictors.STREAM, batch)


def _flow_net(batch):
    import keras

    from .datasets import pipeline
    from .recipes import RECIPES

    model = RECIPES["flow-net-shapes"].build()
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    flows = np.random.default_rng(0).normal(size=(512, FLOW_SIZE, FLOW_SIZE, 2)).astype(np.float32)
    return model, pipeline(_noise(512, 2, FLOW_SIZE, FLOW_SIZE, 3), flows, batch_size=batch)


def _flow_gan(batch):
    import keras

    from .datasets import pipeline
    from .models.flow_gan import FlowGAN
    from .recipes import RECIPES

    model = FlowGAN(RECIPES["flow-gan-faces"].config)
    model.compile(*(keras.optimizers.Adam(1e-3) for _ in range(2)), jit_compile=False)
    return model, pipeline(_noise(64, 4, 64, 64, 3), _noise(64, 4, 32, 32, 1), batch_size=batch)


def _animator(batch):
    import keras

    from .datasets import pipeline
    from .recipes import RECIPES

    model = RECIPES["animator-faces"].build()
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    data = pipeline(_noise(128, 2, 64, 64, 3), np.zeros((128, 2, 7), np.float32), batch_size=batch)
    return model, data.map(lambda pair, parameters: {"pair": pair, "parameters": parameters})


def _video_gan(batch):
    import keras

    from .datasets import pipeline
    from .models.video_gan import VideoGAN
    from .recipes import RECIPES

    model = VideoGAN(RECIPES["video-gan-digits"].config)
    model.compile(*(keras.optimizers.Adam(1e-3) for _ in range(2)), jit_compile=True)
    return model, pipeline(_noise(512, 16, 32, 32, 1), np.zeros((512, 2), np.int32), batch_size=batch)


def _convlstm(batch):
    return _predictor("convlstm-digits", batch)


def _simvp(batch):
    return _predictor("simvp-digits", batch)


def _latent_svg(batch):
    import keras

    from .datasets import pipeline
    from .models.latent_rnn import LatentRNNConfig, LatentSVG

    model = LatentSVG(LatentRNNConfig())
    model.compile(keras.optimizers.Adam(2e-3), jit_compile=False)
    return model, pipeline(np.random.default_rng(0).normal(size=(512, 24, 32)).astype(np.float32), batch_size=batch)


def _flow_matching(batch, has_captions=False):
    import keras

    from .datasets import pipeline
    from .models.dit import DiffusionConfig, LatentDiffusion
    from .models.flow_matching import FlowMatching

    config = DiffusionConfig(per_frame_timestep_prob=0.0 if has_captions else 0.5, has_captions=has_captions)
    model = FlowMatching(LatentDiffusion(config))
    model.compile(keras.optimizers.AdamW(1e-3), jit_compile=True)
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(512, 16, 32)).astype(np.float32)
    if not has_captions:
        return model, pipeline(latents, batch_size=batch)
    tokens = rng.integers(0, 100, (512, 20), dtype=np.int32)
    return model, pipeline(latents, tokens, batch_size=batch).map(lambda latents, tokens: {"latents": latents, "tokens": tokens})


def _text_to_video(batch):
    return _flow_matching(batch, has_captions=True)


def _gpt(batch):
    import keras

    from .datasets import pipeline
    from .models.autoregressive import GPT, GPTConfig

    config = GPTConfig(num_condition_ids=140, condition_length=9)
    model = GPT(config)
    model.compile(keras.optimizers.AdamW(1e-3), jit_compile=False)
    rng = np.random.default_rng(0)
    condition = rng.integers(0, config.num_condition_ids, (512, config.condition_length), dtype=np.int32)
    tokens = rng.integers(0, config.num_codes, (512, config.num_tokens), dtype=np.int32)
    data = pipeline(condition, tokens, batch_size=batch)
    return model, data.map(lambda condition, tokens: {"condition": condition, "tokens": tokens})


# Name, function from a batch size to a compiled model and its data, batch size. Later chapters add their rows.
MODELS = [
    ("dense frame generator, 64x64 RGB", _dense, 64),
    ("MLP GAN, non-saturating loss, 28x28", _classic_gan, 64),
    ("MLP GAN, relativistic pairing loss, 28x28", _mlp_gan, 64),
    ("DCGAN, 32x32 RGB", _dcgan, 32),
    ("DCGAN, 64x64 RGB", _large_dcgan, 32),
    ("VAE, 32x32 RGB", _vae, 64),
    ("optical flow network, 32x32 RGB", _flow_net, 32),
    ("flow-based GAN, 64x64 RGB", _flow_gan, 16),
    ("animator, 64x64 RGB", _animator, 16),
    ("video GAN, 5 frames of 32x32", _video_gan, 32),
    ("ConvLSTM, 19 frames of 64x64", _convlstm, 8),
    ("SimVP, 10 frames of 64x64", _simvp, 16),
    ("stochastic GRUs, 24 latents", _latent_svg, 64),
    ("flow matching, 16 latents", _flow_matching, 64),
    ("text to video, 16 latents", _text_to_video, 64),
    ("autoregressive transformer, 60 tokens", _gpt, 32),
]
