"""Learning rates that fall by a schedule, in training that traces it once."""

import keras
import numpy as np

from vidgen_tf import datasets, training

X = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")


def test_a_schedule_is_traced_once_for_all_variables_and_the_weights_are_those_of_keras(tmp_path):
    def batches(first):
        return datasets.pipeline(X, X[:, :1], batch_size=8, first_step=first)

    class Counted(keras.optimizers.schedules.CosineDecay):
        calls = 0

        def __call__(self, step):
            Counted.calls += 1
            return super().__call__(step)

    schedule, weights, counts = Counted(1e-2, 8), [], []
    save = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    with keras.saving.custom_object_scope({"Counted": Counted}):
        for trained_by_us in (True, False):
            training.set_seed(0)
            model, Counted.calls = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4), keras.layers.Dense(1)]), 0
            model.compile(keras.optimizers.AdamW(schedule), loss="mse", jit_compile=False)
            if trained_by_us:
                training.fit(model, batches, 6, log_interval=3, callbacks=[save])
            else:
                model.fit(batches(0), steps_per_epoch=3, epochs=2, shuffle=False, verbose=0)
            weights.append(model.get_weights())
            counts.append(Counted.calls)
            assert model.optimizer._learning_rate is schedule
        saved = keras.models.load_model(tmp_path / "2.keras").optimizer._learning_rate
    assert counts[0] < counts[1] - 2 and type(saved) is Counted and saved.get_config() == schedule.get_config()
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
