"""Times a training step with the time axis divided over workers: `python -m tfpar.bench.sequence COMPETITOR CASE`.

A step is forward, backward and SGD of a recurrent layer that returns all steps and of a dense layer, in float32.
"tfpar" is strategy "sequence" with two workers, each of which has half of the cores. Its peers are one process with all
of them, "one_process", and one with those of a worker, "one_worker": what a second worker adds. Losses and weights of
the first steps must equal those of one process.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from tfpar.bench.memory import peak_resident_bytes, resident_bytes

WORKERS = 2
COMPARED_STEPS = 3
TOLERANCE = 1e-5  # of losses and weights after `COMPARED_STEPS` steps, relative to the largest of each array
TIMEOUT_S = 500
_LEARNING_RATE = 1e-3  # at 0.01 mLSTM diverges, which amplifies rounding errors


class SequenceCase(NamedTuple):
    """One layer, whose input has as many features as it has units.

    Attributes:
        cell: a built-in value of `--cell`.
        batch, time, units: sizes.
    """

    cell: str
    batch: int
    time: int
    units: int

    def __str__(self):
        return f"{self.cell} B{self.batch} T{self.time} H{self.units}"

    @classmethod
    def parse(cls, text: str) -> "SequenceCase":
        """Parse the output of `str`."""
        match = re.fullmatch(r"(\w+) B(\d+) T(\d+) H(\d+)", text)
        if match is None:
            raise ValueError(f"`text` must be the output of `str`; got {text!r}.")
        cell, *sizes = match.groups()
        return cls(cell, *map(int, sizes))

    @property
    def timed_steps(self) -> int:
        """Steps to time, equal for all workers: fewer of long sequences."""
        return min(50, max(5, 2**18 // (self.batch * self.time)))


CELLS = ("min_gru", "rg_lru", "mlstm", "lstm", "gru")
LENGTHS = (1024, 4096, 16384, 65536)
CASES = tuple(str(SequenceCase(cell, batch, time, 64)) for cell in CELLS for batch in (1, 8) for time in LENGTHS)
PEERS = ("one_process", "one_worker")
PACKAGES: dict[str, tuple[str, ...]] = dict.fromkeys(PEERS, ())
REFERENCES = ()


class Training(NamedTuple):
    """A model that trains on one batch.

    Attributes:
        model: `tfpar.train.Model`.
        step: function that trains one step and returns the loss.
    """

    model: Any
    step: Callable[[], float]


def make_training(case: SequenceCase, strategy: Any) -> Training:
    """Make the model of a case, train one step, and return the model with the function of further steps."""
    import keras
    import tensorflow as tf

    import tfpar
    from tfpar.layers.recurrent.cells import find_layer

    keras.utils.set_random_seed(0)
    with strategy.scope():
        inputs = keras.Input((case.time, case.units), batch_size=case.batch)
        layer: Any = find_layer(case.cell)
        hidden = layer(case.units, return_sequences=True)(inputs)
        model = tfpar.train.Model(inputs, keras.layers.Dense(1)(hidden))
        model.compile(keras.optimizers.SGD(_LEARNING_RATE), "mse", jit_compile=True)
    model.lanes = tfpar.cluster.cpu_lanes(strategy, case.batch)
    generator = np.random.default_rng(0)
    shapes = (case.batch, case.time, case.units), (case.batch, case.time, 1)
    dataset = tf.data.Dataset.from_tensors(tuple(generator.normal(size=shape).astype("float32") for shape in shapes))
    dataset = dataset.repeat()
    model.fit(dataset, steps_per_epoch=1, verbose=0)
    batches = iter(dataset)
    train: Any = model.train_function  # `fit` made it
    return Training(model, lambda: float(train(batches)["loss"]))


def compare(expected: dict[str, np.ndarray], actual: dict[str, np.ndarray]) -> float:
    """Return the largest difference of two sets of arrays, relative to the largest number of each array."""
    differences = [
        np.abs(actual[name] - expected[name]).max() / max(1e-30, np.abs(expected[name]).max()) for name in expected
    ]
    return float(max(differences))


def measure(case: SequenceCase, strategy: Any, results: Path) -> dict:
    """Measure this process' median seconds of a step, and its memory in bytes.

    Args:
        case: to measure.
        strategy: of one process, or of several workers that all call this.
        results: file that losses and weights of the first steps are written to.
    """
    make_training(case._replace(batch=min(case.batch, 2), time=WORKERS), strategy).step()
    before = resident_bytes()  # excludes the memory of the framework itself
    training = make_training(case, strategy)
    losses = [training.step() for _ in range(COMPARED_STEPS)]
    arrays: dict[str, Any] = {str(index): value for index, value in enumerate(training.model.get_weights())}
    np.savez(results, losses=np.array(losses), **arrays)
    collectives = getattr(strategy, "tfpar_collectives", None)
    sent_before = collectives.sent_bytes if collectives else 0
    seconds = []
    for _ in range(case.timed_steps):
        start = perf_counter()
        training.step()
        seconds.append(perf_counter() - start)
    sent = (collectives.sent_bytes - sent_before) // case.timed_steps if collectives else 0
    peak = peak_resident_bytes(training.step, 3)
    memory = None if peak is None or before is None else peak - before
    return {"seconds": median(seconds), "memory_bytes": memory, "exchanged_bytes": sent}


def measure_one_process(case: SequenceCase, results: Path) -> dict:
    """Measure one process with all cores that it may use."""
    from tfpar.cluster import make_strategy

    return measure(case, make_strategy("one"), results)


def measure_worker(case: SequenceCase, directory: Path) -> None:
    """Measure this process as one of the workers; write `INDEX.npz` and `INDEX.json` into a directory."""
    from tfpar.cluster import make_strategy, read_tf_config

    config = read_tf_config()
    if config is None:
        sys.exit("TF_CONFIG must name the workers; run this by `tfpar launch`")
    result = measure(case, make_strategy("sequence"), directory / f"{config.index}.npz")
    (directory / f"{config.index}.json").write_text(json.dumps(result))


def measure_workers(case: SequenceCase) -> dict:
    """Measure the workers, and compare them with one process.

    Returns:
        The largest "seconds", "memory_bytes" and "exchanged_bytes" of a worker, and "largest_difference", relative; or
        {"refused": reason} if they differ from one process.
    """
    with tempfile.TemporaryDirectory() as path:
        directory = Path(path)
        _run_python("reference", str(case), directory / "reference.npz")
        _run_python("worker", str(case), directory, workers=WORKERS)
        expected = _load(directory / "reference.npz")
        difference = max(compare(expected, _load(directory / f"{index}.npz")) for index in range(WORKERS))
        if not difference <= TOLERANCE:
            return {
                "refused": f"losses or weights differ by {difference:.3g}, relative, from those of one process; the "
                f"tolerance is {TOLERANCE:g}"
            }
        results = [json.loads((directory / f"{index}.json").read_text()) for index in range(WORKERS)]
    known = {name: [result[name] for result in results] for name in results[0]}
    return {**{name: None if None in of else max(of) for name, of in known.items()}, "largest_difference": difference}


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays}


def _run_python(*arguments, workers: int = 0) -> None:
    """Run this module in a process of its own, or by `tfpar launch`; report the last line of its error."""
    command = [sys.executable, "-m", "tfpar.bench.sequence", *map(str, arguments)]
    if workers:
        command = [sys.executable, "-m", "tfpar", "launch", "--workers", str(workers), "--", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        sys.exit(lines[-1] if lines else f"{command} failed")


def _use_cores_of_one_worker():
    """Use the cores and threads that the launcher gives a worker; TensorFlow is not imported yet."""
    from tfpar.cluster.launcher.cores import core_numbers, divide_cores

    allocation = divide_cores(WORKERS, None, core_numbers(), bind=hasattr(os, "sched_setaffinity"))[0]
    os.environ.update(allocation.environment)
    if allocation.cores:
        os.sched_setaffinity(0, allocation.cores)


def row(case: str, seconds: dict[str, float]) -> dict:
    """Make the row of a case from the median seconds of each competitor."""
    return {"case": case, "microseconds_per_step": 1e6 * seconds["tfpar"] / SequenceCase.parse(case).time}


def main(competitor: str, case: SequenceCase, path: str = "") -> None:
    """Run a competitor, "reference" or "worker"; a competitor's results are printed as JSON."""
    if competitor == "tfpar":
        print(json.dumps(measure_workers(case)))
    elif competitor in PEERS:
        if competitor == "one_worker":
            _use_cores_of_one_worker()
        with tempfile.TemporaryDirectory() as directory:
            print(json.dumps(measure_one_process(case, Path(directory) / "weights.npz")))
    elif competitor == "reference":
        measure_one_process(case, Path(path))
    else:
        measure_worker(case, Path(path))


if __name__ == "__main__":
    main(sys.argv[1], SequenceCase.parse(sys.argv[2]), *sys.argv[3:])
