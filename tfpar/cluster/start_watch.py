"""Ends a worker that hangs while TensorFlow starts, because a peer was lost after the rendezvous.

TensorFlow then waits with the interpreter's lock held, where no Python timer or signal handler runs. So another process
watches until its standard input is closed; its arguments are PID TIMEOUT_S INDEX ADDRESS...
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator

from tfpar.cluster.rendezvous import unreachable_workers
from tfpar.cluster.tf_config import TfConfig

_WATCH = f"from {__name__} import main; main()"


@contextlib.contextmanager
def limited_start(config: TfConfig, timeout_s: float) -> Iterator[None]:
    """Within this context this process is killed after `timeout_s`, with the lost worker named on standard error."""
    arguments = [str(os.getpid()), str(timeout_s), str(config.index), *config.workers]
    watch = subprocess.Popen([sys.executable, "-c", _WATCH, *arguments], stdin=subprocess.PIPE)
    assert watch.stdin is not None
    try:
        yield
    finally:
        watch.stdin.close()
        watch.wait()


def main() -> None:
    """Watch the process that `sys.argv` names, and kill it after the timeout."""
    pid, timeout_s, index, *addresses = sys.argv[1:]
    with contextlib.suppress(KeyboardInterrupt):
        if select.select([sys.stdin], [], [], float(timeout_s))[0]:
            return  # closed: TensorFlow has started, or failed
        lost = unreachable_workers(addresses, int(index))
        names = " and ".join(f"worker {peer} at {addresses[peer]}" for peer in lost) or "a worker"
        print(
            f"error: {names} was lost while TensorFlow started, and did not come back within {float(timeout_s):g} s; "
            "start all workers again",
            file=sys.stderr,
            flush=True,
        )
        os.kill(int(pid), signal.SIGKILL)
