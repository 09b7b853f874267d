"""Lets TensorFlow use the memory of its tensors on CPUs again, instead of returning it to the system.

By default such tensors come from the C library's allocator. It returns blocks of 32 MiB and more to the system at once,
and a step that needs them again gets new pages, each by a page fault. XLA has one block for all intermediate results of
a step, so a training step of long sequences spends about half of its time on page faults.
"""

import os


def reuse_cpu_memory() -> None:
    """Choose TensorFlow's allocator of GPUs for CPUs, too; it must run before TensorFlow's first operation.

    A process does not give up memory until it ends. The environment variables of TensorFlow that this sets win if they
    are set already: `TF_CPU_ALLOCATOR_USE_BFC` (false: the C library's allocator) and `TF_CPU_BFC_MEM_LIMIT_IN_MB`
    (by default the machine's memory).
    """
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
    if hasattr(os, "sysconf"):  # not on Windows
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        os.environ.setdefault("TF_CPU_BFC_MEM_LIMIT_IN_MB", str(memory // 2**20))
