"""Our histogram is HdrHistogram's: what hdrhistogram wrote is read, and written again to the byte."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easymo.load.histogram import HIGHEST, Histogram

GOLDEN = Path(__file__).parent / "golden" / "hdr_histograms.json"
WRITTEN: list[dict[str, Any]] = json.loads(GOLDEN.read_text())["histograms"]
values = st.lists(st.integers(0, HIGHEST), max_size=100)


def recorded(*parts: list[int]) -> Histogram:
    histogram = Histogram()
    for part in parts:
        histogram.record(part)
    return histogram


def decoded(*texts: str) -> Histogram:
    histogram = Histogram()
    for text in texts:
        histogram.add(text)
    return histogram


def unpacked(text: str) -> bytes:
    """The compressed part: zlib's own bytes depend on its version."""
    data = base64.b64decode(text)
    assert data[:4] == b"\x1c\x84\x93\x14"
    assert int.from_bytes(data[4:8], "big") == len(data) - 8
    return zlib.decompress(data[8:])


@pytest.mark.parametrize("golden", WRITTEN, ids=lambda golden: golden["name"])
def test_what_hdrhistogram_wrote_has_its_counts_and_percentiles(golden: dict[str, Any]) -> None:
    histogram = decoded(golden["encoded"])
    assert histogram.total == golden["count"]
    assert histogram.counts == recorded(golden["values"] * golden["times"]).counts
    shares = [float(percentile) / 100 for percentile in golden["at"]]
    assert histogram.at(shares) == list(golden["at"].values())


@pytest.mark.parametrize("golden", WRITTEN, ids=lambda golden: golden["name"])
def test_the_same_values_are_written_as_hdrhistogram_writes_them(golden: dict[str, Any]) -> None:
    assert unpacked(recorded(golden["values"] * golden["times"]).encode()) == unpacked(golden["encoded"])


@given(parts=st.lists(values, max_size=4))
def test_adding_what_was_written_is_recording_it_at_once(parts: list[list[int]]) -> None:
    together = decoded(*(recorded(part).encode() for part in parts))
    assert (together.counts, together.total) == (recorded(*parts).counts, sum(map(len, parts)))


@given(count=st.integers(1, 2**55), value=st.integers(0, HIGHEST))
def test_a_count_of_any_size_survives(count: int, value: int) -> None:
    histogram = recorded([value])
    (index,) = histogram.counts
    histogram.counts[index] = count
    assert decoded(histogram.encode()).counts == {index: count}


@given(value=st.integers(0, HIGHEST))
def test_a_value_is_within_a_thousandth(value: int) -> None:
    assert value <= recorded([value]).at([1])[0] <= value * 1.001
    assert recorded([value]).mean() == pytest.approx(value, rel=0.0005)


def test_values_out_of_range_count_as_its_ends() -> None:
    assert recorded([-5, HIGHEST + 1, 10**15]).counts == recorded([0, HIGHEST, HIGHEST]).counts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AAAA",
        "not base64!",
        base64.b64encode(b"\x1c\x84\x93\x14\x00\x00\x00\x04abcd").decode(),
        base64.b64encode(b"\x1c\x84\x93\x13\x00\x00\x00\x00").decode(),
        base64.b64encode(
            b"\x1c\x84\x93\x14\x00\x00\x00\xff"
            + zlib.compress(bytes.fromhex("1c849313" + "00" * 11 + "02" + "00" * 7 + "01" + "00" * 16))
        ).decode(),
    ],
)
def test_what_is_no_such_histogram_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HdrHistogram"):
        decoded(text)
