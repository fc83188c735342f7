"""What stands in SQL files and is not SQL: psql's own lines, data of COPY, and placeholders of templates.

Each is replaced by something that Postgres can parse, and every line keeps its number.
"""

import re

_COPY_DATA = re.compile(
    r"^(?P<copy>copy\b(?:[^;']|'[^']*')*?\bfrom\s+stdin\b[^;\n]*;)[^\n]*\n(?P<data>.*?)^\\\.[ \t\r]*$",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_META_LINE = re.compile(r"^[ \t]*\\[a-zA-Z!?].*", re.MULTILINE)
_SEND = re.compile(r"\\(?:g|gexec|gset|gx|crosstabview)\b.*")
_VARIABLE = re.compile(r"(?<![:\w\]]):(?=['\"A-Za-z_])")

_BLOCKS = r"\{%.*?%\}|\{#.*?#\}|\{\{-?\s*(?:if|else|end|range|with|template|define|/\*).*?\}\}|<%[^=].*?%>"
_VALUES = r"\{\{.*?\}\}|<%=.*?%>|\$\{[^}\n]*\}"
_BLOCK = re.compile(_BLOCKS, re.DOTALL)
_VALUE = re.compile(_VALUES, re.DOTALL)
_VALUE_ALONE = re.compile(rf"^[ \t]*(?:{_VALUES})[ \t]*;?[ \t]*$", re.MULTILINE)


def mask(sql: str) -> str:
    """The text without what is not SQL."""
    sql = _COPY_DATA.sub(lambda found: found["copy"] + "\n" * (found[0].count("\n")), sql)
    sql = _SEND.sub(";", _META_LINE.sub("", sql))
    for pattern, by in ((_BLOCK, _nothing), (_VALUE_ALONE, _nothing), (_VALUE, _name)):
        sql = pattern.sub(by, sql)
    return _VARIABLE.sub(" ", sql)


def _name(found: re.Match[str]) -> str:
    """A name made of the placeholder's own letters: the same placeholder is the same table everywhere."""
    return (re.sub(r"\W+", "_", found[0]).strip("_") or "value") + _nothing(found)


def _nothing(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")
