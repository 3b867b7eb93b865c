"""BLEU of a whole corpus, from counts."""

from __future__ import annotations

from collections.abc import Sequence

import sacrebleu
import torch
from torch import Tensor
from torchmetrics import Metric

SCORER = sacrebleu.BLEU(lowercase=True, tokenize="13a")


class BLEU(Metric):
    """What `sacrebleu.corpus_bleu` gives for all the texts together, in per cent, whatever batches they came in.

    Both sides in small letters, cut by the tokeniser 13a; `signature` says so in sacrebleu's words.
    Sources: Papineni et al., ACL 2002; Post, "A Call for Clarity in Reporting BLEU Scores", arXiv:1804.08771.
    """

    higher_is_better = True
    full_state_update = False
    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        # words told and wanted; then n-grams found in the reference, and n-grams told, for n = 1 to 4
        self.add_state("counts", torch.zeros(10, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, told: Sequence[str], references: Sequence[str]) -> None:
        """A text for each reference."""
        if told:
            score = SCORER.corpus_score(told, [references])
            found = [score.sys_len, score.ref_len, *score.counts, *score.totals]
            self.counts += torch.tensor(found, device=self.counts.device)

    def compute(self) -> Tensor:
        told, wanted, *grams = self.counts.tolist()
        score = sacrebleu.BLEU.compute_bleu(grams[:4], grams[4:], told, wanted, smooth_method="exp")
        return torch.tensor(score.score)


def signature() -> str:
    """How the scores are counted: "nrefs:1|case:lc|eff:no|tok:13a|smooth:exp|version:..."."""
    SCORER.corpus_score([""], [[""]])  # before a first score it does not know the number of references
    return str(SCORER.get_signature())
