"""The public conformance suite: what every part promises, checked in the package that brings it.

from rnnzoo.testing import cell_tests
test_contract = cell_tests("mingru")

check_cell, check_optimizer, ...: put a part to every check of its kind; give a Report. There is one for each kind.
cell_tests, optimizer_tests, ...: the same as a pytest test, one case per check.
bind, check_part, tests_of: the same for checks of your own, written as `rnnzoo.testing.base` says.
Check, Result, Report: a check, its result, and all results of a part. NotApplicable: raised by a check that has nothing
to say about a part. ConformanceError: raised where a part does not keep its contract.
update_once: one update of a cell on plain numbers, to compare with arithmetic.
"""

from rnnzoo.testing.arithmetic import update_once
from rnnzoo.testing.base import Check, ConformanceError, NotApplicable, Report, Result, bind, check_part, tests_of
from rnnzoo.testing.suites import (
    architecture_tests,
    callback_tests,
    cell_tests,
    check_architecture,
    check_callback,
    check_cell,
    check_dataset,
    check_input,
    check_launcher,
    check_optimizer,
    check_schedule,
    check_task,
    check_tracker,
    dataset_tests,
    input_tests,
    launcher_tests,
    optimizer_tests,
    schedule_tests,
    task_tests,
    tracker_tests,
)

__all__ = [
    "Check",
    "ConformanceError",
    "NotApplicable",
    "Report",
    "Result",
    "architecture_tests",
    "bind",
    "callback_tests",
    "cell_tests",
    "check_architecture",
    "check_callback",
    "check_cell",
    "check_dataset",
    "check_input",
    "check_launcher",
    "check_optimizer",
    "check_part",
    "check_schedule",
    "check_task",
    "check_tracker",
    "dataset_tests",
    "input_tests",
    "launcher_tests",
    "optimizer_tests",
    "schedule_tests",
    "task_tests",
    "tests_of",
    "tracker_tests",
    "update_once",
]
