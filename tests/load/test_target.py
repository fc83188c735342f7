"""URLs of a run."""

import pytest

from easymo.load import ScenarioError, Target, parse_target, parse_targets
from easymo.load.target import find_target


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [
        ("http://127.0.0.1:4405", Target("127.0.0.1", 4405), "127.0.0.1:4405"),
        ("http://voice.example/", Target("voice.example", 80), "voice.example"),
        ("http://voice.example/api/v1/", Target("voice.example", 80, "/api/v1"), "voice.example"),
        ("https://voice.example/api", Target("voice.example", 443, "/api", tls=True), "voice.example"),
        ("https://voice.example:80", Target("voice.example", 80, tls=True), "voice.example:80"),
        ("http://[::1]:8000", Target("::1", 8000), "[::1]:8000"),
    ],
)
def test_a_url_names_host_port_and_base_path(url: str, target: Target, authority: str) -> None:
    assert parse_target(url) == target
    assert target.authority == authority
    assert parse_target(target.url) == target


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:80",
        "ftp://a.example",
        "http://",
        "https://",
        "http://a:99999",
        "http://a:b",
        "http://a?x=1",
        "http://u@a",
    ],
)
def test_anything_but_an_http_or_https_url_is_refused(url: str) -> None:
    with pytest.raises(ScenarioError, match="The URL"):
        parse_target(url)


def test_targets_have_names_and_one_is_the_default() -> None:
    targets = parse_targets(["http://a:1/x=y", "video=http://b:2"])
    assert targets == {"": Target("a", 1, "/x=y"), "video": Target("b", 2)}
    assert find_target(targets, "video", "render") == Target("b", 2)
    assert find_target(targets, "", "calls") == Target("a", 1, "/x=y")


def test_the_only_target_is_the_default_whatever_its_name() -> None:
    assert find_target(parse_targets(["video=http://b:2"]), "", "calls") == Target("b", 2)


def test_two_urls_of_one_name_are_refused() -> None:
    with pytest.raises(ScenarioError, match="Two URLs are given for 'video'"):
        parse_targets(["video=http://a", "video=http://b"])


def test_a_missing_target_is_named_with_those_that_are_there() -> None:
    with pytest.raises(ScenarioError, match="goes to the default target, but the URLs given are: 'a', 'b'"):
        find_target(parse_targets(["a=http://a", "b=http://b"]), "", "calls")
