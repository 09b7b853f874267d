"""`tfpar export`: exports a Keras model, or PyTorch's recurrent weights, as SavedModel and TFLite files."""

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported

from pathlib import Path

from tfpar.cli.arguments import Parser
from tfpar.errors import UserError
from tfpar.export.formats import CALIBRATED, FORMATS, FORMS, TARGETS
from tfpar.native_stderr import hide_native_stderr
from tfpar.user_code import import_code


def main(arguments: list[str]) -> None:
    """Print one JSON object: the manifest of the export."""
    parser = _make_parser()
    options = parser.parse_args(arguments)
    with parser.naming_flags():
        formats, lengths = _check(options)
        with hide_native_stderr():
            manifest = _export(options, formats, lengths)
    print(json.dumps(manifest))


def _check(options) -> tuple[tuple[str, ...], list[int] | None]:
    """Check the arguments before TensorFlow is imported; return the formats and the sequence lengths."""
    formats = tuple(filter(None, options.format.split(",")))
    for name in formats:
        if name not in ("saved_model", *FORMATS):
            raise UserError(f"--format must list some of saved_model, {', '.join(FORMATS)}; got {name!r}")
    if not formats:
        raise UserError(f"--format is empty; it must list some of saved_model, {', '.join(FORMATS)}")
    if options.batch_size < 1:
        raise UserError(f"--batch_size must be 1 or more; got {options.batch_size}")
    if options.tolerance is not None and not options.tolerance > 0:
        raise UserError(f"--tolerance must be above 0; got {options.tolerance}")
    if not options.calibration and set(CALIBRATED) & set(formats):
        raise UserError(f"--format {options.format} needs --calibration npz:FILE, npy:FILE or csv:FILE")
    lengths = _parse_lengths(options.sequence_length)
    if options.target == "micro":
        from tfpar.export.micro.interpreter import check_micro

        check_micro(lengths or (), options.streaming)
    from tfpar.export.bundle.directory import check_writable

    check_writable(options.export_dir)
    return formats, lengths


def _export(options, formats, lengths) -> dict:
    model, source = _load_model(options)
    from tfpar.export.conversion.serving import serving_model
    from tfpar.export.generic.calibration import read_calibration
    from tfpar.export.generic.model_export import export_model

    model = serving_model(model)
    return export_model(
        model,
        options.export_dir,
        formats,
        source,
        calibration=read_calibration(options.calibration, model) if options.calibration else None,
        sequence_length=lengths,
        form=options.form,
        target=options.target,
        batch_size=options.batch_size,
        streaming=options.streaming,
        tolerance=options.tolerance,
        padding=options.padding,
    )


def _make_parser():
    parser = Parser(prog="tfpar export", description="Write a model as SavedModel and TFLite files, each verified.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--keras", type=Path, metavar="FILE", help="a model of any kind, .keras or .h5")
    source.add_argument(
        "--torch", type=Path, metavar="FILE", help="weights of nn.LSTM, nn.GRU, nn.RNN, .safetensors, .pt or .pth"
    )
    parser.add_argument(
        "--import",
        action="append",
        default=[],
        dest="imports",
        metavar="MODULE|FILE",
        help="with --keras: Python code to run, which registers custom classes of the model. May be repeated",
    )
    parser.add_argument("--nonlinearity", choices=("tanh", "relu"), help="with --torch: of an nn.RNN")
    parser.add_argument("--prefix", help="of the weights' names, if the file has several recurrent stacks")
    parser.add_argument("--returns", choices=("sequence", "last"), default="sequence", help="with --torch: outputs")
    parser.add_argument("--export_dir", required=True, metavar="DIR", help="directory of the export")
    parser.add_argument("--format", default="saved_model,float32,float16,dynamic", help="comma-separated")
    parser.add_argument("--calibration", metavar="npz:|npy:|csv:FILE", help="representative inputs")
    parser.add_argument("--sequence_length", metavar="N[,N...]", help="time steps, if the model allows any number")
    parser.add_argument("--form", choices=FORMS, default="auto")
    parser.add_argument("--target", choices=TARGETS, default="phone")
    parser.add_argument("--batch_size", type=int, default=1)
    parser.add_argument("--tolerance", type=float, help="largest difference from Keras; default: that of the format")
    parser.add_argument(
        "--padding", choices=("any", "right"), default="any", help="position of masked steps; right is cheaper"
    )
    parser.add_argument(
        "--streaming", action="store_true", help="add a signature for the next time step(s), with states"
    )
    return parser


def _parse_lengths(text):
    try:
        lengths = [int(number) for number in text.split(",")] if text else []
    except ValueError as error:
        raise UserError(f"--sequence_length must be whole numbers; got {text!r}") from error
    if any(length < 1 for length in lengths):
        raise UserError(f"--sequence_length must be 1 or more; got {text!r}")
    return lengths or None


def _load_model(options):
    """Load the model; return it and the name of its file."""
    if options.keras:
        from tfpar.export.foreign.stock_keras import UNKNOWN_CLASS_REMEDY, load_keras

        for name in options.imports:
            _import(name)
        try:
            return load_keras(options.keras), options.keras.name
        except UserError as error:
            raise UserError(str(error).replace(UNKNOWN_CLASS_REMEDY, f"{UNKNOWN_CLASS_REMEDY}, by --import")) from error
    from tfpar.export.foreign.pytorch import load_torch

    model = load_torch(options.torch, options.prefix, options.returns == "sequence", options.nonlinearity)
    return model, options.torch.name


def _import(name):
    """Run a module or a file; register its layers and models by their names, unless it registers them itself."""
    import keras

    module = import_code(name, "import", name)
    classes = {name: value for name, value in vars(module).items() if isinstance(value, type)}
    own = {name: value for name, value in classes.items() if value.__module__ == module.__name__}
    registered = set(map(id, keras.saving.get_custom_objects().values()))
    keras.saving.get_custom_objects().update({n: c for n, c in own.items() if id(c) not in registered})
