"""The manifests of this repository: the note's numbers, the connection budget, and that kustomize renders them."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from easymo.hpa.check import Settings, check
from easymo.hpa.inputs import Scaled, read_autoscalers
from easymo.hpa.manifests import Document, parse, read_documents
from easymo.hpa.spec import ScalingRules
from easymo.hpa.workload import Workload, workloads
from easymo.proof.system.acceptance import read_acceptance
from easymo_platform.operations.serve import SERVICES

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
ADAPTER = ROOT / "monitoring" / "prometheus" / "adapter.yaml"
POLICIES = read_acceptance(ROOT / "acceptance.toml").policies
MAX_CONNECTIONS = 100
"""Postgres' own default."""
LONGEST_RENDER_S = 900

Command = Callable[..., Result]


def autoscaler(folder: str, service: str) -> Scaled:
    (found,) = read_autoscalers([K8S / folder], [f"{service}-hpa"])
    return found


def steps(rules: ScalingRules) -> list[tuple[int, str, int]]:
    return [(policy.value, policy.type, policy.period_s) for policy in rules.policies]


def promised(steps: list[str]) -> list[tuple[int, str, int | None]]:
    """``50%`` and ``2 pods/30s`` as value, type and the period where one is named."""
    found = []
    for step in steps:
        parts = re.fullmatch(r"(\d+)(%| pods)(?:/(\d+)s)?", step)
        assert parts, step
        found.append((int(parts[1]), "Percent" if parts[2] == "%" else "Pods", int(parts[3]) if parts[3] else None))
    return found


def test_the_note_has_four_policies_and_each_has_its_autoscaler() -> None:
    named = {scaled.hpa.name for scaled in read_autoscalers([K8S / "autoscaling"])}
    assert named == {f"{service}-hpa" for service in POLICIES}
    assert len(POLICIES) == 4


@pytest.mark.parametrize("service", POLICIES)
def test_every_number_of_the_note_is_in_the_manifest(service: str) -> None:
    policy, hpa = POLICIES[service], autoscaler("autoscaling", service).hpa
    assert (hpa.min_replicas, hpa.max_replicas) == (policy.min_replicas, policy.max_replicas)
    targets = {m.name: m.amount / (1 if m.target == "Utilization" else 1000) for m in hpa.metrics}
    assert targets == policy.targets
    if not policy.scale_up:
        assert hpa.behavior is None, "the note names no rates, so there must be none"
        return
    assert hpa.behavior is not None
    assert hpa.behavior.down.window_s == policy.scale_down_after_s
    for written, wanted in (
        (steps(hpa.behavior.up), promised(policy.scale_up)),
        (steps(hpa.behavior.down), promised(policy.scale_down)),
    ):
        assert [step[:2] for step in written] == [step[:2] for step in wanted]
        for (_, _, period_s), (_, _, named_s) in zip(written, wanted, strict=True):
            assert named_s in (None, period_s)


@pytest.mark.parametrize("service", POLICIES)
def test_each_period_that_the_note_does_not_name_is_said_to_be_chosen(service: str) -> None:
    scaled = autoscaler("autoscaling", service)
    unnamed = [step for step in (*POLICIES[service].scale_up, *POLICIES[service].scale_down) if "/" not in step]
    assert scaled.document.source.count(" s chosen") == len(unnamed)


@pytest.mark.parametrize("service", POLICIES)
def test_the_tuned_form_keeps_the_notes_sizes(service: str) -> None:
    policy, hpa = POLICIES[service], autoscaler("autoscaling/tuned", service).hpa
    assert (hpa.min_replicas, hpa.max_replicas) == (policy.min_replicas, policy.max_replicas)


def everything(autoscaling: str) -> list[Document]:
    return read_documents([K8S / "base", K8S / autoscaling, ADAPTER])


SETTINGS = Settings(max_connections=MAX_CONNECTIONS, longest_job_s={"video-worker": LONGEST_RENDER_S})


def test_the_tuned_form_has_no_finding_and_leaves_nothing_unchecked() -> None:
    assert check(everything("autoscaling/tuned"), SETTINGS) == ([], [])


def test_the_notes_form_has_its_known_regrets_and_no_error() -> None:
    findings, notes = check(everything("autoscaling"), SETTINGS)
    assert notes == []
    assert sorted(f.rule for f in findings) == ["memory-as-target"] * 4 + ["percent-on-few-replicas"]


def test_ten_connections_stay_free_when_every_service_has_its_largest_size() -> None:
    one_more = Settings(max_connections=MAX_CONNECTIONS - 10)
    assert any(f.rule == "too-many-connections" for f in check(everything("autoscaling"), one_more)[0])


def scaled_and_fixed() -> dict[str, Workload]:
    return {w.name: w for w in workloads(everything("autoscaling")) if w.name != "redis"}


@pytest.mark.parametrize("name", scaled_and_fixed())
def test_a_service_is_started_probed_and_confined(name: str) -> None:
    workload = scaled_and_fixed()[name]
    (container,) = workload.containers
    port = container["ports"][0]["containerPort"]
    assert container["args"] == ["serve", name, "--host", "0.0.0.0", "--port", str(port)]
    if name in SERVICES:
        assert port == SERVICES[name].port
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]
    assert workload.pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert workload.pod["topologySpreadConstraints"]
    assert workload.pod["serviceAccountName"] == name
    pause_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert workload.grace_s >= pause_s + 20, "a service has 20 s to finish what is under way"


def test_only_services_without_an_autoscaler_name_their_size() -> None:
    scaled = {s.hpa.target_name for s in read_autoscalers([K8S / "autoscaling"])}
    for name, workload in scaled_and_fixed().items():
        assert ("replicas" in workload.document.content["spec"]) == (name not in scaled)


def test_redis_is_a_cache_nothing_on_disk_bounded_and_with_a_password_from_a_secret() -> None:
    redis = next(w for w in workloads(read_documents([K8S / "base" / "redis.yaml"])) if w.name == "redis")
    arguments = redis.containers[0]["args"]
    assert "--maxmemory-policy allkeys-lru" in arguments
    assert '--save ""' in arguments
    assert "--appendonly no" in arguments
    assert "volumes" not in redis.pod
    (secret,) = redis.containers[0]["env"]
    assert secret["valueFrom"]["secretKeyRef"] == {"name": "easymo-redis", "key": "password"}
    assert not any(document.kind == "Secret" for document in read_documents([K8S / "base"]))


@pytest.fixture(scope="module")
def kubectl() -> str:
    found = shutil.which("kubectl")
    works = found and subprocess.run([found, "kustomize", "--help"], capture_output=True, check=False).returncode == 0
    if not found or not works:
        pytest.skip("NO KUBECTL HERE: the kustomizations are not rendered, only read; install kubectl 1.21 or newer")
    return found


def render(kubectl: str, overlay: str) -> list[Document]:
    folder = K8S / "overlays" / overlay
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=True)
    return parse(overlay, done.stdout)


@pytest.mark.parametrize("overlay", ["staging", "production"])
def test_an_overlay_renders_into_its_namespace_with_a_fixed_image(kubectl: str, overlay: str) -> None:
    documents = render(kubectl, overlay)
    assert {document.content["metadata"]["namespace"] for document in documents} == {overlay}
    images = {c["image"] for w in workloads(documents) for c in w.containers if w.name != "redis"}
    names = {
        parts[1] for image in images if (parts := re.fullmatch(r"registry\.example\.com/(.+):\d+\.\d+\.\d+", image))
    }
    assert names == {"easymo-platform", "easymo-video"}
    assert len(images) == 2
    findings, _ = check(documents, SETTINGS)
    assert [f for f in findings if f.severity == "error"] == []


def test_staging_has_at_most_two_pods_of_each(kubectl: str) -> None:
    specs: list[Any] = [d.content["spec"] for d in render(kubectl, "staging") if d.kind == "HorizontalPodAutoscaler"]
    assert [(spec["minReplicas"], spec["maxReplicas"]) for spec in specs] == [(1, 2)] * 4


def test_the_command_of_the_acceptance_table_holds(easymo: Command) -> None:
    assert easymo("hpa", "check", K8S / "autoscaling").exit_code == 0
