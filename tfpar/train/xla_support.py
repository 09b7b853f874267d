"""Finds operations that XLA cannot compile while a function is traced, before anything of it runs."""

import functools
from collections.abc import Iterable

import keras
import tensorflow as tf

from tfpar.tensorflow_private import kernel_devices

_XLA_DEVICES = {"XLA_CPU_JIT", "XLA_GPU_JIT"}


class NotCompilableError(Exception):
    """Error: XLA has no kernel for an operation.

    Args:
        node: `NodeDef` of the operation.
    """

    def __init__(self, node: tf.compat.v1.NodeDef):
        super().__init__(node.op)
        self.node = node

    def describe(self, layers: Iterable[keras.layers.Layer]) -> str:
        """Name the operation, and the layer of `layers` that it belongs to, if any."""
        scopes = self.node.name.split("/")[:-1]
        names = {layer.name for layer in layers}
        # TensorFlow appends a number to a scope that is entered again.
        found = [name for scope in scopes for name in (scope, scope.rpartition("_")[0]) if name in names]
        owner = f"The layer {found[-1]!r}" if found else "The model"
        return f"{owner} contains the operation {self.node.op!r} ({self.node.name})"


def check_compilable(graph: tf.Graph) -> None:
    """Check the operations of a graph, and those of functions that it calls.

    Raises:
        NotCompilableError: for the first one that has a kernel for CPUs but none for XLA.
    """
    definition = graph.as_graph_def()
    functions = {function.signature.name: function.node_def for function in definition.library.function}
    nodes, called = list(definition.node), set()
    while nodes:
        node = nodes.pop()
        if not _is_compilable(node.op):
            raise NotCompilableError(node)
        for attribute in node.attr.values():
            for function in (attribute.func, *attribute.list.func):
                if function.name in functions and function.name not in called:
                    called.add(function.name)
                    nodes.extend(functions[function.name])


@functools.cache
def _is_compilable(operation: str) -> bool:
    if operation == "Placeholder":  # an argument of the function
        return True
    _register_xla_kernels()
    devices = kernel_devices(operation)
    return "CPU" not in devices or not devices.isdisjoint(_XLA_DEVICES)


@functools.cache
def _register_xla_kernels():
    """Let TensorFlow register XLA's kernels, which it does when it first uses XLA; nothing is compiled."""
    with tf.init_scope():
        identity = tf.function(lambda x: x, jit_compile=True, autograph=False)
        identity.experimental_get_compiler_ir(tf.TensorSpec((), tf.float32))(stage="hlo")
