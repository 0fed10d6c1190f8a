"""Evaluation of video tokenizers and of the autoregressive transformers that write their tokens."""

import numpy as np

from ..datasets import load
from ..metrics.image import psnr
from ..metrics.latents import code_usage
from ..models.autoregressive import token_bits
from ..models.video_tokenizer import decode_tokens, encode_tokens
from ..pipelines.autoregressive import condition_ids, generate_clips, prompts_of
from ..pipelines.video import load_autoencoder
from ..worlds import faces
from .adherence import prompt_accuracy
from .copies import TrainingClips
from .features import load_cached, predict_probabilities
from .protocol import evaluate

NUM_CLIPS = 500
NUM_HELD_OUT = 400  # clips of held-out attribute combinations
METRICS = ("frame_frechet_distance", "video_frechet_distance", "memorized_share")
FACE_OUTPUTS = {"hair_style": "hair_style", "hair_colour": "hair_colour", "beard": "beard", "has_glasses": "glasses"}


def evaluate_tokenizer(model, record):
    """Reconstruction by a video tokenizer, and use of its codes, on the test clips of its data set.

    Args:
        model: trained `VideoTokenizer`.
        record: dict, its record.

    Returns:
        dict of float: "psnr_db" of reconstructed frames, the mean over frames; "codes_in_use", the share of codes that occur;
        "code_perplexity", see `code_usage`.
    """
    frames = load(record["dataset"]["name"], "test").frames
    tokens = encode_tokens(model, frames)
    share, perplexity = code_usage(tokens, model.config.num_codes)
    quality = float(psnr(frames, decode_tokens(model, tokens)).mean())
    return {"psnr_db": quality, "codes_in_use": share, "code_perplexity": perplexity}


def clip_accuracy(frames, clips, dataset):
    """Whether clips show what their prompts say.

    Args:
        frames: uint8 `(N, T, H, W, C)`, N at least 100.
        clips: N `LabelledClips` whose captions are the prompts.
        dataset: str, "digits", as in `prompt_accuracy`; or "faces-32", read by a classifier.

    Returns:
        dict of float in [0, 1]: accuracies by name, "joint_accuracy" among them. Of faces "appearance_accuracy", whether hair,
        beard and glasses of the last frame are as asked; and "smile_accuracy", whether it smiles where, and only where, a smile
        was asked for.
    """
    if dataset == "digits":
        return {name: float(value.mean()) for name, value in prompt_accuracy(frames, dataset, clips).items()}
    outputs = predict_probabilities(load_cached("classifier-faces"), frames[:, -1])
    asked, right = faces.parse_captions(clips.captions), []
    for name, output in FACE_OUTPUTS.items():
        found = outputs[output].argmax(axis=1)
        found = found > 0 if name == "has_glasses" else found
        right.append((asked[name] < 0) | (found == asked[name]))  # a bald head's colour isn't named
    appearance = np.all(right, axis=0)
    smile = (outputs["smile"].argmax(axis=1) == 1) == (asked["expression"] == faces.EXPRESSIONS.index("smile"))
    values = {"appearance_accuracy": appearance, "smile_accuracy": smile, "joint_accuracy": appearance & smile}
    return {name: float(value.mean()) for name, value in values.items()}


def evaluate_autoregressive(model, record):
    """Prompt adherence, distribution, memorisation and likelihood of a GPT on the test clips of its data set.

    Args:
        model: trained `GPT`.
        record: dict with "reference", "uses" and "sampling", its record.

    Returns:
        dict of float: accuracies of 500 sampled clips, see `clip_accuracy`, and under "X_reconstruction" those of the test clips
        after the tokenizer, an upper bound; Fréchet distances, with the real-to-real ones under "X_real", and memorised share;
        "bits_per_token" of the test clips; and of digits "held_out_joint_accuracy", of prompts for held-out combinations.
    """
    dataset, tokenizer = record["reference"], load_autoencoder(record["uses"]["tokenizer"])
    clips, prompts = prompts_of(dataset, NUM_CLIPS)
    condition, tokens = condition_ids(prompts, dataset), encode_tokens(tokenizer, clips.frames)
    frames = generate_clips(model, tokenizer, condition, seed=1, **record["sampling"])
    conditioning = clips if dataset == "digits" else None
    report = evaluate(frames, dataset, conditioning=conditioning, training=TrainingClips.of(record))
    scores = {name: report.scores[name] for name in METRICS if name in report.scores}
    scores |= {f"{name}_real": report.real[name] for name in scores if name.endswith("distance")}
    scores |= clip_accuracy(frames, clips, dataset)
    reconstructed = clip_accuracy(decode_tokens(tokenizer, tokens), clips, dataset)
    scores |= {f"{name}_reconstruction": value for name, value in reconstructed.items()}
    scores["bits_per_token"] = float(token_bits(model, condition, tokens).mean())
    if dataset == "digits":
        clips, prompts = prompts_of(dataset, NUM_HELD_OUT, held_out=True)
        frames = generate_clips(model, tokenizer, condition_ids(prompts, dataset), seed=2, **record["sampling"])
        scores["held_out_joint_accuracy"] = clip_accuracy(frames, clips, dataset)["joint_accuracy"]
    return scores
