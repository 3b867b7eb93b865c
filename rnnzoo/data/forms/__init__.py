"""The kinds of examples. A form owns the vocabulary, the encoding and the batching; a source only gives raw rows."""

from rnnzoo.data.base import Form
from rnnzoo.data.forms.described import DescribedSeries
from rnnzoo.data.forms.forecast import WindowedSeries
from rnnzoo.data.forms.labelled import LabelledText
from rnnzoo.data.forms.masked import MaskedText
from rnnzoo.data.forms.pairs import TextPairs
from rnnzoo.data.forms.series import LabelledSeries, MeasuredSeries
from rnnzoo.data.forms.sounds import LabelledSound, TranscribedSound
from rnnzoo.data.forms.stream import TextStream
from rnnzoo.data.forms.tagged import TaggedText
from rnnzoo.data.forms.transcribed import TranscribedSeries

FORMS: dict[str, type[Form]] = {
    form.name: form
    for form in (
        LabelledText,
        TaggedText,
        TextStream,
        MaskedText,
        TextPairs,
        LabelledSeries,
        LabelledSound,
        MeasuredSeries,
        TranscribedSeries,
        DescribedSeries,
        TranscribedSound,
        WindowedSeries,
    )
}


def fits(form: str, wanted: str) -> bool:
    """Whether a form is the wanted one or a subclass of it, as a labelled sound is a labelled series."""
    return form == wanted or (form in FORMS and wanted in FORMS and issubclass(FORMS[form], FORMS[wanted]))
