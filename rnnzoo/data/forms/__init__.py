"""The kinds of examples. A form owns the vocabulary, the encoding and the batching; a source only gives raw rows."""

from typing import Any

from rnnzoo.data.base import Form
from rnnzoo.data.forms.channels import LabelledChannels, MeasuredChannels
from rnnzoo.data.forms.described import DescribedSeries
from rnnzoo.data.forms.forecast import WindowedSeries
from rnnzoo.data.forms.labelled import LabelledText
from rnnzoo.data.forms.masked import MaskedText
from rnnzoo.data.forms.multilabelled import MultilabelledText
from rnnzoo.data.forms.pairs import TextPairs
from rnnzoo.data.forms.panel import PanelSeries
from rnnzoo.data.forms.series import LabelledSeries, MeasuredSeries
from rnnzoo.data.forms.sounds import LabelledSound, TranscribedSound
from rnnzoo.data.forms.stream import TextStream
from rnnzoo.data.forms.tagged import TaggedText
from rnnzoo.data.forms.tagged_channels import TaggedChannels
from rnnzoo.data.forms.transcribed import TranscribedSeries

FORMS: dict[str, type[Form]] = {
    form.name: form
    for form in (
        LabelledText,
        MultilabelledText,
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
        PanelSeries,
        LabelledChannels,
        MeasuredChannels,
        TaggedChannels,
    )
}


def fits(form: str, wanted: str) -> bool:
    """Whether a form is the wanted one, stands for it, or is a subclass: a labelled sound is a labelled series."""
    if form == wanted or form not in FORMS or wanted not in FORMS:
        return form == wanted
    return issubclass(FORMS[form], FORMS[wanted]) or wanted in FORMS[form].stands_for


def forms_of(source: Any) -> tuple[str, ...]:
    """The forms that a data set, or its class, can give; none where it does not say."""
    return tuple(getattr(source, "forms", ())) or ((source.form,) if hasattr(source, "form") else ())


def chosen(source: Any, task: Any) -> str:
    """The form in which a data set is read for a task: the first that fits what the task takes, or else the first.

    source, task: classes; the task is None where it is not known.
    """
    forms, wanted = forms_of(source), getattr(task, "form", None)
    return next((form for form in forms if wanted is not None and fits(form, wanted)), forms[0])
