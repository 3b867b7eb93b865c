"""Sounds: series whose features are made here, so that a model can be asked with WAV files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from rnnzoo.batch import DataSpec, Field
from rnnzoo.data.base import Arriving, Columns, RowError, check_type
from rnnzoo.data.forms.series import LabelledSeries, Series, SeriesExamples
from rnnzoo.data.forms.transcribed import TranscribedSeries
from rnnzoo.data.readers.audio import MAX_RATE, LogMel, read_wav, resampled
from rnnzoo.errors import DataError
from rnnzoo.limits import Limit, checked

WAV = ".wav"


class Sounds(Series):
    """A series that is a sound: its features are log-mel frames, standardised by the training split's.

    sound: (samples,) float in [-1, 1]; rate: samples a second, the same in every row, unless `sample_rate` is given:
    then sounds of other rates are resampled to it, in prediction too.

    n_mels, window_ms, hop_ms, stack: see `LogMel`. Batches: see `RowForm`.
    """

    asks = "sound"

    @checked
    def __init__(
        self,
        n_mels: Annotated[int, Limit(1, 1000)] = 40,
        window_ms: Annotated[float, Limit(0, 10_000, open_low=True)] = 25.0,
        hop_ms: Annotated[float, Limit(0, 10_000, open_low=True)] = 10.0,
        stack: Annotated[int, Limit(1, 1000)] = 1,
        sample_rate: Annotated[int, Limit(1, MAX_RATE)] | None = None,
        **batching: Any,
    ) -> None:
        super().__init__(**batching)
        self.sample_rate = sample_rate
        self.features = {"n_mels": n_mels, "window_ms": window_ms, "hop_ms": hop_ms, "stack": stack}

    def input_field(self, train: Columns) -> Field:
        check_type("rate", train["rate"], int, "samples a second, a whole number")
        features = LogMel(self.sample_rate or train["rate"][0], **self.features)  # type: ignore[arg-type]
        steps = np.concatenate(_heard(features, train, self.sample_rate is not None))
        deviation = steps.std(0, dtype=np.float64)
        standard = {
            "mean": steps.mean(0, dtype=np.float64).tolist(),
            "deviation": np.where(deviation, deviation, 1).tolist(),
        }
        resample = {} if self.sample_rate is None else {"resample": True}
        return Field("values", size=features.size, options=asdict(features) | standard | resample)

    def input_arrays(self, columns: Columns, field: Field) -> list[np.ndarray]:
        options = dict(field.options)
        mean, deviation = (np.array(options.pop(name), dtype=np.float32) for name in ("mean", "deviation"))
        resample = options.pop("resample", False)
        return [(steps - mean) / deviation for steps in _heard(LogMel(**options), columns, resample)]

    def read_file(self, path: Path, spec: DataSpec, settings: Mapping[str, Any]) -> list[tuple[str, Any]] | None:
        """A WAV file, or all of those in a folder and its folders."""
        if path.suffix.lower() == WAV:
            return [(str(path), path)]
        if not path.is_dir():
            return None
        recordings = sorted(file for file in path.rglob("*") if file.suffix.lower() == WAV)
        if not recordings:
            raise DataError(f"{path} has no WAV files.\n  Give a folder of recordings, or one of them.")
        return [(str(file), file) for file in recordings]

    def ask(self, texts: Sequence[Any], spec: DataSpec) -> SeriesExamples:
        """Sounds, as paths of WAV files or as the bytes of such."""
        heard = [
            read_wav(file, f"sound {row}" if isinstance(file, bytes) else None) for row, file in enumerate(texts, 1)
        ]
        return self.encode({"sound": [sound for sound, _ in heard], "rate": [rate for _, rate in heard]}, spec)

    def arriving(self, spec: DataSpec) -> Arriving:
        raise DataError("the features of a sound are of windows over its samples: it is read as a whole")


def _heard(features: LogMel, columns: Columns, resample: bool) -> list[np.ndarray]:
    """The features of each row. Raises: RowError for another rate, unless it is resampled, or for no samples."""
    found = []
    for row, (sound, rate) in enumerate(zip(columns["sound"], columns["rate"], strict=True)):
        if rate != features.rate and not resample:
            raise RowError(
                row,
                "rate",
                f"{rate} Hz, where {features.rate} Hz are expected.\n"
                f"  `sample_rate: {features.rate}` resamples what is of another rate.",
            )
        samples = np.asarray(sound, dtype=np.float32)
        if samples.ndim != 1 or not samples.size or not np.isfinite(samples).all():
            raise RowError(row, "sound", "expected (samples,), at least one, all finite numbers.")
        found.append(features(resampled(samples, rate, features.rate)))
    return found


class LabelledSound(Sounds, LabelledSeries):
    """A sound and the one label it has."""

    name = "labelled_sound"
    hub_task = "audio-classification"
    columns = ("sound", "rate", "label")


class TranscribedSound(Sounds, TranscribedSeries):
    """A sound and the text that it says."""

    name = "transcribed_sound"
    hub_task = "automatic-speech-recognition"
    columns = ("sound", "rate", "text")
