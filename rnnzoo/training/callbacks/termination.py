"""Ends a run at SIGTERM as Ctrl-C ends it: `kill`, a scheduler whose time is over, a container that stops."""

import signal
import threading
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from rnnzoo.errors import Terminated


class Termination(Callback):
    """Raise `Terminated` where SIGTERM comes, in whichever process of the run.

    Lightning's own handler lets the processes exchange a message from within the signal: if not all of them are asked
    at once, the message meets another one's gradients, and the run hangs or aborts. Here a process that is asked goes,
    and the others find it gone. The Trainer puts back the handler that was there before.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():  # no other may set handlers
            signal.signal(signal.SIGTERM, _terminate)

    on_validation_start = on_test_start = on_train_start


def _terminate(*_: Any) -> None:
    raise Terminated
