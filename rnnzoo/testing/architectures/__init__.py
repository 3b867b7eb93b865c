"""What every architecture promises. A file holds the checks of one kind."""

from rnnzoo.testing import buildable
from rnnzoo.testing.architectures import combinations, outputs, sequences, training
from rnnzoo.testing.architectures.subject import ArchitectureSubject
from rnnzoo.testing.base import checks_in

SUBJECT = ArchitectureSubject
CHECKS = checks_in(buildable, outputs, sequences, training, combinations)
