"""Replies from an OpenAI-compatible server: POST ``{base}/chat/completions``."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

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


class _Message(msgspec.Struct):
    content: str


class _Choice(msgspec.Struct):
    message: _Message


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Completion(msgspec.Struct):
    """What we read of the server's answer."""

    choices: list[_Choice]
    model: str = ""
    usage: _Usage = msgspec.field(default_factory=_Usage)

    @property
    def text(self) -> str:
        return self.choices[0].message.content.strip() if self.choices else ""


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
    try:
        completion = msgspec.json.decode(response.content, type=Completion)
    except msgspec.DecodeError as error:
        raise ModelFailed(f"its answer is malformed ({error})") from error
    if not completion.text:
        raise ModelFailed("its answer is empty")
    return completion
