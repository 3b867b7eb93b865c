"""A secret of the recipe or the environment is in nothing that a run leaves, and in nothing that it says."""

import subprocess
import sys

import pytest
from conftest import records

from rnnzoo import cli

SIGNED = "https://me:canary@host/a?version=1&X-Amz-Signature=canary"


def test_a_run_leaves_no_secret(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("HF_TOKEN", "canary")
    monkeypatch.setenv("STORE_PASSWORD", "canary")
    settings = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2"]
    settings += ["--tracking.group", SIGNED, "--tracking.tags", f"['{SIGNED}']"]
    settings += ["--tracking.notes", SIGNED, "--tracking.job_type", SIGNED]
    assert cli.main(["fit", "quickstart", "--run_dir", str(tmp_path / "run"), *settings]) == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"config.yaml", "meta.json", "summary.json"} <= {path.name for path in files}
    assert [path for path in files if b"canary" in path.read_bytes()] == []
    assert "canary" not in "".join(capsys.readouterr())
    (log,) = (tmp_path / "run").glob("wandb/offline-run-*/*.wandb")
    told = {record.WhichOneof("record_type"): record for record in records(log)}
    assert told["run"].run.notes and told["artifact"].artifact.manifest.contents  # which had places for it
    assert (told["run"].run.host, told["run"].run.git.remote_url) == ("", "")


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Secrets where people keep them, each with a name of its own, and the current folder a repository."""
    for name in ("HF_TOKEN", "STORE_PASSWORD", "AWS_SECRET_ACCESS_KEY", "MY_SETTING"):
        monkeypatch.setenv(name, f"canary-{name}")
    monkeypatch.setenv("https_proxy", "http://me:canary-proxy@127.0.0.1:9")
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "netrc").write_text("machine api.wandb.ai login user password canary-netrc\n")
    (kept / "netrc").chmod(0o600)
    (kept / "token").write_text("canary-token-file")
    monkeypatch.setenv("NETRC", str(kept / "netrc"))
    monkeypatch.setenv("HF_TOKEN_PATH", str(kept / "token"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "RNNZOO_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "left" / name))
        (tmp_path / "left" / name).mkdir(parents=True)
    here = tmp_path / "left" / "here"
    here.mkdir()
    for words in (["init"], ["remote", "add", "origin", "https://me:canary-remote@host/a.git"]):
        subprocess.run(["git", *words], cwd=here, check=True, capture_output=True)
    monkeypatch.chdir(here)
    return tmp_path / "left"


@pytest.mark.slow
def test_a_run_and_what_is_said_of_it_have_no_secret(sources, capfd):
    small = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2", "--callbacks.attention", "true"]
    words = ["--tracking.group", SIGNED, "--tracking.tags", f"['{SIGNED}']", "--tracking.run_name", SIGNED]
    fit = ["fit", "toy_reverse", "--run_dir", "run", *small, *words]
    subprocess.run([sys.executable, "-m", "rnnzoo", *fit], check=True)  # W&B takes the command line of its process
    for command, code in (
        (["fit", "--resume", "run", "--trainer.max_epochs", "2", "--tracking.group", SIGNED], 0),
        (["fit", "--resume", "run", "--data.examples", SIGNED], 2),
        (fit, 2),
        (["show", "run"], 0),
        (["show", "run", "--json"], 0),
        (["test", "run", "--data.batch_size", SIGNED], 2),
        (["predict", "run", "--text", "a b"], 0),
    ):
        assert cli.main(command) == code
    out, err = capfd.readouterr()
    assert "exact_match" in out and "canary" not in out + err
    files = [path for path in sources.rglob("*") if path.is_file() and path != sources / "here" / ".git" / "config"]
    endings = {path.suffix for path in files}
    assert {".yaml", ".json", ".jsonl", ".safetensors", ".svg", ".wandb"} <= endings
    assert {"config.yaml", "meta.json", "summary.json", "state.json"} <= {path.name for path in files}
    assert [path for path in files if b"canary" in path.read_bytes()] == []


@pytest.mark.parametrize(
    "settings", [["--tracking.group", SIGNED], ["--model.inputs.tokens.vectors", f"{SIGNED}#sha256={'0' * 64}"]]
)
def test_the_printed_recipe_has_no_secret(capsys, settings):
    assert cli.main(["fit", "quickstart", "--print_config", *settings]) == 0
    out = capsys.readouterr().out
    assert "canary" not in out and "version=1" in out


def test_a_message_on_an_address_has_no_secret(tmp_path, capsys):
    address = SIGNED.replace("https", "ftp")
    assert (
        cli.main(["fit", "quickstart", "--run_dir", str(tmp_path / "run"), "--model.inputs.tokens.vectors", address])
        == 2
    )
    assert "canary" not in capsys.readouterr().err
