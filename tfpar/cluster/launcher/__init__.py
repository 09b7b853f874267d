"""Starts the workers of a cluster on this machine, and sees to it that they end together.

    ports       free ones for the workers' servers
    cores       which of them each worker gets
    command     what the user wrote, found on this machine
    guard       kills the workers if the launcher itself is killed
    become      the first instants of a worker's process
    worker      a worker's process and its output
    console     the launcher's standard error, shared by all
    verdict     which of several failures was the cause
    streams     the launcher's ends of their pipes
    signals     that ask the launcher to stop
    pump        carries the workers' output to the console
    supervisor  waits for the workers, and stops them
    report      what is said in the end
    run         puts the parts together

Plain Python: TensorFlow is started by the workers alone.
"""

from tfpar.cluster.launcher.run import launch
from tfpar.cluster.launcher.supervisor import Limits

__all__ = ["Limits", "launch"]
