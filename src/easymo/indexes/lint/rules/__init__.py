"""One rule a file."""

from importlib import import_module
from pkgutil import iter_modules

from easymo.indexes.lint.model import Rule

_FOUND: list[Rule] = [import_module(f"{__name__}.{module.name}").RULE for module in iter_modules(__path__)]
#: Errors before warnings, by name.
RULES = sorted(_FOUND, key=lambda rule: (rule.severity, rule.slug))
