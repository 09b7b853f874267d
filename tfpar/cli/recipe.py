"""A recipe as a command: the flags of a task's settings, and one run."""

import shlex
import sys

from absl import flags

from tfpar.cli.flags import define_flags, read_config
from tfpar.cli.run import run_recipe
from tfpar.tasks import runner
from tfpar.tasks.base import Task
from tfpar.tasks.console import log

flags.disclaim_key_flags()


def run_task(task: type[Task]) -> None:
    """Parse the flags of a task, run it, and print its result as the last line on stdout. End the process.

    A summary for people precedes it on stderr. Exit codes: see `tfpar.cli.exits.exit_cleanly`.
    """
    define_flags(task.config_class)

    def main():
        config = read_config(task.config_class)
        arguments = ["python", *sys.argv]
        result = runner.run(task, config, command=shlex.join(arguments))
        for line in runner.summarize(task(config), result, arguments):
            log(line)
        return result

    run_recipe(main, lambda: read_config(task.config_class))
