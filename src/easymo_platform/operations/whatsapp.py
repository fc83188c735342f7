"""`python -m easymo_platform whatsapp`: look at the queue, decide about dead letters, replay a webhook."""

import argparse
import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx

from easymo_platform.operations.errors import OperationError
from easymo_platform.runtime.database import Database
from easymo_platform.runtime.errors import DatabaseError, ServiceError
from easymo_platform.runtime.logs import mask_personal_data
from easymo_platform.runtime.metrics import Metrics
from easymo_platform.runtime.statements import read_statements
from easymo_platform.whatsapp_webhook.app import QUERIES
from easymo_platform.whatsapp_webhook.handoffs import HandoffStore
from easymo_platform.whatsapp_webhook.model import Text
from easymo_platform.whatsapp_webhook.signature import HEADER, sign
from easymo_platform.whatsapp_webhook.store import MessageStore

_SENDER = ("whatsapp_number", "whatsapp_phone_number_id")
_DEFAULT_URL = "http://127.0.0.1:4900"


@asynccontextmanager
async def _store(options: argparse.Namespace) -> AsyncIterator[MessageStore]:
    if not options.database_url:
        raise OperationError("No database: pass --database-url or set DATABASE_URL.")
    metrics = Metrics("whatsapp-webhook")
    database = Database(options.database_url, 1, "operator", read_statements(QUERIES), metrics)
    await database.open()
    try:
        yield MessageStore(database, metrics.counter("whatsapp_messages_total", "Not scraped.", "direction", "status"))
    finally:
        await database.close()


@asynccontextmanager
async def _handoffs(options: argparse.Namespace) -> AsyncIterator[HandoffStore]:
    sender = {name: os.environ[name.upper()] for name in _SENDER if name.upper() in os.environ}
    async with _store(options) as store:
        yield HandoffStore(store.database, store, **sender)


async def _queue(options: argparse.Namespace) -> None:
    async with _store(options) as store:
        depth = await store.queue_depth()
        causes = Counter(letter.error_type for letter in await store.dead_letters(500))
    oldest = depth["oldest_due"]
    age_s = (datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0
    _say(f"to answer      {depth['inbound']}")
    _say(f"to send        {depth['outbound']}")
    _say(f"oldest due     {f'{age_s:.0f} s' if oldest else '-'}")
    _say(f"for a person   {depth['handoffs']} conversations, {depth['events']} events of Meta")
    _say(f"dead letters   {depth['dead_letters']}" + "".join(f"  {name}: {n}" for name, n in causes.most_common()))


async def _list(options: argparse.Namespace) -> None:
    async with _store(options) as store:
        letters = await store.dead_letters(options.limit)
    for letter in letters:
        number = mask_personal_data(letter.phone_number or "-")
        at = letter.created_at.astimezone(UTC).isoformat(timespec="seconds")
        _say(f"{letter.id}  {at}  {number:<9}  {letter.attempts} attempts  {letter.error_type}: {letter.error}")
    if not letters:
        _say("No dead letter waits for a decision.")


async def _decide(options: argparse.Namespace) -> None:
    """Retry or discard those named, or all of them up to ``--max``; one that cannot be does not stop the others."""
    async with _store(options) as store:
        decide = store.retry if options.action == "retry" else store.discard
        ids = options.ids or ([letter.id for letter in await store.dead_letters(options.max)] if options.all else [])
        if not ids:
            raise OperationError("Nothing to do: name dead letters by id (`dlq ls` lists them), or pass --all.")
        failed = 0
        for dead_letter_id in ids:
            try:
                _say(f"{dead_letter_id}  {(await decide(dead_letter_id)).status}")
            except ServiceError as error:
                failed += 1
                _say(f"{dead_letter_id}  not done: {error}")
    if failed == len(ids):
        raise OperationError("No dead letter was changed; the reason of each is above.")


async def _list_handoffs(options: argparse.Namespace) -> None:
    async with _handoffs(options) as store:
        waiting = (await store.waiting(options.status)).handoffs
    for one in waiting:
        number = mask_personal_data(one.phone_number)
        who = f"  {one.claimed_by}" if one.claimed_by else ""
        _say(f"{one.id}  {one.opened_at.astimezone(UTC).isoformat(timespec='seconds')}  {number:<9}  {one.reason}{who}")
    if not waiting:
        _say(f"No conversation is {options.status}.")


async def _handle_handoff(options: argparse.Namespace) -> None:
    async with _handoffs(options) as store:
        try:
            if options.action == "claim":
                _say(f"{options.id}  claimed by {(await store.claim(options.id, options.words)).claimed_by}")
            elif options.action == "answer":
                _say(f"{options.id}  queued as {(await store.answer(options.id, Text(options.words))).id}")
            else:
                _say(f"{options.id}  {(await store.close(options.id)).status}")
        except ServiceError as error:
            raise OperationError(str(error)) from error


async def _list_events(options: argparse.Namespace) -> None:
    async with _store(options) as store:
        events = await store.events_to_act_on()
    for event in events:
        at = event["received_at"].astimezone(UTC).isoformat(timespec="seconds")
        _say(f"{event['id']}  {at}  {event['kind']}  {str(event['payload'])[:200]}")
    if not events:
        _say("No event waits for a person.")


async def _acknowledge(options: argparse.Namespace) -> None:
    async with _store(options) as store:
        for event_id in options.ids:
            noted = await store.acknowledge_event(event_id)
            _say(f"{event_id}  {'noted' if noted else 'was noted before, or is unknown'}")


async def _replay(options: argparse.Namespace) -> None:
    try:
        body = options.file.read_bytes()
    except OSError as error:
        raise OperationError(f"{options.file} cannot be read: {error.strerror}.") from error
    headers = {"content-type": "application/json"}
    if options.sign:
        secret = os.environ.get("WHATSAPP_APP_SECRET", "")
        if not secret:
            raise OperationError("WHATSAPP_APP_SECRET is not set: without it nothing can be signed as Meta would.")
        headers[HEADER] = sign(secret, body)
    async with httpx.AsyncClient(base_url=options.url) as client:
        try:
            response = await client.post("/webhook", content=body, headers=headers)
        except httpx.TransportError as error:
            raise OperationError(f"{options.url} does not answer ({error!r}): is whatsapp-webhook up?") from error
    _say(f"{response.status_code} {response.text}")
    if not response.is_success:
        raise OperationError("The webhook did not accept it.")


def main(arguments: list[str]) -> int:
    """Parse and do it. Returns 0, or 1 when it could not be done."""
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(options.run(options))
    except (OperationError, DatabaseError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m easymo_platform whatsapp",
        description="Look at the message queue, decide about dead letters, replay a webhook.",
        epilog="Example: python -m easymo_platform whatsapp dlq retry --all --max 100",
    )
    database = argparse.ArgumentParser(add_help=False)
    database.add_argument("--database-url", default=os.environ.get("DATABASE_URL"), help="default: $DATABASE_URL")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("queue", parents=[database], help="what waits, and for how long").set_defaults(run=_queue)

    dlq = commands.add_parser("dlq", help="dead letters: messages that no retry helped")
    actions = dlq.add_subparsers(required=True, metavar="ACTION")
    ls = actions.add_parser("ls", parents=[database], help="those that wait for a decision, oldest first")
    ls.add_argument("--limit", type=int, default=100, help="default: %(default)s")
    ls.set_defaults(run=_list)
    for action, text in (("retry", "handle their messages again"), ("discard", "give their messages up")):
        decide = actions.add_parser(action, parents=[database], help=text)
        decide.add_argument("ids", nargs="*", type=UUID, metavar="ID", help="as `dlq ls` shows them")
        decide.add_argument("--all", action="store_true", help="all that wait, oldest first")
        decide.add_argument("--max", type=int, default=100, help="with --all: at most so many (default: %(default)s)")
        decide.set_defaults(run=_decide, action=action)

    handoffs = commands.add_parser("handoffs", help="conversations for a person of the team")
    actions = handoffs.add_subparsers(required=True, metavar="ACTION")
    ls = actions.add_parser("ls", parents=[database], help="those of one status, oldest first")
    ls.add_argument("--status", choices=("open", "claimed", "closed"), default="open", help="default: %(default)s")
    ls.set_defaults(run=_list_handoffs)
    for action, text in (("claim", "take one over"), ("answer", "write to the person"), ("close", "back to the agent")):
        act = actions.add_parser(action, parents=[database], help=text)
        act.add_argument("id", type=UUID, metavar="ID", help="as `handoffs ls` shows it")
        if action != "close":
            act.add_argument(
                "words", metavar="NAME" if action == "claim" else "TEXT", help="who takes it, or what to say"
            )
        act.set_defaults(run=_handle_handoff, action=action)

    events = commands.add_parser("events", help="what Meta reported and a person must look at")
    actions = events.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("ls", parents=[database], help="oldest first").set_defaults(run=_list_events)
    done = actions.add_parser("ack", parents=[database], help="they were looked at")
    done.add_argument("ids", nargs="+", type=UUID, metavar="ID", help="as `events ls` shows them")
    done.set_defaults(run=_acknowledge)

    replay = commands.add_parser("replay", help="post a webhook body from a file")
    replay.add_argument("file", type=Path, metavar="FILE", help="the body, byte for byte")
    replay.add_argument("--sign", action="store_true", help="sign it with $WHATSAPP_APP_SECRET, as Meta does")
    default = os.environ.get("WHATSAPP_WEBHOOK_URL", _DEFAULT_URL)
    replay.add_argument("--url", default=default, help="default: $WHATSAPP_WEBHOOK_URL, else %(default)s")
    replay.set_defaults(run=_replay)
    return parser


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
