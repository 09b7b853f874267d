"""The backward loop contains only operations that must run in order of time."""

import pytest
import tensorflow as tf
from recurrences import RECURRENCES

from tfpar.ops.inference_loop import inference_loop, unrolled_loop
from tfpar.ops.recurrence import RecurrentWeights
from tfpar.ops.time_loop import time_loop

TIME, BATCH, UNITS = 4, 3, 2
MATMULS_A_STEP = {"simple_rnn": 1, "lstm": 1, "gru": 1, "gru_reset_before": 2}


def count(operations, kind):
    return sum(op.type == kind for op in operations)


def graphs(loop, recurrence):
    """Trace the graph that computes the recurrent kernel's gradient, and the bodies of its loops in order."""

    @tf.function(autograph=False)
    def function(x_proj, kernel):
        states = (tf.zeros((BATCH, UNITS)),) * recurrence.num_states
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            sequence, _ = loop(recurrence, x_proj, states, RecurrentWeights(kernel))
            loss = tf.reduce_sum(sequence)
        return tape.gradient(loss, kernel)

    gates = recurrence.num_gates * UNITS
    graph = function.get_concrete_function(tf.TensorSpec((TIME, BATCH, gates)), tf.TensorSpec((UNITS, gates))).graph
    loops = [op for op in graph.get_operations() if op.type in ("While", "StatelessWhile")]
    return graph, [graph._get_function(op.get_attr("body").name).graph for op in loops]


@pytest.mark.parametrize("name", MATMULS_A_STEP)
def test_no_matmul_for_the_weights_in_the_loop(name):
    recurrence, matmuls = RECURRENCES[name], MATMULS_A_STEP[name]
    graph, bodies = graphs(time_loop, recurrence)
    assert [count(body.get_operations(), "MatMul") for body in bodies] == [matmuls, matmuls]
    assert count(graph.get_operations(), "MatMul") == matmuls, "the weights' gradient: one matmul each, after the loop"


@pytest.mark.parametrize("name", MATMULS_A_STEP)
def test_automatic_differentiation_would_need_more(name):
    """The reason for the hand-written gradient: remove it when this fails."""
    recurrence, matmuls = RECURRENCES[name], MATMULS_A_STEP[name]
    _, (_, backward) = graphs(inference_loop, recurrence)
    assert count(backward.get_operations(), "MatMul") > matmuls


def test_the_unrolled_form_has_no_loop():
    _, bodies = graphs(unrolled_loop, RECURRENCES["lstm"])
    assert bodies == []


@pytest.mark.parametrize("loop, stacks", [(inference_loop, 1), (time_loop, 2)])
def test_inference_stacks_only_the_outputs(loop, stacks):
    recurrence = RECURRENCES["lstm"]

    @tf.function(autograph=False)
    def function(x_proj, kernel):
        return loop(recurrence, x_proj, (tf.zeros((BATCH, UNITS)),) * 2, RecurrentWeights(kernel))

    graph = function.get_concrete_function(tf.TensorSpec((TIME, BATCH, 8)), tf.TensorSpec((UNITS, 8))).graph
    every = [op for definition in [graph, *_functions(graph)] for op in definition.get_operations()]
    assert count(every, "TensorListReserve") == stacks


def _functions(graph):
    return [graph._get_function(name).graph for name in graph._functions]
