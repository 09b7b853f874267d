"""Runs a recipe many times and imports TensorFlow once: each run is a fork of this process.

A line of standard input is a request, {"recipe", "flags", "cwd", "stdout", "stderr", "kill_at_epoch"}; the line that
answers it is the exit code, negative for a signal.
"""

import json
import os
import runpy
import signal
import sys


def next_run():
    """Answers requests as the parent; returns one, with the process set up for it, as the child."""
    for line in sys.stdin:
        request = json.loads(line)
        process = os.fork()
        if not process:
            for descriptor, name in ((0, os.devnull), (1, request["stdout"]), (2, request["stderr"])):
                os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC), descriptor)
            os.chdir(request["cwd"])
            return request
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def die_at_epoch(epoch):
    """Lets the process be killed when that epoch begins, as if the machine went down."""
    import keras

    begin = keras.callbacks.CallbackList.on_epoch_begin

    def begin_or_die(self, number, logs=None):
        if number == epoch:
            os.kill(os.getpid(), signal.SIGKILL)
        begin(self, number, logs)

    keras.callbacks.CallbackList.on_epoch_begin = begin_or_die


if __name__ == "__main__":
    import tensorflow  # noqa: F401

    import tfpar.data
    import tfpar.export
    import tfpar.models
    import tfpar.train  # noqa: F401

    request = next_run()
    if request is not None:
        if request["kill_at_epoch"]:
            die_at_epoch(request["kill_at_epoch"])
        sys.argv = [request["recipe"], *request["flags"]]
        runpy.run_path(request["recipe"], run_name="__main__")
