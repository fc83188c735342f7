"""What a person wants: the menu, a service of it, a person of the team, no more messages; else the agent. Pure."""

import re
from typing import Any, NamedTuple

from easymo_platform.whatsapp_webhook.kinds import normalised

TEXT_MOST = 4096
"""Characters that Meta takes in one message."""


class Service(NamedTuple):
    """One row of the menu, and how agent-core calls it. `opening` is what a choice of it is answered with."""

    name: str
    title: str
    words: str
    flow_type: str
    agent_kind: str
    opening: str


SERVICES = (
    Service(
        "booking",
        "Book a ride or a trip",
        "book|ride|moto|taxi|driver|trip|bus|travel|urugendo",
        "schedule_trip",
        "mobility",
        "A ride or a trip: from where, to where, and at what time?",
    ),
    Service(
        "real_estate",
        "Houses and land",
        "house|rent|apartment|land|plot|property|inzu",
        "property_rental",
        "broker",
        "Houses and land: which part of town, how many rooms, and to rent or to buy?",
    ),
    Service(
        "farmer",
        "Farming",
        "farm|farmer|farming|harvest|produce|seed|maize|mazao|mkulima|shamba",
        "marketplace",
        "broker",
        "Farming: which crop, how many kilograms, and where is it?",
    ),
    Service(
        "jobs",
        "Jobs",
        "job|jobs|work|hire|vacancy|akazi",
        "job_board",
        "broker",
        "Jobs: which kind of work do you look for, or offer, and where?",
    ),
    Service(
        "sales",
        "Shops and pharmacies",
        "buy|sell|shop|shops|price|order|pharmacy|medicine",
        "shops",
        "sales",
        "Shops and pharmacies: what do you need, how many, and in which part of town?",
    ),
    Service(
        "support",
        "Help with a payment",
        "problem|support|refund|account|payment",
        "marketplace",
        "support",
        "Help with a payment or an account: what happened? Send the reference if you have one (it begins with TXN-).",
    ),
    Service(
        "redemption",
        "Redeem a voucher",
        "redeem|voucher|coupon|points",
        "marketplace",
        "support",
        "A voucher: send the number that is printed on it.",
    ),
    Service(
        "general_broker",
        "Something else",
        "",
        "marketplace",
        "broker",
        "Something else: tell me in words what you need.",
    ),
)
BY_NAME = {service.name: service for service in SERVICES}

MENU = "\n".join(
    (
        "Muraho! I am the automatic assistant of EasyMO. Choose below, or reply with a number:",
        *(f"{number}. {service.title}" for number, service in enumerate(SERVICES, 1)),
        "Send “person” to talk to somebody of our team, STOP to get no more messages.",
    )
)
"""The menu as text, and as the body of the list that goes with it."""

MENU_LIST: dict[str, Any] = {
    "type": "list",
    "body": {"text": MENU},
    "action": {
        "button": "Choose",
        "sections": [{"rows": [{"id": service.name, "title": service.title} for service in SERVICES]}],
    },
}
"""The same as Meta's interactive list: a row that is chosen comes back with the name of its service."""

OUT_OF_RANGE = f"There is no such number in the menu. Reply with a number from 1 to {len(SERVICES)}, or send “menu”."
OPTED_OUT = "You will get no more messages from us, only answers to what you write. Send START to undo this."
OPTED_IN = "You will get messages from us again."
HANDED_OVER = "A person of our team will answer you here. The automatic assistant is silent until then."

_GREETING = re.compile(
    r"(hi|hello|hey|hallo|muraho|mwaramutse|mwiriwe|habari|jambo|bonjour|bonsoir|salut|menu|home|help|exit|back|aide|msaada|ubufasha)?"
)
_STOP = re.compile(
    r"(stop|stop all|stop please|please stop|unsubscribe|stop messages|opt out|"  # English
    r"arret|arrêt|arreter|arrêter|arretez|arrêtez|stopper|desabonner|désabonner|me desabonner|me désabonner|"  # French
    r"acha|wacha|koma|sitisha|simama|ondoa|sitaki|"  # Swahili
    r"hagarika|reka|rekera aho|kura|sinshaka)"  # Kinyarwanda
)
_START = re.compile(
    r"(start|unstop|subscribe|opt in|commencer|reprendre|abonner|m'abonner|anza|endelea|jiunge|tangira|komeza|ongera)"
)
_PERSON = re.compile(
    r"(a )?(person|human|agent|operator|somebody|someone|personne|un agent|conseiller|mtu|umuntu)|"
    r".*\b(talk|speak|chat|connect me|parler|kuongea|kuvugana)\b.*"
    r"\b(person|human|agent|operator|somebody|someone|staff|personne|conseiller|mtu|umuntu)\b.*",
    re.DOTALL,
)
_NUMBER = re.compile(r"(?:no|number|option|choice|#)?\s*\.?\s*([0-9]{1,3})")
_ALONE = {word: service for service in SERVICES if service.words for word in service.words.split("|")}
_TITLES = {normalised(name): s for s in SERVICES for name in (s.name, s.name.replace("_", " "), s.title)}
_WORDS = {service.name: re.compile(rf"\b({service.words})\b", re.I) for service in SERVICES if service.words}


def asks_for_menu(text: str) -> bool:
    """A greeting, a menu word, or no words at all: it shows the menu and leaves the service that was chosen before."""
    return bool(_GREETING.fullmatch(normalised(text)))


def asks_for_a_person(text: str) -> bool:
    """Whether somebody of the team is wanted instead of the assistant."""
    return bool(_PERSON.fullmatch(normalised(text)))


def wants_no_more(text: str) -> bool:
    """STOP, in English, French, Swahili or Kinyarwanda, as the whole message."""
    return bool(_STOP.fullmatch(normalised(text)))


def wants_more(text: str) -> bool:
    """START, which undoes STOP."""
    return bool(_START.fullmatch(normalised(text)))


def number_in(text: str) -> int | None:
    """The number that is the whole message (`1`, ` 1 `, `1.`, `option 1`, `１`), or None."""
    match = _NUMBER.fullmatch(normalised(text))
    return int(match[1]) if match else None


def chosen(text: str, choice: str, active: str | None) -> Service | None:
    """The service that a message chooses and says nothing else: by button or row, number, name, title or a single word.

    In a conversation about a service a number or a single word may answer the agent's question: there only the name
    or the row chooses another one. `menu` leaves the service.
    """
    for given in (choice, text):
        if (service := _TITLES.get(normalised(given))) is not None:
            return service
    if active in BY_NAME:
        return None
    number = number_in(text)
    if number is not None:
        return SERVICES[number - 1] if 1 <= number <= len(SERVICES) else None
    return _ALONE.get(normalised(text))


def service_for(text: str, active: str | None) -> Service:
    """Who answers a question: the service chosen before, else the first whose words occur."""
    if active in BY_NAME:
        return BY_NAME[active]
    for name, words in _WORDS.items():
        if words.search(text):
            return BY_NAME[name]
    return BY_NAME["general_broker"]


def in_parts(text: str, most: int = TEXT_MOST) -> list[str]:
    """A text in messages that Meta takes, cut at paragraphs, lines or words where there are some."""
    parts = []
    text = text.strip()
    while len(text) > most:
        cut = next((at for mark in ("\n\n", "\n", " ") if (at := text.rfind(mark, most // 2, most)) > 0), most)
        parts.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [*parts, text] if text else parts
