"""Ends a worker that hangs in TensorFlow's start, since a peer was lost after all had met.

TensorFlow then waits with the interpreter's lock held, where no timer or signal handler of Python's is heard. So
another process watches until its standard input is closed; its arguments are PID TIMEOUT_S INDEX ADDRESS...
"""

import contextlib
import os
import select
import signal
import subprocess
import sys

from tfpar.cluster.rendezvous import unreachable_workers
from tfpar.cluster.tf_config import TfConfig

_WATCH = f"from {__name__} import main; main()"


@contextlib.contextmanager
def start_bounded(config: TfConfig, timeout_s: float):
    """Within this context this process is killed after `timeout_s`, and the lost worker named on standard error."""
    arguments = [str(os.getpid()), str(timeout_s), str(config.index), *config.workers]
    watch = subprocess.Popen([sys.executable, "-c", _WATCH, *arguments], stdin=subprocess.PIPE)
    try:
        yield
    finally:
        watch.stdin.close()
        watch.wait()


def main():
    pid, timeout_s, index, *addresses = sys.argv[1:]
    with contextlib.suppress(KeyboardInterrupt):
        if select.select([sys.stdin], [], [], float(timeout_s))[0]:
            return  # closed: the start is over, one way or the other
        lost = unreachable_workers(addresses, int(index))
        names = " and ".join(f"worker {peer} at {addresses[peer]}" for peer in lost) or "a worker"
        print(
            f"error: {names} was lost while TensorFlow started, and did not come back within {float(timeout_s):g} s; "
            "start all workers again",
            file=sys.stderr,
            flush=True,
        )
        os.kill(int(pid), signal.SIGKILL)
