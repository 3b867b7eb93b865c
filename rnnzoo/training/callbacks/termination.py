"""Ends a run at SIGTERM as at Ctrl-C: `kill`, the end of a scheduler's time limit, a container that stops."""

import signal
import threading

from lightning.pytorch import Callback, LightningModule, Trainer

from rnnzoo.errors import Terminated


class Termination(Callback):
    """Raise `Terminated` at SIGTERM, in each process that gets it.

    Lightning's own handler lets the processes exchange a message from within the signal: if not all of them get it at
    once, the message meets another one's gradients, and the run hangs or aborts. Here the process ends, and the others
    find it gone. The Trainer restores the previous handler.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():  # others cannot set handlers
            signal.signal(signal.SIGTERM, _terminate)

    on_validation_start = on_test_start = on_train_start


def _terminate(*_: object) -> None:
    raise Terminated
