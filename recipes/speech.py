"""Recognition of spoken words or strings of digits, learnt from synthesised voices; leaves SavedModel and TFLite files.

    python recipes/speech.py                            # ten digits, by convolutions and an LSTM
    python recipes/speech.py --words all                # and ten commands
    python recipes/speech.py --model lstm --streaming   # answers every 20 ms
    python recipes/speech.py --task digits              # strings of digits, by CTC
    python recipes/speech.py --dataset folder:clips     # one sub-folder of WAV files for each class
    python recipes/speech.py --smoke                    # two steps on generated data

Needs: pip install '.[recipes,speech]'. The last line on stdout is one JSON object with all results.
"""

from absl import flags

from tfpar.cli import recipe
from tfpar.cli.extras import JIWER
from tfpar.cli.flags import define_common, define_group
from tfpar.cli.recipe import log
from tfpar.cli.run import run_recipe
from tfpar.errors import UserError
from tfpar.tasks import speech_recognition

FLAGS = flags.FLAGS

define_common(
    dataset="espeak",
    cells=("lstm", "gru", "rnn"),
    export_dir="exports/speech",
    dropout=0.3,
    learning_rate=3e-3,
    weight_decay=1e-3,
    label_smoothing=0.1,
)
define_group()
flags.DEFINE_enum("task", "word", ["word", "digits"], "One word in a clip, or a string of one to six digits, by CTC.")
flags.DEFINE_enum("words", "digits", ["digits", "commands", "all"], "Which words of the bundled voices.")
flags.DEFINE_enum("model", "cnn_lstm", ["cnn", "lstm", "cnn_lstm"], "Kind of network.")
flags.DEFINE_bool("streaming", False, "lstm: take frames of 20 ms one by one.")
flags.DEFINE_bool("augment", True, "Distort clips and spectrograms in training.")
flags.DEFINE_integer("width", 16, "Channels of the first convolutions.", 1)
flags.DEFINE_integer("buckets", 4, "digits: lengths that strings are padded to; XLA compiles each once.", 1)
flags.DEFINE_integer("units", 64, "Units of each recurrent layer and direction.", 1)

EPOCHS = {"cnn": 26, "lstm": 26, "cnn_lstm": 16}
STRING_EPOCHS = 28
SMOKE = dict(epochs=1, steps=2, width=4, units=8, batch_size=8, buckets=1)
SPLITS = ("train", "validation", "test")


def load():
    """Reads the data set, or makes it."""

    if FLAGS.smoke:
        speech = speech_recognition.generated_speech(seed=FLAGS.seed, task=FLAGS.task)
    else:
        speech = speech_recognition.load_speech(FLAGS.dataset, task=FLAGS.task, words=FLAGS.words, group=FLAGS.group)
    for reason, clips in speech.skipped.items():
        log(f"skipped {clips} clip(s): {reason}")
    if speech.clipped:
        log(f"{speech.clipped} clip(s) are clipped; they are used")
    log(f"{speech.name}: {counts(speech)}; {speech.notice}")
    log(f"splits: {speech.split_rule}")
    return speech


def counts(speech):
    return ", ".join(f"{len(getattr(speech, split)):,} {split}" for split in SPLITS)


def is_strings():
    return FLAGS.task == "digits"


def build(speech):
    """Builds the recogniser from flags; for strings of any length."""
    from tfpar import train

    recogniser = network(speech, None if is_strings() else speech.samples)
    return train.Model(recogniser.inputs, recogniser.outputs[0], name="speech")


def network(speech, samples):

    return speech_recognition.speech_recogniser(
        samples=samples,
        num_classes=len(speech.class_names),
        rate_hz=speech.rate_hz,
        model=FLAGS.model,
        cell=FLAGS.cell,
        strings=is_strings(),
        streaming=FLAGS.streaming,
        augment=FLAGS.augment,
        width=FLAGS.width,
        units=FLAGS.units,
        dropout=FLAGS.dropout,
        seed=FLAGS.seed,
    )


def batches(speech, split, first_epoch=0):
    """Batches of (audio, labels, weights) as model and loss take them."""

    distorted = split == "train" and FLAGS.augment
    raw = speech_recognition.speech_batches(
        getattr(speech, split),
        batch_size=FLAGS.batch_size,
        seed=FLAGS.seed,
        shuffle=split == "train",
        distortions=speech_recognition.standard_distortions(speech.rate_hz, is_strings()) if distorted else None,
        boundaries=boundaries(speech),
        first_epoch=first_epoch,
        **({"crop": 0.0} if is_strings() else {}),
    )
    # CTC's class 0 is the blank, and what pads strings.
    shift = 1 if is_strings() else 0
    return raw.map(lambda audio, labels, weights: (as_input(audio, speech), labels + shift, weights))


def as_input(audio, speech):
    """Audio (batch, samples) as the network takes it: streaming, cut into frames of 20 ms."""
    import tensorflow as tf

    frame = speech.rate_hz // 50
    return tf.reshape(audio, (-1, speech.samples // frame, frame)) if FLAGS.streaming else audio


def boundaries(speech):
    """Lengths, in samples, that strings are padded to; words all fill a row."""
    from tfpar import data

    if not is_strings():
        return (speech.samples,)
    room = speech_recognition.room_lengths(speech.train, FLAGS.augment)
    multiple = speech.rate_hz // 10
    return data.bucket_boundaries([*room, speech.samples], FLAGS.buckets, multiple, FLAGS.batch_size)


def padding_fraction(speech):
    """Of training batches, before clips are played faster or slower."""
    from tfpar import data

    room = speech_recognition.room_lengths(speech.train, FLAGS.augment)
    fed = room.sum() / (1 - data.padding_fraction(room, boundaries(speech), FLAGS.batch_size))
    return 1 - float(speech.train.lengths.sum() / fed)


def fit(model, speech):
    """Trains; returns the history and what was measured on the way."""
    training = batches(speech, "train", recipe.first_epoch())
    model.compile(
        recipe.optimizer(recipe.training_steps(training)),
        loss(),
        weighted_metrics=[] if is_strings() else ["accuracy"],
        jit_compile=FLAGS.xla,
    )
    return recipe.fit(model, training, batches(speech, "validation"), examples=len(speech.train))


def loss():
    from tfpar import train

    if is_strings():
        return train.CTCLoss()
    return train.SmoothedCrossentropy(label_smoothing=FLAGS.label_smoothing)


def score(model, speech):
    """Metrics on the test set."""
    test = batches(speech, "test")
    if not is_strings():
        return recipe.scores(model, test)

    measured = model.evaluate(test, verbose=0, return_dict=True)
    logits = model.predict(test_audio(speech), batch_size=FLAGS.batch_size, verbose=0)
    answers = [speech_recognition.decode(row, speech.class_names) for row in logits]
    return {
        **speech_recognition.string_errors(speech_recognition.spelt(speech.test.labels, speech.class_names), answers),
        "loss": measured["loss"],
    }


def test_audio(speech):
    import numpy as np

    return np.asarray(as_input(speech.test.centred(), speech))


def export(model, speech, history, result):
    """Leaves the model, which answers with probabilities."""
    import keras

    import tfpar

    recogniser = network(speech, speech.samples)
    recogniser.set_weights(model.get_weights())
    probabilities = keras.layers.Softmax(name="probabilities", dtype="float32")(recogniser.output)
    return tfpar.tasks.speech_recognition.SpeechExport(
        model=keras.Model(recogniser.input, probabilities, name="speech"),
        class_names=speech.class_names,
        rate_hz=speech.rate_hz,
        test_audio=test_audio(speech),
        test_labels=speech.test.labels,
        calibration=batches(speech, "train"),
        history=history,
        streaming=FLAGS.streaming,
        facts=recipe.facts("speech", summary(), speech, counts(speech), result),
        form=FLAGS.form,
        target=FLAGS.target,
    ).write(FLAGS.export_dir, recipe.formats(), gate=not FLAGS.smoke)


def summary():
    network = {
        "cnn": f"convolutions, {FLAGS.width} channels at first",
        "lstm": f"{FLAGS.cell.upper()} of {FLAGS.units} units, " + ("two, forward" if FLAGS.streaming else "both ways"),
        "cnn_lstm": f"convolutions below {FLAGS.cell.upper()} of {FLAGS.units} units, both ways",
    }[FLAGS.model]
    return f"Log-mel spectrogram, then {network}; answers with " + (
        "a string of digits, by CTC." if is_strings() else "one word."
    )


def choose_defaults():
    """Set the defaults that depend on other flags."""
    # XLA's convolutions on a CPU are slower than oneDNN's; its recurrences, and CTC, are faster.
    is_convolution = FLAGS.model == "cnn" and not is_strings()
    epochs = STRING_EPOCHS if is_strings() else EPOCHS[FLAGS.model]
    recipe.use_unless_given(epochs=epochs, xla=not is_convolution)
    if FLAGS.target == "micro":
        recipe.use_micro_settings()
    elif FLAGS.streaming:
        # In 8 bits the errors of two recurrent layers add up over the steps.
        recipe.use_unless_given(export=["saved_model", "float32", "float16", "dynamic"])
    if FLAGS.smoke:
        recipe.use_smoke_settings(**SMOKE)


def check_flags():
    """Refuse flags that do not go together."""
    if FLAGS.streaming and (FLAGS.model != "lstm" or FLAGS.task != "word"):
        raise UserError(
            f"--streaming needs --model lstm and --task word; got --model {FLAGS.model} --task {FLAGS.task}: "
            "convolutions and backward layers see what is still to come"
        )
    if FLAGS.target == "micro" and (FLAGS.model != "lstm" or FLAGS.task != "word"):
        raise UserError(
            f"--target micro needs --model lstm and --task word; got --model {FLAGS.model} --task {FLAGS.task}"
        )


def main():
    check_flags()
    run = recipe.start(*([JIWER] if is_strings() else []))
    speech = load()
    with run.scope():
        model = build(speech)
        history, measured = fit(model, speech)
        metrics = score(model, speech)
    result = run.report(
        "speech",
        model,
        examples={split: len(getattr(speech, split)) for split in SPLITS},
        metrics=metrics,
        measured=measured,
        padding_fraction=padding_fraction(speech),
    )
    result |= {"model": FLAGS.model, "task": FLAGS.task, "streaming": FLAGS.streaming}
    exports = export(model, speech, history, result) if recipe.formats() else []
    return {**result, "exports": exports}


if __name__ == "__main__":
    run_recipe(main, choose_defaults)
