"""The command line as a person uses it: help, data, training, sampling, evaluation, mistakes, Ctrl-C, and output that fails."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from few_clips import evaluated_beside_few

from vidgen_tf import datasets
from vidgen_tf.cli import main
from vidgen_tf.evaluation.spec import METRICS
from vidgen_tf.video import Clip

ROOT = Path(__file__).parents[1]
COMMANDS = [[], ["data"], ["train"], ["sample"], ["evaluate"], ["ablate"], ["zoo"], ["bench"], ["studio"], ["inspect"]]


OWN = ("PYTEST_CURRENT_TEST", "VIDGEN_QUIET", "TF_CPP_MIN_LOG_LEVEL")  # a tester's environment


def command(*arguments, stdout=subprocess.PIPE, **environment):
    """A process of the command line with nothing of the test's own in its environment, and Ctrl-C heard wherever it runs."""
    kept = {key: value for key, value in os.environ.items() if key not in OWN}
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from vidgen_tf.cli import main; sys.exit(main())"
    words, text = [sys.executable, "-c", code, *map(str, arguments)], {"text": True, "errors": "replace"}
    return subprocess.Popen(words, stdout=stdout, stderr=subprocess.PIPE, env=kept | environment, cwd=ROOT, **text)


def refused(words, capsys):
    """What a command that fails prints on stderr: one sentence, by argparse behind its usage line."""
    try:
        status = main(words)
    except SystemExit as stop:
        status = stop.code
    assert status in (1, 2)
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    return shown.splitlines()[-1]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words) or "nothing")
def test_help_names_what_there_is(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*words, "--help"])
    assert stop.value.code == 0 and "usage: python -m vidgen_tf" in capsys.readouterr().out


def test_help_needs_no_tensorflow():
    code = "import sys; sys.argv[1:] = ['--help']; from vidgen_tf.cli import main\ntry: main()\n"
    code += "except SystemExit: pass\nassert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT).returncode == 0


def test_data_list_names_every_data_set_and_its_card(capsys):
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


def test_data_show_takes_a_users_own_folder_of_videos_or_pictures(tmp_path, capsys):
    frames = np.random.default_rng(0).integers(0, 256, (20, 40, 60, 3), dtype=np.uint8)
    (tmp_path / "videos").mkdir(), (tmp_path / "pictures").mkdir()
    Clip(frames).save(tmp_path / "videos" / "mine.webp")
    assert main(["data", "show", str(tmp_path / "videos"), "-n", "1", "-o", str(tmp_path / "out.png")]) == 0
    assert "mine" in capsys.readouterr().out
    for i in range(3):
        Clip(frames[i : i + 1]).save(tmp_path / "pictures" / f"face {i}.png")
    words = ["data", "show", str(tmp_path / "pictures"), "--num-frames", "1", "-n", "3", "-o", str(tmp_path / "out.png")]
    assert main(words) == 0 and len(Clip.load(tmp_path / "out.png")) == 1


@pytest.mark.parametrize(
    "words, said",
    [
        (["data", "show", "nothing"], "'nothing' is neither a data ?set"),
        (["data", "show", ""], "is empty: is a variable unset"),
        (["data", "show", "digits", "-n", "0"], "'0' is no whole number from 1"),
        (["data", "show", "digits", "-n", "1" + "0" * 20], "is no whole number from 1"),
        (["data", "show", "digits", "--num-frames", "3"], "--num-frames is for your own files"),
        (["data", "make", "nothing"], "There is no data set nothing; there are shapes,"),
        (["data", "show", "digits", "-n", "3", "-o", "out.txt"], "must end in one of"),
        (["train", "nothing"], "There is no recipe for 'nothing'"),
        (["train", "mlp-gan-digits", "--steps", "100"], "--steps: for --from-scratch only"),
        (["train", "mlp-gan-digits", "--dataset", "shapes", "--autoencoder-steps", "7"], "--dataset, --autoencoder-steps: for"),
        (["train", "text-to-video"], "Train text-to-video-digits or text-to-video-shapes"),
        (["train", "vae-digits", "--from-scratch"], "Only text-to-video is trained --from-scratch"),
        (["train", "text-to-video", "--from-scratch", "--budget", "fast"], "--budget is for recipes"),
        (["train", "text-to-video", "--from-scratch", "--release"], "`ablate from-scratch --release` records"),
        (["train", "text-to-video", "--from-scratch", "--steps", "101"], "--steps are a multiple of 50 above 100"),
        (["train", "vae-digits", "--output-dir", ""], "is empty"),
        (["sample", "nothing"], "There are no weights named 'nothing'"),
        (["sample", "glo-faces", "-n", "0"], "'0' is no whole number from 1"),
        (["sample", "glo-faces", "--seed", "-1"], "'-1' is no whole number from 0"),
        (["sample", "glo-faces", "--weights", "missing.h5"], "missing.h5 can't be read"),
        (["sample", "glo-faces", "--weights", ""], "is empty"),
        (["sample", "glo-faces", "--prompt", "3 left"], "Prompts and guidance are for text-to-video"),
        (["sample", "glo-faces", "-o", "out.txt"], "must end in one of"),
        (["sample", "classifier-faces"], "generates no clips"),
        (["sample", "text-to-video"], "Say what to show"),
        (["sample", "text-to-video", "--prompt", "a pink cat"], "pink cat"),
        (["sample", "text-to-video", "--prompt", "3 left", "--guidance-scale", "nan"], "'nan' is no number from 0 to 20"),
        (["sample", "text-to-video", "--prompt", "3 left", "--guidance-scale", "inf"], "'inf' is no number from 0 to 20"),
        (["sample", "text-to-video", "--prompt", "3 left", "--guidance-scale", "1e30"], "'1e30' is no number from 0 to 20"),
        (["sample", "text-to-video", "--prompt", "3 left", "--guidance-scale=-5"], "'-5' is no number from 0 to 20"),
        (["sample", "text-to-video", "--prompts", "missing.txt"], "missing.txt can't be read as a text file"),
        (["sample", "image-to-video", "--prompt", "smiles"], "Say what to begin with: image-to-video --image FILE"),
        (["sample", "image-to-video", "--image", "missing.png"], "missing.png"),
        (["sample", "image-to-video", "--image", "a.png", "--prompt", "jumps"], "never saw: jumps"),
        (["sample", "sketch-to-video", "--sketch", "missing.png"], "missing.png"),
        (["sample", "glo-faces", "--sketch", "a.png"], "--sketch for sketch-to-video, not for glo-faces"),
        (["evaluate"], "Say what to evaluate"),
        (["evaluate", "nothing"], "nothing is no model of the zoo; of videos, say what they are like: --dataset"),
        (["evaluate", "nothing", "--dataset", "shapes"], "There is no file or folder"),
        (["evaluate", "classifier-faces"], "generates no clips"),
        (["evaluate", "mlp-gan-digits", "-n", "3"], "'3' is no whole number from 100"),
        (["evaluate", "mlp-gan-digits", "-n", "-5"], "'-5' is no whole number from 100"),
        (["evaluate", "mlp-gan-digits", "--fps", "9"], "leave out --fps"),
        (["evaluate", "x", "--dataset", "shapes", "--fps", "nan"], "'nan' is no number from 0.01"),
        (["evaluate", "--all", "x"], "leave out x"),
        (["bench", "--seconds", "nan"], "'nan' is no number from 0.01"),
        (["bench", "--seconds", "0"], "'0' is no number from 0.01"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_a_mistake_is_told_in_one_sentence(words, said, capsys):
    assert re.search(said, refused(words, capsys))


def test_the_last_versions_names_answer_for_one_version(capsys, tmp_path):
    assert main(["exam", "--measures"]) == 0
    shown = capsys.readouterr()
    assert "now called python -m vidgen_tf evaluate --list-metrics" in shown.err and "frame_frechet_distance" in shown.out
    assert main(["sample", "dense-faces", "-n", "1", "-o", str(tmp_path / "a.png")]) == 0
    assert main(["sample", "glo-faces", "-n", "1", "-o", str(tmp_path / "b.png")]) == 0
    np.testing.assert_array_equal(Clip.load(tmp_path / "a.png").frames, Clip.load(tmp_path / "b.png").frames)


def test_every_metric_is_explained(capsys):
    assert main(["evaluate", "--list-metrics"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(METRICS)


def values(shown):
    """Metric -> the columns behind it, without the interval."""
    lines = [re.sub(r"\[[^\]]*\]", "", line).split() for line in shown.splitlines()]
    return {line[0]: line[1:] for line in lines if len(line) > 4}


quick = pytest.fixture(evaluated_beside_few)


@pytest.mark.slow
def test_a_model_of_the_zoo_is_evaluated(quick, tmp_path, capsys):
    assert main(["evaluate", "mlp-gan-digits", "-n", "100", "-o", str(tmp_path / "x.png")]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^100 clips of mlp-gan-digits, data set digit-images$", shown, re.MULTILINE)
    found = values(shown)
    assert float(found["frame_frechet_distance"][0]) < 4 * float(found["frame_frechet_distance"][1])
    assert float(found["memorized_share"][0]) < 0.2 and float(found["training_minutes"][0]) > 0
    assert Clip.load(tmp_path / "x.png").frames.shape[0] == 16


def test_videos_of_another_program_are_evaluated(quick, tmp_path, capsys):
    """A hundred clips, one after another in one file, that a codec has been at."""
    clips = datasets.load("shapes", "train", 100)
    Clip(clips.frames.reshape(-1, 32, 32, 3)).save(tmp_path / "made.mp4")
    (tmp_path / "prompts.txt").write_text("\n".join(clips.captions), encoding="utf-8-sig")  # as some editors save it
    words = ["evaluate", str(tmp_path / "made.mp4"), "--dataset", "shapes", "-o", str(tmp_path / "x.webp")]
    assert main([*words, "--captions", str(tmp_path / "prompts.txt")]) == 0
    found = values(capsys.readouterr().out)
    assert float(found["joint_accuracy"][0]) > 0.9 and float(found["memorized_share"][0]) == 1
    assert (tmp_path / "x.webp").is_file()
    assert "can't be read as a text file" in refused([*words, "--captions", str(tmp_path / "x.webp")], capsys)


def test_a_persons_terminal_is_free_of_tensorflows_log(tmp_path):
    process = command("sample", "glo-faces", "-n", "2", "-o", tmp_path / "made.mp4")
    assert process.communicate()[1] == "" and process.returncode == 0
    assert Clip.load(tmp_path / "made.mp4").frames.shape[0] == 16


@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "cp1252"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}], ids=str
)
def test_captions_are_printed_escaped_where_the_output_has_no_such_characters(environment, tmp_path):
    process = command("data", "show", "shapes", "-n", "2", "-o", tmp_path / "a.png", **environment)
    shown, errors = process.communicate()
    assert process.returncode == 0 and errors == "" and "\\u4e00" in shown and (tmp_path / "a.png").is_file()
    process = command("sample", "text-to-video", "--prompt", "a pink cat 猫", **environment)
    shown, errors = process.communicate()
    assert process.returncode == 1 and errors.startswith("error: ") and errors.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="a file name that is no Unicode, and /dev/full")
def test_odd_file_names_closed_pipes_and_full_disks_are_no_traceback(tmp_path):
    odd = os.fsencode(tmp_path) + b"/caf\xe9.webp"
    Clip(np.arange(16 * 8 * 8, dtype=np.uint8).reshape(16, 8, 8, 1)).save(tmp_path / "a.webp")
    os.rename(os.fsencode(tmp_path / "a.webp"), odd)
    process = command("data", "show", os.fsdecode(odd), "-n", "1", "-o", tmp_path / "b.png", PYTHONIOENCODING="utf-8")
    assert process.communicate()[1] == "" and process.returncode == 0
    reader, writer = os.pipe()
    os.close(reader)
    process = command("evaluate", "--list-metrics", stdout=writer)
    os.close(writer)
    assert process.communicate()[1] == "" and process.returncode == 0
    with open("/dev/full", "w") as full:
        process = command("zoo", "list", stdout=full)
        errors = process.communicate()[1]
    assert process.returncode == 1
    assert errors == "error: No space left on the disk for what is printed: free some and run again.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_in_training_keeps_a_checkpoint_and_leaves_nothing_half_written(tmp_path):
    process = command("train", "glo-faces", "--budget", "fast", "--output-dir", tmp_path)
    seen = ""
    while "loss=" not in seen and process.poll() is None:  # the bar shows a loss: training is under way
        seen += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=120)[1]
    assert process.returncode == 130 and "stopped; files already written are whole" in rest and "Traceback" not in rest
    assert [path.name for path in tmp_path.iterdir()] == ["glo-faces-fast.checkpoint.npz"]
    assert np.load(tmp_path / "glo-faces-fast.checkpoint.npz")["done"] >= 1


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_can_not_be_written_to_is_told_before_the_training(tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert "Can't write" in refused(["train", "glo-faces", "--budget", "fast", "--output-dir", str(tmp_path)], capsys)
