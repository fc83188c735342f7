"""Scenarios say what is wrong with them before anything is sent."""

from pathlib import Path

import pytest

from easymo.load import Call, Request, Scenario, ScenarioError, ScenarioRandom, load_scenario


def front_page(_: ScenarioRandom) -> Call:
    return Call("GET", "/")


def test_tokens_are_the_same_again_for_the_same_seed_and_salt() -> None:
    first, second = ScenarioRandom(7, "a"), ScenarioRandom(7, "a")
    assert [first.token() for _ in range(5)] == [second.token() for _ in range(5)]


def test_no_token_occurs_twice_over_seeds_salts_and_places() -> None:
    tokens = [random.token() for seed in (1, 2) for salt in "ab" for random in [ScenarioRandom(seed, salt)] * 100]
    assert len(set(tokens)) == 400


def test_salt_changes_the_tokens_and_no_other_draw() -> None:
    first, second = ScenarioRandom(7, "a"), ScenarioRandom(7, "b")
    assert first.token() != second.token()
    assert [first.random() for _ in range(5)] == [second.random() for _ in range(5)]


def test_drawing_a_token_leaves_the_other_draws_alone() -> None:
    first, second = ScenarioRandom(7, ""), ScenarioRandom(7, "")
    first.token()
    assert first.random() == second.random()


@pytest.mark.parametrize("weight", [0, -1, float("inf"), float("nan")])
def test_a_weight_must_be_a_number_above_zero(weight: float) -> None:
    with pytest.raises(ScenarioError, match="weight of request 'front page'"):
        Scenario([Request("front page", weight, front_page)])


def test_a_scenario_needs_a_request() -> None:
    with pytest.raises(ScenarioError, match="has no request"):
        Scenario([])


def test_two_requests_must_not_share_a_name() -> None:
    with pytest.raises(ScenarioError, match="named 'front page'"):
        Scenario([Request("front page", 1, front_page), Request("front page", 2, front_page)])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (Call("get", "/"), "method 'get'"),
        (Call("GET", "no-slash"), "must start with /"),
        (Call("GET", "/with space"), "percent-encoded"),
        (Call("GET", "/a\r\nX: y"), "percent-encoded"),
        (Call("GET", "/é"), "percent-encoded"),
        (Call("GET", "/", {"X": "a\r\nY: b"}), "header 'X'"),
        (Call("GET", "/", {"X": "€"}), "header 'X'"),
        (Call("GET", "/", {"bad name": "x"}), "header 'bad name'"),
        (Call("POST", "/", {"content-length": "3"}, b"abc"), "leave it out"),
    ],
)
def test_a_call_that_is_no_http_is_refused_with_its_name(call: Call, says: str) -> None:
    request = Request("odd one", 1, lambda _: call)
    with pytest.raises(ScenarioError, match="'odd one'") as caught:
        Scenario([request]).build(request, ScenarioRandom(1, ""))
    assert says in str(caught.value)


def test_an_error_in_build_names_the_request_and_keeps_its_cause() -> None:
    request = Request("broken", 1, lambda _: dict[str, Call]()["key"])
    with pytest.raises(ScenarioError, match="'broken' raised KeyError") as caught:
        Scenario([request]).build(request, ScenarioRandom(1, ""))
    assert isinstance(caught.value.__cause__, KeyError)


def test_build_must_return_a_call() -> None:
    request = Request("text", 1, lambda _: "/")  # type: ignore[arg-type,return-value]
    with pytest.raises(ScenarioError, match="returned str, not a Call"):
        Scenario([request]).build(request, ScenarioRandom(1, ""))


@pytest.mark.parametrize(
    ("expect", "expected", "unexpected"),
    [(frozenset[int](), (200, 204, 304), (101, 404, 429, 500)), (frozenset({404, 503}), (404,), (200, 503))],
)
def test_expect_decides_which_statuses_are_no_error(
    expect: frozenset[int], expected: tuple[int, ...], unexpected: tuple[int, ...]
) -> None:
    request = Request("any", 1, front_page, expect=expect)
    assert all(request.expects(status) for status in expected)
    assert not any(request.expects(status) for status in unexpected)


def test_a_scenario_file_can_import_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "pages_beside_the_scenario.py").write_text("PATH = '/beside'\n")
    file = tmp_path / "scenario.py"
    file.write_text(
        "from easymo.load import Call, Request, Scenario\n"
        "from pages_beside_the_scenario import PATH\n"
        "scenario = Scenario([Request('page', 1, lambda rng: Call('GET', PATH))])\n"
    )
    scenario = load_scenario(file)
    assert scenario.build(scenario.requests[0], ScenarioRandom(1, "")).path == "/beside"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("scenario.py", None, "There is no scenario file"),
        ("scenario.txt", "", "is not a Python file"),
        ("scenario.py", "def broken(:\n", "cannot be imported: SyntaxError"),
        ("scenario.py", "import no_such_module_anywhere\n", "cannot be imported: ModuleNotFoundError"),
        ("scenario.py", "scenarios = []\n", "exports no scenario"),
        ("scenario.py", "scenario = 3\n", "exports no scenario"),
        ("scenario.py", "from easymo.load import Scenario\nscenario = Scenario([])\n", "has no request"),
    ],
)
def test_a_scenario_file_that_cannot_be_used_is_named(tmp_path: Path, name: str, text: str | None, says: str) -> None:
    file = tmp_path / name
    if text is not None:
        file.write_text(text)
    with pytest.raises(ScenarioError, match=str(file)) as caught:
        load_scenario(file)
    assert says in str(caught.value)
