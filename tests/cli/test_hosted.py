"""Commands within a process of another program: their ends are answers, and the program says which process this is."""

import threading

from lightning.fabric.plugins.environments import LightningEnvironment

from rnnzoo import ask_to_stop, run_hosted
from rnnzoo.errors import Stopped
from rnnzoo.experiment.resolver import resolve
from rnnzoo.recipe import read
from rnnzoo.system.signals import Listener
from rnnzoo.training import trainer


def test_the_end_of_a_command_is_an_answer(monkeypatch, capsys):
    assert run_hosted(["--version"]) == (0, "") and capsys.readouterr().out.startswith("rnnzoo ")
    code, message = run_hosted(["fit", "quickstarr"])
    assert code == 2 and "Did you mean 'quickstart'?" in message and not capsys.readouterr().err

    def stopped(words):
        raise Stopped("saved.", 15)

    monkeypatch.setattr("rnnzoo.cli.program.run", stopped)
    assert run_hosted(["fit"]) == (128 + 15, "saved.")


def test_lightning_is_told_of_the_processes_by_the_host_and_by_itself_afterwards(monkeypatch):
    class Host(LightningEnvironment):
        pass

    kinds = []

    def made(words):
        recipe = resolve(read("quickstart", ["--trainer.accelerator", "cpu"]))
        kinds.append(type(trainer.make_trainer(recipe)._accelerator_connector.cluster_environment))
        return 0

    monkeypatch.setattr("rnnzoo.cli.program.run", made)
    run_hosted(["fit"], Host)
    run_hosted(["fit"])
    assert kinds[0] is Host and kinds[1] is not Host


def test_a_command_in_a_thread_hears_its_host_ask():
    heard = []
    started, asked = threading.Event(), threading.Event()

    def work():
        listener = Listener()
        listener.start()
        started.set()
        asked.wait(10)
        heard.append(listener.number)
        listener.stop()

    thread = threading.Thread(target=work)
    assert not ask_to_stop(15)
    thread.start()
    started.wait(10)
    assert ask_to_stop(15)
    asked.set()
    thread.join()
    assert heard == [15] and not ask_to_stop(15)
