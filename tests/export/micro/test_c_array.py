"""A file as a C array: the same bytes, aligned, whether parsed back or compiled."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from tfpar.export.micro.c_array import write_c_array

CONTENT = np.random.default_rng(0).integers(0, 256, 1000, np.uint8).tobytes()

MAIN = """#include <cstdint>
#include <cstdio>
#include "model.int8.h"
int main() {
  if (reinterpret_cast<std::uintptr_t>(model_int8) % 16) return 1;
  std::printf("%u ", model_int8_arena_bytes);
  for (unsigned int i = 0; i < model_int8_length; ++i) std::printf("%02x", model_int8[i]);
}
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "model.int8.tflite").write_bytes(CONTENT)
    assert write_c_array(tmp_path / "model.int8.tflite", 4096, ["ADD", "SLICE"]) == ["model.int8.cc", "model.int8.h"]
    return tmp_path


def test_it_holds_the_bytes(files):
    body = re.search(
        r"alignas\(16\) const unsigned char model_int8\[\] = \{(.*)\};", read(files / "model.int8.cc"), re.S
    )
    assert bytes(int(number) for number in re.findall(r"\d+", body[1])) == CONTENT
    header = read(files / "model.int8.h")
    assert "model_int8_arena_bytes = 4096;" in header and "Operations: ADD, SLICE." in header


def test_a_compiler_finds_the_bytes(files):
    compiler = shutil.which("c++")
    (files / "main.cc").write_text(MAIN)
    if compiler is None:  # what a compiler would read is checked above
        return
    warnings = ["-std=c++11", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *warnings, "main.cc", "model.int8.cc", "-o", "main"], cwd=files, check=True)
    printed = subprocess.run([files / "main"], capture_output=True, text=True, check=True).stdout
    assert printed == f"4096 {CONTENT.hex()}"


def test_a_name_that_c_does_not_allow(tmp_path):
    (tmp_path / "5 times-é.tflite").write_bytes(b"x")
    write_c_array(tmp_path / "5 times-é.tflite", 16, [])
    assert "unsigned char _5_times__[] = {" in read(tmp_path / "5 times-é.cc")


def read(path):
    return path.read_text(encoding="utf-8")
