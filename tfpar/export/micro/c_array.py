"""Writes a `.tflite` file as a C array, for microcontrollers without a file system."""

import re
from pathlib import Path

from tfpar.files import written_atomically

_HEADER = """// Made from {source}; {length:,} bytes. Memory of the interpreter: {name}_arena_bytes.
// Operations: {operations}.
#ifndef {guard}
#define {guard}

extern const unsigned char {name}[];
extern const unsigned int {name}_length;
constexpr unsigned int {name}_arena_bytes = {arena_bytes};

#endif  // {guard}
"""

_SOURCE = """#include "{header}"

alignas(16) const unsigned char {name}[] = {{
{bytes}
}};
const unsigned int {name}_length = sizeof({name});
"""
_BYTES_PER_LINE = 16


def write_c_array(path: Path, arena_bytes: int, operations: list[str]) -> list[str]:
    """Write `model.int8.cc` and `model.int8.h` beside `model.int8.tflite`: the array `model_int8`.

    Args:
        path: of the `.tflite` file.
        arena_bytes: see `tfpar.export.micro.interpreter_process.MicroRun`.
        operations: the file's, for a comment in the header, since an application must register each of them.

    Returns:
        The names of the two files.
    """
    content = path.read_bytes()
    name = re.sub(r"\W", "_", path.stem, flags=re.ASCII)
    name = f"_{name}" if name[0].isdigit() else name
    header, source = path.with_suffix(".h"), path.with_suffix(".cc")
    fields = dict(name=name, header=header.name, source=path.name, guard=f"{name.upper()}_H_")
    text = _HEADER.format(**fields, length=len(content), arena_bytes=arena_bytes, operations=", ".join(operations))
    for file, written in ((source, _SOURCE.format(**fields, bytes=_lines(content))), (header, text)):
        with written_atomically(file) as temporary:
            temporary.write_text(written, encoding="utf-8")
    return [source.name, header.name]


def _lines(content):
    starts = range(0, len(content), _BYTES_PER_LINE)
    return "\n".join("    " + " ".join(f"{byte}," for byte in content[i : i + _BYTES_PER_LINE]) for i in starts)
