"""What every task promises. A file holds the checks of one kind."""

from rnnzoo.testing import buildable
from rnnzoo.testing.base import checks_in
from rnnzoo.testing.tasks import declarations, losses, metrics, predictions, units
from rnnzoo.testing.tasks.subject import TaskSubject

SUBJECT = TaskSubject
CHECKS = checks_in(buildable, declarations, losses, metrics, predictions, units)
