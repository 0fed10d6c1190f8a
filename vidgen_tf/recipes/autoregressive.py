"""How the frame tokenizers and the autoregressive transformers over their tokens are trained."""

import dataclasses
import itertools

import keras
import numpy as np

from .. import training, zoo
from ..datasets import iter_drawn, load, pipeline
from ..models.autoregressive import GPTConfig
from ..models.frame_tokenizer import FrameTokenizerConfig, encode_tokens
from ..pipelines.autoregressive import CONDITION_IDS, CONDITION_LENGTHS, condition_ids
from ..splits import training_clips, training_frames
from .recipe import Recipe
from .vae import fit_vae

WARMUP_STEPS = 50  # until the learning rate is at its largest


def fit_gpt(model, examples, steps, *, learning_rate=1.5e-3, batch_size=32, seed=0, **options):
    """Trains an autoregressive transformer with teacher forcing: AdamW, warm-up, then cosine decay to 0.

    Args:
        model: `GPT`.
        examples: dict of `token_examples`.
        steps: training steps in all, more than 50.
        learning_rate: float, the largest.
        batch_size: clips per step.
        seed: non-negative int, order of the batches.
        **options: of `training.fit`: `checkpoint`, `log_interval`, `callbacks`.

    Returns:
        The history of `training.fit`.
    """
    warmup = {"warmup_target": learning_rate, "warmup_steps": WARMUP_STEPS}
    schedule = keras.optimizers.schedules.CosineDecay(0.0, steps - WARMUP_STEPS, **warmup)
    optimizer = keras.optimizers.AdamW(schedule, beta_2=0.99, weight_decay=0.01, global_clipnorm=1.0)
    model.compile(optimizer, jit_compile=False)  # XLA was measured: no faster on two cores, and it compiles for 20 s

    def batches(first):
        data = pipeline(examples["condition"], examples["tokens"], batch_size=batch_size, seed=seed, first_step=first)
        return data.map(lambda condition, tokens: {"condition": condition, "tokens": tokens})

    return training.fit(model, batches, steps, **options)


def token_examples(tokenizer, clips, dataset):
    """Examples of clips without held-out attribute combinations: one for each caption.

    Args:
        tokenizer: trained `FrameTokenizer` of their frames.
        clips: `LabelledClips`.
        dataset: str, "digits" or "faces-32".

    Returns:
        dict of int32 arrays: "condition" `(M, L)` and "tokens" `(M, T)`, frame after frame. Captions of digits have other ids in
        Chinese than in English, so M is twice the number of clips; those of faces the same.
    """
    clips = training_clips(clips)
    tokens = encode_tokens(tokenizer, clips.frames).reshape(len(clips), -1)
    languages = [clips.captions, clips.captions_zh] if dataset == "digits" else [clips.captions]
    conditions = [condition_ids(captions.tolist(), dataset) for captions in languages]
    return {"condition": np.concatenate(conditions), "tokens": np.concatenate([tokens] * len(conditions))}


def training_set(dataset, tokenizer, num_extra_clips=0):
    """Examples of the training clips, and of further clips.

    Args:
        dataset: str, "digits" or "faces-32".
        tokenizer: trained `FrameTokenizer` of its frames.
        num_extra_clips: int, how many clips to make besides those of the training split; of digits.

    Returns:
        dict of arrays, see `token_examples`.
    """
    clips = itertools.chain([load(dataset)], iter_drawn(f"more-{dataset}", num_extra_clips) if num_extra_clips else ())
    parts = [token_examples(tokenizer, part, dataset) for part in clips]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _train_tokenizer(recipe, model, steps, checkpoint):
    """Trains a tokenizer on the frames of a data set, held-out attribute combinations left out."""
    frames = training_frames(load(*recipe.dataset))
    return fit_vae(model, frames, steps, seed=recipe.seed, checkpoint=checkpoint, log_interval=100, **recipe.training)


def _train_gpt(recipe, model, steps, checkpoint):
    """Trains a transformer on the tokens of a data set; in more steps than the fast budget has, on extra clips too. The recipe's
    training may hold "num_extra_clips", and options of `fit_gpt`."""
    options = dict(recipe.training)
    num_extra_clips = options.pop("num_extra_clips", 0) * (steps > recipe.steps["fast"])
    examples = training_set(recipe.dataset[0], zoo.load(recipe.uses["tokenizer"]), num_extra_clips)
    return fit_gpt(model, examples, steps, seed=recipe.seed, checkpoint=checkpoint, log_interval=50, **options)


_TOKENIZER = Recipe(
    name="frame-tokenizer-digits",
    title="Frame tokenizer: a frame of a moving digit, 32x32 grey, as four of 1000 codes (finite scalar quantisation)",
    model="FrameTokenizer",
    config=FrameTokenizerConfig(),
    dataset=("digits", "train"),
    steps={"fast": 800, "full": 8000},
    seed=11,
    train=_train_tokenizer,
    evaluation="frame_tokenizer",
    pipeline="token_reconstruction",
    reference="digits",
    training={"learning_rate": 3e-3, "batch_size": 32},
)
_GPT = Recipe(
    name="gpt-digits",
    title="Autoregressive transformer: a caption in front, then the 64 tokens of a clip of a moving digit, one after the other",
    model="GPT",
    config=GPTConfig(num_condition_ids=CONDITION_IDS["digits"], condition_length=CONDITION_LENGTHS["digits"]),
    dataset=("digits", "train"),
    steps={"fast": 400, "full": 4000},
    seed=11,
    train=_train_gpt,
    evaluation="autoregressive",
    pipeline="autoregressive",
    reference="digits",
    uses={"tokenizer": "frame-tokenizer-digits"},
    sampling={"temperature": 0.7},
    training={"num_extra_clips": 4000},
)
RECIPES = [
    _TOKENIZER,
    _GPT,
    dataclasses.replace(
        _TOKENIZER,
        name="frame-tokenizer-faces",
        title="Frame tokenizer: a frame of a drawn face, 32x32 RGB, as sixteen of 1000 codes (finite scalar quantisation)",
        config=FrameTokenizerConfig(channels=3, filters=(32, 64, 128)),
        dataset=("faces-32", "train"),
        steps={"fast": 400, "full": 4000},
        reference="faces-32",
    ),
    dataclasses.replace(
        _GPT,
        name="gpt-faces",
        title="Autoregressive transformer: a caption's attributes in front, then the 256 tokens of a clip of a drawn face",
        config=GPTConfig(
            num_slots=16,
            num_condition_ids=CONDITION_IDS["faces-32"],
            condition_length=CONDITION_LENGTHS["faces-32"],
            num_heads=2,  # 256 tokens: the scores of each head are 261 x 261 numbers, and moving them is most of a step
        ),
        dataset=("faces-32", "train"),
        steps={"fast": 200, "full": 2000},
        reference="faces-32",
        uses={"tokenizer": "frame-tokenizer-faces"},
        sampling={"temperature": 0.7},
        training={"learning_rate": 2e-3, "batch_size": 8},
    ),
]
