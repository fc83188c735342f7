"""The scan finds what a generator made and is quiet about what people write into tests and pages."""

import random
import secrets
import string

import pytest

from tests.repo.secret_scan import FORMATS, IGNORE, findings, main

LETTERS = string.ascii_letters + string.digits
DICE = random.Random(7)


def made(length: int, characters: str = LETTERS) -> str:
    return "".join(DICE.choices(characters, k=length))


HEX = "0123456789abcdef"
PLANTED = {
    "private key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "AWS access key": "AKI" + "A" + made(16, string.ascii_uppercase + string.digits),
    "GitHub token": "gh" + "p_" + made(36),
    "Slack token": "xox" + "b-" + made(24, string.digits),
    "API key of a language model": "s" + "k-proj-" + made(48),
    "Meta access token": "EA" + "A" + made(120),
    "Twilio account or key": "A" + "C" + made(32, HEX),
    "signed token": "ey" + "J" + made(30) + ".ey" + "J" + made(60) + "." + made(43),
}


def test_every_kind_of_secret_that_has_a_form_is_planted() -> None:
    assert PLANTED.keys() == FORMATS.keys()


@pytest.mark.parametrize("kind", PLANTED)
def test_a_secret_is_found_wherever_it_stands(kind: str) -> None:
    assert (2, kind) in list(findings(f"first line\nvalue: '{PLANTED[kind]}' # why\n"))


@pytest.mark.parametrize(
    "line",
    [
        "SERVICE_JWT_KEYS_SECRET={}",
        "whatsapp_app_secret = '{}'",
        '  "apiKey": "{}",',
        "export TWILIO_AUTH_TOKEN={}",
        "password: {}",
    ],
)
def test_a_random_value_under_the_name_of_a_secret_is_found(line: str) -> None:
    assert list(findings(line.format(secrets.token_hex(24))))


def test_a_random_password_in_an_address_is_found() -> None:
    assert list(findings(f"DATABASE_URL=postgresql://voice:{made(24, HEX)}@db:5432/easymo"))


@pytest.mark.parametrize(
    "line",
    [
        'SECRET = "app-secret-of-the-tests"',
        '"SERVICE_JWT_KEYS": "key-of-the-tests-of-agent-core-012345",',
        'URL = "postgresql://user:secret@db.example/easymo"',
        'MARK = "hunter2-which-nobody-may-see-0123456"',
        '{name: REDIS_URL, value: "redis://:$(REDIS_PASSWORD)@redis:6379/0"}',
        "kubectl create secret generic easymo-redis -n production --from-env-file=redis.env",
        "password = unquote(parts.password or '')",
        "    --hash=sha256:744939fdfb3e0c36d88ccaf1f73cb1cf8cc38e7052666b884502db99aff8f3fd \\",
        "token=$(python -m easymo_platform token voice-bridge ops:read)",
    ],
)
def test_what_people_write_is_no_finding(line: str) -> None:
    assert list(findings(line)) == []


def test_a_line_may_say_that_it_holds_none() -> None:
    assert list(findings(f"{PLANTED['AWS access key']}  # {IGNORE} the example of a manual")) == []


def test_nothing_tracked_holds_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0, capsys.readouterr().err
