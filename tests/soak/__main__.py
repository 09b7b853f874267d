"""Trains two workers for some minutes with one random fault per minute: python -m tests.soak --minutes 30.

The run must end with the weights of a run without faults, bit for bit. Each fault must be noticed and training go on in
time; memory and open files of the processes must not grow, and no temporary files remain. The last line is a JSON
object; the exit code is 1 if something was not as it must be.
"""

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.soak.faults import FAULTS, Run

ROOT = Path(__file__).parents[2]
PACE_S = 0.5
RESTART = re.compile(rb"^\[launch\] .*; restart [0-9]+ of", re.MULTILINE)
STOPPED_EXIT_CODE = 3
# Limits of growth between two samples of one process.
MORE_FILES, MORE_MEMORY = 4, 1.3
DISK = "full disk"


class Soak:
    """A run with faults.

    Args:
        directory: an empty one.
        steps: of training.
        seed: of the choices.
        limit_s: from a fault to the next step of training.
    """

    def __init__(self, directory: Path, steps: int, seed: int, limit_s: float):
        self.directory, self.limit_s = directory, limit_s
        self.problems: list[str] = []
        self._choices = random.Random(seed)
        self._command = launch_command(directory, steps)
        self._log = directory / "log"
        self._samples: dict[str, dict[str, float]] = {}
        self.set_pace(PACE_S)
        self._launcher = self._start()

    def set_pace(self, seconds: float) -> None:
        """Set the additional seconds of each step."""
        (self.directory / "pace").write_text(str(seconds))

    def _start(self):
        self._samples.clear()
        return start_launcher(self._command, self.directory)

    def wait_for_step(self, after: float, limit_s: float) -> float | None:
        """Wait for a step that ends after a time, and return when it did; None if there is none in time."""
        deadline = time.time() + limit_s
        while time.time() < deadline and self._launcher.poll() is None:
            with contextlib.suppress(OSError):
                ended = (self.directory / "progress").stat().st_mtime
                if ended > after:
                    return ended
            time.sleep(0.05)
        return None

    def inject(self, name: str) -> dict:
        """Inject a fault, wait until training goes on, and return what was measured."""
        restarts, begin = self._count_restarts(), time.time()
        FAULTS[name](Run(self._launcher.pid, self.directory, self._choices))
        noticed = self._wait_for_end(restarts)
        if noticed is None and name != DISK:
            self.problems.append(f"{name}: not noticed within {self.limit_s:g} s")
        if self._launcher.poll() is not None:
            if self._launcher.returncode != STOPPED_EXIT_CODE:
                self.problems.append(f"{name}: the launcher ended with exit code {self._launcher.returncode}")
            self._launcher = self._start()
        again = self.wait_for_step(noticed or time.time(), self.limit_s)
        if again is None:
            self.problems.append(f"{name}: no training within {self.limit_s:g} s")
        else:
            self._check_growth(name)
        return {
            "fault": name,
            "noticed_s": noticed and round(noticed - begin, 1),
            "training_again_s": again and round(again - begin, 1),
        }

    def finish(self, limit_s: float) -> dict | None:
        """Let the run end, and return its result."""
        self.set_pace(0)
        try:
            self._launcher.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.problems.append(f"the run did not end within {limit_s:g} s")
        self.close()
        if self._launcher.returncode:
            self.problems.append(f"the run ended with exit code {self._launcher.returncode}")
            return None
        return read_result(self.directory)

    def close(self) -> None:
        """End the launcher, and check that no temporary files remain."""
        self._launcher.kill()
        self._launcher.wait()
        time.sleep(1)  # in which the launcher's guard ends the workers of one that was killed
        names = [str(path) for path in (self.directory / "tmp").iterdir()]
        names += [str(path) for path in (self.directory / "model").rglob(".*") if path.name.endswith((".part", ".old"))]
        if names:
            self.problems.append(f"temporary files remain: {names}")

    def _count_restarts(self):
        return len(RESTART.findall(self._log.read_bytes()))

    def _wait_for_end(self, restarts) -> float | None:
        deadline = time.time() + self.limit_s
        while time.time() < deadline:
            if self._count_restarts() > restarts or self._launcher.poll() is not None:
                return time.time()
            time.sleep(0.05)
        return None

    def _check_growth(self, name):
        """Compare memory and open files with those of the same process, or its predecessor, after the first fault."""
        pids = [self._launcher.pid, *Run(self._launcher.pid, self.directory, self._choices).workers()]
        for role, pid in zip(("launcher", "worker 0", "worker 1"), pids, strict=False):
            try:
                files = len(os.listdir(f"/proc/{pid}/fd"))
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            except OSError:
                continue
            first = self._samples.setdefault(role, {"files": files, "pages": pages})
            if files > first["files"] + MORE_FILES or pages > first["pages"] * MORE_MEMORY:
                self.problems.append(
                    f"{name}: {role} has {files} files and {pages} pages; {first} after the first fault"
                )


def launch_command(directory: Path, steps: int) -> list[str]:
    """Return the command that trains two workers."""
    options = ["--workers", "2", "--max_restarts", "1000", "--hang_timeout_s", "20"]
    script = [str(ROOT / "tests" / "soak" / "train.py"), str(directory), str(steps)]
    return [sys.executable, "-m", "tfpar", "launch", *options, "--", "python", *script]


def start_launcher(command: list[str], directory: Path) -> subprocess.Popen:
    """Start a launcher with its output and temporary files in a directory."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "TMPDIR": str(directory / "tmp"), "PYTHONPATH": path}
    with open(directory / "log", "ab") as log, open(directory / "result", "wb") as result:
        return subprocess.Popen(command, stdout=result, stderr=log, env=environment)


def read_result(directory: Path) -> dict:
    """Return the result of a run."""
    return json.loads((directory / "result").read_text().splitlines()[-1])


@contextlib.contextmanager
def run_directory(name: str) -> Iterator[tuple[Path, bool]]:
    """Yield the directory of a run, and whether its checkpoints are on a small disk of their own, as root can mount."""
    directory = Path(tempfile.mkdtemp(prefix=f"tfpar-soak-{name}-"))
    for each in ("tmp", "model"):
        (directory / each).mkdir()
    (directory / "log").touch()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(directory / "model")]
    has_disk = subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield directory, has_disk
    finally:
        if has_disk:
            subprocess.run(["umount", "--lazy", str(directory / "model")], check=True)
        shutil.rmtree(directory)


def run_without_faults(steps: int) -> dict:
    """Return the result of a run without faults."""
    with run_directory("reference") as (directory, _):
        (directory / "pace").write_text("0")
        launcher = start_launcher(launch_command(directory, steps), directory)
        try:
            if launcher.wait():
                raise SystemExit(f"error: the run without faults failed\n{(directory / 'log').read_text()}")
            return read_result(directory)
        finally:
            launcher.kill()
            launcher.wait()


def run_with_faults(arguments: argparse.Namespace, steps: int) -> tuple[dict | None, list[dict], list[str]]:
    """Return the result of a run with faults, what each of them did, and what was not as it must be."""
    with run_directory("faults") as (directory, has_disk):
        names = [name for name in arguments.faults if has_disk or name != DISK]
        soak = Soak(directory, steps, arguments.seed, arguments.limit_s)
        choices, injected = random.Random(arguments.seed), []
        try:
            if soak.wait_for_step(0.0, 300.0) is None:
                raise SystemExit(f"error: training did not start\n{(directory / 'log').read_text()}")
            begin, queue = time.time(), []
            for minute in range(arguments.minutes):
                queue = queue or choices.sample(names, len(names))  # each occurs before one occurs again
                time.sleep(max(0.0, begin + 60 * minute + 15 - time.time()))
                injected.append(soak.inject(queue.pop()))
                print(json.dumps(injected[-1]), file=sys.stderr, flush=True)
            result = soak.finish(limit_s=600.0)
        except BaseException:
            soak.close()
            raise
        if soak.problems:
            print((directory / "log").read_text()[-20_000:], file=sys.stderr)
        return result, injected, soak.problems


def main() -> None:
    """Run both, compare the weights, and print the result."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=30, help="number of faults, one per minute (default: 30)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of faults (default: 0)")
    parser.add_argument("--limit_s", type=float, default=60.0, help="from a fault to the next step (default: 60)")
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS), help="faults to choose from")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # launchers are ended, and disks unmounted
    steps = round(60 * arguments.minutes / PACE_S) + 100
    expected = run_without_faults(steps)
    result, injected, problems = run_with_faults(arguments, steps)
    if result != expected:
        problems.append(f"the result is {result}; without faults it was {expected}")
    slowest_s = {
        key: max((each[key] or 0 for each in injected), default=0) for key in ("noticed_s", "training_again_s")
    }
    print(json.dumps({"steps": steps, "faults": len(injected), "slowest": slowest_s, "problems": problems}))
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
