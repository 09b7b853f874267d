"""Times one competitor's training of a classifier: `python -m tfpar.bench.training COMPETITOR CASE`.

Cases are classifiers of texts ("lstm", "bilstm"), of images read row by row, of faces, and of words in log-mel frames.
All competitors get the same batches, and AdamW; those in Keras run eight steps per execution, as recipes do. The first
epoch, for compilation and memory allocation, is not timed.
"""

import json
import sys

from tfpar.bench import STEPS_PER_EXECUTION
from tfpar.bench.classifiers import Sequences, Texts
from tfpar.bench.epochs import dataset_of, seconds_per_epoch

CASES: dict[str, Texts | Sequences] = {
    "lstm": Texts(bidirectional=False),
    "bilstm": Texts(bidirectional=True),
    "row_bilstm": Sequences(4032, time=28, features=28, units=128, hidden=128, classes=10, batch=64),
    "face_bilstm": Sequences(960, time=40, features=40, units=64, hidden=64, classes=40, batch=32),
    "speech_bilstm": Sequences(2048, time=50, features=80, units=64, hidden=64, classes=10, batch=64),
}
PEERS = ("keras", "torch")
REFERENCES = ()
TIMED_EPOCHS = 3


def time_keras(case: Texts | Sequences, ours: bool) -> float:
    """Measure the seconds per epoch of `fit`, with this package's model and layers or with stock Keras."""
    import keras
    import tensorflow as tf

    import tfpar

    network = case.keras_network((tfpar if ours else keras).layers)
    model = (tfpar.train.Model if ours else keras.Model)(*network)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adamw", loss, jit_compile="auto", steps_per_execution=STEPS_PER_EXECUTION)
    if ours:
        model.lanes = tfpar.cluster.cpu_lanes(tf.distribute.get_strategy(), case.batch)
    dataset = dataset_of(case.batches(), [(case.batch, *model.input.shape[1:]), (case.batch,)])
    return seconds_per_epoch(lambda: model.fit(dataset, verbose=0, shuffle=False), TIMED_EPOCHS)


def time_torch(case: Texts | Sequences) -> float:
    """Measure the seconds per epoch of a plain PyTorch loop."""
    import torch

    torch.manual_seed(0)
    modules, logits = case.torch_network(torch)
    optimizer = torch.optim.AdamW(modules.parameters(), weight_decay=0.004)
    epoch = [(torch.from_numpy(inputs), torch.from_numpy(labels).long()) for inputs, labels in case.batches()]

    def run():
        for inputs, labels in epoch:
            loss = torch.nn.functional.cross_entropy(logits(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return seconds_per_epoch(run, TIMED_EPOCHS)


COMPETITORS = {
    "tfpar": lambda case: time_keras(case, ours=True),
    "keras": lambda case: time_keras(case, ours=False),
    "torch": time_torch,
}


def row(case: str, seconds: dict[str, float]) -> dict:
    """Make the row of a case from the median seconds of each competitor."""
    of = CASES[case]
    return {"case": f"{case} {of.sizes}, one epoch", "examples_per_second": of.examples / seconds["tfpar"]}


if __name__ == "__main__":
    print(json.dumps({"seconds": COMPETITORS[sys.argv[1]](CASES[sys.argv[2]])}))
