"""Program that registers a worker with the guard, binds it to its cores, and executes the user's command.

It is run by its path, without site packages, because it delays each start. It is a separate program because code that
runs between fork and exec of a process with threads is not safe.

Arguments: descriptor of the guard, cores as "0,1" or "", and the command.
"""

import os
import signal
import sys


def main() -> None:
    """Replace this process by the user's command, or exit with code 2."""
    entry, cores, *command = sys.argv[1:]
    os.write(int(entry), b"%d\n" % os.getpid())
    os.close(int(entry))
    if cores:
        os.sched_setaffinity(0, [int(core) for core in cores.split(",")])
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and the command would inherit that
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execv(command[0], command)
    except OSError as error:
        print(f"error: cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
