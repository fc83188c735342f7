"""What a message says, by its kind, and how it is handled. Pure.

Nothing that a person sends meets silence. Each kind has one of four handlings:

- `agent`: the text goes to the menu or to the agent (text, captions, locations, contacts, buttons, lists, Flows,
  orders, edits).
- `acknowledge`: a fixed sentence says what we could not use (media without words, stickers, revoked messages, kinds
  that Meta does not pass on).
- `read`: the message is marked as read, which its sender sees; a text would be a nuisance (reactions).
- `note`: stored only; nobody waits for an answer (Meta's own notices, groups).
"""

import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

Handling = Literal["agent", "acknowledge", "read", "note"]
Fields = Mapping[str, Any]

WORDS_PLEASE = "Please write in words what you need, or send “person” to talk to somebody of our team."
_MEDIA = {"image": "photo", "video": "video", "document": "document", "audio": "voice note", "sticker": "sticker"}


class Reading(NamedTuple):
    """`body` is what the person said, as text. `choice` is the id of the button or row that was chosen.

    `reply` is the sentence of an acknowledgement; `revokes` the wamid of a message that its sender has deleted.
    """

    handling: Handling
    body: str = ""
    choice: str = ""
    reply: str = ""
    revokes: str = ""


def read(kind: str, message: Fields) -> Reading:
    """Read a message of Meta's: `message` is its JSON. Fields may be absent or of any type."""
    if message.get("group_id"):
        return Reading("note", text_of(message.get("text"), "body"))
    reader = _READERS.get(kind)
    if reader is not None:
        return reader(message)
    if kind in _MEDIA:
        return _media(kind, message)
    name = text_of(message.get("unsupported"), "type").replace("_", " ")
    return Reading(
        "acknowledge", reply=f"I cannot read this kind of message{f' ({name})' if name else ''}. {WORDS_PLEASE}"
    )


def clean(value: Any) -> str:
    """A text as Postgres and UTF-8 can keep it; empty for anything else."""
    if not isinstance(value, str):
        return ""
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()[:65_536]


def text_of(given: Any, name: str) -> str:
    """The text `name` of an object; empty when there is none."""
    return clean(given.get(name)) if isinstance(given, Mapping) else ""


def normalised(text: str) -> str:
    """For comparison with words: lower case, other forms of digits and letters unified, no punctuation around it."""
    return unicodedata.normalize("NFKC", text).casefold().strip(" \t\r\n.,;:!?)(*_~\"'“”‘’-#")


def _text(message: Fields) -> Reading:
    return Reading("agent", text_of(message.get("text"), "body"))


def _media(kind: str, message: Fields) -> Reading:
    media = message.get(kind)
    caption = text_of(media, "caption").strip()
    name = _MEDIA[kind]
    if caption:
        return Reading("agent", caption)
    file = text_of(media, "filename")
    reply = f"I have your {name}{f' “{file}”' if file else ''}, but I cannot open it. {WORDS_PLEASE}"
    return Reading("acknowledge", file, reply=reply)


def _location(message: Fields) -> Reading:
    given = message.get("location")
    place = ", ".join(part for name in ("name", "address") if (part := text_of(given, name)))
    at = given if isinstance(given, Mapping) else {}
    point = ", ".join(str(at[name]) for name in ("latitude", "longitude") if isinstance(at.get(name), int | float))
    known = f"{place} ({point})" if place and point else place or point
    if not known:
        return Reading("acknowledge", reply=f"I could not read your location. {WORDS_PLEASE}")
    return Reading("agent", f"My location: {known}")


def _contacts(message: Fields) -> Reading:
    people = []
    for contact in _objects(message.get("contacts")):
        name = text_of(contact.get("name"), "formatted_name")
        numbers = [number for phone in _objects(contact.get("phones")) if (number := text_of(phone, "phone"))]
        people.append(" ".join(part for part in (name, *numbers) if part))
    known = "; ".join(person for person in people if person)
    return (
        Reading("agent", f"Contact: {known}")
        if known
        else Reading("acknowledge", reply=f"That contact is empty. {WORDS_PLEASE}")
    )


def _interactive(message: Fields) -> Reading:
    given = message.get("interactive")
    given = given if isinstance(given, Mapping) else {}
    chosen = given.get("button_reply") or given.get("list_reply")
    title, identity = text_of(chosen, "title"), text_of(chosen, "id")
    if title or identity:
        return Reading("agent", title or identity, choice=identity)
    if flow := given.get("nfm_reply"):
        return Reading("agent", _flow_answers(text_of(flow, "response_json")) or text_of(flow, "body") or "Form sent")
    if permission := text_of(given.get("call_permission_reply"), "response"):
        allowed = permission == "accept"
        sentence = "Thank you. We may call you." if allowed else "Thank you. We will not call you."
        return Reading("acknowledge", f"Call permission: {permission}", reply=sentence)
    return Reading("acknowledge", reply=f"I could not read your choice. {WORDS_PLEASE}")


def _flow_answers(response_json: str) -> str:
    """The fields of a Flow as text: `from: Kigali, to: Musanze`; Meta's own token is left out."""
    try:
        answers = msgspec.json.decode(response_json)
    except msgspec.DecodeError:
        return ""
    if not isinstance(answers, dict):
        return ""
    shown = {name: value for name, value in answers.items() if name != "flow_token"}
    return clean(", ".join(f"{name}: {_plain(value)}" for name, value in shown.items()))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _button(message: Fields) -> Reading:
    """The quick reply of a template."""
    button = message.get("button")
    text, payload = text_of(button, "text"), text_of(button, "payload")
    if not (text or payload):
        return Reading("acknowledge", reply=f"I could not read your choice. {WORDS_PLEASE}")
    return Reading("agent", text or payload, choice=payload)


def _order(message: Fields) -> Reading:
    order = message.get("order")
    order = order if isinstance(order, Mapping) else {}
    items = []
    for item in _objects(order.get("product_items")):
        price = f" at {item['item_price']} {clean(item.get('currency'))}".rstrip() if "item_price" in item else ""
        items.append(f"{item.get('quantity', 1)} × {clean(item.get('product_retailer_id')) or 'article'}{price}")
    said = ". ".join(part for part in ("; ".join(items), text_of(order, "text")) if part)
    return Reading("agent", f"Order: {said or 'empty'}")


def _edit(message: Fields) -> Reading:
    """The new words count: they are answered as a message of their own."""
    edited = message.get("edit")
    inner = edited.get("message") if isinstance(edited, Mapping) else None
    if isinstance(inner, Mapping) and (kind := clean(inner.get("type"))) not in ("", "edit", "revoke"):
        return read(kind, inner)
    return Reading("acknowledge", reply=f"I could not read your correction. {WORDS_PLEASE}")


def _revoke(message: Fields) -> Reading:
    """What its sender has deleted is deleted here, too."""
    return Reading(
        "acknowledge",
        reply="I have deleted that message.",
        revokes=text_of(message.get("revoke"), "original_message_id"),
    )


def _reaction(message: Fields) -> Reading:
    return Reading("read", text_of(message.get("reaction"), "emoji"))


def _system(message: Fields) -> Reading:
    return Reading("note", text_of(message.get("system"), "body"))


def _welcome(_: Fields) -> Reading:
    return Reading("agent", "menu")


def _objects(given: Any) -> list[Mapping[str, Any]]:
    return [item for item in given if isinstance(item, Mapping)] if isinstance(given, list) else []


_READERS: dict[str, Callable[[Fields], Reading]] = {
    "text": _text,
    "location": _location,
    "contacts": _contacts,
    "interactive": _interactive,
    "button": _button,
    "order": _order,
    "edit": _edit,
    "revoke": _revoke,
    "reaction": _reaction,
    "system": _system,
    "request_welcome": _welcome,
}
