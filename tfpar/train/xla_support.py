"""Finds operations that XLA cannot compile while a function is traced, before anything of it runs."""

import functools

import tensorflow as tf

from tfpar.keras_private import kernel_devices

_XLA_DEVICES = {"XLA_CPU_JIT", "XLA_GPU_JIT"}


class NotCompilableError(Exception):
    """XLA has no kernel for an operation.

    Args:
        node: `NodeDef` of the operation.
    """

    def __init__(self, node):
        super().__init__(node.op)
        self.node = node

    def describe(self, layers) -> str:
        """Names the layer that the operation belongs to, if it is one of `layers`, and the operation."""
        scopes = self.node.name.split("/")[:-1]
        names = {layer.name for layer in layers}
        # TensorFlow numbers a scope that is entered again.
        found = [name for scope in scopes for name in (scope, scope.rpartition("_")[0]) if name in names]
        place = f"The layer {found[-1]!r}" if found else "The model"
        return f"{place} contains the operation {self.node.op!r} ({self.node.name})"


def check_compilable(graph: tf.Graph) -> None:
    """Looks at the operations of a graph, and at those of functions that it calls.

    Raises:
        NotCompilableError: for the first one that runs on a CPU and has no kernel for XLA.
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
    """TensorFlow registers XLA's kernels when it first uses XLA: this translates a function, and compiles nothing."""
    with tf.init_scope():
        identity = tf.function(lambda x: x, jit_compile=True, autograph=False)
        identity.experimental_get_compiler_ir(tf.TensorSpec((), tf.float32))(stage="hlo")
