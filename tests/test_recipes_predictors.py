"""How the frame predictors are trained: which frames they read and predict, on clips that don't repeat, resumed to the bit."""

import keras
import numpy as np
import pytest

from vidgen_tf import datasets, training
from vidgen_tf.models.convlstm import ConvLSTM, ConvLSTMConfig
from vidgen_tf.models.simvp import SimVPConfig, build_simvp
from vidgen_tf.recipes.predictors import STREAMS, fit_predictor, streaming_batches
from vidgen_tf.worlds import digits, spheres

CLIPS = {"seed": 5, "size": 32, "num_digits": 1}


def convlstm(num_free_running_frames=0):
    training.set_seed(3)
    return ConvLSTM(ConvLSTMConfig(image_size=32, patch_size=8, filters=(2,)), num_free_running_frames)


def simvp():
    training.set_seed(3)
    return build_simvp(SimVPConfig(patch_size=8, filters=4, num_layers=1))


def test_context_and_targets_overlap_as_they_should():
    """The output at t predicts frame t + 1; convolutions alone predict the last ten."""
    clips = digits.make_moving_mnist(4, **CLIPS).frames
    for model, num_context_frames, first in [(convlstm(), 19, 1), (convlstm(9), 10, 1), (simvp(), 10, 10)]:
        x, y = next(iter(streaming_batches(model, CLIPS, 4)))
        np.testing.assert_array_equal(np.rint((x.numpy() + 1) * 127.5), clips[:, :num_context_frames])
        np.testing.assert_array_equal(np.rint((y.numpy() + 1) * 127.5), clips[:, first:])
        assert model(x).shape == y.shape


def test_a_stream_of_another_world_begins_with_the_clips_of_its_data_set():
    config = SimVPConfig(channels=3, patch_size=8, filters=4, num_layers=1, num_context_frames=4, num_future_frames=12)
    clips, stream = datasets.DATASETS["bouncing-spheres"].make("train", 0, 6), STREAMS["bouncing-spheres"]
    batches = list(streaming_batches(build_simvp(config), stream, 3).take(2))
    for part, frames in enumerate((clips.frames[:, :4], clips.frames[:, 4:])):
        streamed = np.concatenate([batch[part].numpy() for batch in batches])
        np.testing.assert_array_equal(np.rint((streamed + 1) * 127.5), frames)
    assert stream["make"] is spheres.make_bouncing, "a stream isn't changed by who reads it"


def test_batches_do_not_repeat_and_depend_on_their_number_alone():
    model = convlstm(9)
    three = [x.numpy() for x, _ in streaming_batches(model, CLIPS, 2).take(3)]
    assert len({x.tobytes() for x in three}) == 3
    later = next(iter(streaming_batches(model, CLIPS, 2, first_step=2)))[0].numpy()
    np.testing.assert_array_equal(later, three[2])


class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


@pytest.mark.parametrize("build", [lambda: convlstm(9), simvp], ids=["convlstm", "simvp"])
def test_a_predictor_resumes_to_the_weights_of_an_uninterrupted_run(build, tmp_path):
    def fitted(model, **options):
        return fit_predictor(model, CLIPS, 6, batch_size=2, log_interval=2, **options)

    whole, part, resumed = build(), build(), build()
    fitted(whole)
    with pytest.raises(KeyboardInterrupt):
        fitted(part, checkpoint=tmp_path / "c.npz", checkpoint_interval_s=0, callbacks=[Stop()])
    history = fitted(resumed, checkpoint=tmp_path / "c.npz")
    assert history["step"].tolist() == [2, 4, 6] and {"loss", "mse_metric"} <= history.keys()
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
