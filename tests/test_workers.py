"""Training with several workers: who they are, what each reads, equal weights, and a worker that dies."""

import json
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from vidgen_tf import workers
from vidgen_tf.cli import launch, main
from vidgen_tf.errors import CourseError

ROOT = Path(__file__).parents[1]
TRAIN = [sys.executable, str(ROOT / "tests" / "train_together.py")]
MODELS = ["glo", "vae", "classifier", "mlp_gan", "dcgan"]
PART = "import json, os, sys, time; index = json.loads(os.environ['TF_CONFIG'])['task']['index']; "


def third_of_four():
    return workers.Workers(2, 4, None)


def test_a_process_alone_is_the_chief_and_reads_whole_batches():
    assert workers.current() is None and workers.is_chief()
    assert workers.read(lambda first: first + 7, 3) == 10


def test_own_rows_are_a_share_of_every_part_of_a_batch():
    batch = {"x": np.arange(8), "y": (np.arange(16).reshape(8, 2),)}
    own = third_of_four().own_rows(batch)
    assert own["x"].tolist() == [4, 5] and own["y"][0].tolist() == [[8, 9], [10, 11]]
    with pytest.raises(CourseError, match="batch of 6 can't be divided among 4 workers"):
        third_of_four().own_rows(np.arange(6))


def test_each_worker_draws_the_rows_of_one_large_draw():
    import keras

    whole = keras.random.normal((8, 3), seed=5)
    rows = [workers.Workers(i, 4, None)._draw(keras.random.normal, (2, 3), seed=5) for i in range(4)]
    assert np.array_equal(np.concatenate(rows), whole)
    number = keras.random.uniform((), seed=5)
    assert third_of_four()._draw(keras.random.uniform, (), seed=5) == number, "a single number is the same for all"


@pytest.mark.parametrize(
    "text", ["", "{", '{"cluster": {}}', '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}']
)
def test_a_wrong_tf_config_is_told(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(CourseError, match="TF_CONFIG must say who the workers are"):
        workers.join()


def test_one_worker_alone_joins_nobody(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}')
    assert workers.join() is None and workers.current() is None


def test_slurm_says_who_the_workers_are(monkeypatch):
    with pytest.raises(CourseError, match="SLURM_PROCID.* is not set: start the workers with srun"):
        workers.join("slurm")
    step = {"PROCID": "2", "STEP_NODELIST": "node[01-02]", "STEP_TASKS_PER_NODE": "2,1", "STEP_NUM_TASKS": "3", "JOB_ID": "7"}
    for name, value in step.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("PATH", "")  # without nvidia-smi
    resolver = workers._slurm()
    assert resolver.cluster_spec().job_tasks("worker") == ["node01:20700", "node01:20701", "node02:20700"]
    assert resolver.task_id == 2


def test_the_slurm_script_starts_the_command_as_a_job_step(tmp_path):
    script = ROOT / "clusters" / "slurm.sbatch"
    srun = tmp_path / "srun"
    srun.write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_SUBMIT_DIR": str(tmp_path)}
    arguments = ["vae-digits", "--budget", "fast"]
    run = subprocess.run(["bash", script, *arguments], env=environment, capture_output=True, text=True)
    command = run.stdout.split("\n")
    assert command[2:-1] == ["python", "-m", "vidgen_tf", "train", *arguments, "--resume", "--cluster", "slurm"]
    assert "--kill-on-bad-exit=1" in command
    nothing = subprocess.run(["bash", script], env=environment, capture_output=True, text=True)
    assert nothing.returncode == 2 and "Name the model" in nothing.stderr
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)=(\S+)$", script.read_text(), re.MULTILINE))
    assert options["ntasks"] == "2" and options["signal"] == "INT@120", "interrupted in time to write a checkpoint"


def test_the_kubernetes_manifest_agrees_with_itself_and_with_the_code():
    service, job = yaml.safe_load_all((ROOT / "clusters" / "kubernetes.yaml").read_text())
    pod = job["spec"]["template"]["spec"]
    container = pod["containers"][0]
    environment = {each["name"]: each["value"] for each in container["env"]} | {"JOB_COMPLETION_INDEX": "1"}
    config = workers.kubernetes_config(environment)
    hosts = [f"{job['metadata']['name']}-{i}.{pod['subdomain']}:{service['spec']['ports'][0]['port']}" for i in range(2)]
    assert config == {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": 1}}
    assert job["spec"]["completionMode"] == "Indexed" and job["spec"]["completions"] == job["spec"]["parallelism"] == 2
    assert service["metadata"]["name"] == pod["subdomain"] and service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"batch.kubernetes.io/job-name": job["metadata"]["name"]}
    from vidgen_tf.cli import _parser

    options = _parser().parse_args([*container["command"][3:], *container["args"]])
    assert options.cluster == "kubernetes" and options.resume
    with pytest.raises(CourseError, match="VIDGEN_WORKERS is not set"):
        workers.kubernetes_config({**environment, "VIDGEN_WORKERS": ""})


def test_processes_are_started_with_a_number_each_and_the_others_print_to_files(tmp_path, capfd):
    program = [sys.executable, "-c", PART + "print(sys.argv[1:], index, os.environ['TF_CONFIG'].count('127.0.0.1'))"]
    launch.launch(["hello"], 3, tmp_path, program)
    assert capfd.readouterr().out.splitlines()[1] == "['hello'] 0 3"
    assert [(tmp_path / f"worker-{i}.log").read_text() for i in (1, 2)] == ["['hello'] 1 3\n", "['hello'] 2 3\n"]


@pytest.mark.parametrize(
    "ends, said",
    [
        ("os.kill(os.getpid(), 9) if index == 1 else time.sleep(60)", "Worker 1 of 2 was killed by SIGKILL, so all have stopped"),
        ("sys.exit(3) if index == 1 else time.sleep(60)", "Worker 1 of 2 ended with status 3.*worker-1.log"),
        ("os.kill(os.getpid(), 9) if index == 0 else time.sleep(60)", "Worker 0 of 2 was killed by SIGKILL.*--resume"),
    ],
)
def test_when_one_dies_the_others_are_ended(ends, said, tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "GRACE_S", 0.5)
    start = time.monotonic()
    with pytest.raises(CourseError, match=said):
        launch.launch([], 2, tmp_path, [sys.executable, "-c", PART + ends])
    assert time.monotonic() - start < 30


def test_the_chiefs_own_sentence_is_not_said_twice(tmp_path, capfd):
    with pytest.raises(SystemExit) as status:
        launch.launch([], 2, tmp_path, [sys.executable, "-c", PART + "sys.exit('error: no') if index == 0 else None"])
    assert status.value.code == 1 and capfd.readouterr().err == "error: no\n"


def weights(folder, name):
    with np.load(folder / f"{name}.npz") as file:
        return list(file.values())


def assert_equal_weights(folder, other, names):
    for name in names:
        pairs = zip(weights(folder, name), weights(other, name), strict=True)
        difference = max(np.abs(a.astype(float) - b).max() for a, b in pairs)
        assert difference < 1e-4, (name, difference)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A folder with the weights of models that one process trained."""
    return train_here(tmp_path_factory.mktemp("alone"), 10, *MODELS)


def train_here(folder, steps, *names):
    """As one worker alone, in this process: another one would load TensorFlow first."""
    import train_together

    train_together.main(folder, steps, *names)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_workers_end_with_the_weights_of_one_process(alone, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(ROOT)
    launch.launch([tmp_path, "10", *MODELS], 2, tmp_path, TRAIN)
    assert_equal_weights(alone, tmp_path, MODELS)
    chief = re.findall(r"^(\w+) (\d+) loss", capfd.readouterr().out, re.MULTILINE)
    other = re.findall(r"^(\w+) (\d+) loss", (tmp_path / "worker-1.log").read_text(), re.MULTILINE)
    assert chief == other and [name for name, _ in chief] == MODELS, "all workers hold the same weights, to the bit"


SHORT = """
import dataclasses, sys
from vidgen_tf import cli, recipes
from vidgen_tf.recipes import run

recipe = recipes.RECIPES["glo-faces"]
recipes.RECIPES["glo-faces"] = dataclasses.replace(recipe, steps={"fast": 20, "full": 20})
run.evaluate_trained = lambda model, record: {"psnr_db": 1.0}
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_command_trains_a_recipe_with_two_workers_and_the_chief_writes(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(launch, "PROGRAM", [sys.executable, "-c", SHORT])
    folder = tmp_path / "out"
    assert main(["train", "glo-faces", "--workers", "2", "--budget", "fast", "--output-dir", str(folder)]) == 0
    record = json.loads((folder / "glo-faces.json").read_text())
    assert record["command"] == "python -m vidgen_tf train glo-faces --budget fast --workers 2"
    assert (folder / "glo-faces.weights.h5").exists() and (folder / "glo-faces-fast.checkpoint.npz").exists()
    assert capfd.readouterr().out.count("wrote") == 1 and "wrote" not in (folder / "worker-1.log").read_text()


def launch_and_kill(folder, index, steps, monkeypatch):
    """Starts two workers, kills one when a checkpoint is there, and returns what `launch` raised and after how many seconds."""
    monkeypatch.chdir(ROOT)
    processes, start, raised, killed = [], launch._start, [], []
    monkeypatch.setattr(launch, "_start", lambda *a: processes.append(start(*a)) or processes[-1])

    def kill():
        while not (folder / "glo.checkpoint.npz").exists() and processes[0].poll() is None:
            time.sleep(0.1)
        processes[index].send_signal(signal.SIGKILL)
        killed.append(time.monotonic())

    def run():
        try:
            launch.launch([folder, str(steps), "glo"], 2, folder, TRAIN)
        except (CourseError, SystemExit) as error:
            raised.append(error)

    threads = [threading.Thread(target=run)]
    threads[0].start()
    while len(processes) < 2:
        time.sleep(0.1)
    kill()
    threads[0].join()
    return raised[0], time.monotonic() - killed[0]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_worker_stops_the_others_and_a_resumed_run_ends_the_same(tmp_path, monkeypatch, capfd):
    error, seconds = launch_and_kill(tmp_path, 1, 100_000, monkeypatch)
    assert isinstance(error, SystemExit) and seconds < 60
    said = capfd.readouterr().err
    assert re.search(r"error: Worker 1 of 2 is gone, so worker 0 stopped: the same command with --resume goes on .*npz", said)
    assert "Traceback" not in said
    with np.load(tmp_path / "glo.checkpoint.npz") as file:
        steps = int(file["done"])
    monkeypatch.undo()
    monkeypatch.chdir(ROOT)
    launch.launch([tmp_path, str(steps + 20), "glo"], 2, tmp_path, TRAIN)
    straight = tmp_path / "straight"
    straight.mkdir()
    assert_equal_weights(train_here(straight, steps + 20, "glo"), tmp_path, ["glo"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_when_the_chief_is_killed_the_launcher_says_so(tmp_path, monkeypatch):
    error, seconds = launch_and_kill(tmp_path, 0, 100_000, monkeypatch)
    assert isinstance(error, CourseError) and "Worker 0 of 2 was killed by SIGKILL" in str(error) and seconds < 60
    assert "is gone, so worker 1 stopped" in (tmp_path / "worker-1.log").read_text()


def test_the_config_of_a_worker_is_valid_json(tmp_path):
    program = [sys.executable, "-c", PART + "print(os.environ['TF_CONFIG'])"]
    launch.launch([], 2, tmp_path, program)
    config = json.loads((tmp_path / "worker-1.log").read_text())
    assert config["task"] == {"type": "worker", "index": 1} and len({*config["cluster"]["worker"]}) == 2
