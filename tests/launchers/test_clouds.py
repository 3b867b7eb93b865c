"""The files for clouds run the command that `rnnzoo launch` prints, and have only fields that the schemas know."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from rnnzoo.experiment.launch import prepare
from rnnzoo.system import files

FOLDER = Path(__file__).parents[2] / "docs" / "clouds"
TORCHRUN = '#!/bin/sh\nprintf "%s\\n" "$@" >"$HERE/words"\n'


@pytest.fixture(scope="module")
def words():
    """Of the command of each process, as `rnnzoo launch torchrun` has them."""
    _, job = prepare("torchrun", "imdb_bilstm", ["--launch.hosts", "[10.0.0.1, 10.0.0.2]"], Path("/shared/imdb"), 2, 1)
    return list(job.words)


def read(name):
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
def test_each_node_of_skypilot_runs_torchrun_with_the_job_s_words(words, tmp_path):
    (task,) = read("skypilot.yaml")
    files.write_text(tmp_path / "torchrun", TORCHRUN)
    (tmp_path / "torchrun").chmod(0o755)
    sky = {"NODE_RANK": "1", "NUM_NODES": str(task["num_nodes"]), "NODE_IPS": "10.0.0.1\n10.0.0.2"}
    sky["NUM_GPUS_PER_NODE"] = str(sum(task["resources"]["accelerators"].values()))
    environment = {f"SKYPILOT_{name}": value for name, value in sky.items()} | {"HERE": str(tmp_path)}
    environment["PATH"] = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["sh", "-euc", task["run"]], env=environment, check=True)
    got = (tmp_path / "words").read_text(encoding="utf-8").splitlines()
    place = got.index("-m")
    assert got[place:] == ["-m", "rnnzoo", *words]
    assert dict(zip(got[:place:2], got[1:place:2], strict=True)) == {
        "--nnodes": "2",
        "--nproc_per_node": "1",
        "--node_rank": "1",
        "--master_addr": "10.0.0.1",
        "--master_port": "29500",
    }


def test_each_node_of_kubernetes_runs_torchrun_with_the_job_s_words(words):
    runtime, job = read("kubernetes.yaml")
    trainer = job["spec"]["trainer"]
    assert trainer["command"] + trainer["args"] == ["torchrun", "-m", "rnnzoo", *words]
    assert trainer["numNodes"] == runtime["spec"]["mlPolicy"]["numNodes"] == 2
    assert job["spec"]["runtimeRef"]["name"] == runtime["metadata"]["name"]


def test_kubernetes_knows_every_field():
    models = pytest.importorskip("kubeflow_trainer_api.models", reason="kubeflow-trainer-api is not installed")
    runtime, job = read("kubernetes.yaml")
    assert models.TrainerV1alpha1TrainingRuntime.from_dict(runtime).to_dict() == runtime
    assert models.TrainerV1alpha1TrainJob.from_dict(job).to_dict() == job


def test_skypilot_knows_every_field(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    sky = pytest.importorskip("sky", reason="skypilot is not installed")
    task = sky.Task.from_yaml(str(FOLDER / "skypilot.yaml"))
    assert task.num_nodes == 2 and "/shared" in task.volumes
