"""What is hashed, and how: canonical JSON and Merkle trees. Knows no database.

Sources: RFC 8785 (canonical JSON), RFC 6962 section 2.1 (trees and inclusion proofs).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

_LEAF, _NODE = b"\x00", b"\x01"


def canonical(value: Any) -> bytes:
    """Write texts, whole numbers, lists and objects of them in the one way there is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def digest(value: Any) -> str:
    """The SHA-256 of a value's canonical JSON, in hex."""
    return sha256(canonical(value)).hexdigest()


def leaf(entry: Any) -> bytes:
    return sha256(_LEAF + canonical(entry)).digest()


def node(left: bytes, right: bytes) -> bytes:
    return sha256(_NODE + left + right).digest()


def root(leaves: Iterable[bytes]) -> str:
    """The root of the tree over the leaves, in hex; they may be many: only one hash a level is kept."""
    whole: list[bytes] = []  # the roots of complete subtrees, the largest first
    for number, one in enumerate(leaves):
        branch, smaller = one, number
        while smaller & 1:
            branch, smaller = node(whole.pop(), branch), smaller >> 1
        whole.append(branch)
    if not whole:
        return sha256(b"").hexdigest()
    top = whole.pop()
    while whole:
        top = node(whole.pop(), top)
    return top.hex()


class Tree:
    """A tree that is kept, to show of its leaves that they are in it."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.levels = [list(leaves)]
        while len(below := self.levels[-1]) > 1:
            pairs = [node(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)]
            self.levels.append(pairs + below[len(pairs) * 2 :])

    def path(self, index: int) -> list[str]:
        """The hashes beside the way from a leaf up to the root, in hex; one that stands alone rises as it is."""
        beside = []
        for level in self.levels[:-1]:
            if index ^ 1 < len(level):
                beside.append(level[index ^ 1].hex())
            index >>= 1
        return beside
