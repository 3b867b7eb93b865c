"""Sound: WAV files as samples, and samples as log-mel features."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from rnnzoo.errors import DataError
from rnnzoo.system import files

PCM, FLOAT, EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
CODECS = {0x0002: "ADPCM", 0x0006: "A-law", 0x0007: "mu-law", 0x0011: "IMA ADPCM", 0x0031: "GSM", 0x0055: "MP3"}
UNKNOWN = 0x7FFF0000  # bytes: ffmpeg, sox, arecord and browsers write such sizes, and larger ones, to a pipe
KINDS = (b"fmt ", b"data", b"LIST", b"fact", b"bext", b"cue ", b"JUNK", b"PAD ", b"id3 ", b"ID3 ", b"smpl", b"PEAK")
MAX_RATE = 2**22  # samples a second: beyond those of any recorder
MAX_FACTOR = (
    2**17
)  # between two rates, once what they share is taken out: the resampling filter is so many times longer
CROSSINGS, BLOCK = 10, 2**14  # of the resampling filter on each side; new samples computed at a time
FLOOR = 1e-6  # power that is added before the logarithm: below what 16 bits tell from silence


# -- WAV ------------------------------------------------------------------------------------------------------------


def read_wav(file: str | Path | bytes, name: str | None = None) -> tuple[np.ndarray, int]:
    """The samples of a WAV file, (samples,) float32 in [-1, 1], and their rate in Hz; channels become their mean.

    file: a path, or the file's bytes, which a message calls `name`. Read are whole numbers of 8, 16, 24 and 32 bits
    (PCM) and floating-point numbers of 32 and 64 bits. Raises: DataError, naming the file.
    """
    name = name or ("the sound" if isinstance(file, bytes) else str(file))
    if not isinstance(file, bytes):
        try:
            file = files.read_bytes(file, files.DATA_LIMIT)
        except (OSError, ValueError) as cause:
            why = getattr(cause, "strerror", None) or cause
            raise DataError(f"cannot read the sound {name}: {why}.\n  Give the path of a WAV file.") from cause
    chunks = _chunks(file, name)
    codec, channels, rate, block, bits = struct.unpack_from("<HHIxxxxHH", chunks[b"fmt "])
    if codec == EXTENSIBLE and len(chunks[b"fmt "]) >= 26:
        (codec,) = struct.unpack_from("<H", chunks[b"fmt "], 24)
    if (codec, bits) not in DECODERS:
        kind = {PCM: "PCM", FLOAT: "floating point"}.get(codec) or CODECS.get(codec, f"codec {codec:#06x}")
        raise DataError(
            f"{name}: a WAV file of {bits} bits {kind} cannot be read.\n"
            "  Read are PCM of 8, 16, 24 and 32 bits, and floating point of 32 and 64.\n"
            "  Convert it: ffmpeg -i FILE -c:a pcm_s16le NEW.wav"
        )
    if not channels or not 0 < rate <= MAX_RATE or block != channels * bits // 8:
        raise DataError(f"{name}: a WAV header of {channels} channels, {rate} Hz and {block} bytes a step is damaged.")
    data = chunks[b"data"]
    if len(data) % block:
        raise DataError(f"{name} is damaged: {len(data)} bytes of sound are no whole number of {block}-byte steps.")
    if not data:
        raise DataError(f"{name} has no samples.")
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused
        samples = DECODERS[codec, bits](data).reshape(-1, channels).mean(1, dtype=np.float64).astype(np.float32)
    if not np.isfinite(samples).all():
        raise DataError(f"{name}: a sample is infinite or not a number.")
    return samples, rate


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """A sound at another rate: (samples,) to (ceil(samples * wanted / rate),), float32.

    A low-pass filter, a sinc in a Kaiser window (beta 5) ten zero crossings wide on each side at the lower rate, is
    evaluated at each new sample, as `scipy.signal.resample_poly` does. Beyond its ends a sound is silent.
    Raises: DataError for high rates that share no factor.
    """
    common = math.gcd(rate, wanted)
    up, down = wanted // common, rate // common
    if up == down:
        return samples
    if max(up, down) > MAX_FACTOR:
        raise DataError(
            f"a sound of {rate} Hz cannot be resampled to {wanted} Hz: the two share too little.\n"
            f"  Convert it: ffmpeg -i FILE -ar {wanted} NEW.wav"
        )
    reach = CROSSINGS * max(up, down)  # of the filter, in steps of 1 / (rate * up)
    offsets = np.arange(-reach, reach + 1)
    taps = np.sinc(offsets / max(up, down)) * np.kaiser(len(offsets), 5.0)
    taps *= up / taps.sum()
    count = -(-len(samples) * up // down)
    width = 2 * reach // up + 1  # samples within the filter's reach
    padded = np.pad(samples.astype(np.float64), (width, width))
    output = np.empty(count)
    for first in range(0, count, BLOCK):
        at = np.arange(first, min(first + BLOCK, count)) * down  # of the new samples, in those steps
        nearest, phase = at // up, at % up
        steps = np.arange(-(width // 2), width // 2 + 1)
        which = phase[:, None] - steps * up + reach
        inside = (which >= 0) & (which < len(taps))
        weights = np.where(inside, taps[np.clip(which, 0, len(taps) - 1)], 0.0)
        output[first : first + len(at)] = (padded[nearest[:, None] + steps + width] * weights).sum(1)
    return output.astype(np.float32)


def _chunks(file: bytes, name: str) -> dict[bytes, bytes]:
    """The first chunk of each kind, up to "data". Raises: DataError if this is not a WAV file, or not a whole one.

    Sound whose size the writer never knew reaches to the file's end. A chunk of odd size should be
    followed by a byte of padding; where the name of a chunk follows at once, the byte is missing.
    """
    if len(file) < 12 or file[:4] != b"RIFF" or file[8:12] != b"WAVE":
        raise DataError(f"{name} is not a WAV file: it begins with {file[:12]!r}, not with RIFF and WAVE.")
    chunks: dict[bytes, bytes] = {}
    start = 12
    while start + 8 <= len(file) and b"data" not in chunks:
        kind, size = struct.unpack_from("<4sI", file, start)
        if kind == b"data" and (size >= UNKNOWN or (size == 0 and not _are_chunks(file[start + 8 :]))):
            chunks[b"data"] = _to_the_end(file[start + 8 :], chunks.get(b"fmt ", b""))
            break
        chunk = file[start + 8 : start + 8 + size]
        if len(chunk) < size:
            chunk_name = kind.decode("ascii", "replace").strip()
            raise DataError(
                f"{name} is cut short: its '{chunk_name}' has {len(chunk)} bytes where its header says {size}."
            )
        chunks.setdefault(kind, chunk)
        start = _after(file, start)
    for kind, least in ((b"fmt ", 16), (b"data", 0)):
        if len(chunks.get(kind, b"")) < least or kind not in chunks:
            raise DataError(f"{name} is a damaged WAV file: it has no whole '{kind.decode().strip()}' chunk.")
    return chunks


def _after(file: bytes, start: int) -> int:
    """Where the chunk after the one at `start` begins, in bytes."""
    (size,) = struct.unpack_from("<I", file, start + 4)
    end = start + 8 + size
    return end + (size % 2 and file[end : end + 4] not in KINDS)


def _are_chunks(rest: bytes) -> bool:
    """Whether the bytes are whole chunks, as notes behind the sound are, and not samples; no bytes are no chunks."""
    start = 0
    while start + 8 <= len(rest) and rest[start : start + 4].isascii() and rest[start : start + 4].isalnum():
        start = _after(rest, start)
    return start >= len(rest)


def _to_the_end(sound: bytes, header: bytes) -> bytes:
    """The whole steps of sound that was written to a pipe, or by a recorder that was switched off."""
    block = struct.unpack_from("<H", header, 12)[0] if len(header) >= 16 else 0
    return sound[: len(sound) - len(sound) % (block or 1)]


def _pcm24(data: bytes) -> np.ndarray:
    """Three bytes a sample, as the upper ones of four."""
    wide = np.zeros((len(data) // 3, 4), dtype=np.uint8)
    wide[:, 1:] = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
    return wide.view("<i4")[:, 0] / 2.0**31


DECODERS = {
    (PCM, 8): lambda data: (np.frombuffer(data, dtype=np.uint8) - 128.0) / 2.0**7,
    (PCM, 16): lambda data: np.frombuffer(data, dtype="<i2") / 2.0**15,
    (PCM, 24): _pcm24,
    (PCM, 32): lambda data: np.frombuffer(data, dtype="<i4") / 2.0**31,
    (FLOAT, 32): lambda data: np.frombuffer(data, dtype="<f4"),
    (FLOAT, 64): lambda data: np.frombuffer(data, dtype="<f8"),
}


# -- features -------------------------------------------------------------------------------------------------------


def mel(hertz: np.ndarray | float) -> np.ndarray:
    """Pitch in mel: 2595 log10(1 + f / 700), 1000 mel at 1000 Hz. Source: O'Shaughnessy, 1987; as in HTK."""
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


@dataclass(frozen=True)
class LogMel:
    """Logarithms of the power in bands of equal width in mel, frame by frame.

        X_k = sum_n w_n x_n exp(-2 pi i k n / N)        w_n = (1 - cos(2 pi n / window)) / 2, the Hann window
        y_m = log(FLOOR + sum_k b_mk |X_k|^2)           b_m: a triangle over the frequencies, 1 at its peak

    with the peaks of neighbouring triangles at each other's feet, from 0 Hz to half of the rate. N is the power of two
    from the window's length on.

    rate: samples a second. n_mels: bands. window_ms, hop_ms: a frame's length and the step to the next, milliseconds.
    stack: so many frames side by side are one step of the sequence, which is as many times shorter.
    Raises: DataError if a band is too narrow to hold a frequency, or a frame or the hop too short for a sample.
    """

    rate: int
    n_mels: int = 40
    window_ms: float = 25.0
    hop_ms: float = 10.0
    stack: int = 1

    def __post_init__(self) -> None:
        if min(self.hop, self.window) < 1 or not self.bands.any(1).all():
            raise DataError(
                f"{self.n_mels} mel bands of {self.window_ms:g} ms frames each {self.hop_ms:g} ms "
                f"cannot be had at {self.rate} Hz.\n  Lower n_mels, or raise window_ms or hop_ms."
            )

    @property
    def window(self) -> int:
        """Samples in a frame."""
        return round(self.rate * self.window_ms / 1000)

    @property
    def hop(self) -> int:
        """Samples from a frame's start to the next one's."""
        return round(self.rate * self.hop_ms / 1000)

    @property
    def points(self) -> int:
        """N of the Fourier transform."""
        return 1 << max(1, self.window - 1).bit_length()

    @property
    def size(self) -> int:
        """Features a step."""
        return self.n_mels * self.stack

    @cached_property
    def bands(self) -> np.ndarray:
        """b: (n_mels, N / 2 + 1), the weight of each frequency in each band."""
        frequencies = mel(np.arange(self.points // 2 + 1) * self.rate / self.points)
        corners = np.linspace(0, mel(self.rate / 2), self.n_mels + 2)[:, None]
        low, peak, high = corners[:-2], corners[1:-1], corners[2:]
        rising, falling = (frequencies - low) / (peak - low), (high - frequencies) / (high - peak)
        return np.maximum(0, np.minimum(rising, falling))

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """samples: (samples,). Returns (steps, n_mels * stack) float32; silence is added to fill the last step."""
        frames = 1 + max(0, -(-(len(samples) - self.window) // self.hop))
        frames += -frames % self.stack
        padded = np.zeros(self.window + (frames - 1) * self.hop)
        length = min(len(samples), len(padded))
        padded[:length] = samples[:length]
        cut = np.lib.stride_tricks.sliding_window_view(padded, self.window)[:: self.hop]
        hann = (1 - np.cos(2 * np.pi * np.arange(self.window) / self.window)) / 2
        power = np.abs(np.fft.rfft(cut * hann, self.points)) ** 2
        return np.log(FLOOR + power @ self.bands.T).astype(np.float32).reshape(-1, self.size)
