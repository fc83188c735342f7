"""Routes about sessions and replies."""

from typing import cast
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from easymo.cache.litestar import cached_response
from easymo_platform.agent_core.model import (
    AgentMessageList,
    Extension,
    NewSession,
    Question,
    Reply,
    Session,
    SessionChange,
    SessionList,
)
from easymo_platform.agent_core.service import AgentCore
from easymo_platform.agent_core.strategies import AgentStrategies
from easymo_platform.runtime.auth import SCOPE
from easymo_platform.runtime.idempotency import id_for
from easymo_platform.runtime.openapi import EXAMPLE, answers
from easymo_platform.runtime.routes import AnyRequest, IdempotencyKey

READ = "agent:read"
RESPOND = "agent:respond"

_SESSION_ID = "00000002-22df-82a5-8699-154123453375"
_SESSION = {"id": _SESSION_ID, "flow_type": "shops", "agent_kind": "sales", "status": "searching"}


def core(request: AnyRequest) -> AgentCore:
    """The service's parts, built once per process."""
    return cast(AgentCore, request.app.state.service)


@post(
    "/respond",
    status_code=200,
    summary="Answer a message",
    opt={
        SCOPE: RESPOND,
        EXAMPLE: {"session_id": _SESSION_ID, "agent_kind": "sales", "message": "I need paracetamol"},
    },
)
async def respond(request: AnyRequest, data: JSONBody[Question], idempotency_key: IdempotencyKey = None) -> Reply:
    agent = core(request)
    agent.require("agent.chat", on=agent.settings.feature_agent_chat)
    question_id = id_for(request, "agent/respond", idempotency_key)
    return await agent.respond(data, question_id, again=idempotency_key is not None)


@post(
    "/sessions",
    summary="Open a session",
    opt={SCOPE: RESPOND, EXAMPLE: {"user_id": _SESSION_ID, "flow_type": "shops", "agent_kind": "sales"}},
)
async def open_session(
    request: AnyRequest, data: JSONBody[NewSession], idempotency_key: IdempotencyKey = None
) -> Session:
    agent = core(request)
    agent.require("agent.sessions", on=agent.settings.feature_agent_sessions)
    return await agent.store.open(id_for(request, "agent/session", idempotency_key), data)


@get(
    "/sessions/{session_id:uuid}",
    summary="A session",
    opt={SCOPE: READ, EXAMPLE: _SESSION},
    responses=answers(Session),
)
async def session_by_id(request: AnyRequest, session_id: FromPath[UUID]) -> Response[bytes]:
    key = AgentStrategies.agent_session(session_id)
    runtime = request.app.state.runtime
    return await cached_response(runtime.cache, key, lambda: core(request).store.by_id(session_id), request)


@get(
    "/sessions",
    summary="The newest 50 sessions of a user",
    opt={SCOPE: READ, EXAMPLE: {"sessions": [_SESSION]}},
)
async def sessions(request: AnyRequest, user_id: FromQuery[UUID], active: FromQuery[bool] = False) -> SessionList:
    return await core(request).store.of_user(user_id, active=active)


@get(
    "/sessions/{session_id:uuid}/messages",
    summary="What was said in a session",
    opt={SCOPE: READ, EXAMPLE: {"messages": [{"role": "user", "content": "I need paracetamol"}]}},
)
async def messages(request: AnyRequest, session_id: FromPath[UUID]) -> AgentMessageList:
    return await core(request).store.messages(session_id)


@post(
    "/sessions/{session_id:uuid}/status",
    status_code=200,
    summary="Move a session through its life cycle",
    opt={SCOPE: RESPOND, EXAMPLE: {"status": "cancelled", "reason": "found one myself"}},
)
async def change_status(request: AnyRequest, session_id: FromPath[UUID], data: JSONBody[SessionChange]) -> Session:
    return await core(request).store.change(session_id, data)


@post(
    "/sessions/{session_id:uuid}/extend",
    status_code=200,
    summary="Give a live session more time",
    opt={SCOPE: RESPOND, EXAMPLE: {"minutes": 10}},
)
async def extend(request: AnyRequest, session_id: FromPath[UUID], data: JSONBody[Extension]) -> Session:
    return await core(request).store.extend(session_id, data.minutes)


SESSION_ROUTES = (respond, open_session, session_by_id, sessions, messages, change_status, extend)
