"""Times one competitor's training of a forecaster: `python -m tfpar.bench.forecasting COMPETITOR CASE`.

The network is SegRNN, as in the recipe: each of 7 columns by itself, segments of 24 steps, dropout 0.5, absolute error,
AdamW. The series has as many steps as the training months of ETTh1. PyTorch reads the same windows by a `DataLoader`.
Before anything is timed, both networks forecast from the same weights, and a difference is refused. The first epoch,
for compilation and memory allocation, is not timed.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfpar.bench.epochs import seconds_per_epoch

STEPS, COLUMNS, BATCH = 8640, 7, 256
DROPOUT, LEARNING_RATE, CLIP_NORM = 0.5, 1e-3, 1.0
TOLERANCE = 1e-4  # of forecasts of standardized values
PEERS = ("torch",)
REFERENCES = ()
TIMED_EPOCHS = 2
TIMEOUT_S = 300
_COMPARED_WINDOWS = 4


class ForecastCase(NamedTuple):
    """Sizes of a forecaster.

    Attributes:
        input_length, horizon: in steps.
        units: of the GRU.
        segment: steps of a segment.
    """

    input_length: int = 96
    horizon: int = 96
    units: int = 256
    segment: int = 24

    @property
    def windows(self) -> int:
        """The number of windows of an epoch."""
        return STEPS - self.input_length - self.horizon + 1


CASES: dict[str, ForecastCase] = {
    "segrnn L96 H96": ForecastCase(),
    "segrnn L336 H96": ForecastCase(input_length=336),
}


def make_series() -> np.ndarray:
    """Draw standardized series from a fixed seed, float32 (steps, columns): a daily wave and noise."""
    noise = np.random.default_rng(0).normal(size=(STEPS, COLUMNS))
    wave = np.sin(np.arange(STEPS)[:, None] * 2 * np.pi / 24 + np.arange(COLUMNS))
    return (wave + 0.5 * noise).astype(np.float32)


def make_network(case: ForecastCase) -> Any:
    """Make the Keras model."""
    from tfpar import models

    return models.forecaster(
        "segrnn",
        input_length=case.input_length,
        horizon=case.horizon,
        targets=COLUMNS,
        units=case.units,
        segment=case.segment,
        dropout=DROPOUT,
    )


def time_tfpar(case: ForecastCase) -> float:
    """Measure the seconds per epoch of `fit`."""
    import keras
    import tensorflow as tf

    from tfpar import cluster, train
    from tfpar.tasks.time_series.losses import AbsoluteError
    from tfpar.tasks.time_series.windows import Windows, window_batches

    network, values = make_network(case), make_series()
    model = train.Model(network.input, network.output)
    optimizer = keras.optimizers.AdamW(LEARNING_RATE, global_clipnorm=CLIP_NORM)
    model.compile(optimizer, AbsoluteError([1.0] * COLUMNS), jit_compile=True)
    model.lanes = cluster.cpu_lanes(tf.distribute.get_strategy(), BATCH)
    size = case.input_length + case.horizon
    windows = Windows(values, np.array([0]), np.array([case.windows]), np.array([STEPS]), size)

    def make_rows(indices, _):
        rows = windows.gather(indices)
        return rows[:, : case.input_length], rows[:, case.input_length :]

    shapes = (case.input_length, COLUMNS), (case.horizon, COLUMNS)
    batches = window_batches(windows, make_rows, shapes, batch_size=BATCH, shuffle=True)
    return seconds_per_epoch(lambda: model.fit(batches, verbose=0, shuffle=False), TIMED_EPOCHS)


def time_torch(case: ForecastCase) -> float:
    """Measure the seconds per epoch of a plain PyTorch loop over a `DataLoader`."""
    import torch

    torch.manual_seed(0)
    network, values = make_torch_network(case), torch.from_numpy(make_series())
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE)

    class WindowDataset(torch.utils.data.Dataset):
        def __len__(self):
            return case.windows

        def __getitem__(self, index):
            begin = index + case.input_length
            return values[index:begin], values[begin : begin + case.horizon]

    loader = torch.utils.data.DataLoader(WindowDataset(), batch_size=BATCH, shuffle=True)

    def run():
        for inputs, targets in loader:
            loss = torch.nn.functional.l1_loss(network(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
            optimizer.step()

    return seconds_per_epoch(run, TIMED_EPOCHS)


def make_torch_network(case: ForecastCase) -> Any:
    """Make the module: float32 (batch, input_length, columns) -> (batch, horizon, columns)."""
    import torch
    from torch import nn

    count, units = case.horizon // case.segment, case.units

    class SegRNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.segments = nn.Linear(case.segment, units)
            self.positions = nn.Parameter(torch.randn(count, units - units // 2))
            self.names = nn.Parameter(torch.randn(COLUMNS, units // 2))
            self.recurrent = nn.GRU(units, units, batch_first=True)
            self.dropout = nn.Dropout(DROPOUT)
            self.output = nn.Linear(units, case.segment)

        def forward(self, x):
            last = x[:, -1:]
            segments = (x - last).transpose(1, 2).reshape(-1, case.input_length // case.segment, case.segment)
            _, state = self.recurrent(torch.relu(self.segments(segments)))
            state = state[0][:, None].expand(-1, count, -1).reshape(1, -1, units)
            positions = self.positions[None].expand(COLUMNS, -1, -1)
            names = self.names[:, None].expand(-1, count, -1)
            queries = torch.cat([positions, names], -1).repeat(len(x), 1, 1).view(-1, 1, units)
            _, decoded = self.recurrent(queries, state)
            y = self.output(self.dropout(decoded[0]))
            return y.view(len(x), COLUMNS, case.horizon).transpose(1, 2) + last

    return SegRNN()


def to_torch_weights(model: Any) -> dict[str, np.ndarray]:
    """Return the weights of the Keras model by the names of the module's."""
    from tfpar.layers.recurrent.cells import CELLS

    def transpose(layer, name):
        kernel, bias = (weight.numpy() for weight in model.get_layer(layer).weights)
        return {f"{name}.weight": kernel.T, f"{name}.bias": bias}

    order = np.argsort(CELLS["gru"].torch_gate_order)

    def reorder(array):
        gates = np.split(array, len(order), axis=-1)
        return np.concatenate([gates[index] for index in order], axis=-1)

    recurrence = model.get_layer("recurrence")
    positions, names = (weight.numpy() for weight in recurrence.queries.weights)
    kernel, recurrent_kernel, bias = (reorder(weight.numpy()) for weight in recurrence.recurrent.weights)
    return {
        **transpose("segments", "segments"),
        **transpose("output", "output"),
        "positions": positions,
        "names": names,
        "recurrent.weight_ih_l0": kernel.T,
        "recurrent.weight_hh_l0": recurrent_kernel.T,
        "recurrent.bias_ih_l0": bias[0],
        "recurrent.bias_hh_l0": bias[1],
    }


def write_forecasts(case_name: str, path: Path) -> None:
    """Write windows, this package's forecasts of them, and the weights, to an npz file."""
    case = CASES[case_name]
    model, values = make_network(case), make_series()
    windows = np.stack([values[index : index + case.input_length] for index in range(_COMPARED_WINDOWS)])
    arrays: dict[str, Any] = to_torch_weights(model)  # NumPy's hints take a name in `**` for `allow_pickle`
    np.savez(path, windows=windows, forecasts=model(windows).numpy(), **arrays)


def compare_torch(case_name: str, path: Path) -> float:
    """Return the largest difference of PyTorch's forecasts from those of a file of `write_forecasts`."""
    import torch

    with np.load(path) as file:
        arrays = {name: torch.from_numpy(np.array(file[name])) for name in file.files}
    windows, expected = arrays.pop("windows"), arrays.pop("forecasts")
    network = make_torch_network(CASES[case_name])
    network.load_state_dict(arrays)
    with torch.no_grad():
        return float((network.eval()(windows) - expected).abs().max())


def find_difference(case_name: str) -> float:
    """Compare both networks, each in a process of its own; return the largest difference of their forecasts."""
    with tempfile.TemporaryDirectory() as directory:
        for step in ("write", "compare"):
            command = [sys.executable, "-m", "tfpar.bench.forecasting", step, case_name, f"{directory}/weights.npz"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
            if done.returncode:
                sys.exit(f"the comparison with PyTorch failed: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure_tfpar(case_name: str) -> dict:
    """Measure this package; {"refused": reason} if PyTorch is installed and its forecasts differ."""
    if importlib.util.find_spec("torch") is not None:
        difference = find_difference(case_name)
        if not difference <= TOLERANCE:
            return {"refused": f"forecasts from the same weights differ by {difference:.3g} from those of PyTorch"}
    return {"seconds": time_tfpar(CASES[case_name])}


def row(case: str, seconds: dict[str, float]) -> dict:
    """Make the row of a case from the median seconds of each competitor."""
    of = CASES[case]
    name = f"{case} C{COLUMNS} U{of.units} B{BATCH}, one epoch"
    return {"case": name, "windows_per_second": of.windows / seconds["tfpar"]}


def main(competitor: str, case_name: str, path: str = "") -> None:
    """Run a competitor, or a step of the comparison of outputs; results are printed as JSON."""
    if competitor == "write":
        write_forecasts(case_name, Path(path))
    elif competitor == "compare":
        print(json.dumps(compare_torch(case_name, Path(path))))
    elif competitor == "torch":
        print(json.dumps({"seconds": time_torch(CASES[case_name])}))
    else:
        print(json.dumps(measure_tfpar(case_name)))


if __name__ == "__main__":
    main(*sys.argv[1:])
