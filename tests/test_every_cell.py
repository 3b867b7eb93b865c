"""Every cell that rnnzoo brings keeps the contract of cells."""

import pytest

from rnnzoo import registry
from rnnzoo.testing import check_cell

CELLS = [entry.name for entry in registry.entries("cells") if entry.distribution == registry.OWN_DISTRIBUTION]


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_a_cell_of_rnnzoo_passes_every_check(name):
    check_cell(name)
