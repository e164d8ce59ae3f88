# SPDX-License-Identifier: MIT
"""
Reads a table of an LMDB 0.9 data file with nothing but the file format: two meta pages (the one
with the higher transaction number is in force), B+trees of branch and leaf pages, values that do
not fit in overflow pages. The crash test reads the log through this while the service is dead, from
any key on, so that each restart costs what was added and not the whole log; at the end of a run the
result is compared with that of mdb_dump, where that is installed.
Not for duplicate keys (the store has none), not beside a writer.
"""
import mmap
import os
import struct
from collections.abc import Iterator

MAGIC, VERSION = 0xBEEFC0DE, 1
PAGE_HEAD = 16
BRANCH, LEAF = 1, 2
BIG_DATA, SUB_DATA = 1, 2
NO_PAGE = 2**64 - 1
META = struct.Struct("<IIQQ48s48sQQ")  # magic, version, address, map size, free, main, last, txn
DB = struct.Struct("<IHHQQQQQ")  # pad, flags, depth, branch, leaf, overflow pages, entries, root


class Damaged(Exception):
    """The file is not what LMDB writes."""


class DataFile:
    """A data.mdb, mapped as it is now."""

    def __init__(self, path: str) -> None:
        fd = os.open(path, os.O_RDONLY)
        try:
            self._map = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
        finally:
            os.close(fd)
        (self._page,) = struct.unpack_from("<I", self._map, PAGE_HEAD + 24)  # pad of the free table
        if self._page < 512 or self._page & (self._page - 1):
            raise Damaged(f"pages of {self._page} bytes")
        metas = [self._meta(i) for i in (0, 1)]
        self.txn, self._main = max(metas)

    def close(self) -> None:
        self._map.close()

    def _meta(self, i: int) -> tuple[int, int]:
        at = i * self._page + PAGE_HEAD
        magic, version, _, _, _, main, _, txn = META.unpack_from(self._map, at)
        if (magic, version) != (MAGIC, VERSION):
            raise Damaged(f"meta page {i}: magic {magic:x}, version {version}")
        return txn, DB.unpack(main)[-1]

    def table(self, name: str) -> int:
        """The root page of a named table; NO_PAGE when it is empty."""
        key = name.encode()
        for k, value in self._walk(self._main, key):
            if k == key:
                return DB.unpack(value)[-1]
            break
        raise Damaged(f"no table {name}")

    def items(self, name: str, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Key and value of a table, in order, from key `start` on."""
        return self._walk(self.table(name), start)

    def _nodes(self, page: int) -> tuple[int, list[int]]:
        at = page * self._page
        if at + self._page > len(self._map):
            raise Damaged(f"page {page} is beyond the end of the file")
        number, _, flags, lower, _ = struct.unpack_from("<QHHHH", self._map, at)
        if number != page or not flags & (BRANCH | LEAF):
            raise Damaged(f"page {page} says it is {number}, flags {flags:x}")
        count = (lower - PAGE_HEAD) // 2
        offsets = struct.unpack_from(f"<{count}H", self._map, at + PAGE_HEAD)
        return flags, [at + o for o in offsets]

    def _node(self, at: int) -> tuple[int, int, int, bytes, int]:
        low, high, flags, size = struct.unpack_from("<HHHH", self._map, at)
        return low, high, flags, self._map[at + 8:at + 8 + size], at + 8 + size

    def _walk(self, page: int, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        if page == NO_PAGE:
            return
        flags, nodes = self._nodes(page)
        if flags & LEAF:
            for at in nodes:
                low, high, node_flags, key, data = self._node(at)
                if key >= start:
                    yield key, self._value(low | high << 16, node_flags, data)
            return
        children = [self._node(at) for at in nodes]
        for i, (low, high, node_flags, _, _) in enumerate(children):
            last = i + 1 == len(children)
            if last or children[i + 1][3] > start:
                yield from self._walk(low | high << 16 | node_flags << 32, start)

    def _value(self, size: int, flags: int, at: int) -> bytes:
        if flags & BIG_DATA:
            (page,) = struct.unpack_from("<Q", self._map, at)
            at = page * self._page + PAGE_HEAD
        if at + size > len(self._map):
            raise Damaged("a value ends beyond the file")
        return self._map[at:at + size]
