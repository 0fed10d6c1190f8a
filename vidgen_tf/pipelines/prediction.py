"""Clips continued from context frames by a predictor's autoregressive rollout."""

import numpy as np
from ..models.convlstm import pixels
from ..video import to_float, to_uint8


def rollout(model, context, num_frames=FUTURE, contrast=1.0):
    """The frames that a predictor expects after those that it is shown, drop_attribute ever seeing another.

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
