import cmath
import io
import math
import struct
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo.data.readers.audio import FLOOR, LogMel, mel, read_wav, resampled
from rnnzoo.errors import DataError


def wav(frames, width=2, channels=1, rate=8000):
    """A PCM file, as the standard library writes it."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(frames)
    return out.getvalue()


def riff(codec, bits, data, channels=1, rate=8000, extra=b"", before=b""):
    """A file of any codec, chunk by chunk."""
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", codec, channels, rate, rate * block, block, bits) + extra
    body = (
        b"WAVE" + before + b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(data)) + data
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


GOOD = wav(struct.pack("<4h", 0, 16384, -32768, 8192))


@pytest.mark.parametrize(
    ("frames", "width"),
    [
        (bytes([128, 192, 0]), 1),  # whole numbers without a sign, 128 is silence
        (struct.pack("<3h", 0, 2**14, -(2**15)), 2),
        (b"".join((n * 2**8).to_bytes(3, "little", signed=True) for n in (0, 2**14, -(2**15))), 3),
        (struct.pack("<3i", 0, 2**30, -(2**31)), 4),
    ],
)
def test_whole_numbers_of_any_width_are_parts_of_the_largest(frames, width):
    samples, rate = read_wav(wav(frames, width))
    assert samples.tolist() == [0.0, 0.5, -1.0] and samples.dtype == np.float32 and rate == 8000


@pytest.mark.parametrize(("bits", "code"), [(32, "f"), (64, "d")])
def test_floating_point_numbers_are_the_samples(bits, code):
    samples, _ = read_wav(riff(3, bits, struct.pack(f"<3{code}", 0.25, -1.5, 0.0)))
    assert samples.tolist() == [0.25, -1.5, 0.0]


def test_channels_become_their_mean():
    samples, rate = read_wav(wav(struct.pack("<4h", 2**14, 0, -(2**14), 2**13), channels=2, rate=16000))
    assert samples.tolist() == [0.25, -0.125] and rate == 16000


def test_an_extensible_header_and_chunks_before_the_sound_are_read_over():
    guid = struct.pack("<HHIH", 22, 16, 4, 1) + bytes.fromhex("000000001000800000aa00389b71")
    note = b"LIST" + struct.pack("<I", 3) + b"abc\0"  # of odd length, so padded
    samples, _ = read_wav(riff(0xFFFE, 16, struct.pack("<2h", 2**14, 0), extra=guid, before=note))
    assert samples.tolist() == [0.5, 0.0]


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x80000000, 0])
def test_sound_of_a_size_that_the_writer_never_knew_reaches_to_the_files_end(size):
    sound = struct.pack("<3h", 2**14, 0, -(2**14))
    for riff_size in (0xFFFFFFFF, 36):  # of ffmpeg's pipe, and of a recorder that was switched off
        start = GOOD[:4] + struct.pack("<I", riff_size) + GOOD[8:40] + struct.pack("<I", size)
        assert read_wav(start + sound)[0].tolist() == [0.5, 0.0, -0.5]
        assert read_wav(start + sound + b"x")[0].tolist() == [0.5, 0.0, -0.5]  # half a sample was on its way


def test_no_sound_before_a_note_is_no_sound():
    with pytest.raises(DataError, match="has no samples"):
        read_wav(wav(b"") + b"LIST" + struct.pack("<I", 4) + b"INFO")


@pytest.mark.parametrize("padding", [b"", b"\0", b" "])
@pytest.mark.parametrize("samples", [2, 400])  # 800 bytes: the size's first byte is a blank, as in "ata "
def test_a_chunk_of_odd_size_may_lack_its_padding(padding, samples):
    note = b"LIST" + struct.pack("<I", 5) + b"INFO." + padding
    sound = struct.pack("<2h", 2**14, 0) * (samples // 2)
    assert read_wav(riff(1, 16, sound, before=note))[0].tolist() == [0.5, 0.0] * (samples // 2)
    between = riff(1, 16, sound).replace(b"data", note + b"data")
    assert read_wav(between)[0].tolist() == [0.5, 0.0] * (samples // 2)


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (b"", "is not a WAV file: it begins with b''"),
        (b"ID3\x04 an MP3 file, by its name a WAV", "not with RIFF and WAVE"),
        (GOOD[:-3], "is cut short: its 'data' has 5 bytes where its header says 8"),
        (GOOD[:30], "is cut short: its 'fmt' has 10 bytes where its header says 16"),
        (GOOD[:36], "is a damaged WAV file: it has no whole 'data' chunk"),
        (wav(b""), "has no samples"),
        (riff(1, 16, b"abc"), "3 bytes of sound are no whole number of 2-byte steps"),
        (riff(1, 12, b"abcd"), "a WAV file of 12 bits PCM cannot be read"),
        (riff(7, 8, b"abcd"), "a WAV file of 8 bits mu-law cannot be read"),
        (riff(0x55, 0, b"abcd"), "a WAV file of 0 bits MP3 cannot be read"),
        (riff(0x1234, 16, b"abcd"), "16 bits codec 0x1234"),
        (riff(1, 16, b"abcd", channels=0), "a WAV header of 0 channels"),
        (riff(1, 16, b"abcd", rate=0), "1 channels, 0 Hz"),
        (riff(3, 32, struct.pack("<f", math.nan)), "a sample is infinite or not a number"),
        (riff(3, 64, struct.pack("<d", 1e300)), "a sample is infinite or not a number"),
    ],
)
def test_a_bad_file_is_refused_by_its_name_and_with_what_was_found(file, told, tmp_path):
    with pytest.raises(DataError) as error:
        read_wav(file, "7_jackson_32.wav (row 8)")
    assert str(error.value).startswith("7_jackson_32.wav (row 8)") and told in str(error.value)
    (tmp_path / "x.wav").write_bytes(file)
    with pytest.raises(DataError) as error:
        read_wav(tmp_path / "x.wav")
    assert str(error.value).startswith(str(tmp_path / "x.wav")) and told in str(error.value)


@pytest.mark.parametrize("path", ["none.wav", ".", "a\0b"])
def test_a_path_that_is_no_file_is_refused(path):
    with pytest.raises(DataError, match="cannot read the sound"):
        read_wav(path)


@given(st.binary(max_size=60), st.integers(0, len(GOOD)), st.integers(0, len(GOOD)))
def test_whatever_the_bytes_there_are_samples_or_a_message(some, start, stop):
    try:
        samples, rate = read_wav(GOOD[:start] + some + GOOD[stop:])
    except DataError:
        return
    assert samples.ndim == 1 and samples.size and np.isfinite(samples).all() and rate > 0


def test_features_are_what_their_definition_says():
    features = LogMel(rate=1000, n_mels=3, window_ms=12, hop_ms=5)
    samples = np.random.default_rng(0).normal(size=27)
    window, hop, points = 12, 5, 16
    assert (features.window, features.hop, features.points, features.size) == (window, hop, points, 3)

    def hertz(mels):
        return 700 * (10 ** (mels / 2595) - 1)

    top = 2595 * math.log10(1 + 500 / 700)
    found = features(samples)
    assert found.shape == (4, 3)  # the last of them from sample 15 to 27
    for frame, row in enumerate(found):
        cut = [samples[frame * hop + n] * (1 - math.cos(2 * math.pi * n / window)) / 2 for n in range(window)]
        for band, value in enumerate(row):
            low, peak, high = (top * (band + corner) / 4 for corner in range(3))
            total = 0.0
            for k in range(points // 2 + 1):
                spectrum = sum(x * cmath.exp(-2j * math.pi * k * n / points) for n, x in enumerate(cut))
                pitch = 2595 * math.log10(1 + k * 1000 / points / 700)
                if hertz(low) < k * 1000 / points < hertz(high):
                    side = (pitch - low) / (peak - low) if pitch <= peak else (high - pitch) / (high - peak)
                    total += side * abs(spectrum) ** 2
            assert value == pytest.approx(math.log(FLOOR + total), rel=1e-5)


def test_a_thousand_hertz_are_a_thousand_mel():
    assert mel(1000) == pytest.approx(1000, abs=0.1) and mel(0) == 0


def test_between_the_outermost_peaks_the_bands_share_out_each_frequency():
    features = LogMel(rate=8000)
    bands = features.bands
    pitch = mel(np.arange(features.points // 2 + 1) * 8000 / features.points)
    peaks = np.linspace(0, mel(4000), 42)[1:-1]
    inside = (pitch >= peaks[0]) & (pitch <= peaks[-1])
    np.testing.assert_allclose(bands.sum(0)[inside], 1)


@pytest.mark.parametrize("hertz", [300, 1000, 3000])
def test_a_tone_is_loudest_in_its_own_band(hertz):
    features = LogMel(rate=8000, n_mels=20)
    tone = np.sin(2 * np.pi * hertz * np.arange(2000) / 8000)
    peaks = np.linspace(0, mel(4000), 22)[1:-1]
    assert set(features(tone)[:-1].argmax(1)) == {abs(peaks - mel(hertz)).argmin()}


@given(st.integers(1, 500), st.integers(1, 40), st.integers(1, 4))
def test_every_sample_is_in_a_frame_and_frames_fill_whole_steps(samples, hop, stack):
    features = LogMel(rate=1000, n_mels=3, window_ms=40, hop_ms=hop, stack=stack)
    steps = features(np.ones(samples))
    assert steps.shape[1] == 3 * stack
    frames = steps.reshape(-1, 3)
    needed = 1 + max(0, math.ceil((samples - 40) / hop))
    assert len(frames) == needed + -needed % stack
    longer = LogMel(1000, 3, 40, hop)(np.pad(np.ones(samples), (0, 200)))
    np.testing.assert_allclose(frames, longer[: len(frames)])


@pytest.mark.parametrize("given", [{"n_mels": 400}, {"window_ms": 0.05}, {"hop_ms": 0.01}])
def test_bands_or_frames_that_the_rate_does_not_have_are_refused(given):
    with pytest.raises(DataError, match="cannot be had at 8000 Hz"):
        LogMel(8000, **given)


def test_a_rate_that_no_recorder_has_is_a_damaged_header():
    sound = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 40, b"WAVE", b"fmt ", 16, 1, 1, 2**32 - 1, 0, 2, 16, b"data", 4)
    with pytest.raises(DataError, match=r"4294967295 Hz .* is damaged"):
        read_wav(sound + bytes(4))


@pytest.mark.parametrize("path", ["/dev/zero", "."])
def test_a_sound_is_a_file(path):
    with pytest.raises(DataError, match="cannot read the sound"):
        read_wav(path)


@pytest.mark.parametrize(
    ("rate", "wanted"), [(44100, 16000), (8000, 16000), (48000, 8000), (16000, 11025), (8000, 8000)]
)
def test_a_resampled_sound_is_that_of_scipy(rate, wanted):
    signal = pytest.importorskip("scipy.signal")
    samples = np.random.default_rng(0).standard_normal(1200).astype(np.float32)
    common = math.gcd(rate, wanted)
    expected = signal.resample_poly(samples.astype(np.float64), wanted // common, rate // common)
    np.testing.assert_allclose(resampled(samples, rate, wanted), expected, atol=2e-6)
