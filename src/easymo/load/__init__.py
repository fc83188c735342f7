"""An honest load generator: open model, latency from the intended time, the same seeded schedule again and again."""

from easymo.load.answers import Answers
from easymo.load.distribution import Distribution
from easymo.load.errors import LoadError, ScenarioError, TargetError
from easymo.load.job import Job, run, run_job, run_process, schedule_of
from easymo.load.live import Glance
from easymo.load.replay import recorded, stages_of
from easymo.load.reply import Reply, cookie, form_field, header, json_value, regex
from easymo.load.request import Call, Request, ScenarioRandom, Visitor
from easymo.load.require import Requirement, parse_requirement
from easymo.load.result import LoadResult, Tally, Visits, merge
from easymo.load.scenario import Scenario, load_scenario
from easymo.load.schedule import Schedule, Stage, build_schedule, parse_stages
from easymo.load.target import Target, parse_target, parse_targets

__all__ = [
    "Answers",
    "Call",
    "Distribution",
    "Glance",
    "Job",
    "LoadError",
    "LoadResult",
    "Reply",
    "Request",
    "Requirement",
    "Scenario",
    "ScenarioError",
    "ScenarioRandom",
    "Schedule",
    "Stage",
    "Tally",
    "Target",
    "TargetError",
    "Visitor",
    "Visits",
    "build_schedule",
    "cookie",
    "form_field",
    "header",
    "json_value",
    "load_scenario",
    "merge",
    "parse_requirement",
    "parse_stages",
    "parse_target",
    "parse_targets",
    "recorded",
    "regex",
    "run",
    "run_job",
    "run_process",
    "schedule_of",
    "stages_of",
]
