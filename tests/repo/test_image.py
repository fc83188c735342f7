"""The Dockerfile: nothing that moves, nothing secret, an unprivileged user, and all that the services import."""

import fnmatch
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from easymo_platform.operations.serve import SERVICES

ROOT = Path(__file__).parents[2]
IMAGES = ("services", "video")
PINNED = re.compile(r"[a-z0-9./-]+:\d+\.\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?")


class Instruction(NamedTuple):
    word: str
    text: str


class Stage(NamedTuple):
    name: str
    base: str
    instructions: list[Instruction]


def instructions() -> list[Instruction]:
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    logical = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [Instruction(*line.strip().split(maxsplit=1)) for line in logical if line.strip()]


def stages() -> dict[str, Stage]:
    """By name, each with the instructions of what it builds on before its own."""
    arguments = {text.partition("=")[0]: text.partition("=")[2] for word, text in instructions() if word == "ARG"}
    found: dict[str, Stage] = {}
    for instruction in instructions():
        if instruction.word == "FROM":
            base, _, name = instruction.text.partition(" AS ")
            base = re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], base)
            found[name] = Stage(name, base, list(found[base].instructions) if base in found else [])
        elif found:
            list(found.values())[-1].instructions.append(instruction)
    return found


def copied(stage: Stage) -> list[str]:
    """Sources that come from the repository."""
    copies = [text.split() for word, text in stage.instructions if word == "COPY" and "--from=" not in text]
    return [source for words in copies for source in words[:-1]]


def test_every_stage_begins_at_a_pinned_image_or_at_another_stage() -> None:
    found = stages()
    assert set(IMAGES) < found.keys(), "what builds is not what runs"
    assert [s.base for s in found.values() if s.base not in found and not PINNED.fullmatch(s.base)] == []


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_the_unprivileged_user_that_the_manifests_name_and_says_how_it_is(image: str) -> None:
    stage = stages()[image]
    by_word = dict(stage.instructions)
    manifest = (ROOT / "k8s" / "base" / "voice-bridge.yaml").read_text()
    pod = next(d for d in yaml.safe_load_all(manifest) if d["kind"] == "Deployment")["spec"]["template"]["spec"]
    user = str(pod["securityContext"]["runAsUser"])
    assert by_word["USER"] == f"{user}:{user}"
    assert "/health/live" in by_word["HEALTHCHECK"]
    assert by_word["ENTRYPOINT"] == '["python", "-m", "easymo_platform"]'
    built = [text for word, text in stage.instructions if word == "COPY" and "--from=" in text]
    assert len(built) == 1, "the dependencies come ready from the stage that built them"


def test_nothing_is_fetched_but_packages_whose_hashes_are_locked() -> None:
    assert [i for i in instructions() if i.word == "ADD"] == []
    runs = [text for word, text in instructions() if word == "RUN"]
    assert [run for run in runs if re.search(r"\b(curl|wget|git|apt-get|apt)\b", run)] == []
    installs = [run for run in runs if " pip " in run]
    assert len(installs) == len(IMAGES)
    for run in installs:
        assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(run.split())


def test_no_secret_is_built_in() -> None:
    secret = re.compile(r"PASSWORD|SECRET|TOKEN|KEY|DATABASE_URL|REDIS_URL", re.IGNORECASE)
    assert [i for i in instructions() if i.word in ("ENV", "ARG") and secret.search(i.text)] == []


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    rules = [r for r in (ROOT / ".dockerignore").read_text().splitlines() if r and not r.startswith("#")]
    assert rules[0] == "*"
    kept = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    sources = {source.rstrip("/") for stage in stages().values() for source in copied(stage)}
    assert sources == {path for path in sources if any(fnmatch.fnmatch(path, rule) for rule in kept)}
    assert [rule for rule in kept if not any(fnmatch.fnmatch(path, rule) for path in sources)] == []
    assert [source for source in sources if not (ROOT / source).exists()] == []


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_holds_the_versions_that_were_tested(image: str) -> None:
    tested, built = pins(ROOT / "requirements.lock"), pins(ROOT / "docker" / f"{image}.lock")
    assert len(built) > 30
    assert {name: tested.get(name) for name in built} == built


PROBE = """
import importlib, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top in {brought!r} or top in sys.stdlib_module_names or top.startswith("_sysconfigdata"):
            return None
        raise ModuleNotFoundError(f"the image does not bring {{name}}", name=name)
sys.meta_path.insert(0, Refuse())
for module in {modules!r}:
    importlib.import_module(module)
"""
COMMANDS = ("serve", "migrate", "token", "whatsapp")
"""`up` is not among them: it starts embedded servers, which have no place in an image."""


def test_the_services_and_the_migration_need_nothing_that_their_image_does_not_bring() -> None:
    built = {name.replace("_", "-") for name in pins(ROOT / "docker" / "services.lock")}
    owners = metadata.packages_distributions().items()
    brought = {top for top, names in owners if any(n.lower().replace("_", "-") in built for n in names)}
    modules = [f"easymo_platform.operations.{command}" for command in COMMANDS]
    modules += [entry.module for entry in SERVICES.values()]
    code = PROBE.format(brought=brought | {"easymo", "easymo_platform"}, modules=modules)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
