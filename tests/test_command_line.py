"""python -m vidgen_tf: what a person sees, and the exit status."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vidgen_tf import datasets
from vidgen_tf.__main__ import main
from vidgen_tf.video import Clip

ROOT = Path(__file__).parents[1]
LOUD = {
    key: value for key, value in os.environ.items() if key not in ("TF_CPP_MIN_LOG_LEVEL", "PYTEST_CURRENT_TEST", "VIDGEN_QUIET")
}


def command(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "vidgen_tf", *map(str, arguments)],
        cwd=ROOT,
        env=LOUD,
        text=True,
        stderr=subprocess.PIPE,
        **options,
    )


@pytest.mark.parametrize("words", [[], ["data"], ["data", "show"], ["train"], ["sample"], ["exam"], ["zoo"], ["bench"]])
def test_help_names_what_there_is(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*words, "--help"])
    assert stop.value.code == 0 and "usage: python -m vidgen_tf" in capsys.readouterr().out


def test_data_list_names_every_dataset_and_its_card(capsys):
    assert main(["data", "list"]) == 0
    shown = capsys.readouterr().out
    for name in datasets.DATASETS:
        assert re.search(rf"^{name} ", shown, re.MULTILINE)
    for card in re.findall(r"datasets/\w+\.md", shown):
        assert (ROOT / card).is_file()


def test_data_show_writes_clips_and_prints_their_captions(tmp_path, capsys):
    assert main(["data", "show", "digits", "--split", "test", "-n", "4", "-o", str(tmp_path / "new" / "d.webp")]) == 0
    assert len(re.findall(r"^the digit \d is moving .*数字", capsys.readouterr().out, re.MULTILINE)) == 4
    assert Clip.load(tmp_path / "new" / "d.webp").frames.shape[0] == 16


def test_data_show_takes_a_users_own_folder(tmp_path, capsys):
    frames = np.random.default_rng(0).integers(0, 256, (20, 40, 60, 3), dtype=np.uint8)
    Clip(frames).save(tmp_path / "mine.webp")
    assert main(["data", "show", str(tmp_path), "-n", "1", "-o", str(tmp_path / "out.png")]) == 0
    assert "mine" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["data", "show", "nothing"], "error: 'nothing' is neither a dataset"),
        (["data", "make", "nothing"], "error: There is no dataset nothing; there are shapes,"),
        (["data", "show", "digits", "-n", "3", "-o", "out.txt"], "error: .*suffix must be one of"),
        (["train", "nothing"], "error: There is no model 'nothing'"),
        (["sample", "dense-faces", "-n", "0"], "error: -n must be at least 1"),
        (["sample", "dense-faces", "--weights", "missing.h5"], "error: missing.h5 can't be read"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_1(arguments, message, capsys):
    assert main(arguments) == 1
    shown = capsys.readouterr().err
    assert re.match(message, shown) and shown.count("\n") == 1


def test_a_persons_terminal_is_free_of_tensorflows_log(tmp_path):
    process = command("sample", "dense-faces", "-n", "2", "-o", tmp_path / "made.mp4")
    assert process.communicate()[1] == "" and process.returncode == 0
    assert Clip.load(tmp_path / "made.mp4").frames.shape[0] == 16


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_in_training_keeps_a_checkpoint_and_leaves_nothing_half_written(tmp_path):
    process = command("train", "dense-faces", "--budget", "fast", "--folder", tmp_path)
    seen = ""
    while "loss=" not in seen and process.poll() is None:  # the bar shows a loss: training is under way
        seen += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "stopped; files already written are whole" in rest and "Traceback" not in rest
    assert [path.name for path in tmp_path.iterdir()] == ["dense-faces-fast.checkpoint.npz"]
    assert np.load(tmp_path / "dense-faces-fast.checkpoint.npz")["done"] >= 1
