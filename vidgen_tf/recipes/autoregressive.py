"""How the video tokenizers and the autoregressive transformers over their tokens are trained."""

import dataclasses
import functools
import itertools

import keras
import numpy as np

from .. import training, zoo
from ..datasets import iter_drawn, load, pipeline
from ..models.autoregressive import GPTConfig
from ..models.video_tokenizer import VideoTokenizerConfig, encode_tokens
from ..pipelines.autoregressive import CONDITION_IDS, CONDITION_LENGTHS, condition_ids
from ..splits import training_clips
from .recipe import Recipe
from .vae import fit_vae

WARMUP_STEPS = 50  # until the learning rate is at its largest
FRAMES_PER_EXAMPLE = 4  # that a tokenizer reads together in training
OPTIMIZERS = {
    "adamw": functools.partial(keras.optimizers.AdamW, beta_2=0.99, weight_decay=0.01, global_clipnorm=1.0),
    # Embeddings and the head are tables of vectors, one a code, and no maps from one layer to the next: Muon leaves them to Adam.
    "muon": functools.partial(keras.optimizers.Muon, weight_decay=0.01, exclude_layers=["embedding", "head"]),
}


def fit_gpt(model, examples, steps, *, optimizer="adamw", learning_rate=1.5e-3, batch_size=32, seed=0, **options):
    """Trains an autoregressive transformer with teacher forcing: warm-up, then cosine decay to 0.

    Args:
        model: `GPT`.
        examples: dict of `token_examples`.
        steps: training steps in all, more than 50.
        optimizer: str, a key of `OPTIMIZERS`. Muon gets much further in a few hundred steps; it wants a larger learning rate.
        learning_rate: float, the largest.
        batch_size: clips per step.
        seed: non-negative int, order of the batches.
        **options: of `training.fit`: `checkpoint`, `log_interval`, `callbacks`.

    Returns:
        The history of `training.fit`.

    References:
        Jordan and others, 2024, "Muon: an optimizer for hidden layers in neural networks".
    """
    warmup = {"warmup_target": learning_rate, "warmup_steps": WARMUP_STEPS}
    schedule = keras.optimizers.schedules.CosineDecay(0.0, steps - WARMUP_STEPS, **warmup)
    # XLA was measured: no faster on two cores, and it compiles for 20 s
    model.compile(OPTIMIZERS[optimizer](schedule), jit_compile=False)

    def batches(first):
        data = pipeline(examples["condition"], examples["tokens"], batch_size=batch_size, seed=seed, first_step=first)
        return data.map(lambda condition, tokens: {"condition": condition, "tokens": tokens})

    return training.fit(model, batches, steps, **options)


def token_examples(tokenizer, clips, dataset):
    """Examples of clips without held-out attribute combinations: one for each caption.

    Args:
        tokenizer: trained `VideoTokenizer` of their frames.
        clips: `LabelledClips`.
        dataset: str, "digits" or "faces-32".

    Returns:
        dict of int32 arrays: "condition" `(M, L)` and "tokens" `(M, T)`. Captions of digits have other ids in
        Chinese than in English, so M is twice the number of clips; those of faces the same.
    """
    clips = training_clips(clips)
    tokens = encode_tokens(tokenizer, clips.frames)
    languages = [clips.captions, clips.captions_zh] if dataset == "digits" else [clips.captions]
    conditions = [condition_ids(captions.tolist(), dataset) for captions in languages]
    return {"condition": np.concatenate(conditions), "tokens": np.concatenate([tokens] * len(conditions))}


def training_set(dataset, tokenizer, num_extra_clips=0):
    """Examples of the training clips, and of further clips.

    Args:
        dataset: str, "digits" or "faces-32".
        tokenizer: trained `VideoTokenizer` of its frames.
        num_extra_clips: int, how many clips to make besides those of the training split.

    Returns:
        dict of arrays, see `token_examples`.
    """
    clips = itertools.chain([load(dataset)], iter_drawn(f"more-{dataset}", num_extra_clips) if num_extra_clips else ())
    parts = [token_examples(tokenizer, part, dataset) for part in clips]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def tokenizer_examples(clips, seed=0):
    """Short clips to train a tokenizer on: the first frame of a clip, then three others of it, in any order.

    Args:
        clips: uint8 `(N, 16, H, W, C)`, any number of frames that is one more than a multiple of 3.
        seed: non-negative int, of the order.

    Returns:
        uint8 `(5 N, 4, H, W, C)`; each frame of a clip but the first is in one of them.
    """
    later = np.random.default_rng(seed).permuted(np.tile(np.arange(1, clips.shape[1]), (len(clips), 1)), axis=1)
    later = later.reshape(-1, FRAMES_PER_EXAMPLE - 1)
    rows = np.repeat(np.arange(len(clips)), len(later) // len(clips))
    return clips[rows[:, None], np.pad(later, ((0, 0), (1, 0)))]


def _train_tokenizer(recipe, model, steps, checkpoint):
    """Trains a tokenizer on the clips of a data set, held-out attribute combinations left out."""
    clips = tokenizer_examples(training_clips(load(*recipe.dataset)).frames, recipe.seed)
    return fit_vae(model, clips, steps, seed=recipe.seed, checkpoint=checkpoint, log_interval=100, **recipe.training)


def _train_gpt(recipe, model, steps, checkpoint):
    """Trains a transformer on the tokens of a data set; in more steps than the fast budget has, on extra clips too. The recipe's
    training may hold "num_extra_clips", and options of `fit_gpt`."""
    options = dict(recipe.training)
    num_extra_clips = options.pop("num_extra_clips", 0) * (steps > recipe.steps["fast"])
    examples = training_set(recipe.dataset[0], zoo.load(recipe.uses["tokenizer"]), num_extra_clips)
    return fit_gpt(model, examples, steps, seed=recipe.seed, checkpoint=checkpoint, log_interval=50, **options)


_TOKENIZER = Recipe(
    name="video-tokenizer-digits",
    title="Video tokenizer: a clip of a moving digit, 32x32 grey, as 60 of 1000 codes (finite scalar quantisation)",
    model="VideoTokenizer",
    config=VideoTokenizerConfig(),
    dataset=("digits", "train"),
    steps={"fast": 800, "full": 20000},
    seed=11,
    train=_train_tokenizer,
    evaluation="video_tokenizer",
    pipeline="token_reconstruction",
    reference="digits",
    training={"learning_rate": 3e-3, "batch_size": 8},
)
_GPT = Recipe(
    name="gpt-digits",
    title="Autoregressive transformer: a caption in front, then the 60 tokens of a clip of a moving digit, one after the other",
    model="GPT",
    config=GPTConfig(num_condition_ids=CONDITION_IDS["digits"], condition_length=CONDITION_LENGTHS["digits"]),
    dataset=("digits", "train"),
    steps={"fast": 400, "full": 4500},
    seed=11,
    train=_train_gpt,
    evaluation="autoregressive",
    pipeline="autoregressive",
    reference="digits",
    uses={"tokenizer": "video-tokenizer-digits"},
    sampling={"temperature": 0.3},
    training={"num_extra_clips": 4000, "learning_rate": 4e-3},
)
RECIPES = [
    _TOKENIZER,
    _GPT,
    dataclasses.replace(
        _TOKENIZER,
        name="video-tokenizer-faces",
        title="Video tokenizer: a clip of a drawn face, 32x32 RGB, as 48 of 1000 codes (finite scalar quantisation)",
        config=VideoTokenizerConfig(channels=3, num_content_tokens=16, num_motion_tokens=2),
        dataset=("faces-32", "train"),
        steps={"fast": 400, "full": 9000},
        reference="faces-32",
    ),
    dataclasses.replace(
        _GPT,
        name="gpt-faces",
        title="Autoregressive transformer: a caption's attributes in front, then the 48 tokens of a clip of a drawn face",
        config=GPTConfig(
            num_tokens=48,
            num_condition_ids=CONDITION_IDS["faces-32"],
            condition_length=CONDITION_LENGTHS["faces-32"],
        ),
        dataset=("faces-32", "train"),
        steps={"fast": 200, "full": 2400},
        reference="faces-32",
        uses={"tokenizer": "video-tokenizer-faces"},
        sampling={"temperature": 0.7},
        training={"num_extra_clips": 8000},
    ),
]
