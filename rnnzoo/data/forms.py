"""The kinds of examples. A form owns the vocabulary, the encoding and the batching; a source only gives raw rows."""

from rnnzoo.data.base import Form
from rnnzoo.data.labelled import LabelledText
from rnnzoo.data.pairs import TextPairs
from rnnzoo.data.series import LabelledSeries, MeasuredSeries
from rnnzoo.data.stream import TextStream
from rnnzoo.data.tagged import TaggedText

FORMS: dict[str, type[Form]] = {
    form.name: form for form in (LabelledText, TaggedText, TextStream, TextPairs, LabelledSeries, MeasuredSeries)
}
