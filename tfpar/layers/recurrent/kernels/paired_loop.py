"""Both layers of a `Bidirectional` in one loop, in a TFLite file.

An interpreter's fixed cost for an iteration of a loop, and for each operation except the matmul, is then paid once for
both layers.
"""

from collections.abc import Sequence

import tensorflow as tf

from tfpar.layers.recurrent.kernels.job import Job, Result
from tfpar.layers.recurrent.kernels.loops import loop_arguments, make_forward, make_loop_result, restore_order
from tfpar.ops.inference_loop import inference_loop
from tfpar.ops.newton import DiagonalRecurrence
from tfpar.ops.recurrence import PairedWeights, RecurrentWeights


def can_run_in_one_loop(kernels: Sequence[str], jobs: Sequence[Job]) -> bool:
    """Whether two layers of a file can run in one loop.

    Chunks cannot: the packed matrices of ten matmuls exceed the cache.

    Args:
        kernels: names of the layers' kernels.
        jobs: the layers' jobs.
    """
    first, second = jobs
    sizes_and_dtypes = [(job.state_sizes, job.inputs.dtype) for job in jobs]
    is_same_loop = set(kernels) == {"loop"} and sizes_and_dtypes[0] == sizes_and_dtypes[1]
    can_pair_weights = all(
        type(job.weights) is RecurrentWeights and not isinstance(job.recurrence, DiagonalRecurrence) for job in jobs
    )
    return is_same_loop and can_pair_weights and first.recurrence.equals(second.recurrence)


def run_in_one_loop(jobs: Sequence[Job]) -> list[Result]:
    """Run two layers that `can_run_in_one_loop` on the same sequences, with the states of both in one batch."""
    forward_jobs = [make_forward(job) for job in jobs]
    arguments = (loop_arguments(job, job.bias) for job in forward_jobs)
    projections, states, weights, masks = zip(*arguments, strict=True)
    sequence, final_states = inference_loop(
        jobs[0].recurrence.for_interpreter(),
        tf.concat(projections, axis=1),
        tuple(tf.concat(pair, axis=0) for pair in zip(*states, strict=True)),
        PairedWeights(*weights),
        None if masks[0] is None else tf.concat(masks, axis=1),
        returns_sequence=jobs[0].returns_sequence,
    )
    sequences = [None, None] if sequence is None else tf.split(sequence, 2, axis=1)
    states_of_layers = zip(*(tf.split(state, 2) for state in final_states), strict=True)
    outputs = zip(forward_jobs, sequences, states_of_layers, masks, strict=True)
    results = (make_loop_result(*of_layer) for of_layer in outputs)
    return [restore_order(result, job) for result, job in zip(results, jobs, strict=True)]
