"""What every recurrent cell promises. A file holds the checks of one kind.

Each check runs on the CPU, in well under a second but for those that start processes or train.
"""

from rnnzoo.testing.base import checks_in
from rnnzoo.testing.cells import (
    building,
    copies,
    gradients,
    learning,
    numbers,
    paths,
    processes,
    randomness,
    sequences,
    states,
)
from rnnzoo.testing.cells.subject import CellSubject

SUBJECT = CellSubject
CHECKS = (
    *checks_in(building, sequences, states, randomness, gradients, numbers, copies, learning, processes),
    *paths.PATH_CHECKS,
)
