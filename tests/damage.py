"""Ways in which a file can be damaged, by name: each takes its content and gives another."""

import random
from collections.abc import Callable


def flipped(content: bytes, bit: int) -> bytes:
    """Returns the content with one bit turned round."""
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def bits(content: bytes, count: int, seed: int) -> list[int]:
    """Returns the numbers of some bits: those of both ends, where formats keep what they read first, and any others."""
    drawn = random.Random(seed)
    ends = [drawn.randrange(8 * min(64, len(content))) for _ in range(count // 4)]
    ends += [8 * len(content) - 1 - drawn.randrange(8 * min(64, len(content))) for _ in range(count // 4)]
    return ends + [drawn.randrange(8 * len(content)) for _ in range(count - len(ends))]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "first bit": lambda content: flipped(content, 0),
    "bit in the middle": lambda content: flipped(content, 4 * len(content)),
    "last bit": lambda content: flipped(content, 8 * len(content) - 1),
    "cut in half": lambda content: content[: len(content) // 2],
    "last byte cut off": lambda content: content[:-1],
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "garbage behind": lambda content: content + b"garbage",
}
