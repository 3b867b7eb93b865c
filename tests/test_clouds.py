"""docs/clouds: the files are what their tools read, and the command in them is one that `rnnzoo fit` takes."""

import shlex
from pathlib import Path

import pytest
import yaml

from rnnzoo import recipe as recipes
from rnnzoo.cli.program import parser_of
from rnnzoo.experiment.resolver import resolve

FOLDER = Path(__file__).parents[1] / "docs" / "clouds"


def documents(name: str) -> list[dict]:
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


def words_of(name: str) -> list[str]:
    """The command of each machine, as words of a shell."""
    if name == "skypilot.yaml":
        (task,) = documents(name)
        return shlex.split(task["run"].replace("\\\n", ""))  # a shell drops both
    trainer = documents(name)[1]["spec"]["trainer"]
    return [*trainer["command"], *trainer["args"]]


@pytest.mark.parametrize("name", ["skypilot.yaml", "trainjob.yaml"])
def test_the_command_is_torchrun_of_a_fit_that_goes_on_in_a_shared_folder(name):
    words = words_of(name)
    assert words[0] == "torchrun"
    start = words.index("-m")
    assert words[start + 1 : start + 3] == ["rnnzoo", "fit"]
    arguments, rest = parser_of("fit").parse_known_args(words[start + 3 :])
    assert not rest and arguments.resume == "auto"
    assert resolve(recipes.read(arguments.recipe, arguments.overrides))["name"] == "imdb_bilstm"
    assert arguments.run_dir.is_relative_to("/shared")


@pytest.mark.parametrize("name", ["skypilot.yaml", "trainjob.yaml"])
def test_torchruns_own_parser_takes_the_flags(name, monkeypatch):
    from torch.distributed.run import get_args_parser

    values = {"$SKYPILOT_NUM_NODES": "2", "$SKYPILOT_NUM_GPUS_PER_NODE": "1", "$SKYPILOT_NODE_RANK": "0"}
    for name_of, value in {"PET_NNODES": "2", "PET_NPROC_PER_NODE": "1"}.items():  # as Kubeflow's runtime says it
        monkeypatch.setenv(name_of, value)
    words = [values.get(word, word) for word in words_of(name)]
    found = get_args_parser().parse_args(words[1:])
    assert (found.nnodes, found.nproc_per_node, found.training_script, found.module) == ("2", "1", "rnnzoo", True)


def test_the_training_job_mounts_the_claim_where_the_run_is():
    claim, job = documents("trainjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("trainer.kubeflow.org/v1alpha1", "TrainJob")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    (patch,) = job["spec"]["runtimePatches"]
    (replicated,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    pod = replicated["template"]["spec"]["template"]["spec"]
    (volume,), (container,) = pod["volumes"], pod["containers"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    (mount,) = container["volumeMounts"]
    assert (mount["name"], mount["mountPath"]) == (volume["name"], "/shared")


def test_the_training_job_has_only_fields_that_kubeflow_knows():
    """Its published models drop what they do not know: what comes back must be what went in."""
    models = pytest.importorskip("kubeflow_trainer_api.models")
    job = documents("trainjob.yaml")[1]
    assert models.TrainerV1alpha1TrainJob.from_dict(job).to_dict() == job


def test_skypilot_takes_the_task():
    schemas = pytest.importorskip("sky.utils.schemas")
    jsonschema = pytest.importorskip("jsonschema")
    (task,) = documents("skypilot.yaml")
    jsonschema.validate(task, schemas.get_task_schema())
