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
    statistic = "bleu"
    columns = (
        *("words", "reference_words"),
        *(f"{what}_{n}" for what in ("matches", "ngrams") for n in range(1, 5)),
    )
    counts: Tensor
    rows: Tensor  # (rows, 10) what each row of the last update added

    def __init__(self) -> None:
        super().__init__()
        # words predicted, words in the references; n-grams that match, n-grams predicted, for n = 1 to 4
        self.add_state("counts", torch.zeros(10, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, preds: Sequence[str], references: Sequence[str]) -> None:
        """preds, references: (rows,) texts."""
        scores = [SCORER.corpus_score([text], [[true]]) for text, true in zip(preds, references, strict=True)]
        counts = [[score.sys_len, score.ref_len, *score.counts, *score.totals] for score in scores]
        self.rows = torch.tensor(counts, dtype=torch.int64).reshape(-1, 10)
        self.counts += self.rows.sum(0).to(self.counts.device)

    def compute(self) -> Tensor:
        predicted, reference, *grams = self.counts.tolist()
        score = sacrebleu.BLEU.compute_bleu(grams[:4], grams[4:], predicted, reference, smooth_method="exp")
        return torch.tensor(score.score)


def signature() -> str:
    """How the scores are counted: "nrefs:1|case:lc|eff:no|tok:13a|smooth:exp|version:..."."""
    SCORER.corpus_score([""], [[""]])  # before a first score it does not know the number of references
    return str(SCORER.get_signature())
