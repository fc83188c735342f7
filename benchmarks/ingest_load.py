"""Scenario of the ingest benchmark: signed deliveries of one new message each."""

import msgspec

from easymo.load import Call, Request, Scenario, ScenarioRandom
from easymo_platform.whatsapp_webhook import signature

SECRET = "secret-of-the-ingest-benchmark"


def delivery(rng: ScenarioRandom) -> Call:
    message = {
        "from": f"25070{rng.randrange(10_000_000):07d}",
        "id": f"wamid.{rng.token()}",
        "timestamp": "1772616600",
        "type": "text",
        "text": {"body": "Muraho, I am looking for a moto from Kimironko to Nyabugogo."},
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "250700000999", "phone_number_id": "104857600000999"},
        "messages": [message],
    }
    entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
    body = msgspec.json.encode({"object": "whatsapp_business_account", "entry": [entry]})
    headers = {"Content-Type": "application/json", signature.HEADER: signature.sign(SECRET, body)}
    return Call("POST", "/webhook", headers, body)


scenario = Scenario([Request("delivery", 1, delivery)])
