"""The folder of one training run, read without torch.

runs/<recipe>/<id>/
    config.yaml       the resolved recipe
    metrics.jsonl     one line per logging call
    pictures/         SVG: its curves and what its test shows; what callbacks draw
    report.html       all of it as a page, see rnnzoo.reports
    summary.json      status, scores, speed, memory, see rnnzoo.runs.summary; written at the start, replaced at the end
    checkpoints/      see rnnzoo.runs.checkpoint
    resume/           what training needs to go on, see rnnzoo.runs.snapshot
"""

from rnnzoo.runs.folder import SHARED, Run, create, has_begun, refuse_used, reopen, set_aside, slug
from rnnzoo.runs.record import Record, read
from rnnzoo.runs.search import ROOT, find, is_run
from rnnzoo.runs.summary import Summary, scores

__all__ = [
    "ROOT",
    "SHARED",
    "Record",
    "Run",
    "Summary",
    "create",
    "find",
    "has_begun",
    "is_run",
    "read",
    "refuse_used",
    "reopen",
    "scores",
    "set_aside",
    "slug",
]
