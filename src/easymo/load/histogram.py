"""HdrHistogram of times in µs, 1 µs to an hour, 3 significant digits; encoded as HdrHistogram's own V2 form.

Theory (hdrhistogram.org): values below 2,048 have a bucket each; from there on every doubling of the value has 1,024
buckets, so a bucket is never wider than 1/1,024 of its values. A bucket's index grows with its values. The V2 form is
base64 of a cookie, a length and zlib over a header and the counts by index: each a ZigZag LEB128 number, where a
negative one stands for so many buckets without any value. Files that other implementations wrote can be read and added
when they use 3 digits from 1 on.

Only buckets with a count are held here, in a dictionary: that is what makes decoding and adding fast without C.
"""

import base64
import binascii
import re
import struct
import zlib
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import accumulate, compress

HIGHEST = 3_600_000_000
_DIGITS = 3
_MAGNITUDE = 11  # bits of the smallest power of two from 2 · 10^3 on
_HALF_MAGNITUDE = _MAGNITUDE - 1
_COMPRESSED, _PLAIN = 0x1C849304, 0x1C849303
_ANY_WORD_SIZE = 0xF0  # these bits of a cookie are no part of its identity
_WORD_SIZE = 0x10
_LAST = (21 << _HALF_MAGNITUDE) + (HIGHEST >> 21)
_LONG_NUMBER = re.compile(rb"[\x80-\xff]+[\x00-\x7f]")
_STEPS = bytes((byte + 1) >> 1 if byte & 1 else 1 for byte in range(256))  # buckets that a number stands for
_IS_COUNT = bytes(byte & 1 == 0 and byte > 0 for byte in range(256))
_HEADER = struct.Struct(">IIIIQQd")


class Histogram:
    """Counts of values; `total` is their sum. Values below 0 count as 0, above an hour as an hour."""

    def __init__(self) -> None:
        self.counts = defaultdict[int, int](int)
        self.total = 0

    def record(self, values: Iterable[int]) -> None:
        """Count each of `values`."""
        counts = self.counts
        for value, count in Counter(values).items():
            shift = value.bit_length() - _MAGNITUDE
            if shift <= 0:
                counts[value if value > 0 else 0] += count
            elif value <= HIGHEST:
                counts[(shift << _HALF_MAGNITUDE) + (value >> shift)] += count
            else:
                counts[_LAST] += count
            self.total += count

    def merge(self, other: "Histogram") -> None:
        """Add the counts of another one."""
        for index, count in other.counts.items():
            self.counts[index] += count
        self.total += other.total

    def add(self, text: str) -> None:
        """Add an encoded histogram. Raises `ValueError` for a text that is none, or one of another precision."""
        try:
            data = base64.b64decode(text)
            cookie, length = struct.unpack_from(">II", data)
            if cookie & ~_ANY_WORD_SIZE != _COMPRESSED:
                raise ValueError("not a compressed HdrHistogram, version 2")
            plain = zlib.decompress(data[8 : 8 + length])
            cookie, length, offset, digits, lowest, _, _ = _HEADER.unpack_from(plain)
        except (binascii.Error, struct.error, zlib.error) as error:
            raise ValueError(f"not an HdrHistogram: {error}") from error
        if (cookie & ~_ANY_WORD_SIZE, offset, digits, lowest) != (_PLAIN, 0, _DIGITS, 1):
            raise ValueError(f"an HdrHistogram with {digits} digits from {lowest} on, not one with 3 from 1 on")
        self._add_counts(plain[_HEADER.size : _HEADER.size + length])

    def _add_counts(self, data: bytes) -> None:
        index = begin = 0
        for match in _LONG_NUMBER.finditer(data):
            index = self._add_short(data[begin : match.start()], index)
            number = sum((byte & 127) << 7 * place for place, byte in enumerate(match[0]))
            if number & 1:
                index += (number + 1) >> 1
            else:
                self.counts[index] += number >> 1
                self.total += number >> 1
                index += 1
            begin = match.end()
        self._add_short(data[begin:], index)

    def _add_short(self, data: bytes, index: int) -> int:
        """Add counts from `index` on, each number one byte, as nearly all are; returns the index that follows."""
        counts = self.counts
        indexes = list(accumulate(data.translate(_STEPS), initial=index))
        is_count = data.translate(_IS_COUNT)
        for index, doubled in compress(zip(indexes, data, strict=False), is_count):
            counts[index] += doubled >> 1
        self.total += sum(compress(data, is_count)) >> 1
        return indexes[-1]

    def encode(self) -> str:
        """The V2 compressed form in base64."""
        data = bytearray()
        following = 0
        for index, count in sorted(self.counts.items()):
            if gap := index - following:
                _append(data, 2 * gap - 1)
            _append(data, 2 * count)
            following = index + 1
        header = _HEADER.pack(_PLAIN | _WORD_SIZE, len(data), 0, _DIGITS, 1, HIGHEST, 1.0)
        packed = zlib.compress(header + data)
        return base64.b64encode(struct.pack(">II", _COMPRESSED | _WORD_SIZE, len(packed)) + packed).decode()

    def mean(self) -> float:
        """The mean of the values, each taken as the middle of its bucket."""
        twice = 0
        for index, count in self.counts.items():
            shift = (index >> _HALF_MAGNITUDE) - 1
            if shift > 0:
                twice += count * (((index - (shift << _HALF_MAGNITUDE)) << shift + 1) + (1 << shift) - 1)
            else:
                twice += 2 * count * index
        return twice / 2 / self.total

    def values(self) -> list[tuple[int, int]]:
        """The smallest value of each bucket with its count, ascending."""
        return [(_bounds(index)[0], count) for index, count in sorted(self.counts.items())]

    def at(self, shares: Iterable[float]) -> list[int]:
        """The values that these shares (0..1, in any order) did not exceed; there must be at least one."""
        ranks = [max(int(share * self.total + 0.5), 1) for share in shares]
        indexes = sorted(self.counts)
        seen = list(accumulate(map(self.counts.__getitem__, indexes)))
        return [_bounds(indexes[bisect_left(seen, rank)])[1] for rank in ranks]


def _bounds(index: int) -> tuple[int, int]:
    shift = max((index >> _HALF_MAGNITUDE) - 1, 0)
    lowest = (index - (shift << _HALF_MAGNITUDE)) << shift
    return lowest, lowest + (1 << shift) - 1


def _append(data: bytearray, number: int) -> None:
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    data.append(number)
