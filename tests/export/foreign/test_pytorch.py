"""PyTorch's recurrent weights, against its published equations in NumPy, and against PyTorch where it is installed."""

import importlib.util
import struct
import zipfile

import numpy as np
import pytest

from tfpar.errors import UserError
from tfpar.export.foreign.pytorch import from_torch, load_torch

INPUTS, UNITS = 5, 4
ROWS = np.random.default_rng(0).normal(size=(3, 7, INPUTS)).astype(np.float32)
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def state_dict(cell, layers=1, bidirectional=False, bias=True, prefix=""):
    generator, weights = np.random.default_rng(1), {}
    for layer in range(layers):
        for suffix in ("", "_reverse")[: 1 + bidirectional]:
            inputs = UNITS * (1 + bidirectional) if layer else INPUTS
            shapes = {"weight_ih": (inputs,), "weight_hh": (UNITS,), **({"bias_ih": (), "bias_hh": ()} if bias else {})}
            for name, shape in shapes.items():
                array = generator.normal(size=(GATES[cell] * UNITS, *shape)) / 2
                weights[f"{prefix}{name}_l{layer}{suffix}"] = array.astype(np.float32)
    return weights


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(cell, x, h, c, w_ih, w_hh, b_ih, b_hh):
    """The equations of the documentation of torch.nn.LSTM, GRU and RNN."""
    from_x, from_h = x @ w_ih.T + b_ih, h @ w_hh.T + b_hh
    if cell == "rnn":
        return np.tanh(from_x + from_h), c
    if cell == "lstm":
        i, f, g, o = np.split(from_x + from_h, 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    (x_r, x_z, x_n), (h_r, h_z, h_n) = np.split(from_x, 3, -1), np.split(from_h, 3, -1)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    return (1 - z) * np.tanh(x_n + r * h_n) + z * h, c


def oracle(cell, weights, layers, bidirectional):
    sequence = ROWS
    for layer in range(layers):
        outputs = []
        for suffix in ("", "_reverse")[: 1 + bidirectional]:
            given = [
                weights.get(f"{name}_l{layer}{suffix}", 0.0)
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            ]
            h = c = np.zeros((len(ROWS), UNITS))
            order = range(ROWS.shape[1])[:: -1 if suffix else 1]
            found = {}
            for t in order:
                h, c = step(cell, sequence[:, t], h, c, *given)
                found[t] = h
            outputs.append(np.stack([found[t] for t in sorted(found)], axis=1))
        sequence = np.concatenate(outputs, -1)
    return sequence


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("layers, bidirectional", [(1, False), (2, True)])
@pytest.mark.parametrize("cell", GATES)
def test_equations(cell, layers, bidirectional, bias):
    weights = state_dict(cell, layers, bidirectional, bias)
    model = from_torch(weights, nonlinearity="tanh" if cell == "rnn" else None)
    np.testing.assert_allclose(model(ROWS), oracle(cell, weights, layers, bidirectional), atol=1e-6)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_pytorch_itself(kind):
    if importlib.util.find_spec("torch") is None:
        pytest.skip("needs PyTorch: pip install torch")
    import torch

    module = getattr(torch.nn, kind)(INPUTS, UNITS, num_layers=2, bidirectional=True, batch_first=True)
    weights = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
    with torch.no_grad():
        model = from_torch(weights, nonlinearity="tanh" if kind == "RNN" else None)
        np.testing.assert_allclose(model(ROWS), module(torch.from_numpy(ROWS))[0], atol=1e-6)


def test_the_last_output_is_that_of_each_direction():
    weights = state_dict("lstm", bidirectional=True)
    sequence = oracle("lstm", weights, 1, True)
    last = np.concatenate([sequence[:, -1, :UNITS], sequence[:, 0, UNITS:]], -1)
    np.testing.assert_allclose(from_torch(weights, return_sequences=False)(ROWS), last, atol=1e-6)


def test_a_stack_among_other_weights_is_found_by_its_prefix():
    weights = {**state_dict("gru", prefix="encoder."), "head.weight": np.ones((2, 4), np.float32)}
    expected = from_torch(state_dict("gru"))(ROWS)
    np.testing.assert_array_equal(from_torch(weights)(ROWS), expected)
    weights.update(state_dict("lstm", prefix="decoder."))
    np.testing.assert_array_equal(from_torch(weights, "encoder")(ROWS), expected)
    with pytest.raises(UserError, match="`prefix` must be one of 'encoder', 'decoder'"):
        from_torch(weights)
    with pytest.raises(UserError, match="has the prefix 'head'.*there is 'encoder', 'decoder'"):
        from_torch(weights, "head")


def test_an_rnn_needs_its_nonlinearity():
    weights = state_dict("rnn")
    with pytest.raises(UserError, match="`nonlinearity` must be 'tanh', PyTorch's default, or 'relu'"):
        from_torch(weights)
    relu = from_torch(weights, nonlinearity="relu")(ROWS)
    h = np.zeros((len(ROWS), UNITS))
    for t in range(ROWS.shape[1]):
        from_x = ROWS[:, t] @ weights["weight_ih_l0"].T + weights["bias_ih_l0"]
        h = np.maximum(from_x + h @ weights["weight_hh_l0"].T + weights["bias_hh_l0"], 0)
    np.testing.assert_allclose(relu[:, -1], h, atol=1e-6)


def write_torch_file(path, arrays, code=("torch._utils", "_rebuild_tensor_v2")):
    """The output of `torch.save` of PyTorch 2 for a dict of float32 tensors, opcode by opcode."""

    def text(value):
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def numbers(values):
        return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"

    pickled = b"\x80\x02}("
    with zipfile.ZipFile(path, "w") as archive:
        for key, (name, array) in enumerate(arrays.items()):
            storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(str(key)) + text("cpu")
            storage += b"J" + struct.pack("<i", array.size) + b"tQ"
            strides = [step // 4 for step in array.strides]
            tensor = b"c" + "\n".join(code).encode() + b"\n(" + storage + b"J" + struct.pack("<i", 0)
            tensor += numbers(array.shape) + numbers(strides) + b"\x89ccollections\nOrderedDict\n)RtR"
            pickled += text(name) + tensor
            archive.writestr(f"archive/data/{key}", array.tobytes())
        archive.writestr("archive/data.pkl", pickled + b"u.")


def test_a_file_of_torch_save_is_read_without_running_code(tmp_path):
    weights = state_dict("gru", layers=2, bidirectional=True)
    write_torch_file(tmp_path / "gru.pt", weights)
    np.testing.assert_array_equal(load_torch(tmp_path / "gru.pt")(ROWS), from_torch(weights)(ROWS))
    for code in (("os", "system"), ("builtins", "eval"), ("torch.nn.modules.rnn", "GRU"), ("tfpar.files", "read_file")):
        write_torch_file(tmp_path / "code.pth", weights, code)
        with pytest.raises(UserError, match=f"the file imports {code[0]}.{code[1]}, which is code"):
            load_torch(tmp_path / "code.pth")
    (tmp_path / "old.pt").write_bytes(b"\x80\x02no zip")
    with pytest.raises(UserError, match="is not a file of torch.save"):
        load_torch(tmp_path / "old.pt")


def test_unsupported_layers_are_refused(tmp_path):
    with pytest.raises(UserError, match="there is none"):
        from_torch({"weight": np.ones((2, 2))})
    with pytest.raises(UserError, match="proj_size"):
        from_torch({**state_dict("lstm"), "weight_hr_l0": np.ones((2, UNITS), np.float32)})
    with pytest.raises(UserError, match="lack 'weight_ih_l0'"):
        from_torch({"weight_hh_l0": np.ones((4 * UNITS, UNITS), np.float32)})
    odd = {"weight_ih_l0": np.ones((10, 5), np.float32), "weight_hh_l0": np.ones((10, 5), np.float32)}
    with pytest.raises(UserError, match="do not fit an LSTM, GRU or RNN"):
        from_torch(odd)
    (tmp_path / "odd.safetensors").write_bytes(b"odd")
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        load_torch(tmp_path / "odd.safetensors")
