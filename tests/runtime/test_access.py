"""Who may call what: service tokens, scopes and keys."""

from collections.abc import Callable

import jwt
import pytest

from easymo_platform.runtime.auth import LEEWAY_S, LIFETIME_S, InvalidToken, Tokens
from tests.runtime.conftest import KEY, SmallService

OLD, NEW = "old-key-of-this-test-0123456789abcdef", "new-key-of-this-test-0123456789abcdef"


def test_a_new_key_in_front_signs_and_the_old_one_still_verifies() -> None:
    rotated, before = Tokens([NEW, OLD], "orders"), Tokens([OLD], "orders")
    assert rotated.verify(before.sign("orders", ["a", "b"])).scopes == {"a", "b"}
    assert Tokens([NEW], "orders").verify(rotated.sign("orders", [])).subject == "orders"
    with pytest.raises(InvalidToken, match="a key that this service does not have"):
        before.verify(rotated.sign("orders", []))


def test_a_token_in_the_cache_of_checked_ones_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens([KEY], "orders")
    token = tokens.sign("orders", [], lifetime_s=-LEEWAY_S + 5)
    expires = tokens.verify(token).expires
    assert tokens.verify(token).subject == "orders", "it is in the cache now"
    monkeypatch.setattr("easymo_platform.runtime.auth.time.time", lambda: expires + LEEWAY_S + 1)
    with monkeypatch.context() as checked:
        # The library asks the clock itself; here it is only asked whether the cache still answers.
        checked.setattr(tokens, "_verify", lambda _: pytest.fail("checked anew"))
        with pytest.raises(pytest.fail.Exception, match="checked anew"):
            tokens.verify(token)


def test_the_cache_of_checked_tokens_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easymo_platform.runtime.auth._REMEMBERED_TOKENS", 3)
    tokens = Tokens([KEY], "orders")
    for number in range(10):
        tokens.verify(tokens.sign("orders", [], subject=f"service-{number}"))
    assert len(tokens._checked) <= 3


def test_a_token_lives_as_long_as_it_says() -> None:
    claims = jwt.decode(Tokens([KEY], "orders").sign("orders", []), KEY, algorithms=["HS256"], audience="orders")
    assert claims["exp"] - claims["iat"] == pytest.approx(LIFETIME_S)


def _unsigned() -> str:
    return jwt.encode({"iss": "easymo-services", "aud": "orders", "sub": "x", "exp": 9e9}, "", algorithm="none")


def _claims(**claims: object) -> str:
    all_claims = {"iss": "easymo-services", "aud": "orders", "sub": "x", "exp": 9e9, "scope": "orders:write"} | claims
    return jwt.encode({name: value for name, value in all_claims.items() if value}, KEY, algorithm="HS256")


@pytest.mark.parametrize(
    "make",
    [
        lambda: "",
        lambda: "abc",
        _unsigned,
        lambda: _claims(exp=1),
        lambda: _claims(exp=None),
        lambda: _claims(sub=None),
        lambda: _claims(aud="another-service"),
        lambda: _claims(iss="somebody"),
        lambda: Tokens([OLD], "orders").sign("orders", ["orders:write"]),
        lambda: _claims() + "x",
    ],
)
async def test_nothing_but_a_token_for_this_service_is_let_in(
    small_service: SmallService, make: Callable[[], str]
) -> None:
    async with small_service() as (client, _):
        headers = {"authorization": f"Bearer {make()}"}
        for response in (
            await client.get("/orders/1", headers=headers),
            await client.post("/orders", json={"amount": 1}, headers=headers),
        ):
            assert (response.status_code, response.json()["error"]) == (401, "unauthorized")
            assert response.headers["www-authenticate"] == "Bearer"


async def test_route_asks_for_its_scope(small_service: SmallService) -> None:
    async with small_service() as (client, app):
        given = {}
        for scope in ("orders:write", "orders:read", "orders:write-drafts", ""):
            token = app.state.runtime.tokens.sign("orders", [scope])
            response = await client.post("/orders", json={"amount": 1}, headers={"authorization": f"Bearer {token}"})
            given[scope] = response.status_code
    assert given == {"orders:write": 201, "orders:read": 403, "orders:write-drafts": 403, "": 403}


async def test_scope_claim_of_another_type_is_no_scope(small_service: SmallService) -> None:
    async with small_service() as (client, _):
        headers = {"authorization": f"Bearer {_claims(scope=7)}"}
        assert (await client.post("/orders", json={"amount": 1}, headers=headers)).status_code == 403


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/metrics", "/schema"])
async def test_probes_and_the_document_need_no_token(small_service: SmallService, path: str) -> None:
    async with small_service() as (client, _):
        del client.headers["authorization"]
        assert (await client.get(path)).status_code == 200


async def test_with_auth_disabled_nobody_is_asked(small_service: SmallService) -> None:
    async with small_service(AUTH_DISABLED="true") as (client, _):
        del client.headers["authorization"]
        assert (await client.post("/orders", json={"amount": 1})).status_code == 201


async def test_document_shows_the_example_of_a_route(small_service: SmallService) -> None:
    async with small_service() as (client, _):
        paths = (await client.get("/schema")).json()["paths"]
    assert paths["/orders"]["post"]["requestBody"]["content"]["application/json"]["example"] == {"amount": 3}
    assert paths["/health/live"]["get"]["responses"]["200"]["content"]["application/json"]["example"] == {
        "status": "ok"
    }


async def test_a_token_without_the_word_bearer_is_none(small_service: SmallService) -> None:
    async with small_service() as (client, app):
        token = app.state.runtime.tokens.sign("orders", ["orders:write"])
        assert (await client.get("/orders/1", headers={"authorization": f"Basic {token}"})).status_code == 401


async def test_a_stranger_is_counted(small_service: SmallService) -> None:
    async with small_service(RATE_LIMIT_STRANGER="2") as (client, _):

        async def counted() -> int:
            found = await client.get("/orders/1", headers={"authorization": "Bearer x", "x-forwarded-for": ""})
            return found.status_code

        assert [await counted() for _ in range(4)][-1] == 429
