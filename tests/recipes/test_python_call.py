"""`tfpar.tasks.run` as a function: the same result as the command, and again in one process."""

import json

PROGRAM = """
import json
import keras
from tfpar.tasks import run
from tfpar.tasks.text_classification import TextClassification, TextClassificationConfig

config = TextClassificationConfig(smoke=True, xla=False, units=4)
other = config.replace(precision="mixed_bfloat16")
results = [run(TextClassification, config), run(TextClassification, other)]
print(json.dumps([results, keras.config.dtype_policy().name]))
"""


def test_a_function_call_equals_the_command(run_file, run_recipe):
    (first, second), policy = json.loads(run_file(PROGRAM).stdout.splitlines()[-1])
    command = run_recipe("sentiment", "--smoke", "--noxla", "--units", 4).result
    timings = {"train_seconds": 0, "examples_per_second": 0}
    assert first | timings == command | timings
    assert second["metrics"].keys() == first["metrics"].keys()
    assert policy == "float32"
