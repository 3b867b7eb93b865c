"""Finished runs side by side: what differs between them, what they score, and what they cost. Imports no torch.

comparison      `compare` groups runs of one recipe over their seeds; the dataclasses of the result
collect         a run's folder as a `ComparedRun`
sources         runs from folders, from W&B's files and from its server
wandb_format, wandb_files, wandb_api, wandb_runs        a run as W&B has it, read from a file or from the server
report_plan, wandb_reports      a report on W&B, kept as JSON where it cannot be sent
settings        which settings differ between groups, and what the groups are called
alike           what runs must have in common to be compared
fairness        what differs beside the settings
curves          the curves of metrics.jsonl
equal_cost      dev scores at equal cost
spread          mean and spread over runs
terminal, exports       the result as tables, JSON, CSV and Markdown
"""

from rnnzoo.compare.collect import ComparedRun, LeftOut
from rnnzoo.compare.comparison import Comparison, Group, Metric, compare
from rnnzoo.compare.equal_cost import At, parse_at
from rnnzoo.compare.spread import Spread

__all__ = ["At", "ComparedRun", "Comparison", "Group", "LeftOut", "Metric", "Spread", "compare", "parse_at"]
