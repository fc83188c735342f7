"""The sixteen hot queries that the indexes must serve: their text is an agreement, so nobody measures an easier one."""

import re
from pathlib import Path

import pytest

SERVICES = Path(__file__).parents[2] / "src" / "easymo_platform"
QUERY_FILES = ("voice_bridge/queries.sql", "whatsapp_webhook/queries.sql")

FROZEN = {
    "Q1": """
        select id, user_id, direction, from_number, to_number, status, agent_profile, started_at, ended_at,
        duration_seconds, consent_required, consent_obtained, created_at from voice_calls where created_at > now() -
        interval '24 hours' order by created_at desc limit 100
    """,
    "Q2": """
        select id, to_number, from_number, status, agent_profile, started_at, consent_obtained from voice_calls where
        status in ('pending', 'ringing', 'active') order by created_at desc limit 15
    """,
    "Q3": """
        select id, user_id, direction, from_number, to_number, status, agent_profile, started_at, ended_at,
        duration_seconds, consent_required, consent_obtained, created_at from voice_calls where to_number = :to_number
        order by created_at desc limit 50
    """,
    "Q4": """
        select id, wamid, user_id, direction, from_number, to_number, message_type, body, status, created_at from
        whatsapp_messages where from_number = :from_number order by created_at desc limit 50
    """,
    "Q5": """
        select id, wamid, user_id, direction, from_number, to_number, message_type, body, status, created_at from
        whatsapp_messages order by created_at desc limit 50
    """,
    "Q6a": """
        select status, count(*) as messages from whatsapp_messages where status <> 'delivered' group by status
    """,
    "Q6b": """
        select id, wamid, direction, from_number, to_number, status, attempts, next_attempt_at, error_code, created_at
        from whatsapp_messages where status in ('pending', 'failed') order by created_at limit 100
    """,
    "Q7": """
        select id, wamid, direction, from_number, to_number, status, attempts, next_attempt_at, error_code, created_at
        from whatsapp_messages where status in ('pending', 'failed') and created_at > now() - interval '1 hour' order by
        created_at desc
    """,
    "Q8a": """
        select currency, sum(amount) as revenue, count(*) as transactions from transactions where status = 'completed'
        and created_at > now() - interval '30 days' group by currency
    """,
    "Q8b": """
        select currency, sum(amount) as revenue, count(*) as transactions from transactions where status = 'completed'
        and created_at > now() - interval '24 hours' group by currency
    """,
    "Q9": """
        select id, transaction_ref, type, amount, currency, status, description, completed_at, created_at from
        transactions where user_id = :user_id order by created_at desc limit 50
    """,
    "Q10": """
        select id, transaction_ref, user_id, type, amount, currency, created_at from transactions where status =
        'pending' order by created_at limit 100
    """,
    "Q11": """
        select id, user_id, direction, from_number, to_number, status, agent_profile, started_at, ended_at,
        duration_seconds, consent_required, consent_obtained, created_at from voice_calls where user_id = :user_id order
        by created_at desc limit 50
    """,
    "Q12": """
        select id, wamid, user_id, direction, from_number, to_number, message_type, body, status, created_at from
        whatsapp_messages where user_id = :user_id order by created_at desc limit 50
    """,
    "Q13": """
        select id, to_number, from_number, status, agent_profile, started_at, consent_obtained from voice_calls where
        status = 'active' and created_at > now() - interval '24 hours' order by created_at desc
    """,
    "Q14": """
        select id, phone_number, status, created_at from users where phone_number = :phone_number
    """,
}
MESSAGES = {"Q4", "Q5", "Q6a", "Q6b", "Q7", "Q12"}


def hot_queries(file: str) -> list[tuple[str, str]]:
    """(Q, text) of every statement whose comment names a Q, in the file's order."""
    statements = re.findall(r"^-- (Q\w+): .*\n([^;]*);", (SERVICES / file).read_text(), flags=re.MULTILINE)
    return [(query, one_line(text)) for query, text in statements]


def one_line(sql: str) -> str:
    return " ".join(sql.split())


@pytest.mark.parametrize("query", FROZEN)
def test_text_of_the_hot_query_is_the_agreed_one(query: str) -> None:
    found = [text for file in QUERY_FILES for name, text in hot_queries(file) if name == query]
    assert found == [one_line(FROZEN[query])]


def test_queries_on_messages_belong_to_the_webhook_and_all_others_to_voice_bridge() -> None:
    voice, whatsapp = ({name for name, _ in hot_queries(file)} for file in QUERY_FILES)
    assert whatsapp == MESSAGES
    assert voice == FROZEN.keys() - MESSAGES
