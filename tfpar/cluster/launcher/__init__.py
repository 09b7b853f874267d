"""Starts the workers of a cluster on this machine, and ends them together.

    run          starts all, and returns the outcome
    command      finds the user's command
    ports        free ports for the workers' servers
    cores, gpus  divides them among the workers
    worker       a worker's process and its output
    exec_worker  the program that becomes the user's command in a worker's process
    guard        kills the workers if the launcher is killed
    supervisor   waits for the workers, and stops them
    signals      signals that stop the launcher
    pump         copies the workers' output to the console
    streams      the launcher's ends of the workers' pipes
    console      the launcher's standard error, shared by all workers
    diagnosis    finds the cause among several failures
    report       prints the outcome

Plain Python: TensorFlow is started by the workers alone.
"""

from tfpar.cluster.launcher.run import launch
from tfpar.cluster.launcher.supervisor import Limits

__all__ = ["Limits", "launch"]
