"""Replies by rules: the same words get the same answer, which says what it is and invents no price, time or place."""

import re
from typing import NamedTuple

PROVIDER = "rules"
MODEL = "rules-1"


class _Rule(NamedTuple):
    words: "re.Pattern[str]"
    reply: str


def _rule(words: str, reply: str) -> _Rule:
    return _Rule(re.compile(rf"\b({words})\b", re.IGNORECASE), reply)


_PERSON = _rule(
    "human|person|agent|operator|umuntu", "Send only the word “person”, and somebody of our team takes over."
)
_THANKS = _rule("thanks|thank you|murakoze|asante|merci", "You are welcome. Send “menu” to start something else.")

_RULES: dict[str, tuple[_Rule, ...]] = {
    "mobility": (
        _rule("from .+ to|kuva .+ kugera", "I have start and destination. At what time do you want to leave?"),
        _rule("today|tomorrow|now|[0-9]{1,2}[:h][0-9]{2}", "I have the time. Where do you start, and where to?"),
        _rule("ride|moto|taxi|driver|trip|bus|book", "For a trip I need: from where, to where, and at what time?"),
    ),
    "sales": (
        _rule("price|how much|cost|angahe", "I do not know prices. Tell me what you need and how many."),
        _rule("buy|need|want|looking for|order", "I have noted it. Which quantity, and in which part of town?"),
    ),
    "support": (
        _rule("payment|paid|refund|transaction", "Please send the reference of the payment (it begins with TXN-)."),
        _rule("txn-[0-9]+", "I have noted the reference for our team."),
        _rule("voucher|coupon|redeem|points", "Please send the number that is printed on the voucher."),
    ),
    "marketing": (_rule("stop|unsubscribe", "I have noted that you want no more offers."),),
    "broker": (
        _rule("house|rent|apartment|plot|land", "Which part of town, how many rooms, and to rent or to buy?"),
        _rule("job|work|akazi", "Which kind of work do you look for, or offer, and where?"),
        _rule("farm|maize|harvest|produce|mazao|shamba", "Which crop, how many kilograms, and where is it?"),
    ),
}

_UNKNOWN = "I did not understand that. I am an automatic assistant with fixed answers: send “menu” to see them."


def reply_by_rules(agent_kind: str, message: str) -> tuple[str, list[str]]:
    """The answer and what could be said next."""
    for rule in (_PERSON, _THANKS, *_RULES.get(agent_kind, ())):
        if rule.words.search(message):
            return rule.reply, ["menu"]
    return _UNKNOWN, ["menu"]
