"""Replies from an OpenAI-compatible server: POST ``{base}/chat/completions``."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import httpx
import msgspec

from easymo_platform.agent_core.model import Turn
from easymo_platform.agent_core.settings import AgentSettings
from easymo_platform.runtime.breaker import CircuitBreaker
from easymo_platform.runtime.logs import tracing_headers
from easymo_platform.runtime.metrics import Metrics

RETRIES = 2
RETRY_BASE_S = 0.25
RETRY_AFTER_MOST_S = 2.0

_THOUGHTS = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
"""What a reasoning model thinks aloud; nobody asked for it."""

_ROLES = {"user": "user", "agent": "assistant", "system": "system"}
_INSTRUCTIONS = (
    "You are the {kind} agent of EasyMO in Rwanda. Answer in the language of the question, in at most three sentences. "
    "Never invent prices, times of arrival, names or sources; say when you do not know."
)


class ModelFailed(Exception):
    """The model gave no answer. ``timed_out`` tells a silent one from one that refused."""

    def __init__(self, problem: str, *, timed_out: bool = False) -> None:
        super().__init__(f"The language model gave no answer: {problem}.")
        self.timed_out = timed_out


class ModelDown(ModelFailed):
    """It may work later. This is what opens the breaker."""


class Completion(msgspec.Struct, frozen=True):
    """What we read of the server's answer. `cut`: the model stopped at its limit, in the middle of what it wanted to
    say."""

    text: str
    model: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None
    cut: bool = False


class LanguageModel:
    """One server. Use it inside ``async with model.http``."""

    def __init__(self, settings: AgentSettings, metrics: Metrics) -> None:
        key = settings.agent_api_key
        headers = {"authorization": f"Bearer {key}"} if key else {}  # a server on this machine may want none
        self.http = httpx.AsyncClient(base_url=settings.agent_base_url, headers=headers)
        self._model = settings.agent_model
        self._timeout_s = settings.agent_timeout_s
        self._breaker = CircuitBreaker("language-model", metrics, failures=(ModelDown,))

    async def complete(self, agent_kind: str, turns: Sequence[Turn], model: str | None) -> Completion:
        """The model's next turn, within the time-out over all tries.

        Raises :class:`ModelFailed`, or :class:`~easymo_platform.runtime.breaker.BreakerOpen` without asking.
        """
        messages = [{"role": "system", "content": _INSTRUCTIONS.format(kind=agent_kind)}]
        messages += [{"role": _ROLES[turn.role], "content": turn.text} for turn in turns]
        async with self._breaker.attempt():
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._ask({"model": model or self._model, "messages": messages, "max_tokens": 400})
            except TimeoutError as error:
                raise ModelDown(f"nothing came in {self._timeout_s:g} s", timed_out=True) from error

    async def _ask(self, body: dict[str, object]) -> Completion:
        for attempt in range(RETRIES + 1):
            wait_s = RETRY_BASE_S * 2**attempt
            try:
                response = await self.http.post("/chat/completions", json=body, headers=tracing_headers(), timeout=None)
            except httpx.TransportError as error:
                problem = repr(error)
            else:
                if response.is_success:
                    return _completion(response)
                problem = f"it answered {response.status_code}"
                if response.status_code < 500 and response.status_code != 429:
                    raise ModelFailed(problem)
                with suppress(ValueError):
                    wait_s = min(RETRY_AFTER_MOST_S, float(response.headers.get("retry-after", "")))
            if attempt < RETRIES:
                await asyncio.sleep(wait_s)
        raise ModelDown(problem)


def _completion(response: httpx.Response) -> Completion:
    """Only the text is needed: servers write whatever they like, or null, into the other fields."""
    try:
        answer = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ModelFailed(f"its answer is malformed ({error})") from error
    choice = _first(_field(answer, "choices"))
    text = _THOUGHTS.sub(
        "", _text(_field(_field(choice, "message"), "content")) or _text(_field(choice, "text"))
    ).strip()
    if not text:
        raise ModelFailed("its answer is empty")
    usage = _field(answer, "usage")
    model = _field(answer, "model")
    return Completion(
        text,
        model if isinstance(model, str) else "",
        _count(_field(usage, "prompt_tokens")),
        _count(_field(usage, "completion_tokens")),
        _field(choice, "finish_reason") == "length",
    )


def _text(content: Any) -> str:
    """A text, or the texts of a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part if isinstance(part, str) else _text(_field(part, "text")) for part in parts)


def _field(given: Any, name: str) -> Any:
    return given.get(name) if isinstance(given, dict) else None


def _first(given: Any) -> Any:
    return given[0] if isinstance(given, list) and given else None


def _count(given: Any) -> int | None:
    return given if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < 2**31 else None
