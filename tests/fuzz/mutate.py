"""Damages seeds: in their bytes, their words, their numbers, and in how often things are repeated."""

import random
import re

NUMBERS = (b"0", b"-1", b"1", b"2147483647", b"2147483648", b"-9223372036854775809", b"18446744073709551616",
           b"1e308", b"1e999", b"nan", b"inf", b"-inf", b"0x10", b"1_000", b"\xd9\xa1", b"9" * 5000, b"",
           b"0.5")  # fmt: skip
ODD = (b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", "é".encode(), "\u202e".encode(), "😀".encode(), b"\r", b"\r\n", b"\t",
       b"\n", b" ", b'"', b"'", b"\\", b"..", b"/", b"%s", b"{}", b"[]", b"<b>", b"#", b",", b":", b"\xed\xa0\x80",
       b"null", b"true", b"*", b"&a", b"<DEL>", b".", b"\x1f\x8b", b"BZh")  # fmt: skip
_PIECES = re.compile(rb"[0-9.]+|[A-Za-z_]+|\s+|.", re.DOTALL)
_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?")
_BYTES = range(256)
LONGEST = 300_000


class Mutator:
    """Makes damaged inputs from seeds, putting in `words` besides those of the seeds. Same seed, same inputs."""

    def __init__(self, seeds: list[bytes], words: tuple[bytes, ...] = (), seed: int = 0, binary: bool = False):
        self.seeds, self.words, self.binary = list(seeds), (*words, *ODD), binary
        self.random = random.Random(seed)
        self._kinds = [self._flip, self._cut, self._truncate, self._repeat, self._insert, self._splice, self._swap]
        if not binary:
            self._kinds += [self._number, self._number, self._word, self._word, self._line, self._column, self._nest]

    def make(self) -> bytes:
        """One input: now and then a seed as it is, mostly one with one to six changes."""
        data = self.random.choice(self.seeds)
        if self.random.random() < 0.02:
            return self.random.choice([b"", data, self.random.randbytes(self.random.randrange(200))])
        for _ in range(1 + min(int(self.random.expovariate(0.7)), 5)):
            data = self.random.choice(self._kinds)(data)[:LONGEST]
        return data

    def _at(self, data: bytes) -> int:
        return self.random.randrange(len(data) + 1)

    def _span(self, data: bytes, most: int = 64) -> tuple[int, int]:
        start = self._at(data)
        return start, min(len(data), start + 1 + self.random.randrange(most))

    def _flip(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(self.random.choice((1, 1, 2, 8))):
            if changed:
                at = self.random.randrange(len(changed))
                changed[at] = self.random.choice(
                    (changed[at] ^ 1 << self.random.randrange(8), self.random.choice(_BYTES))
                )
        return bytes(changed)

    def _cut(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + data[end:]

    def _truncate(self, data: bytes) -> bytes:
        return data[: self._at(data)]

    def _repeat(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:end] + data[start:end] * self.random.choice((1, 2, 20, 1000)) + data[end:]

    def _insert(self, data: bytes) -> bytes:
        at, piece = self._at(data), self.random.choice((self.random.choice(self.words), self.random.randbytes(4)))
        return data[:at] + piece + data[at:]

    def _splice(self, data: bytes) -> bytes:
        other = self.random.choice(self.seeds)
        return data[: self._at(data)] + other[self._at(other) :]

    def _swap(self, data: bytes) -> bytes:
        (a, b), (c, d) = sorted((self._span(data, 16), self._span(data, 16)))
        return data if b > c else data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]

    def _number(self, data: bytes) -> bytes:
        found = list(_NUMBER.finditer(data))
        if not found:
            return data
        match = self.random.choice(found)
        return data[: match.start()] + self.random.choice(NUMBERS) + data[match.end() :]

    def _word(self, data: bytes) -> bytes:
        pieces = _PIECES.findall(data[:20_000])
        if not pieces:
            return data
        at = self.random.randrange(len(pieces))
        pieces[at] = self.random.choice((self.random.choice(pieces), self.random.choice(self.words), b""))
        return b"".join(pieces) + data[20_000:]

    def _line(self, data: bytes) -> bytes:
        lines = data.split(b"\n")
        at, other = self.random.randrange(len(lines)), self.random.randrange(len(lines))
        way = self.random.randrange(4)
        if way == 0:
            del lines[at]
        elif way == 1:
            lines[at], lines[other] = lines[other], lines[at]
        elif way == 2:
            lines.insert(at, lines[other])
        else:
            lines[at] = b" " * self.random.randrange(5) + lines[at].lstrip()
        return b"\n".join(lines)

    def _column(self, data: bytes) -> bytes:
        lines = data.split(b"\n")
        at = self.random.randrange(len(lines))
        sign = b"\t" if b"\t" in lines[at] else self.random.choice((b",", b" ", b":"))
        cells = lines[at].split(sign)
        cell = self.random.randrange(len(cells))
        way = self.random.randrange(4)
        if way == 0:
            del cells[cell]
        elif way == 1:
            cells.insert(cell, self.random.choice(NUMBERS))
        elif way == 2:
            cells[cell] = self.random.choice(self.words)
        else:
            self.random.shuffle(cells)
        lines[at] = sign.join(cells)
        return b"\n".join(lines)

    def _nest(self, data: bytes) -> bytes:
        at, sign = (
            self._at(data),
            self.random.choice((b"(", b"[", b"{", b"!", b"- ", b"not ", b"log(", b'{"a":', b"[[")),
        )
        count = self.random.choice((2, 30, 2000))
        shut = {b"(": b")", b"[": b"]", b"{": b"}", b"log(": b")", b'{"a":': b"}", b"[[": b"]]"}.get(sign, b"")
        return data[:at] + sign * count + data[at:] + shut * count
