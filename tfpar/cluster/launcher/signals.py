"""Records signals that stop the launcher."""

import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """Context manager that appends signals to `received` instead of ending this process."""

    def __init__(self):
        self.received: list[int] = []
        self._before = {}

    def __enter__(self):
        for number in SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:  # under nohup
                continue
            self._before[number] = signal.signal(number, lambda number, _: self.received.append(number))
        return self

    def __exit__(self, *error):
        for number, handler in self._before.items():
            signal.signal(number, handler)
