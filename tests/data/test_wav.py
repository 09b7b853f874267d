"""WAV files of every kind come out as one channel at one rate; damaged ones are told apart."""

import struct
import wave

import numpy as np
import pytest

from tfpar.data.resampling import resample
from tfpar.data.wav import decode_wav, read_wav, write_wav
from tfpar.errors import UserError

RATE_HZ = 8000


def sine(rate_hz, hertz=440.0, seconds=0.5, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate_hz)) / rate_hz)


def encoded(samples, rate_hz, code, bits, channels=1):
    """The bytes of a WAV file."""
    if code == 3:
        data = samples.astype(f"<f{bits // 8}").tobytes()
    elif bits == 8:
        data = np.round(samples * 127 + 128).astype(np.uint8).tobytes()
    else:
        whole = np.round(samples * (2 ** (bits - 1) - 1)).astype("<i4")
        data = whole.view(np.uint8).reshape(-1, 4)[:, : bits // 8].tobytes()
    form = struct.pack("<HHIIHH", code, channels, rate_hz, rate_hz * channels * bits // 8, channels * bits // 8, bits)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form
    body += b"LIST" + struct.pack("<I", 3) + b"abc\0"  # a chunk of odd size that nobody asked for
    body += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("code, bits", [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)])
def test_every_width_holds_the_same_sound(code, bits):
    found = decode_wav(encoded(sine(RATE_HZ), RATE_HZ, code, bits), RATE_HZ)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, sine(RATE_HZ), atol=1e-2 if bits == 8 else 1e-4)


@pytest.mark.parametrize("rate_hz", [11_025, 16_000, 22_050, 44_100, 48_000, 6_000])
def test_every_rate_holds_the_same_sound(rate_hz):
    found = decode_wav(encoded(sine(rate_hz), rate_hz, 1, 16), RATE_HZ)
    assert len(found) == pytest.approx(RATE_HZ / 2, abs=1)
    inside = slice(200, 3800)  # the sine begins and ends with a click
    np.testing.assert_allclose(found[inside], sine(RATE_HZ)[inside], atol=0.01)


def test_a_tone_that_the_new_rate_cannot_hold_is_gone():
    assert np.abs(resample(sine(44_100, hertz=6000), 44_100, RATE_HZ)[200:3800]).max() < 0.01


def test_channels_are_averaged():
    both = np.stack([sine(RATE_HZ), np.zeros(RATE_HZ // 2)], axis=1)
    np.testing.assert_allclose(
        decode_wav(encoded(both, RATE_HZ, 1, 16, channels=2), RATE_HZ), sine(RATE_HZ) / 2, atol=1e-4
    )


def test_what_is_written_python_reads_too(tmp_path):
    write_wav(tmp_path / "a.wav", sine(RATE_HZ), RATE_HZ)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE_HZ, 1, 2)
    np.testing.assert_allclose(read_wav(tmp_path / "a.wav", RATE_HZ), sine(RATE_HZ), atol=1e-4)


def test_a_file_that_was_cut_off_gives_what_is_left():
    content = encoded(sine(RATE_HZ), RATE_HZ, 1, 16)
    assert len(decode_wav(content[:-1001], RATE_HZ)) == RATE_HZ // 2 - 501


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "is empty"),
        (b"ID3 something else", "is not a WAV file"),
        (encoded(sine(RATE_HZ), RATE_HZ, 1, 16)[:30], "damaged"),
        (encoded(np.zeros(0), RATE_HZ, 1, 16), "no sound"),
        (encoded(sine(RATE_HZ), RATE_HZ, 2, 8), r"format 2 \(ADPCM\); convert it to"),
        (encoded(np.array([np.nan, 0.0]), RATE_HZ, 3, 32), "not numbers"),
        (encoded(sine(RATE_HZ), 0, 1, 16), "0 Hz"),
    ],
)
def test_what_is_no_sound_is_refused(content, words):
    with pytest.raises(UserError, match=words):
        decode_wav(content, RATE_HZ)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"a\.wav cannot be read"):
        read_wav(tmp_path / "a.wav", RATE_HZ)
