"""What a recipe is: everything that decides how a shipped model is trained, as a value."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from ..zoo.loading import MODELS


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a model of the zoo is trained. A variant of it is `dataclasses.replace(recipe, ...)`.

    Args:
        name: str, of the weights.
        title: str, what the model is, in a line.
        model: str, a name in `zoo.loading.MODELS`.
        config: frozen dataclass, the model's configuration.
        dataset: (str, str), name and split of the clips that it learns from.
        steps: training steps of each budget, "fast" and "full".
        seed: non-negative int.
        train: function (recipe, model, steps, checkpoint) -> history of `training.fit`; it trains the model.
        evaluation: str, a name in `evaluation.scores.EVALUATIONS`.
        pipeline: str, a name in `pipelines.sampling.PIPELINES`; None for a model that generates nothing.
        reference: str, the data set, or digit images, whose real clips its own are evaluated beside; None where there is none.
        uses: names of other models of the zoo, under their role: "autoencoder", "frame_classifier".
        sampling: numbers of the sampling, such as "guidance_scale".
        training: numbers of the training that `train` reads, such as "learning_rate".
    """

    name: str
    title: str
    model: str
    config: Any
    dataset: tuple[str, str]
    steps: Mapping[str, int]
    seed: int
    train: Callable
    evaluation: str
    pipeline: str | None = None
    reference: str | None = None
    uses: Mapping[str, str] = dataclasses.field(default_factory=dict)
    sampling: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def build(self):
        """The untrained model.

        Returns:
            `keras.Model`.
        """
        _, build = MODELS[self.model]
        return build(self.config, self.seed)

    def drawn(self):
        """What it learns from besides its data set.

        Returns:
            dict from a name in `datasets.DRAWN` to a number of clips.
        """
        counts = {f"more-{self.dataset[0]}": "num_extra_clips", "free-motion-digits": "num_free_motion_clips"}
        return {name: self.training.get(key, 0) for name, key in counts.items()}

    def record(self):
        """What the zoo's record holds of the recipe: enough to build, sample and evaluate the model without it.

        Returns:
            dict of "model", "config", "seed", "uses", "sampling", "drawn", "pipeline", "reference" and "evaluation".
        """
        return {
            "model": self.model,
            "config": dataclasses.asdict(self.config),
            "seed": self.seed,
            "uses": dict(self.uses),
            "sampling": dict(self.sampling),
            "drawn": {name: count for name, count in self.drawn().items() if count},
            "pipeline": self.pipeline,
            "reference": self.reference,
            "evaluation": self.evaluation,
        }
