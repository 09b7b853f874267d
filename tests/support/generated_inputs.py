"""Generated inputs for the readers: damaged copies of valid files, and what a reader may answer to them."""

import random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tfpar.errors import UserError

# Fixtures of a module hold folders, which examples may share.
CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


SEEDS = st.integers(0, 2**32 - 1)
_NUMBERS = (0, 1, 3.5, -7, 2**31, 10**30, 1e308, float("nan"), float("inf"))
_WORDS = ("", "0", "type", "path", "files", "worker", "\u00e9\n", "\ud800", "\0", "x" * 400)


def examples(count: int):
    """Settings of a property that is checked on so many inputs, the same in each run."""
    return settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=CHECKS,
        print_blob=False,
    )


def damaged(*contents: bytes):
    """A strategy: copies of one of `contents` with some bytes replaced, put in or taken out, or the end cut off.

    A single number is drawn, since drawing costs more than reading; it is what a failure is shown by.
    """
    return SEEDS.map(lambda seed: damage(random.Random(seed), *contents))


def damage(generator: random.Random, *contents: bytes) -> bytes:
    """One of what `damaged` yields."""
    content = generator.choice(contents)
    for _ in range(generator.choice([0, 1, 1, 2, 5])):
        place, removed = generator.randrange(len(content) + 1), generator.choice([0, 1, 1, 1, 4, 30])
        added = generator.choice([removed, removed, 0, 4])
        filling = generator.choice([generator.randbytes(added), b"\xff" * added, bytes(added)])
        content = content[:place] + filling + content[place + removed :]
    return content[: generator.randrange(len(content) + 1)] if generator.random() < 0.3 else content


def json_values():
    """A strategy: what JSON can hold, by a single number as in `damaged`."""
    return SEEDS.map(lambda seed: make_json(random.Random(seed)))


def make_json(generator: random.Random, depth: int = 0):
    """One of what `json_values` yields."""
    kind = generator.randrange(8 if depth < 3 else 6)
    inner = range(generator.randrange(4)) if kind > 5 else ()
    if kind == 7:
        return {generator.choice(_WORDS): make_json(generator, depth + 1) for _ in inner}
    leaves = (None, generator.random() < 0.5, generator.choice(_NUMBERS), generator.choice(_WORDS), -1, 2)
    return [make_json(generator, depth + 1) for _ in inner] if kind == 6 else leaves[kind]


def read_or_refuse(read, *arguments, **options):
    """What `read` returns, or None if it refuses its input with a `UserError` of one line that can be printed."""
    try:
        return read(*arguments, **options)
    except UserError as error:
        words = str(error)
        assert words and "\n" not in words and len(words) < 10_000
        words.encode()
        return None


def overwrite(path, content: bytes):
    """Write a file in place, without the cost of a new one."""
    with open(path, "wb") as file:
        file.write(content)
    return path
