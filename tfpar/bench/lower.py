"""Writes cases of `tfpar bench scan` as StableHLO programs, which JAX runs on any of its devices."""

import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from tfpar.bench.scan import ScanCase, find_difference, make_layer
from tfpar.errors import UserError

_ACCELERATOR = "GPU:0"  # by this name layers choose kernels for accelerators; the program names no device


def lower_cases(names: Iterable[str], directory: Path) -> Iterator[str]:
    """Write the program, weights and results of each case, and the script that runs them, to a directory.

    A program computes the last output of a layer, and the gradients of its weights. "auto" becomes each evaluation that
    the cell supports, since the device is not yet known. An LSTM of the same sizes is written, too.

    Args:
        names: of cases.
        directory: is made if it does not exist.

    Yields:
        The name of each program.

    Raises:
        UserError: a layer differs from its equations.
    """
    from tfpar.layers.recurrent.cells import find_layer

    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(__file__).with_name("run_lowered.py"), directory / "run.py")
    cases = [ScanCase.parse(name) for name in names]
    references = [case._replace(cell="lstm", evaluation="sequential") for case in cases]
    for case in dict.fromkeys([*cases, *references]):
        own = [evaluation for evaluation in find_layer(case.cell).EVALUATIONS if evaluation != "auto"]
        for evaluation in own if case.evaluation == "auto" else [case.evaluation]:
            yield _lower(case._replace(evaluation=evaluation), directory)


def _lower(case, directory) -> str:
    import tensorflow as tf

    from tfpar.keras_private import values_replaced

    if (difference := find_difference(case)) is not None:
        raise UserError(f"{case} is not written, since {difference}")
    layer, shape = make_layer(case, case.units), (case.batch, case.time, case.units)
    layer.build(shape)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    weights = layer.get_weights()

    @tf.function(jit_compile=True, autograph=False)
    def program(x, *weights):
        with tf.GradientTape() as tape, values_replaced(layer.trainable_variables, weights):
            tape.watch(weights)
            with tf.device(_ACCELERATOR):
                output = layer(x)
            loss = tf.reduce_sum(tf.sin(output))
        return (output, *tape.gradient(loss, weights))

    tensors = [tf.constant(array) for array in (x, *weights)]
    results = [result.numpy() for result in program(*tensors)]
    name = re.sub(r"\W+", "_", str(case))
    (directory / f"{name}.mlir").write_text(program.experimental_get_compiler_ir(*tensors)(stage="stablehlo"))
    arrays = {f"w{number}": weight for number, weight in enumerate(weights)}
    arrays |= {f"e{number}": result for number, result in enumerate(results)}
    np.savez(directory / f"{name}.npz", shape=np.array(shape), **arrays)
    print(f"{name}: written", file=sys.stderr, flush=True)
    return name
