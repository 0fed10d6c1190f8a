"""Trains the video GANs of the zoo with JAX; networks, losses, data, learning rates and steps are those of their recipes.

On two CPU cores `python -m vidgen_tf train video-gan-faces` takes over an hour; on a graphics card this takes some minutes. The
random numbers are JAX' own, so the weights are other ones. It needs JAX beside the course's environment.

    KERAS_BACKEND=jax python scripts/train_video_gan_jax.py video-gan-digits --seed 280 build/train/video-gan-digits.weights.h5
"""

import argparse
import dataclasses
import math
import sys
import time
from pathlib import Path

import keras
import numpy as np
from keras import ops

from vidgen_tf.datasets import load
from vidgen_tf.models import gan as gans
from vidgen_tf.models import video_gan
from vidgen_tf.recipes import RECIPES
from vidgen_tf.recipes.video_gan import build_gan, build_optimizers, clip_kinds
from vidgen_tf.splits import training_clips
from vidgen_tf.zoo.weights import write_weights

try:
    import jax
    import jax.numpy as jnp
except ModuleNotFoundError:
    sys.exit("This script needs JAX beside the course's environment: pip install jax, or jax[cuda13] for a graphics card.")

CHUNK = 50  # steps that are compiled into one program


def gradient_penalty(discriminator, frames):
    """`models.gan.gradient_penalty`, which has a `tf.GradientTape`, for JAX."""
    gradient = jax.grad(lambda x: ops.sum(discriminator(x, training=True)))(frames)
    return ops.mean(ops.sum(ops.square(gradient), axis=(1, 2, 3)))


def batches(length, batch_size, steps, seed):
    """Which clips each step is shown, int32 (steps, batch_size): epoch after epoch, each in an order of its own."""
    rng, per_epoch = np.random.default_rng(seed), length // batch_size
    order = [rng.permutation(length)[: per_epoch * batch_size] for _ in range(math.ceil(steps / per_epoch))]
    return np.concatenate(order).reshape(-1, batch_size)[:steps].astype(np.int32)


class Trainer:
    """The state of a training, as a tuple of arrays, and the function from one state to the next."""

    def __init__(self, gan, optimizers):
        self.gan, self.optimizers, weights = gan, optimizers, gan.generator.weights
        self.weights, self.critic = weights, gan.discriminator.trainable_variables
        self.trained = [i for i, weight in enumerate(weights) if weight.trainable]
        self.counted = [i for i, weight in enumerate(weights) if not weight.trainable]  # means and variances of batches
        self.seed = gan.seed_generator.state
        self.optimizers[0].build(self.critic)
        self.optimizers[1].build([weights[i] for i in self.trained])

    def begin(self):
        """The state before the first step."""
        lists = self.critic, self.weights, self.gan.ema_generator.weights, *(one.variables for one in self.optimizers)
        return *([variable.value for variable in part] for part in lists), self.seed.value

    def losses(self, critic, trained, weights, seed, clips, kinds):
        """(loss of the discriminators, loss of the generator), and what the forward pass changed besides."""
        gan, weights = self.gan, list(weights)
        for i, value in zip(self.trained, trained):
            weights[i] = value
        values = [*zip(self.critic, critic), *zip(self.weights, weights), (self.seed, seed)]
        with keras.StatelessScope(state_mapping=values) as scope:
            index = gan.choose_frames(len(clips), gan.seed_generator)
            real = ops.take_along_axis(clips, index[..., None, None, None], axis=1)
            codes = video_gan.sample_codes(gan.config, len(clips), gan.seed_generator)
            fake = gan.generator([*codes, kinds, index], training=True)
            d_loss, g_loss = gan.losses_of(real, fake, index, kinds)
            d_loss += gan.penalty(real, ops.stop_gradient(fake), index, kinds)
            changed = [scope.get_current_value(self.weights[i]) for i in self.counted], scope.get_current_value(self.seed)
        return (d_loss, g_loss), changed

    def step(self, state, rows, clips, kinds):
        """One step of the discriminators and one of the generator."""
        critic, weights, average, *slots, seed = state
        trained = [weights[i] for i in self.trained]
        batch = clips[rows].astype("float32") / 127.5 - 1, kinds[rows]
        losses, pull_back, (counted, seed) = jax.vjp(
            lambda *both: self.losses(*both, weights, seed, *batch), critic, trained, has_aux=True
        )
        gradients = pull_back((1.0, 0.0))[0], pull_back((0.0, 1.0))[1]  # each loss for its own weights alone
        critic, d_slots = self.optimizers[0].stateless_apply(slots[0], gradients[0], critic)
        trained, g_slots = self.optimizers[1].stateless_apply(slots[1], gradients[1], trained)
        new = dict(zip(self.trained, trained)) | dict(zip(self.counted, counted))
        weights = [new[i] for i in range(len(weights))]
        decay = self.gan.ema_decay
        average = [decay * old + (1 - decay) * weight for old, weight in zip(average, weights)]
        return (critic, weights, average, d_slots, g_slots, seed), jnp.stack(losses)


def train(recipe, steps):
    """A `VideoGAN` after a training of some steps."""
    options = recipe.training
    keras.utils.set_random_seed(recipe.seed)
    gan, clips = build_gan(recipe), training_clips(load(*recipe.dataset))
    trainer = Trainer(gan, build_optimizers(steps, options["learning_rate"], options.get("warmup_steps", 0)))
    rows = batches(len(clips), options["batch_size"], steps, recipe.seed)
    frames, kinds = jnp.asarray(clips.frames), jnp.asarray(clip_kinds(clips))

    @jax.jit
    def run(state, rows, frames, kinds):
        return jax.lax.scan(lambda state, some: trainer.step(state, some, frames, kinds), state, rows)

    state, begun = trainer.begin(), time.perf_counter()
    for first in range(0, steps, CHUNK):
        state, losses = run(state, rows[first : first + CHUNK], frames, kinds)
        (d_loss, g_loss), seconds = np.mean(losses, axis=0), time.perf_counter() - begun
        print(f"{first + len(losses)}/{steps} d_loss {d_loss:.3f} g_loss {g_loss:.3f} {seconds:.0f} s", flush=True)
    gan.ema_generator.set_weights(state[2])
    return gan


def main():
    """Trains the model that the command line names and writes its weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=[name for name in RECIPES if name.startswith("video-gan-")])
    parser.add_argument("path", type=Path, help="where the weights go (.weights.h5)")
    parser.add_argument("--seed", type=int, help="(default: the recipe's)")
    parser.add_argument("--steps", type=int, help="(default: the recipe's)")
    options = parser.parse_args()
    if keras.backend.backend() != "jax":
        parser.error("set KERAS_BACKEND=jax in the environment")
    recipe = RECIPES[options.name]
    recipe = recipe if options.seed is None else dataclasses.replace(recipe, seed=options.seed)
    gans.gradient_penalty = gradient_penalty
    gan = train(recipe, options.steps or recipe.steps["full"])
    generator = recipe.build()
    generator.set_weights(gan.ema_generator.get_weights())
    write_weights(generator, options.path)


if __name__ == "__main__":
    main()
