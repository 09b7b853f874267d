"""Runs recipes and commands many times and imports TensorFlow once: each run is a fork of this process.

A line of standard input is a request: {"program": path of a script, or name of a module, "arguments", "cwd", "stdin",
"stdout", "stderr" (paths of files), "kill_at_epoch"}. The line that is printed for it is the exit code, negative for a
signal.
"""

import atexit
import contextlib
import json
import os
import runpy
import signal
import sys
import traceback


def next_run():
    """Run requests as the parent; return one, with the process set up for it, as the child."""
    from tfpar.export.conversion import converter

    class ConverterOfParent(converter._Converter):
        """The converter process that all runs share, since it imports TensorFlow, too."""

        is_usable = True

        def stop(self):
            """Kill it: the parent starts another one for the next run."""
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    for line in sys.stdin:
        request = json.loads(line)
        shared = converter._start_converter()
        process = os.fork()
        if not process:
            shared.__class__ = ConverterOfParent
            atexit.unregister(converter.stop_converter)
            os.dup2(os.open(request["stdin"], os.O_RDONLY), 0)
            for descriptor, name in ((1, request["stdout"]), (2, request["stderr"])):
                os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC), descriptor)
            sys.stdin = open(0)  # this process has read from its own
            os.chdir(request["cwd"])
            return request
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def die_at_epoch(epoch):
    """Let the process be killed when that epoch begins, as if the machine went down."""
    import keras

    begin = keras.callbacks.CallbackList.on_epoch_begin

    def begin_or_die(self, number, logs=None):
        if number == epoch:
            os.kill(os.getpid(), signal.SIGKILL)
        begin(self, number, logs)

    keras.callbacks.CallbackList.on_epoch_begin = begin_or_die


def end_with(run):
    """End the process with the exit code of `run`, but spare it seconds for the modules' memory to be freed."""
    code = 0
    try:
        run()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    import ai_edge_litert.interpreter  # noqa: F401
    import tensorflow  # noqa: F401
    import tokenizers  # noqa: F401

    import tfpar.cli.main
    import tfpar.cli.predict
    import tfpar.cli.verify
    import tfpar.data
    import tfpar.export
    import tfpar.models
    import tfpar.train  # noqa: F401

    request = next_run()
    if request is not None:
        if request["kill_at_epoch"]:
            die_at_epoch(request["kill_at_epoch"])
        sys.argv = [request["program"], *request["arguments"]]
        run = runpy.run_path if request["program"].endswith(".py") else runpy.run_module
        end_with(lambda: run(request["program"], run_name="__main__"))
