"""Streams of a compound file, the little file system inside an .xls (MS-CFB)."""

from __future__ import annotations

import struct

_STREAM, _ROOT = 2, 5  # kinds of entries
_END = 0xFFFFFFFA  # from here on, numbers of sectors are marks


class NotCompound(Exception):
    """The file system is damaged."""


def stream(data: bytes, *names: str) -> bytes:
    """The first of these streams that there is; empty if there is none. :raises NotCompound:"""
    try:
        return _Compound(data).stream(names)
    except (struct.error, IndexError, OverflowError) as error:
        raise NotCompound from error


class _Compound:
    def __init__(self, data: bytes) -> None:
        self.data = data
        shift, mini_shift = struct.unpack_from("<HH", data, 30)
        if not (7 <= shift <= 16 and 2 <= mini_shift <= shift):
            raise NotCompound
        self.size, self.mini_size = 1 << shift, 1 << mini_shift
        self.directory, self.cutoff, self.first_mini = (
            struct.unpack_from("<L", data, 48)[0],
            struct.unpack_from("<L", data, 56)[0],
            struct.unpack_from("<L", data, 60)[0],
        )
        self.table = self._numbers(self._sectors_of_the_table())

    def stream(self, names: tuple[str, ...]) -> bytes:
        found: dict[str, tuple[int, int]] = {}
        entries = b"".join(map(self._sector, self._chain(self.directory, self.table)))
        for at in range(0, len(entries) - 127, 128):
            length, kind = struct.unpack_from("<H", entries, at + 64)[0], entries[at + 66]
            title = entries[at : at + max(0, min(length, 64) - 2)].decode("utf-16-le", "replace")
            if kind in (_STREAM, _ROOT):
                found["" if kind == _ROOT else title.lower()] = struct.unpack_from("<LL", entries, at + 116)
        for name in names:
            if name.lower() in found:
                return self._content(*found[name.lower()], root=found.get("", (_END, 0)))
        return b""

    def _content(self, first: int, size: int, *, root: tuple[int, int]) -> bytes:
        if size >= self.cutoff:
            return b"".join(map(self._sector, self._chain(first, self.table)))[:size]
        small = b"".join(map(self._sector, self._chain(root[0], self.table)))
        table = self._numbers(self._chain(self.first_mini, self.table))
        width = self.mini_size
        return b"".join(small[number * width : (number + 1) * width] for number in self._chain(first, table))[:size]

    def _sectors_of_the_table(self) -> list[int]:
        listed = [number for number in struct.unpack_from("<109L", self.data, 76) if number < _END]
        at, seen = struct.unpack_from("<L", self.data, 68)[0], set()
        while at < _END and at not in seen:
            seen.add(at)
            numbers = self._numbers([at])
            listed += [number for number in numbers[:-1] if number < _END]
            at = numbers[-1]
        return listed

    def _numbers(self, sectors: list[int]) -> tuple[int, ...]:
        content = b"".join(map(self._sector, sectors))
        return struct.unpack(f"<{len(content) // 4}L", content[: len(content) // 4 * 4])

    def _sector(self, number: int) -> bytes:
        return self.data[(number + 1) * self.size : (number + 2) * self.size]

    def _chain(self, first: int, table: tuple[int, ...]) -> list[int]:
        chain: list[int] = []
        at = first
        while at < _END:
            chain.append(at)
            if len(chain) > len(table):
                raise NotCompound  # it runs in a circle
            at = table[at]
        return chain
