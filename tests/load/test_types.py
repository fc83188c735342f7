"""Whatever types an author writes, a scenario works or says in a sentence what is wrong, with file and line."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easymo.load import Call, Request, Scenario, ScenarioError, Stage, Target, Visitor, build_schedule, load_scenario

anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 700),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.lists(st.integers(1, 600), max_size=2),
    st.dictionaries(st.text(max_size=3), st.one_of(st.integers(), st.text(max_size=3)), max_size=2),
    st.just(len),
    st.just(object),
)
calls = st.builds(
    Call,
    st.sampled_from(["GET", "POST"]) | anything,
    st.just("/") | anything,
    st.just({}) | anything,
    st.just(b"") | anything,
)
requests = st.builds(
    lambda build, name, weight, target, expect, check: Request(name, weight, build, target, expect, check),
    st.builds(lambda call: lambda _: call, calls | anything) | anything,
    st.just("a") | anything,
    st.just(1) | anything,
    st.just("") | anything,
    st.just({200}) | anything,
    st.just(()) | anything,
)
visitors = st.builds(
    lambda name, weight, steps, think_s: Visitor(name, weight, steps, think_s),
    st.just("v") | anything,
    st.just(1) | anything,
    st.lists(requests | anything, max_size=2) | anything,
    st.just(0.1) | anything,
)


@settings(max_examples=300, deadline=None)
@given(entries=st.lists(requests | visitors | anything, max_size=2) | anything)
def test_any_types_make_a_schedule_or_a_sentence(entries: Any) -> None:
    rows: list[Any] = []
    with suppress(ScenarioError):
        rows = list(build_schedule(Scenario(entries), {"": Target("127.0.0.1", 80)}, [Stage(20, 0.2)], seed=1))
    assert all(isinstance(row.payload, bytes) for row in rows)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('Request("a", 1, lambda rng: Call("POST", "/upload", {}, "{}"))', "body is str '{}', but must be bytes"),
        (
            'Request("a", 1, lambda rng: Call("POST", "/", {}, {"a": 1}))',
            "body is dict {'a': 1}, but must be bytes",
        ),
        ('Request("a", 1, lambda rng: Call("GET", "/ok", {"X": 1}))', "header 'X': int 1 must be a text: write str(…)"),
        ('Request("a", 1, lambda rng: Call("GET", None))', "path None must start with /"),
        ('Request("a", 1, lambda rng: "/")', "build returned str, not a Call"),
        ('Request("a", 1, lambda rng: Call("GET", 1 / 0))', "raised ZeroDivisionError"),
    ],
)
def test_a_call_of_wrong_types_is_named_with_file_and_line(tmp_path: Path, line: str, says: str) -> None:
    file = tmp_path / "load.py"
    file.write_text(f"from easymo.load import Call, Request, Scenario\n\nscenario = Scenario([\n    {line},\n])\n")
    schedule = build_schedule(load_scenario(file), {"": Target("a", 1)}, [Stage(5, 1)], seed=1)
    with pytest.raises(ScenarioError) as caught:
        list(schedule)
    assert str(caught.value).startswith(f"{file}:4: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('Request("a", 1, page, expect=404)', "expect is int 404: it must be a set of statuses such as {200, 404}"),
        ('Request("a", 1, page, expect="404")', "expect is str '404'"),
        ('Request("a", "1", page)', "weight of request 'a' is str '1'"),
        ('Request("a", 1, Call("GET", "/"))', "build is Call"),
        ("Request(7, 1, page)", "name of a request is int 7"),
        ('Request("a", 1, page, target=None)', "target is NoneType None"),
        ('Request("a", 1, page, check="ok")', "check is str 'ok': it must be a function of the reply"),
        ('Visitor("v", 1, [page])', "it must be a Request"),
        ('Visitor("v", 1, Request("a", 1, page))', "it must be a list with at least one Request"),
        ('Visitor("v", 1, [Request("a", 1, page)], think_s=(3, 1))', "think_s is tuple (3, 1)"),
        ('Request("a", 1, page, expects={404})', "TypeError"),
        ('"GET /"', "A scenario holds Request(…) and Visitor(…), not str"),
    ],
)
def test_a_request_of_wrong_types_is_named_with_file_and_line(tmp_path: Path, line: str, says: str) -> None:
    file = tmp_path / "load.py"
    file.write_text(
        "from easymo.load import Call, Request, Scenario, Visitor\n"
        f"page = lambda rng: Call('GET', '/')\nscenario = Scenario([{line}])\n"
    )
    with pytest.raises(ScenarioError) as caught:
        load_scenario(file)
    assert str(caught.value).startswith(f"{file}:3")
    assert says in str(caught.value)
