"""Which service a message is for: its words, the menu, or what was chosen before. Pure."""

import re
from typing import NamedTuple


class Service(NamedTuple):
    """One row of the menu, and how agent-core calls it."""

    name: str
    title: str
    words: str
    flow_type: str
    agent_kind: str


SERVICES = (
    Service(
        "booking",
        "Book a ride or a trip",
        "book|ride|moto|taxi|driver|trip|bus|travel|urugendo",
        "schedule_trip",
        "mobility",
    ),
    Service(
        "real_estate", "Houses and land", "house|rent|apartment|land|plot|property|inzu", "property_rental", "broker"
    ),
    Service(
        "farmer", "Farming", "farm|farmer|harvest|produce|seed|maize|mazao|mkulima|shamba", "marketplace", "broker"
    ),
    Service("jobs", "Jobs", "job|jobs|work|hire|vacancy|akazi", "job_board", "broker"),
    Service("sales", "Shops and pharmacies", "buy|sell|shop|price|order|pharmacy|medicine", "shops", "sales"),
    Service(
        "support",
        "Help with a payment or an account",
        "problem|support|refund|account|payment",
        "marketplace",
        "support",
    ),
    Service("redemption", "Redeem a voucher", "redeem|voucher|coupon|points", "marketplace", "support"),
    Service("general_broker", "Something else", "", "marketplace", "broker"),
)
BY_NAME = {service.name: service for service in SERVICES}

MENU = "\n".join(
    (
        "Muraho! I am the automatic assistant of EasyMO. Reply with a number:",
        *(f"{number}. {service.title}" for number, service in enumerate(SERVICES, 1)),
    )
)

_GREETING = re.compile(r"(hi|hello|hey|muraho|mwaramutse|habari|bonjour|menu|home|start|help|exit|\?)[\s!.]*", re.I)
_WORDS = {service.name: re.compile(rf"\b({service.words})\b", re.I) for service in SERVICES if service.words}


def asks_for_menu(text: str) -> bool:
    """A greeting or a menu word: it shows the menu and leaves the service that was chosen before."""
    return bool(_GREETING.fullmatch(text.strip()))


def service_for(text: str, active: str | None) -> Service:
    """Who answers: a choice from the menu, else the service chosen before, else the first whose words occur."""
    chosen = text.strip()
    if chosen.isascii() and chosen.isdigit() and 1 <= int(chosen[:3]) <= len(SERVICES):
        return SERVICES[int(chosen[:3]) - 1]
    if chosen in BY_NAME:
        return BY_NAME[chosen]
    if active in BY_NAME:
        return BY_NAME[active]
    for name, words in _WORDS.items():
        if words.search(text):
            return BY_NAME[name]
    return BY_NAME["general_broker"]
