"""Reference recurrent networks in NumPy and float64, from their equations, one row and one step at a time.

Each oracle takes the weights in Keras' layout and returns (sequence, last, states): the outputs of all steps in order
of processing, (batch, time, units); the last of them; and the list of states after the last step.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, kernel, recurrent_kernel, bias=None, **options):
    """Keras' order of gates: input, forget, candidate, output."""
    units = recurrent_kernel.shape[0]
    bias = np.zeros(4 * units) if bias is None else bias

    def step(x_t, states):
        h, c = states
        z = x_t @ kernel + h @ recurrent_kernel + bias
        i, f, g, o = (z[n * units : (n + 1) * units] for n in range(4))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return [sigmoid(o) * np.tanh(c), c]

    return run_steps(step, x, [units, units], **options)


def gru(x, kernel, recurrent_kernel, bias=None, *, reset_after=True, **options):
    """Keras' order of gates: update, reset, candidate. With `reset_after` the bias is (2, 3 * units)."""
    units = recurrent_kernel.shape[0]
    bias = np.zeros((2, 3 * units)) if bias is None else bias
    b_x, b_h = bias if reset_after else (bias if bias.ndim == 1 else bias[0], np.zeros(3 * units))
    (w_z, w_r, w_n), (u_z, u_r, u_n) = (np.split(w, 3, axis=1) for w in (kernel, recurrent_kernel))
    (b_xz, b_xr, b_xn), (b_hz, b_hr, b_hn) = np.split(b_x, 3), np.split(b_h, 3)

    def step(x_t, states):
        (h,) = states
        z = sigmoid(x_t @ w_z + b_xz + h @ u_z + b_hz)
        r = sigmoid(x_t @ w_r + b_xr + h @ u_r + b_hr)
        reset = r * (h @ u_n + b_hn) if reset_after else (r * h) @ u_n
        n = np.tanh(x_t @ w_n + b_xn + reset)
        return [z * h + (1 - z) * n]

    return run_steps(step, x, [units], **options)


def simple_rnn(x, kernel, recurrent_kernel, bias=None, **options):
    units = recurrent_kernel.shape[0]
    bias = np.zeros(units) if bias is None else bias

    def step(x_t, states):
        return [np.tanh(x_t @ kernel + states[0] @ recurrent_kernel + bias)]

    return run_steps(step, x, [units], **options)


def run_steps(step, x, sizes, *, mask=None, initial_state=None, go_backwards=False, zero_output_for_mask=False):
    """Run a step of NumPy over the valid steps of each row; see the module for the results."""
    batch, time, _ = x.shape
    x = np.asarray(x, np.float64)
    mask = np.ones((batch, time), bool) if mask is None else mask
    sequence = np.zeros((batch, time, sizes[0]))
    final = [np.zeros((batch, size)) for size in sizes]
    for row in range(batch):
        states = [np.zeros(n) for n in sizes] if initial_state is None else [s[row] for s in initial_state]
        output = np.zeros(sizes[0])
        for index, t in enumerate(reversed(range(time)) if go_backwards else range(time)):
            if mask[row, t]:
                states = step(x[row, t], states)
                output = states[0]
                sequence[row, index] = output
            else:
                sequence[row, index] = 0 if zero_output_for_mask else output
        for n, state in enumerate(states):
            final[n][row] = state
    return sequence, sequence[:, -1], final
