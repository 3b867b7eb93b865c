"""Ends an evaluation at a signal as at Ctrl-C: `kill`, a scheduler's warning or time limit, a container that stops."""

import signal
import threading

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from rnnzoo.errors import Stopped
from rnnzoo.system.signals import REPEATED, ignore_repeats


class Termination(Callback):
    """Raise `Stopped` at a signal while a part is scored; training listens for signals itself (`Snapshots`).

    Lightning's own handler lets the processes exchange a message from within the signal: if not all of them are asked
    at once, the message meets another one's, and the run hangs or aborts. Here the process ends, and the
    others find it gone. The Trainer restores the previous handler.
    """

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        main = threading.current_thread() is threading.main_thread()  # no other may set handlers
        if main and trainer.state.fn != TrainerFn.FITTING:
            for number in REPEATED:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, _stop)

    on_test_start = on_validation_start


def _stop(number: int, frame: object) -> None:
    ignore_repeats()
    raise Stopped(number=number)
