"""Distortions of audio: they repeat, stay finite, and each does what it says."""

import numpy as np
import pytest
import tensorflow as tf

from tfpar.tasks.speech_recognition import augment as augmentation
from tfpar.tasks.speech_recognition.batches import speech_batches
from tfpar.tasks.speech_recognition.clips import SPEEDS, pack

RATE_HZ = 8000
SEED = tf.constant([1, 2])


def tones(rows=32, hertz=600.0, samples=8000):
    sine = 0.5 * np.sin(2 * np.pi * hertz * np.arange(samples) / RATE_HZ)
    return tf.constant(np.tile(sine, (rows, 1)), tf.float32)


def peaks_hz(audio):
    return np.abs(np.fft.rfft(audio)).argmax(axis=1) * RATE_HZ / audio.shape[1]


@pytest.mark.parametrize(
    "step",
    [augmentation.apply_fades, augmentation.add_babble, augmentation.simulate_recording, augmentation.apply_recorder],
)
def test_a_step_repeats_by_its_seed_and_stays_finite(step):
    audio = tones()
    first = step(audio, SEED)
    np.testing.assert_array_equal(step(audio, SEED), first)
    assert not np.array_equal(step(audio, tf.constant([1, 3])), first)
    assert first.shape == audio.shape and np.isfinite(first).all() and not np.array_equal(first, audio)
    assert np.isfinite(step(tf.zeros((4, 8000)), SEED)).all()


def test_placement_changes_speed_and_place():
    lengths = tf.fill((32,), 4000)
    audio = tf.where(tf.range(8000) < 4000, tones(), 0.0)
    placed = augmentation.position_clips(audio, lengths, SEED, speed=(0.8, 1.25), crop=0.0).numpy()
    active = np.abs(placed) > 1e-3
    begins, ends = active.argmax(axis=1), 8000 - active[:, ::-1].argmax(axis=1)
    rates = peaks_hz(placed) / 600
    assert 0.78 < rates.min() < 0.9 < 1.1 < rates.max() < 1.27
    np.testing.assert_allclose(ends - begins, 4000 / rates, rtol=0.02)
    assert begins.max() - begins.min() > 1000


def test_a_room_adds_noise_at_the_ratio_that_was_asked_for():
    quiet = augmentation.simulate_recording(
        tones(), SEED, equalizer_db=0.0, band_fraction=0.0, reverb_fraction=0.0, snr_db=(20.0, 20.0)
    ).numpy()
    noise = quiet - tones().numpy()
    ratio_db = 10 * np.log10(np.mean(np.square(tones())) / np.mean(np.square(noise), axis=1))
    np.testing.assert_allclose(ratio_db, 20, atol=2.5)  # brown noise is loud where few bins are


def test_a_room_reverberates_behind_a_sound():
    click = tf.one_hot(tf.fill((32,), 1000), 8000)
    heard = augmentation.simulate_recording(
        click, SEED, equalizer_db=0.0, band_fraction=0.0, reverb_fraction=1.0, snr_db=(200.0, 200.0)
    )
    tail = np.square(heard[:, 1010:2900]).sum(axis=1)
    assert (tail > 0.005).all() and np.square(heard[:, :990]).max() < 1e-6


def test_a_band_limit_takes_the_lowest_tones():
    low = augmentation.simulate_recording(
        tones(hertz=30.0), SEED, equalizer_db=0.0, band_fraction=1.0, reverb_fraction=0.0, snr_db=(200.0, 200.0)
    )
    assert np.square(low).mean() < 0.3 * np.square(tones(hertz=30.0)).mean()


def test_a_recorder_sets_level_and_offset():
    audio = augmentation.apply_recorder(
        tones(), SEED, gain_db=(-20.0, -20.0), offset_fraction=1.0, clip_fraction=0.0
    ).numpy()
    offset = audio.mean(axis=1)
    np.testing.assert_allclose(np.abs(audio - offset[:, None]).max(axis=1), 0.1, rtol=1e-3)
    assert np.abs(offset).max() > 0.01


def batches(**options):
    generator = np.random.default_rng(0)
    clips = pack(list(generator.normal(0, 0.1, (10, 800))), np.arange(10), 1000)
    return speech_batches(clips, batch_size=4, seed=5, **options)


def test_batches_are_distorted_anew_in_each_epoch_and_repeat_by_seed():
    def make(**more):
        return batches(shuffle=True, distortions=augmentation.make_distortions(RATE_HZ), **more)

    dataset = make()
    first, second = list(dataset), list(dataset)
    again = list(make())
    for one, other in zip(first, again, strict=True):
        for left, right in zip(one, other, strict=True):
            np.testing.assert_array_equal(left, right)
    assert not np.array_equal(first[0][0], second[0][0])
    np.testing.assert_array_equal(next(iter(make(first_epoch=1)))[0], second[0][0])  # a run that goes on
    labels = np.concatenate([labels[weights > 0] for _, labels, weights in first])
    assert sorted(labels) == list(range(10)) and len(dataset) == 3


def test_without_distortions_clips_come_in_their_order():
    audio, labels, weights = next(iter(batches()))
    assert labels.numpy().tolist() == [0, 1, 2, 3] and weights.numpy().tolist() == [1] * 4
    assert np.abs(audio[:, :100]).max() == 0 and np.abs(audio[:, 100:900]).max() > 0.1
    assert [float(weights.numpy().sum()) for _, _, weights in batches()] == [4, 4, 2]


LENGTHS = np.array([90, 160, 290, 300, 310, 420, 600, 700, 910, 1000])


def bucketed(**options):
    clips = pack([np.full(length, 0.5) for length in LENGTHS], np.arange(10), 1000)
    batches = speech_batches(clips, batch_size=2, boundaries=(320, 640, 1000), **options)
    return [(audio.numpy()[weights > 0], labels.numpy()[weights > 0]) for audio, labels, weights in batches]


def test_batches_are_as_long_as_their_clips_need():
    batches = bucketed()
    assert [audio.shape[1] for audio, _ in batches] == [320, 320, 320, 640, 1000, 1000]
    assert np.concatenate([labels for _, labels in batches]).tolist() == list(range(10))
    for audio, labels in batches:
        heard = audio > 0.4
        assert heard.sum(axis=1).tolist() == LENGTHS[labels].tolist()
        before, behind = heard.argmax(axis=1), heard[:, ::-1].argmax(axis=1)
        assert np.abs(before - behind).max() <= 1  # in the middle


@pytest.mark.parametrize("slowest", [SPEEDS[0], 0.5])
def test_a_clip_that_is_played_slowly_has_room_for_its_end(slowest):
    batches = bucketed(shuffle=True, distortions=(), crop=0.0, speed=(slowest, slowest + 1e-6))
    assert sorted(np.concatenate([labels for _, labels in batches])) == list(range(10))
    assert {audio.shape[1] for audio, _ in batches} == {320, 640, 1000}
    for audio, labels in batches:
        slow = np.minimum(LENGTHS[labels] / slowest, 1000)
        np.testing.assert_allclose((audio > 0.4).sum(axis=1), slow, atol=2)
