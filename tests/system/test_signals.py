"""The first signal is a request, a second one an order."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from rnnzoo.system import signals

WAIT = """
import sys, time
from rnnzoo.system import signals
listener = signals.Listener()
listener.start()
print("ready", flush=True)
while not listener.number:
    time.sleep(0.01)
print("asked", listener.number, flush=True)
while True:
    time.sleep(0.01)
"""


@pytest.mark.parametrize("first", signals.SIGNALS)
def test_the_first_signal_is_noted_and_the_second_ends_the_process(first):
    process = subprocess.Popen([sys.executable, "-c", WAIT], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(first)
    assert process.stdout.readline() == f"asked {int(first)}\n"
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == -signal.SIGTERM


def test_handlers_come_back():
    before = [signal.getsignal(number) for number in signals.SIGNALS]
    listener = signals.Listener()
    listener.start()
    signal.raise_signal(signal.SIGTERM)
    assert listener.number == signal.SIGTERM
    listener.stop()
    listener.stop()
    assert [signal.getsignal(number) for number in signals.SIGNALS] == before


def test_what_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    listener = signals.Listener()
    listener.start()
    try:
        signal.raise_signal(signal.SIGTERM)
        assert not listener.number
    finally:
        listener.stop()
        signal.signal(signal.SIGTERM, before)


def test_in_a_thread_nothing_is_heard_and_nothing_fails():
    numbers = []

    def work():
        listener = signals.Listener()
        listener.start()
        numbers.append(listener.number)
        listener.stop()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert numbers == [0]


STORM = """
import os
import signal
from rnnzoo.system import signals
listener = signals.Listener()
listener.start()
for number in (signal.SIGUSR1, signal.SIGCONT, signal.SIGTERM, signal.SIGUSR2, signal.SIGTERM):
    signal.raise_signal(number)
listener.stop()
signal.raise_signal(signal.SIGTERM)
print(listener.number == signal.SIGUSR1)
"""


@pytest.mark.parametrize(("job", "code", "told"), [({"SLURM_JOB_ID": "7"}, 0, "True\n"), ({}, -signal.SIGTERM, "")])
def test_slurm_may_repeat_itself_while_a_process_that_was_asked_saves(job, code, told):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    done = subprocess.run([sys.executable, "-c", STORM], env=clean | job, stdout=subprocess.PIPE, text=True)
    assert (done.returncode, done.stdout) == (code, told)
