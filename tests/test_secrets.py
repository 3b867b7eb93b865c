"""A secret of the recipe or the environment is in nothing that a run leaves, and in nothing that it says."""

import pytest

from rnnzoo import cli

SIGNED = "https://me:canary@host/a?version=1&X-Amz-Signature=canary"


def test_a_run_leaves_no_secret(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("HF_TOKEN", "canary")
    monkeypatch.setenv("STORE_PASSWORD", "canary")
    settings = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2"]
    settings += ["--tracking.group", SIGNED, "--tracking.tags", f"['{SIGNED}']"]
    assert cli.main(["fit", "quickstart", "--run_dir", str(tmp_path / "run"), *settings]) == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"config.yaml", "meta.json", "summary.json"} <= {path.name for path in files}
    assert [path for path in files if b"canary" in path.read_bytes()] == []
    assert "canary" not in "".join(capsys.readouterr())


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
