"""The first instants of a worker: it enters itself with the guard, takes its cores, and becomes the user's command.

Run by its path, without site packages, for it is in the way of each start. It is a program of its own since code that
runs between fork and exec of a process with threads is not safe.

Arguments: descriptor of the guard, cores as "0,1" or "", and the command.
"""

import os
import signal
import sys


def main() -> None:
    """Does not return."""
    entry, cores, *command = sys.argv[1:]
    os.write(int(entry), b"%d\n" % os.getpid())
    os.close(int(entry))
    if cores:
        os.sched_setaffinity(0, [int(core) for core in cores.split(",")])
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and what is ignored stays so in the command
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execv(command[0], command)
    except OSError as error:
        print(f"error: cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
