"""Traces from files: what is read, and what is refused with its line and what to do."""

import json
from pathlib import Path

import pytest

from easymo.trace import SHAPES, Series, TraceError, read_trace, shape


def write(folder: Path, text: str, name: str = "trace.csv") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def refused(folder: Path, text: str, *words: str, **options: bool) -> TraceError:
    with pytest.raises(TraceError) as caught:
        read_trace(write(folder, text), **options)
    for word in ("trace.csv", *words):
        assert word in str(caught.value)
    return caught.value


def regular(rows: int, skip: range = range(0)) -> str:
    return "time,value\n" + "".join(f"{15 * i},{i}\n" for i in range(rows) if i not in skip)


def test_unix_seconds_and_iso_times_are_the_same_moment(tmp_path: Path) -> None:
    numbers = read_trace(write(tmp_path, "time,value\n1764000000,5\n1764000015,7\n"))
    texts = read_trace(write(tmp_path, "time,value\n2025-11-24T16:00:00Z,5\n2025-11-24 16:00:15,7\n"))
    zoned = read_trace(write(tmp_path, "value,time\n5,2025-11-24T18:00:00+02:00\n7,2025-11-24T18:00:15+02:00\n"))
    assert numbers == texts == zoned == {"": Series((1764000000.0, 1764000015.0), (5.0, 7.0))}


def test_a_series_column_makes_one_series_per_name(tmp_path: Path) -> None:
    found = read_trace(write(tmp_path, "time,value,series\n0,1,voice\n0,9,video\n15,2,voice\n15,8,video\n"))
    assert found == {"voice": Series((0, 15), (1, 2)), "video": Series((0, 15), (9, 8))}


def test_a_value_holds_until_the_next_row_and_the_last_as_long_as_the_one_before() -> None:
    series = Series((0.0, 10.0, 40.0), (1.0, 2.0, 3.0))
    assert [series.at(t) for t in (-5, 0, 9.9, 10, 39, 40, 99)] == [1, 1, 1, 2, 2, 3, 3]
    assert series.end_s == 70
    assert [tuple(span) for span in series.spans()] == [(0, 10, 1), (10, 40, 2), (40, 70, 3)]


def test_a_trace_by_hand_may_have_steps_of_any_length(tmp_path: Path) -> None:
    found = read_trace(write(tmp_path, "time,value\n0,1\n600,2\n660,1\n9000,1\n"))
    assert found[""].at(5000) == 1


def test_a_gap_in_a_regular_trace_is_refused_with_its_line(tmp_path: Path) -> None:
    error = refused(tmp_path, regular(40, skip=range(20, 24)), "every 15 s", "285 s and 360 s", "--hold-gaps")
    assert error.place == 22
    held = read_trace(write(tmp_path, regular(40, skip=range(20, 24))), hold_gaps=True)
    assert held[""].at(15 * 22) == 19


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("time,value\n0,1\n15,-3\n", 3, "never negative"),
        ("time,value\n0,1\n15,NaN\n", 3, "no amount of demand"),
        ("time,value\n0,1\n15,inf\n", 3, "no amount of demand"),
        ("time,value\n0,1\n30,2\n15,2\n", 4, "Sort its rows"),
        ("time,value\n0,1\n15,2\n15,2\n", 4, "twice"),
        ("time,value\n0,1\n15,\n", 3, "Fill the gap"),
        ("time,value\n0,1\nyesterday,2\n", 3, "ISO 8601"),
        ("time,value\nnan,1\n15,2\n", 2, "ISO 8601"),
        ("time,value\n0,1\n1e19,2\n", 3, "no time"),
        ("time,value\n1764000000,1\n1764000015000,2\n", 2, "milliseconds and seconds"),
        ("time,value\n0,1\n15,1.2 K\n", 3, "without units"),
        ("zeit,wert\n0,1\n", 1, "time,value"),
        ("time,value\n", 1, "no row"),
        ("time,value\n0,1\n", 2, "fewer than two rows"),
        ("", None, "it is empty"),
        (" \n\n", None, "it is empty"),
    ],
)
def test_bad_rows_are_refused_with_their_line(tmp_path: Path, text: str, place: int | None, word: str) -> None:
    assert refused(tmp_path, text, word).place == place


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        (("1764000000000", "1764000015000"), "milliseconds"),
        (("1764000000000.0", "1.764000015e12"), "milliseconds"),
        (("1764000000000000", "1764000015000000"), "microseconds"),
        (("1764000000000000000", "1764000015000000000"), "nanoseconds"),
    ],
)
def test_unix_times_in_smaller_units_are_recognised_and_said(tmp_path: Path, times: tuple[str, str], unit: str) -> None:
    found = read_trace(write(tmp_path, f"time,value\n{times[0]},5\n{times[1]},7\n"))[""]
    assert found.times_s == (1764000000.0, 1764000015.0)
    assert found.note == f"times are read as {unit}"


@pytest.mark.parametrize(
    "text",
    [
        "time;value;series\n0;1,5;voice\n0;9;video\n15;2;voice\n15;8;video\n",
        "time\tvalue\tseries\n0\t1.5\tvoice\n0\t9\tvideo\n15\t2\tvoice\n15\t8\tvideo\n",
        '"Time","voice","video"\n0,1.5,9\n15,2,8\n',
        "sep=;\nTime;voice;video\n0;1,5;9\n15;2;8\n",
        '"Series";"Time";"Value"\nvoice;0;1.5\nvoice;15;2\nvideo;0;9\nvideo;15;8\n',
        '\ufeff"Time","voice","video"\r\n"1970-01-01 00:00:00",1.5,9\r\n"1970-01-01 00:00:15",2,8\r\n\r\n',
        "Time,voice,video\n0,1.5,9\n7,,8\n15,2,8\n".replace("7,,8\n", ""),
    ],
)
def test_csv_as_spreadsheets_and_grafana_write_it(tmp_path: Path, text: str) -> None:
    found = read_trace(write(tmp_path, text))
    assert found == {"voice": Series((0, 15), (1.5, 2)), "video": Series((0, 15), (9, 8))}


def test_an_empty_cell_of_a_column_per_series_is_no_value(tmp_path: Path) -> None:
    found = read_trace(write(tmp_path, "Time,voice,video\n0,1,9\n7,,7\n15,2,8\n"))
    assert found == {"voice": Series((0, 15), (1, 2)), "video": Series((0, 7, 15), (9, 7, 8))}


def test_one_column_beside_the_time_is_the_series(tmp_path: Path) -> None:
    assert read_trace(write(tmp_path, "Time,requests/s\n0,1\n15,2\n")) == {"": Series((0, 15), (1, 2))}


def local(*clocks: str) -> str:
    return "time,value\n" + "".join(f"2026-10-25 {clock},{i}\n" for i, clock in enumerate(clocks))


def test_the_hour_that_autumn_repeats_is_kept_apart_by_the_order_of_the_rows(tmp_path: Path) -> None:
    clocks = [f"{hour:02}:{minute:02}:00" for hour in (1, 2, 2, 3) for minute in range(60)]
    found = read_trace(write(tmp_path, local(*clocks)))[""]
    assert {b - a for a, b in zip(found.times_s, found.times_s[1:], strict=False)} == {60.0}
    assert found.values == tuple(map(float, range(240)))
    assert "set back at line 122" in found.note


def test_the_hour_that_spring_leaves_out_is_no_gap_to_fill(tmp_path: Path) -> None:
    clocks = [f"{hour:02}:{minute:02}:00" for hour in (0, 1, 3) for minute in range(60)]
    refused(tmp_path, local(*clocks).replace("10-25", "03-29"), "set forward", "UTC")


@pytest.mark.parametrize("name", ["timestamp", "Date", "ts", "@timestamp", "DateTime"])
def test_the_column_of_times_has_the_names_that_tools_give_it(tmp_path: Path, name: str) -> None:
    assert read_trace(write(tmp_path, f"{name},value\n0,1\n15,2\n")) == {"": Series((0, 15), (1, 2))}


def test_local_times_that_only_go_back_are_refused_and_the_way_out_is_said(tmp_path: Path) -> None:
    refused(tmp_path, local("01:00:00", "01:01:00", "01:00:30", "01:02:00"), "goes back", "UTC")
    refused(tmp_path, local("02:00:00", "02:00:00", "02:01:00", "02:01:00"), "twice", "set back")
    zoned = local("02:58:00", "02:59:00", "02:00:00", "02:01:00").replace(":00,", ":00Z,")
    assert "set back" not in str(refused(tmp_path, zoned, "goes back"))


def test_a_file_that_is_not_there_and_one_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="cannot be read"):
        read_trace(tmp_path / "nothing.csv")
    binary = tmp_path / "trace.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TraceError, match="cannot be read"):
        read_trace(binary)


def prometheus(*series: tuple[dict[str, str], list[list[object]]]) -> str:
    result = [{"metric": labels, "values": values} for labels, values in series]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


def test_an_answer_of_prometheus_is_read(tmp_path: Path) -> None:
    found = read_trace(write(tmp_path, prometheus(({"job": "web"}, [[0, "1.5"], [15, "2"]]))))
    assert found == {"": Series((0, 15), (1.5, 2))}


def test_several_series_are_named_by_the_labels_in_which_they_differ(tmp_path: Path) -> None:
    values: list[list[object]] = [[0, "1"], [15, "2"]]
    text = prometheus(({"job": "web", "service": "voice"}, values), ({"job": "web", "service": "video"}, values))
    assert list(read_trace(write(tmp_path, text))) == ["voice", "video"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "not valid JSON"),
        ("[]", "query_range"),
        ('{"status": "error", "error": "parse error", "data": {}}', "parse error"),
        ('{"status": "error", "errorType": "bad_data", "error": "unknown function rat"}', "unknown function rat"),
        ('{"status": "error"}', "the query failed"),
        ('{"message": "Unauthorized", "traceID": ""}', "Unauthorized"),
        ('{"status": "success", "data": {"resultType": "vector", "result": []}}', "not a matrix"),
        ('{"status": "success", "data": {"resultType": "matrix", "result": []}}', "found nothing"),
        (prometheus(({}, [[0, "1"], [15, "NaN"]])), "result[0].values[1]"),
        (prometheus(({}, [[0, "1"], [15]])), "no [time, value]"),
        (prometheus(({"a": "1"}, [[0, "1"], [9, "1"]]), ({"a": "1"}, [[0, "1"], [9, "1"]])), "Sum them"),
    ],
)
def test_a_bad_answer_of_prometheus_is_refused(tmp_path: Path, text: str, word: str) -> None:
    refused(tmp_path, text, word)


LINE = '10.0.0.1 - ann [24/Nov/2026:08:{:02}:{:02} +0000] "GET /calls HTTP/1.1" 200 512 "-" "curl"\n'


def test_an_access_log_is_counted_into_requests_per_second(tmp_path: Path) -> None:
    lines = [LINE.format(0, 1)] * 30 + [LINE.format(0, 31)] * 3 + [LINE.format(0, 2)] * 15
    found = read_trace(write(tmp_path, "".join(lines), "access.log"))
    assert found[""].values == (3.0, 0.0, 0.2)


def test_the_stretch_in_which_an_access_log_is_counted_can_be_a_second(tmp_path: Path) -> None:
    lines = [LINE.format(0, 1)] * 30 + [LINE.format(0, 4)] * 3 + [LINE.format(0, 2)] * 15
    found = read_trace(write(tmp_path, "".join(lines), "access.log"), log_stretch_s=1)
    assert found[""].values == (30.0, 15.0, 0.0, 3.0)


def test_a_line_that_is_none_of_an_access_log_is_refused_with_its_number(tmp_path: Path) -> None:
    assert refused(tmp_path, LINE.format(0, 1) + "\n" + "segfault\n", "combined").place == 3
    refused(tmp_path, LINE.format(0, 1) * 3, "longer piece")


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_stays_between_base_and_peak_and_reaches_both(name: str) -> None:
    series = shape(name, 20.0, 300.0)
    assert min(series.values) == pytest.approx(20.0)
    assert max(series.values) == pytest.approx(300.0)
    assert series.start_s == 0
    assert series.end_s in (3600, 4 * 3600, 24 * 3600)
