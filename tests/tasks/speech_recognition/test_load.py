"""Speech data: folders, TFDS sets and generated clips, in three splits."""

import numpy as np
import pytest

from tfpar.data.wav import write_wav
from tfpar.errors import UserError
from tfpar.tasks.speech_recognition.clips import fit_length, pack, trim
from tfpar.tasks.speech_recognition.load import generate_speech, load_speech
from tfpar.tasks.speech_recognition.voices import split_variants

RATE_HZ = 8000


def tone(hertz, seconds=0.3, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)


@pytest.fixture
def folder(tmp_path):
    """Two classes of six clips."""
    for label, name in enumerate(("no", "yes")):
        (tmp_path / name).mkdir()
        for number in range(6):
            write_wav(tmp_path / name / f"{number}.wav", tone(400 + 300 * label + 10 * number), RATE_HZ)
    return tmp_path


def test_a_folder_of_classes(folder):
    speech = load_speech(f"folder:{folder}")
    assert speech.class_names == ("no", "yes")
    assert [len(split) for split in (speech.train, speech.validation, speech.test)] == [8, 2, 2]
    assert sorted(speech.test.labels) == [0, 1]
    assert speech.skipped == {} and speech.clipped == 0
    assert "md5" in speech.split_rule


def test_what_cannot_be_used_is_counted(folder):
    (folder / "no" / "empty.wav").write_bytes(b"")
    (folder / "no" / "text.wav").write_text("hello, this is no sound")
    write_wav(folder / "no" / "silent.wav", np.zeros(4000), RATE_HZ)
    write_wav(folder / "loose.wav", tone(500), RATE_HZ)
    write_wav(folder / "no" / "loud.wav", np.clip(8 * tone(500), -0.5, 0.5), RATE_HZ)
    speech = load_speech(f"folder:{folder}")
    assert sum(speech.skipped.values()) == 4 and speech.skipped["silent"] == 1
    assert speech.skipped["outside of a class's folder"] == 1
    assert any("is empty" in reason for reason in speech.skipped)
    assert speech.clipped == 1
    assert len(speech.train) + len(speech.validation) + len(speech.test) == 13


def test_clips_of_one_speaker_share_a_split(tmp_path):
    for label, word in enumerate(("no", "yes")):
        (tmp_path / word).mkdir()
        for speaker in range(12):
            for take in range(3):
                signal = tone(300 + 20 * speaker + 400 * label + take)
                write_wav(tmp_path / word / f"s{speaker}_nohash_{take}.wav", signal, RATE_HZ)
    speech = load_speech(f"folder:{tmp_path}")
    assert len(speech.test) == 2 * 3 and len(speech.validation) == 2 * 3
    assert "by groups (the speaker in SPEAKER_nohash_N.wav)" in speech.split_rule


def clips_of_speakers(path, name="{speaker}-{take}.wav"):
    """Twelve speakers say two words three times; the tone tells the speaker."""
    for label, word in enumerate(("no", "yes")):
        (path / word).mkdir(parents=True)
        for speaker in range(12):
            for take in range(3):
                signal = tone(300 + 100 * speaker + 10 * label + take)
                write_wav(path / word / name.format(speaker=f"s{speaker:02}", take=take), signal, RATE_HZ)
    return f"folder:{path}"


def speakers_of(split):
    spectra = np.abs(np.fft.rfft(split.audio, axis=1))[:, : RATE_HZ // 2]
    return {int(peak * RATE_HZ / split.audio.shape[1] - 250) // 100 for peak in spectra.argmax(axis=1)}


def test_a_pattern_keeps_speakers_together(tmp_path):
    spec = clips_of_speakers(tmp_path)
    alone = load_speech(spec)
    assert speakers_of(alone.train) & speakers_of(alone.test)
    assert "dealt out one by one" in alone.split_rule and "--group PATTERN or a file groups.tsv" in alone.split_rule
    speech = load_speech(spec, group="/(s[0-9]+)-")
    parts = [speakers_of(split) for split in (speech.train, speech.validation, speech.test)]
    assert list(map(len, parts)) == [10, 1, 1] and len(set().union(*parts)) == 12
    with pytest.raises(UserError, match="nothing for validation and test.* and there are 2 groups"):
        load_speech(spec, group="^(no|yes)/")
    with pytest.raises(UserError, match="--group is for folder: alone; got dataset 'espeak'"):
        load_speech("espeak", group="(s)")


def test_a_folder_brings_its_splits(tmp_path):
    for split in ("train", "validation", "test"):
        clips_of_speakers(tmp_path / split)
    speech = load_speech(f"folder:{tmp_path}")
    assert [len(split) for split in (speech.train, speech.validation, speech.test)] == [72, 72, 72]
    assert speech.split_rule == "as the folders train, validation, test say" and speech.class_names == ("no", "yes")
    (tmp_path / "validation").rename(tmp_path / "other")
    with pytest.raises(UserError, match="the split 'test' beside the folder 'other'"):
        load_speech(f"folder:{tmp_path}")


def test_strings_of_given_splits(tmp_path):
    for number, split in enumerate(("train", "dev", "test")):
        (tmp_path / split).mkdir()
        for digit in range(4):
            write_wav(tmp_path / split / f"{digit}.wav", tone(300 + 100 * digit + 10 * number), RATE_HZ)
        (tmp_path / split / "transcripts.tsv").write_text(f"0.wav\t{number}{number}\n")
    speech = load_speech(f"folder:{tmp_path}", task="digits")
    strings = [sorted(tuple(row[row >= 0]) for row in split.labels) for split in (speech.train, speech.validation)]
    assert strings == [[(0, 0), (1,), (2,), (3,)], [(1,), (1, 1), (2,), (3,)]]
    write_wav(tmp_path / "5.wav", tone(500), RATE_HZ)
    with pytest.raises(UserError, match="has .wav files beside the splits train, validation, test"):
        load_speech(f"folder:{tmp_path}", task="digits")


@pytest.mark.parametrize(
    "prepare, words",
    [
        (lambda path: (path / "a").mkdir(), "one sub-folder for each class"),
        (lambda path: [(path / n).mkdir() or write_wav(path / n / "0.wav", tone(500), 8000) for n in "ab"], "3 clips"),
        (lambda path: path.rmdir(), "no such folder"),
    ],
)
def test_folders_that_will_not_do(tmp_path, prepare, words):
    path = tmp_path / "clips"
    path.mkdir()
    prepare(path)
    with pytest.raises(UserError, match=words):
        load_speech(f"folder:{path}")


@pytest.mark.parametrize("spec", ["csv:a.csv", "folder:", "nonsense", "tfds:"])
def test_unknown_specs(spec):
    with pytest.raises(UserError, match="expected espeak, folder:PATH or tfds:NAME"):
        load_speech(spec)


def test_strings_have_their_transcripts_from_names_texts_or_a_table(tmp_path):
    for name in ("351_anna", "one", "two", "12345678", *(f"{n}{n}" for n in range(5))):
        write_wav(tmp_path / f"{name}.wav", tone(300 + sum(map(ord, name)) % 900), RATE_HZ)
    (tmp_path / "one.txt").write_text("Six six\n")
    (tmp_path / "transcripts.tsv").write_text("two.wav\t0 nine 1\n")
    write_wav(tmp_path / "3.wav", tone(444), RATE_HZ)
    (tmp_path / "3.txt").write_text("\u00b2")  # a digit, but no decimal one
    speech = load_speech(f"folder:{tmp_path}", task="digits")
    rows = np.concatenate([split.labels for split in (speech.train, speech.validation, speech.test)])
    strings = {tuple(int(digit) for digit in row if digit >= 0) for row in rows}
    assert {(3, 5, 1), (6, 6), (0, 9, 1), (4, 4)} <= strings and len(rows) == 8
    assert speech.skipped == {"without a transcript of 1 to 6 digits": 2}


def test_a_tfds_set(tmp_path):
    import tensorflow_datasets as tfds

    features = tfds.features.FeaturesDict(
        {
            "audio": tfds.features.Audio(sample_rate=16_000),
            "audio/filename": tfds.features.Text(),
            "label": tfds.features.ClassLabel(names=["no", "yes"]),
        }
    )

    class SpokenTest(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return self.dataset_info_from_configs(features=features, supervised_keys=("audio", "label"))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for number in range(12):
                time_s = np.arange(6400 + number) / 16_000
                sound = 0.5 * np.sin(2 * np.pi * (400 + 300 * (number % 2)) * time_s)
                audio = np.round(sound * 32767).astype(np.int64)
                yield number, {"audio": audio, "audio/filename": f"{number}.wav", "label": number % 2}

    SpokenTest(data_dir=tmp_path / "tfds").download_and_prepare()
    speech = load_speech("tfds:spoken_test", cache_dir=tmp_path)
    assert speech.class_names == ("no", "yes") and speech.rate_hz == RATE_HZ
    assert (len(speech.train), len(speech.validation), len(speech.test)) == (8, 2, 2)
    assert 3000 < speech.train.lengths.mean() < 3400  # 0.4 s at 8 kHz
    peak_hz = np.argmax(np.abs(np.fft.rfft(speech.train.audio[speech.train.labels == 1][0]))) * RATE_HZ / 8000
    assert peak_hz == pytest.approx(700, abs=5)


def test_trimming_removes_silence_and_offset():
    signal = np.concatenate([np.zeros(2000), tone(500), np.zeros(3000)]) + 0.1
    trimmed = trim(signal, RATE_HZ)
    assert 2300 < len(trimmed) < 3100 and abs(trimmed.mean()) < 0.1
    assert len(trim(np.full(4000, 0.3), RATE_HZ)) == 0 and len(trim(np.zeros(0), RATE_HZ)) == 0


def test_fitting_a_length_keeps_the_loudest_part_or_centres():
    long = np.concatenate([np.zeros(5000), tone(500, seconds=0.5), np.zeros(4000)])
    assert np.square(fit_length(long, 4000)).sum() == pytest.approx(np.square(long).sum())
    np.testing.assert_array_equal(fit_length(np.ones(2), 5), [0, 1, 1, 0, 0])


def test_clips_are_centered_in_their_rows():
    clips = pack([np.full(3, 0.5), np.full(6, 0.5)], [0, 1], 6)
    assert (clips.center() > 0.4).tolist() == [[False, True, True, True, False, False], [True] * 6]


def test_generated_sounds_repeat():
    for task in ("word", "digits"):
        first, again, other = (generate_speech(seed, task) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first.train.audio, again.train.audio)
        assert not np.array_equal(first.train.audio, other.train.audio)
        assert np.ndim(first.train.labels) == (1 if task == "word" else 2)


def test_families_of_voices_stay_together():
    splits = split_variants(["f1", "f2", "f3", "Alex", "m1", "m2", "Bea", "Carl", "Dora", "Eve", "Gus", "Ida", "klatt"])
    families = {name: {v.rstrip("0123456789").lower() for v in split} for name, split in splits.items()}
    assert len(families["test"]) == 2 and len(families["validation"]) == 1
    assert not families["test"] & families["train"] and sum(map(len, splits.values())) == 13
