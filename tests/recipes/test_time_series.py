"""recipes/time_series.py: what it prints, exports and refuses, and predictions with its exports."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tfpar

PREDICT = """
import sys
from tfpar.cli import main
sys.argv = ["tfpar", "predict", *sys.argv[1:]]
main.main()
assert not {"tensorflow", "keras"} & set(sys.modules)
"""


def predict(export, *inputs):
    """Return the exit code and the predictions of `tfpar predict`, in a process without TensorFlow."""
    command = [sys.executable, "-c", PREDICT, export, *inputs]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, json.loads(done.stdout)["predictions"]


@pytest.fixture
def evaluate(run_recipe):
    """`evaluate(export, *arguments)` -> the result of `tfpar evaluate`."""
    command = Path(tfpar.__file__).with_name("__main__.py")
    return lambda *arguments: run_recipe(command, "evaluate", *arguments).result


def write_sines(path, steps=40, header="time,sine,cosine"):
    rows = [f"2024-01-{1 + n // 24:02} {n % 24:02}:00,{np.sin(n / 2):.4f},{np.cos(n / 2):.4f}" for n in range(steps)]
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


def is_picture(path):
    return path.read_bytes()[1:4] == b"PNG"


def test_classification(run_recipe, evaluate, tmp_path):
    export = tmp_path / "export"
    run = run_recipe("time_series", "--smoke", "--noxla", "--export_dir", export, "--export", "float32")
    result = run.result
    assert run.stdout == json.dumps(result) + "\n"
    assert (result["recipe"], result["task"], result["model"]) == ("time_series", "classify", "lstm_fcn")
    assert result["examples"] == {"train": 48, "validation": 16, "test": 16}
    assert {"accuracy", "macro_f1", "loss", "calibration_error"} <= set(result["metrics"])
    assert len(result["confusion_matrix"]) == 2 and 0 < result["padding_fraction"] < 0.5
    (float32,) = result["exports"]
    assert float32["metrics"]["accuracy"] == result["metrics"]["accuracy"] and float32["max_abs_error"] < 1e-5
    names = {path.name for path in export.iterdir()}
    assert names >= {"labels.txt", "card.md", "report.html", "confusion_matrix.png", "learning_curve.png"}
    report = (export / "report.html").read_text()
    assert report.count("data:image/png;base64,") == 2 and 'src="http' not in report and "Strategy: one" in report
    short, long = (write_sines(tmp_path / f"{steps}.csv", steps) for steps in (14, 17))
    code, (prediction, refusal) = predict(export, short, long, "--plot", tmp_path / "plot.png")
    assert is_picture(tmp_path / "plot.png") and code == 1
    assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert "at most 16 steps for this model; got 17" in refusal["error"]
    x = np.random.default_rng(0).normal(size=(4, 16, 2))
    np.savez(tmp_path / "labeled.npz", x=x, y=["slow", "fast", "slow", "slow"])
    report = evaluate(export, f"npz:{tmp_path}/labeled.npz")
    assert np.sum(report["confusion_matrix"], axis=1).tolist() == [3, 1]


def test_forecasting(run_recipe, evaluate, tmp_path):
    """A panel with its own delimiter, time format and id column; a file to predict for has the same."""
    rows = [(f"{1 + n % 28:02}.{1 + n // 28:02}.2024", name, n % 7) for n in range(112) for name in ("a", "b")]
    text = "day;shop;sold\n" + "".join(f"{day};{shop};{sold}\n" for day, shop, sold in rows if day[3:5] != "05")
    shops, export = run_recipe.directory / "shops.csv", run_recipe.directory / "export"
    shops.write_text(text)
    data = "--dataset csv:shops.csv --delimiter ; --time_column day --time_format %d.%m.%Y --id_column shop"
    flags = f"--task forecast {data} --input_length 14 --horizon 7 --scaling series --backtest_origins 1 --steps 2"
    options = ("--noxla", "--units", 8, "--export", "float32", "--export_dir", export)
    result = run_recipe("time_series", *flags.split(), *options).result
    check_forecaster(result, export, horizon=7)
    weekly, short = tmp_path / "weekly.csv", tmp_path / "short.csv"
    weekly.write_text("day;sold\n" + "".join(f"{1 + 7 * (n % 4):02}.{1 + n // 4:02}.2024;1\n" for n in range(16)))
    short.write_text("day;sold\n" + "".join(f"{1 + n:02}.01.2024;1\n" for n in range(13)))
    code, (prediction, of_weeks, of_few) = predict(export, str(shops), str(weekly), str(short))
    assert code == 1 and [series["id"] for series in prediction["series"]] == ["a", "b"]
    steps = prediction["series"][1]["steps"]
    assert [step["time"] for step in steps][:2] == ["2024-04-29", "2024-04-30"]
    assert all(step["sold"]["low"] <= step["sold"]["forecast"] <= step["sold"]["high"] for step in steps)
    assert "604800 s apart, and those of the training data 86400 s" in of_weeks["error"]
    assert "has 13 steps; this model needs 14" in of_few["error"]
    report = evaluate(export, f"csv:{shops}")
    assert report["examples"] == 2 * (119 - 14 - 7 + 1) and {"mae_units", "wql", "coverage"} <= set(report["metrics"])


def check_forecaster(result, export, horizon):
    assert result["examples"]["test"] > 0 and len(result["error_by_horizon"]) == horizon
    assert {"mse", "mae", "mse_units", "mae_units", "mase", "smape", "wql", "coverage"} <= set(result["metrics"])
    assert [entry["name"] for entry in result["baselines"]][:3] == ["naive", "seasonal_naive", "network"]
    assert result["baselines"][2]["mse"] == pytest.approx(result["metrics"]["mse"])
    assert result["exports"][0]["metrics"]["mse"] == pytest.approx(result["metrics"]["mse"], rel=1e-3)
    names = {path.name for path in export.iterdir()}
    assert names >= {"forecast.png", "error_by_horizon.png", "report.html"}
    assert "Backtest over rolling origins" in (export / "report.html").read_text()


def test_anomaly_detection(run_recipe, evaluate, tmp_path):
    export = tmp_path / "export"
    flags = ("--task", "anomaly", "--smoke", "--noxla", "--export_dir", export, "--export", "float32")
    result = run_recipe("time_series", *flags).result
    assert {"threshold", "average_precision", "z_score_average_precision", "range_f1"} <= set(result["metrics"])
    code, (prediction,) = predict(export, write_sines(tmp_path / "a.csv"))
    assert code == 0 and len(prediction["steps"]) == 40
    assert prediction["threshold"] == result["metrics"]["threshold"]
    assert sum(step["is_alarm"] for step in prediction["steps"]) == prediction["alarms"]
    lines = (tmp_path / "a.csv").read_text().splitlines()
    labeled = [f"{line},{int(row == 30)}" for row, line in enumerate(lines[1:])]
    (tmp_path / "labeled.csv").write_text("\n".join([f"{lines[0]},is_anomaly", *labeled]) + "\n")
    report = evaluate(export, f"csv:{tmp_path}/labeled.csv", "--label_column", "is_anomaly")
    assert report["examples"] == 40 and report["metrics"]["anomaly_rate"] == 1 / 40


@pytest.mark.slow
def test_a_smoke_run_of_forecasting(run_recipe, tmp_path):
    flags = "--task forecast --smoke --noxla --export float32,int8 --export_dir".split()
    result = run_recipe("time_series", *flags, tmp_path / "export").result
    check_forecaster(result, tmp_path / "export", horizon=12)
    int8, mse = result["exports"][1], result["metrics"]["mse"]  # its scaling is in float32: in 8 bits it was off by 16
    assert int8["max_abs_error"] < 1.5 and int8["metrics"]["mse"] == pytest.approx(mse, rel=0.05)
    sines = write_sines(tmp_path / "sines.csv")
    code, (prediction,) = predict(tmp_path / "export", sines, "--plot", tmp_path / "plot.png")
    assert code == 0 and is_picture(tmp_path / "plot.png")
    assert [step["step"] for step in prediction["steps"]] == list(range(1, 13))


@pytest.mark.slow
def test_deep_ar(run_recipe):
    flags = "--task forecast --model deepar --distribution gaussian --calendar --samples 10 --smoke --noxla --export="
    result = run_recipe("time_series", *flags.split()).result
    assert {"mse", "mase", "wql", "coverage"} <= set(result["metrics"]) and result["model"] == "deepar"
    assert result["baselines"][2]["mse"] == pytest.approx(result["metrics"]["mse"])


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classify", "forecast", "forecast --model deepar", "anomaly"])
def test_two_replicas_train_the_same_weights_as_one(run_recipe, task):
    flags = ("--task", *task.split(), "--smoke", "--noxla")
    one = run_recipe("time_series", *flags).result
    two = run_recipe("time_series", *flags, "--strategy", "mirrored", "--replicas", 2).result
    assert (one["replicas"], two["replicas"]) == (1, 2)
    assert two["weights_abs_sum"] == pytest.approx(one["weights_abs_sum"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classify", "forecast", "forecast --model deepar", "anomaly"])
def test_a_killed_run_ends_like_one_that_was_not(run_recipe, task):
    flags = f"--task {task} --smoke --noxla --epochs 2 --steps 0 --export=".split()
    killed = run_recipe("time_series", *flags, "--model_dir", "run", kill_at_epoch=1)
    assert killed.returncode == -signal.SIGKILL and killed.stdout == ""
    resumed, whole = (run_recipe("time_series", *flags, *more).result for more in (["--model_dir", "run"], []))
    assert resumed["epochs"] == whole["epochs"] == 2
    assert resumed["weights_abs_sum"] == pytest.approx(whole["weights_abs_sum"], rel=1e-7)
    assert resumed["metrics"] == pytest.approx(whole["metrics"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags",
    [
        "--task classify --model recurrent --cell gru",
        "--task classify --model conv_recurrent --nobidirectional",
        "--task classify --model lstm_fcn --differences --kernel_sizes 9,5,3 --mixup 0.5",
        "--task forecast --model seq2seq --output quantiles --calendar",
        "--task forecast --model direct --scaling window --cell lstm",
        "--task forecast --output quantiles --calendar --segment 4",
        "--task forecast --model deepar --cell gru --scaling global",
        "--task anomaly --model residual",
    ],
)
def test_what_can_be_trained(run_recipe, flags):
    result = run_recipe("time_series", "--smoke", "--noxla", *flags.split()).result
    assert result["model"] in (*flags.split(), "segrnn") and result["exports"] == []
    assert not list(run_recipe.directory.iterdir())


@pytest.mark.slow
def test_a_stream_gives_the_forecasts_of_the_whole_series(run_recipe, tmp_path):
    from tfpar.export.conversion.interpreter import TFLiteModel

    export = tmp_path / "export"
    flags = "--task anomaly --model residual --streaming --smoke --noxla --export float32 --export_dir"
    run_recipe("time_series", *flags.split(), export)
    path = export / "model.float32.tflite"
    whole, step = TFLiteModel(path), TFLiteModel(path, "step")
    series = np.random.default_rng(0).normal(size=whole.inputs["series"][0]).astype(np.float32)
    series[..., 2:] = 1  # all values are observed
    expected = whole(series=series)["forecast"]
    states = {name: np.zeros(shape, np.float32) for name, (shape, _) in step.inputs.items() if name != "series"}
    for index in range(series.shape[1]):
        outputs = step(series=series[:, index : index + 1], **states)
        states = {name: outputs[name] for name in states}
        np.testing.assert_allclose(outputs["forecast"][:, 0], expected[:, index], atol=1e-4)


@pytest.mark.slow
def test_a_stream_gives_the_classes_of_the_whole_series(run_recipe, tmp_path):
    from tfpar.export.conversion.interpreter import TFLiteModel

    export = tmp_path / "export"
    flags = "--streaming --differences --smoke --noxla --export float32 --export_dir"
    run_recipe("time_series", *flags.split(), export)
    path = export / "model.float32.tflite"
    whole, step = TFLiteModel(path), TFLiteModel(path, "step")
    series = np.random.default_rng(0).normal(size=whole.inputs["series"][0]).astype(np.float32)
    series[..., 2:] = 1
    series[:, -3:] = 0  # padding, which changes nothing
    states = {name: np.zeros(shape, np.float32) for name, (shape, _) in step.inputs.items() if name != "series"}
    for index in range(series.shape[1]):
        outputs = step(series=series[:, index : index + 1], **states)
        states = {name: outputs[name] for name in states}
    np.testing.assert_allclose(outputs["probabilities"], whole(series=series)["probabilities"], atol=1e-5)


GOOD = "t,x\n" + "".join(f"{n},{n % 7}\n" for n in range(200))
FORECAST = "--task forecast --dataset csv:mine.csv --time_column t --input_length 24 --horizon 12"


@pytest.mark.parametrize(
    ("flags", "content", "words"),
    [
        ("--dataset csv:absent.csv", "", "absent.csv does not exist"),
        ("--dataset folder:here", "", "expected japanese_vowels, osu_leaf"),
        ("--task forecast --model lstm_fcn", "", "--model must be one of segrnn, seq2seq, direct"),
        ("--streaming --model lstm_fcn", "", "--streaming needs --task anomaly --model residual"),
        ("--smoke --xla --strategy mirrored --replicas 2", "", "--xla must be off for --model lstm_fcn"),
        ("--streaming --bidirectional", "", "--nobidirectional; got --bidirectional"),
        ("--task plan", "", "--task"),
        ("--kernel_sizes 8,5", "", "--kernel_sizes must be three positive integers, such as 8,5,3; got 8,5"),
        (FORECAST, GOOD + "5,5\n", "times must ascend"),
        (FORECAST, GOOD + "199,5\n", "the time 199.0 occurs twice"),
        (FORECAST, GOOD.replace("50,1", "50,one"), "line 52, column 'x': expected a number; got 'one'"),
        (FORECAST, "t,x\n" + "".join(f"{n},\n" for n in range(200)), "all values of the column 'x' are missing"),
        (FORECAST, "".join(GOOD.splitlines(True)[:20]), "has no window of 24 + 12 = 36 steps"),
        (f"{FORECAST} --split 150,20,10", GOOD, "--horizon 12 is longer than the test split of 10 steps"),
        (f"{FORECAST} --segment 5", GOOD, "--segment must divide --input_length and --horizon; got 5, 24 and 12"),
        (f"{FORECAST} --model deepar --output point", GOOD, "--output must be quantiles for --model deepar"),
        (
            f"{FORECAST} --model deepar --distribution negative_binomial",
            GOOD.replace("50,1", "50,1.5"),
            "needs counts, whole numbers from 0; got 1.5 in the column 'x'",
        ),
        (FORECAST, GOOD.replace("50,1", "50,inf"), "line 52, column 'x': the value is infinite"),
        (f"{FORECAST} --split inf,1,1", GOOD, "--split must be three numbers of steps"),
        (f"{FORECAST} --model deepar --input_length 1", GOOD, "--input_length must be at least 2 for --model deepar"),
        ("--task anomaly --model residual --input_length 1 --smoke", "", "must be at least 2 for --model residual"),
        (
            f"{FORECAST} --static_columns y",
            GOOD.replace("\n", ",1\n").replace("t,x,1", "t,x,y").replace("50,1,1", "50,1,2"),
            "the column 'y' of --static_columns changes within the series; give it by --known_columns",
        ),
        (
            "--task forecast --dataset csv:mine.csv --time_column t --calendar --known_columns sin_year",
            "t,x,sin_year\n" + "".join(f"{n // 12}-{n % 12 + 1:02},1,2\n" for n in range(24_000, 24_240)),
            "--calendar adds a column 'sin_year'; rename the one in the file",
        ),
        (
            "--task forecast --dataset csv:mine.csv --time_column t",
            "t,x\n" + "".join(f"202401{day:02},{day}\n" for day in range(1, 32)),
            "the numbers in the column 't' look like dates; give --time_format %Y%m%d",
        ),
        (f"{FORECAST} --target_columns y", GOOD, "has no column 'y'; it has 't', 'x'"),
    ],
)
def test_what_is_refused(run_recipe, flags, content, words):
    if content:
        (run_recipe.directory / "mine.csv").write_text(content)
    assert words in run_recipe("time_series", *flags.split(), "--export_dir", "export").error
    assert {path.name for path in run_recipe.directory.iterdir()} <= {"mine.csv"}


@pytest.mark.slow
def test_a_constant_series_is_forecast(run_recipe):
    """Its deviation is 0, which must not become a division by zero."""
    (run_recipe.directory / "mine.csv").write_text("t,x\n" + "".join(f"{n},3\n" for n in range(200)))
    flags = f"{FORECAST} --noxla --steps 2 --units 8 --export="
    result = run_recipe("time_series", *flags.split()).result
    assert result["metrics"]["mae_units"] < 1 and "mase" not in result["metrics"]
