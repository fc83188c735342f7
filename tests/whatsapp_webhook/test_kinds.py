"""What a message says, by its kind: the menu, words of each kind, STOP and START, numbers of people. Pure."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easymo_platform.whatsapp_webhook import conversation as words
from easymo_platform.whatsapp_webhook.conversation import SERVICES, chosen, in_parts
from easymo_platform.whatsapp_webhook.delivery import e164, identity_of, read_delivery
from easymo_platform.whatsapp_webhook.kinds import read
from tests.whatsapp_webhook.client import envelope

KINDS: dict[str, tuple[str, Any, str, str]] = {
    "location": ("location", {"latitude": -1.9, "longitude": 30.1, "name": "Heights"}, "agent", "Heights (-1.9, 30.1)"),
    "photo with caption": ("image", {"id": "1", "caption": "Is it free?"}, "agent", "Is it free?"),
    "photo": ("image", {"id": "1"}, "acknowledge", ""),
    "voice note": ("audio", {"id": "1", "voice": True}, "acknowledge", ""),
    "video": ("video", {"id": "1"}, "acknowledge", ""),
    "document": ("document", {"id": "1", "filename": "cv.pdf"}, "acknowledge", "cv.pdf"),
    "sticker": ("sticker", {"id": "1"}, "acknowledge", ""),
    "contacts": ("contacts", [{"name": {"formatted_name": "Anna"}, "phones": [{"phone": "+25"}]}], "agent", "Anna +25"),
    "quick reply": ("button", {"payload": "P", "text": "Confirm my trip"}, "agent", "Confirm my trip"),
    "button": ("interactive", {"button_reply": {"id": "yes", "title": "Yes, book it"}}, "agent", "Yes, book it"),
    "row": ("interactive", {"list_reply": {"id": "row_17", "title": "Book a ride"}}, "agent", "Book a ride"),
    "flow": ("interactive", {"nfm_reply": {"response_json": '{"to":"Huye","flow_token":"x"}'}}, "agent", "to: Huye"),
    "call permission": ("interactive", {"call_permission_reply": {"response": "accept"}}, "acknowledge", "accept"),
    "order": ("order", {"product_items": [{"product_retailer_id": "p", "quantity": 2}]}, "agent", "2 × p"),
    "reaction": ("reaction", {"emoji": "👍"}, "read", "👍"),
    "edit": ("edit", {"message": {"type": "text", "text": {"body": "to Musanze"}}}, "agent", "to Musanze"),
    "revoke": ("revoke", {"original_message_id": "wamid.x"}, "acknowledge", ""),
    "welcome": ("request_welcome", {}, "agent", "menu"),
    "number changed": ("system", {"body": "changed"}, "note", "changed"),
    "poll": ("unsupported", {"type": "poll_creation"}, "acknowledge", ""),
    "of tomorrow": ("hologram", {"id": "1"}, "acknowledge", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_message_has_a_handling_and_none_is_silence(name: str) -> None:
    kind, content, handling, part = KINDS[name]
    reading = read(kind, {"type": kind, kind: content})
    assert reading.handling == handling
    assert part in reading.body
    assert bool(reading.reply) == (handling == "acknowledge")


@given(kind=st.sampled_from([*{kind for kind, *_ in KINDS.values()}, "text"]), content=st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
        st.sampled_from(["body", "id", "title", "name", "message", "type", "button_reply", "list_reply", "nfm_reply",
                         "response_json", "phones", "product_items", "caption", "latitude"]), inner, max_size=3),
    max_leaves=8,
))  # fmt: skip
def test_no_content_of_any_type_stops_a_reading(kind: str, content: Any) -> None:
    reading = read(kind, {"type": kind, kind: content})
    assert reading.handling in ("agent", "acknowledge", "read", "note")
    assert isinstance(reading.body, str)


def test_a_group_message_is_stored_and_nobody_is_answered_in_private() -> None:
    assert read("text", {"text": {"body": "who drives?"}, "group_id": "G1"}).handling == "note"


@pytest.mark.parametrize(
    "said", ["1", " 1 ", "1.", "１", "option 1", "Book a ride or a trip", "BOOKING", "booking", "moto", "“Moto”!"]
)
def test_a_service_is_chosen_by_number_name_title_or_one_word(said: str) -> None:
    service = chosen(said, "", None)
    assert service is not None
    assert service.name == "booking"


@pytest.mark.parametrize("said", ["0", "9", "10", "I need a moto to the airport", "house and land", "yes"])
def test_a_question_or_another_number_chooses_nothing(said: str) -> None:
    assert chosen(said, "", None) is None


def test_in_a_conversation_a_number_answers_the_agent_and_a_row_chooses_another_service() -> None:
    assert chosen("2", "", "booking") is None
    assert chosen("moto", "", "booking") is None
    assert [chosen("x", service.name, "booking") for service in SERVICES] == list(SERVICES)


@pytest.mark.parametrize(
    "said", ["STOP", "stop.", "Stop all", "unsubscribe", "ARRÊT", "arreter", "acha", "sitaki", "Hagarika!", "reka"]
)
def test_stop_is_understood_in_four_languages(said: str) -> None:
    assert words.wants_no_more(said)
    assert not words.wants_more(said)


@pytest.mark.parametrize("said", ["START", "start!", "commencer", "anza", "tangira", "unstop"])
def test_start_is_understood_in_four_languages(said: str) -> None:
    assert words.wants_more(said)
    assert not words.wants_no_more(said)


@pytest.mark.parametrize("said", ["Where does the bus stop?", "stop at the market", "start from Kigali at 8"])
def test_the_words_inside_a_sentence_are_no_wish(said: str) -> None:
    assert not words.wants_no_more(said)
    assert not words.wants_more(said)


@pytest.mark.parametrize(
    "said", ["person", "Human!", "I want to talk to a person", "Can I speak with somebody?", "umuntu", "mtu"]
)
def test_a_person_is_asked_for(said: str) -> None:
    assert words.asks_for_a_person(said)


@pytest.mark.parametrize("said", ["I look for an insurance agent", "one person and two bags", "a room for 2 persons"])
def test_a_person_is_not_asked_for_by_the_word_alone(said: str) -> None:
    assert not words.asks_for_a_person(said)


@given(st.text(max_size=20_000))
def test_parts_lose_no_word_and_each_fits(text: str) -> None:
    parts = in_parts(text)
    assert all(0 < len(part) <= words.TEXT_MOST for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("250700000001", "+250700000001"),
        ("+1 555-078-3881", "+15550783881"),
        ("(250) 790.000 003", "+250790000003"),
        ("16505", ""),
        ("0788", ""),
    ],
)
def test_a_number_is_read_as_meta_writes_it_for_people(written: str, number: str) -> None:
    assert e164(written) == number


def test_people_without_a_number_are_told_apart() -> None:
    said = {"id": "w", "type": "text", "text": {"body": "hi"}}
    delivery = read_delivery(
        __import__("msgspec").json.encode(
            envelope(
                {**said, "from": "RW.1"},
                {**said, "from_user_id": "RW.2", "username": "aline"},
                {**said, "from": "16505"},
            )
        )
    )
    assert [message.from_number for message in delivery.messages] == ["RW.1", "RW.2", "unknown"]
    assert [message.pending for message in delivery.messages] == [True, True, False]
    assert identity_of("250700000001") == "+250700000001"
