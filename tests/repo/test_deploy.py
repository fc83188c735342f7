"""docs/howto/deploy.md: every command on the page is one that works on what this repository holds."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from easymo.cli.main import app as easymo
from easymo.embedded import Postgres
from easymo.hpa.manifests import Document, parse
from easymo_platform.agent_core.settings import AgentSettings
from easymo_platform.operations.migrate import migrate
from easymo_platform.operations.roles import apply_roles
from easymo_platform.voice_bridge.settings import VoiceSettings
from easymo_platform.whatsapp_webhook.settings import WhatsAppSettings
from tests.conftest import missing_wheels_skip
from tests.security.pods import containers, pods, references

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "howto" / "deploy.md").read_text(encoding="utf-8")
OVERLAY = "k8s/overlays/production"
DIGEST = "sha256:" + 64 * "a"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("bash") for line in block.splitlines() if line]


@pytest.fixture(scope="module")
def kubectl() -> str:
    found = shutil.which("kubectl")
    works = found and subprocess.run([found, "kustomize", "--help"], capture_output=True, check=False).returncode == 0
    if not found or not works:
        pytest.skip("NO KUBECTL HERE: the commands of the page are not tried; install kubectl 1.21 or newer")
    return found


def render(kubectl: str, folder: Path) -> list[Document]:
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=True)
    return parse(folder.name, done.stdout)


@pytest.fixture(scope="module")
def production(kubectl: str) -> list[Document]:
    return render(kubectl, ROOT / OVERLAY)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("kubectl ")])
def test_a_kubectl_command_names_the_namespace_and_objects_that_are_there(
    command: str, kubectl: str, production: list[Document], tmp_path: Path
) -> None:
    verb, *words = shlex.split(command)[1:]
    objects = {f"{document.kind.lower()}/{document.name}" for document in production}
    if verb == "kustomize":
        assert words == [OVERLAY]
        return
    if words[0] == "namespace":
        assert words[1] == "production"
        return
    assert "-n production" in command
    if verb in ("apply", "diff"):
        assert words[:2] == ["-k", OVERLAY]
    elif verb == "create":
        _creates(kubectl, words, production, tmp_path)
    elif verb == "get":
        assert words[0] == "hpa"
    elif verb == "delete":
        assert "/".join(words[:2]) in objects
    else:
        assert verb in ("rollout", "wait", "logs")
        assert next(word for word in words if "/" in word) in objects


def _creates(kubectl: str, words: list[str], production: list[Document], tmp_path: Path) -> None:
    """The command works as it stands, and pods ask for what it makes, by its keys."""
    file = re.search(r"--from-(?:env-)?file=(\S+)", shlex.join(words))
    assert file, words
    described = re.search(rf"^\| `{re.escape(file[1])}` \| (.*) \|$", PAGE, re.MULTILINE)
    keys = re.findall(r"`([\w-]+)=", described[1]) if described else []
    assert keys or file[1] == "ca.crt"
    (tmp_path / file[1]).write_text("".join(f"{key}=x\n" for key in keys) or "certificate")
    made = subprocess.run(
        [kubectl, "create", *words, "--dry-run=client", "--output=yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    (document,) = parse("made", made.stdout)
    assert set(document.content["data"]) == set(keys or ["ca.crt"])
    sources = [s["secretRef"]["name"] for c in containers(production) for s in c.get("envFrom", ())]
    mounts = [v["configMap"]["name"] for _, pod in pods(production) for v in pod.get("volumes", ()) if "configMap" in v]
    by_key = {reference["key"] for reference in references(production) if reference["name"] == document.name}
    assert by_key == set(keys) or document.name in sources + mounts


def test_every_secret_that_a_pod_must_have_is_made_on_the_page(production: list[Document]) -> None:
    needed = {reference["name"] for reference in references(production)}
    assert needed == {"easymo-database", "easymo-database-owner", "easymo-redis", "easymo-service-keys"}
    assert needed <= set(re.findall(r"create secret generic (\S+)", PAGE))


@pytest.mark.parametrize(
    ("file", "settings"),
    [
        ("voice-bridge.env", VoiceSettings),
        ("whatsapp-webhook.env", WhatsAppSettings),
        ("agent-core.env", AgentSettings),
    ],
)
def test_the_variables_of_a_service_are_read_by_it(file: str, settings: type) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{file}`"))
    named = re.findall(r"`([A-Z_]+)=", row)
    assert named
    assert {name.lower() for name in named} <= set(settings.__struct_fields__)  # type: ignore[attr-defined]


def test_the_rollout_waits_for_every_deployment_and_for_the_migration_before_any(production: list[Document]) -> None:
    deployments = {document.name for document in production if document.kind == "Deployment"}
    assert set(re.findall(r"rollout status deployment/(\S+)", PAGE)) == deployments
    applied = [command for command in COMMANDS if command.startswith("kubectl apply")]
    assert applied[0].endswith("-l app.kubernetes.io/name=migrate")
    waiting = next(command for command in COMMANDS if command.startswith("kubectl wait"))
    assert COMMANDS.index(applied[0]) < COMMANDS.index(waiting) < COMMANDS.index(applied[1])


@pytest.mark.parametrize("overlay", ["staging", "production"])
def test_the_migration_job_is_named_by_the_release_so_that_a_diff_of_the_next_one_works(overlay: str) -> None:
    text = (ROOT / "k8s" / "overlays" / overlay / "kustomization.yaml").read_text()
    releases = set(re.findall(r"newTag: (\S+)", text))
    assert releases == {job.replace("-", ".") for job in re.findall(r"value: migrate-([\d-]+)", text)}


def test_the_label_of_the_first_apply_selects_the_migration_and_nothing_else(production: list[Document]) -> None:
    label = ("app.kubernetes.io/name", "migrate")
    selected = {(d.kind, d.name) for d in production if label in d.content["metadata"].get("labels", {}).items()}
    assert selected == {("Job", "migrate-0-1-0"), ("ServiceAccount", "migrate")}


def test_the_check_of_the_autoscalers_passes(kubectl: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (command,) = [command for command in COMMANDS if command.startswith("easymo ")]
    result = CliRunner().invoke(easymo, shlex.split(command)[1:])
    assert result.exit_code == 0, result.output
    assert "0 errors" in result.output


def test_an_image_is_built_from_a_target_that_the_dockerfile_has_under_the_name_that_the_pods_ask_for() -> None:
    stages = re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    overlay = (ROOT / OVERLAY / "kustomization.yaml").read_text()
    builds = [command for command in COMMANDS if command.startswith("docker ")]
    for command in builds:
        version = r"(?P<version>\d+\.\d+\.\d+)"
        pattern = rf"docker build --target (\S+) --build-arg RELEASE={version} --tag (\S+):(?P=version) \."
        parts = re.fullmatch(pattern, command)
        assert parts, command
        assert parts[1] in stages
        named = rf"- name: {parts[3]}\n    newName: \S+\n    newTag: {re.escape(parts['version'])}\n"
        assert re.search(named, overlay)
    assert len(builds) == overlay.count("- name: easymo-")


def test_every_other_command_is_known() -> None:
    """So that a command without a check cannot come onto the page."""
    known = ("kubectl ", "easymo ", "docker build ", "umask 077")
    assert [command for command in COMMANDS if not command.startswith(known)] == []


@pytest.mark.parametrize("overlay", ["staging", "production"])
def test_an_overlay_with_digests_renders_images_by_version_and_digest(
    kubectl: str, overlay: str, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    folder = tmp_path / "k8s" / "overlays" / overlay
    file = folder / "kustomization.yaml"
    file.write_text(file.read_text().replace("# digest: sha256:…", f"digest: {DIGEST}"))
    ours = {c["image"] for c in containers(render(kubectl, folder)) if c["name"] != "redis"}
    names = {image.removeprefix("registry.example.com/") for image in ours}
    assert names == {f"easymo-platform:0.1.0@{DIGEST}", f"easymo-video:0.1.0@{DIGEST}"}


def test_no_file_but_an_overlay_names_a_registry() -> None:
    for file in (ROOT / "k8s").rglob("*.yaml"):
        images = re.findall(r"^\s*(?:- )?image: (\S+)", file.read_text(), re.MULTILINE)
        assert [image for image in images if "." in image.partition("/")[0].partition(":")[0]] == [], file
    assert "registry.example.com" not in PAGE


async def test_the_users_of_the_page_get_the_rights_of_their_service() -> None:
    (sql,) = blocks("sql")
    with missing_wheels_skip(), Postgres() as server:
        await migrate(server.url)
        await apply_roles(server.url)
        owner = await asyncpg.connect(server.url)
        await owner.execute(sql)
        able = "select has_table_privilege($1, $2, 'insert')"
        assert await owner.fetchval(able, "voice_bridge", "voice_calls")
        assert await owner.fetchval(able, "video_orchestrator", "render_jobs")
        assert await owner.fetchval(able, "whatsapp_webhook", "whatsapp_messages")
        assert await owner.fetchval(able, "agent_core", "agent_sessions")
        assert not await owner.fetchval(able, "agent_core", "voice_calls")
        await owner.close()
