"""Experiment of chapter 06: a recurrent predictor trained with teacher forcing, free-running, and by one after the other."""

from ..metrics.prediction import evaluate_prediction, mse_per_frame
from ..models.convlstm import ConvLSTM, ConvLSTMConfig
from ..models.simvp import SimVPConfig, build_simvp
from ..pipelines.prediction import rollout
from ..recipes.predictors import NUM_CONTEXT_FRAMES, NUM_FUTURE_FRAMES, fit_predictor
from ..worlds import digits
from .ablation import run_variants

SEEDS = (8, 108, 208)
STREAM = {"size": 32, "num_digits": 1}
TEST_SEED, NUM_CLIPS = 601, 500
FREE = NUM_FUTURE_FRAMES - 1  # frames that a free-running model reads of its own

# Variant -> phases: the share of the steps, and how many of its own frames the model reads in them.
PHASES = {
    "teacher forcing": ((1.0, 0),),
    "free-running": ((1.0, FREE),),
    "one, then the other": ((0.375, 0), (0.625, FREE)),
}


def train_in_phases(phases, steps, seed):
    """A ConvLSTM trained in phases, each with its own learning-rate schedule and clips of its own.

    Args:
        phases: sequence of pairs: a share of the steps, and the number of free-running frames.
        steps: training steps in all.
        seed: non-negative int.

    Returns:
        trained `ConvLSTM`.
    """
    model = ConvLSTM(ConvLSTMConfig())
    for i, (share, num_free) in enumerate(phases):
        model.num_free_running_frames = num_free
        fit_predictor(model, STREAM | {"seed": 1000 + 10 * seed + i}, round(share * steps))
    return model


def train_simvp(steps, seed):
    """A SimVP of the chapter's size.

    Args:
        steps: training steps.
        seed: non-negative int.

    Returns:
        trained `keras.Model`.
    """
    model = build_simvp(SimVPConfig())
    fit_predictor(model, STREAM | {"seed": 1000 + 10 * seed}, steps)
    return model


def run_schedules(dataset, path, steps=400, seeds=SEEDS):
    """Trains ConvLSTMs for as many steps each, and a SimVP.

    Args:
        dataset: str, "moving-digits"; here with one digit, 32x32.
        path: Path of a file (.json) that keeps the rows until all are there: those in it are not made again.
        steps: training steps of each, a multiple of 200.
        seeds: sequence of non-negative int: each variant is trained once with each.

    Returns:
        list of dicts, one for each variant and seed: "variant", "seed", the scores of `metrics.prediction.evaluate_prediction`
        of test clips, and "mse_1" to "mse_10", the error of each predicted frame.
    """
    clips = digits.make_moving_mnist(NUM_CLIPS, seed=TEST_SEED, split="test", **STREAM).frames
    context, future = clips[:, :NUM_CONTEXT_FRAMES], clips[:, NUM_CONTEXT_FRAMES:]

    def make(name, seed):
        model = train_in_phases(PHASES[name], steps, seed) if name in PHASES else train_simvp(steps, seed)
        predicted = rollout(model, context)
        by_frame = mse_per_frame(future, predicted).mean(axis=0)
        errors = {f"mse_{t}": float(error) for t, error in enumerate(by_frame, 1)}
        return evaluate_prediction(clips, predicted) | errors

    return run_variants((*PHASES, "SimVP"), path, seeds, make)
