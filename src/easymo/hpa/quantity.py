"""Kubernetes quantities: ``250m``, ``2``, ``1.5k``, ``512Mi``, ``1e3``."""

import re
from decimal import ROUND_CEILING, Decimal

from easymo.hpa.errors import QuantityError

_FORM = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:[eE]([+-]?[0-9]{1,4})|([numkMGTPE]|[KMGTPE]i)?)")
_DECIMAL = {"n": -9, "u": -6, "m": -3, None: 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_LONGEST = 1000
"""Characters of a quantity: more are no number that anybody means, and slow to read."""
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def milli(quantity: str | int | float) -> int:
    """Thousandths of ``quantity``, rounded up as the API server does.

    Raises:
        QuantityError: for a text of another form.
    """
    text = str(quantity).strip()
    found = _FORM.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise QuantityError(quantity)
    number, exponent, suffix = Decimal(found[1]), found[2], found[3]
    if suffix in _BINARY:
        value = number * 2 ** _BINARY[suffix]
    else:
        value = number.scaleb(int(exponent) if exponent else _DECIMAL[suffix])
    return int((value * 1000).to_integral_value(ROUND_CEILING))
