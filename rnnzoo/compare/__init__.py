"""Finished runs side by side: what differs between them, what they score, and what they cost. Imports no torch.

comparison      `compare` groups runs of one recipe over their seeds; the dataclasses of the result
collect         a run's folder as a `ComparedRun`
settings        which settings differ between groups, and what the groups are called
alike           what runs must have in common to be compared
curves          the dev curves of metrics.jsonl, and their values at equal cost
terminal, exports       the result as tables, JSON, CSV and Markdown
"""

from rnnzoo.compare.collect import ComparedRun, LeftOut
from rnnzoo.compare.comparison import Comparison, Group, Metric, Spread, compare

__all__ = ["ComparedRun", "Comparison", "Group", "LeftOut", "Metric", "Spread", "compare"]
