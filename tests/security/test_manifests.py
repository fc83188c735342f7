"""Pods as the cluster's restricted profile wants them, behind network policies, with secrets by reference only."""

from pathlib import Path
from typing import Any

import pytest

from easymo.hpa.manifests import Document, read_documents
from easymo.hpa.schema import DEFAULT_VERSION, schema_problem
from easymo_platform.agent_core.settings import AgentSettings
from easymo_platform.video_orchestrator.settings import VideoSettings
from easymo_platform.voice_bridge.settings import VoiceSettings
from easymo_platform.whatsapp_webhook.settings import WhatsAppSettings
from tests.security.pods import containers, pods, references

BASE = read_documents([Path(__file__).parents[2] / "k8s" / "base"])
PODS = dict(pods(BASE))
LABELS = {
    document.name: document.content["spec"]["template"]["metadata"]["labels"]
    for document in BASE
    if document.name in PODS and "template" in document.content.get("spec", {})
}
SETTINGS = {
    "voice-bridge": VoiceSettings,
    "video-orchestrator": VideoSettings,
    "video-worker": VideoSettings,
    "whatsapp-webhook": WhatsAppSettings,
    "whatsapp-worker": WhatsAppSettings,
    "agent-core": AgentSettings,
}
DATABASE_KEYS = {"video-worker": "video-orchestrator", "whatsapp-worker": "whatsapp-webhook"}
POLICIES = [document.content["spec"] for document in BASE if document.kind == "NetworkPolicy"]


@pytest.mark.parametrize("name", PODS)
def test_a_pod_meets_the_restricted_profile_on_a_read_only_file_system(name: str) -> None:
    pod = PODS[name]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] >= 10000
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert {kind for volume in pod.get("volumes", ()) for kind in volume if kind != "name"} <= {
        "configMap",
        "emptyDir",
        "persistentVolumeClaim",
    }
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_an_account_of_its_own_without_a_key_to_the_cluster(name: str) -> None:
    assert PODS[name]["serviceAccountName"] == name
    assert PODS[name]["automountServiceAccountToken"] is False
    (account,) = (d for d in BASE if d.kind == "ServiceAccount" and d.name == name)
    assert account.content["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", PODS)
def test_a_pod_cannot_take_a_nodes_memory_and_a_service_is_probed(name: str) -> None:
    (container,) = PODS[name]["containers"]
    resources = container["resources"]
    assert resources["limits"]["memory"] == resources["requests"]["memory"]
    assert resources["requests"]["cpu"]
    if name != "migrate":
        assert container["readinessProbe"]
        assert container["livenessProbe"]


def selects(policy: dict[str, Any], labels: dict[str, str]) -> bool:
    selector = policy["podSelector"]
    by_label = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    expressions = selector.get("matchExpressions", ())
    assert all(e["operator"] == "In" for e in expressions)
    return by_label and all(labels.get(e["key"]) in e["values"] for e in expressions)


def test_what_no_policy_allows_is_refused() -> None:
    everything = [policy for policy in POLICIES if policy["podSelector"] == {}]
    assert everything == [{"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}]


@pytest.mark.parametrize("name", PODS)
def test_traffic_is_allowed_by_port_and_comes_from_named_pods_only(name: str) -> None:
    own = [p for p in POLICIES if p["podSelector"] != {} and selects(p, LABELS[name])]
    assert len(own) == 1
    ingress = [rule for policy in own for rule in policy.get("ingress", ())]
    assert (name == "migrate") == (ingress == [])
    assert all(rule["from"] and rule["ports"] for rule in ingress)
    egress = [rule for policy in own for rule in policy.get("egress", ())]
    assert all(rule.get("to") or rule["ports"] for rule in egress)
    outside = {port["port"] for rule in egress if "to" not in rule for port in rule["ports"]}
    assert outside == {"redis": set(), "migrate": {53, 5432}}.get(name, {53, 443, 5432, 6432, 6543})


@pytest.mark.parametrize("name", SETTINGS)
def test_every_variable_of_a_service_is_one_that_it_reads(name: str) -> None:
    given = {variable["name"].lower() for variable in PODS[name]["containers"][0]["env"]}
    assert given - {"redis_password"} <= set(SETTINGS[name].__struct_fields__)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_service_connects_as_its_own_user_and_only_the_migration_as_the_owner(name: str) -> None:
    (address,) = (v for v in PODS[name]["containers"][0]["env"] if v["name"] == "DATABASE_URL")
    assert address["valueFrom"]["secretKeyRef"] == {"name": "easymo-database", "key": DATABASE_KEYS.get(name, name)}
    owner = [reference for reference in references(BASE) if reference["name"] == "easymo-database-owner"]
    assert owner == references([d for d in BASE if d.name == "migrate"])


def test_no_secret_stands_in_a_manifest() -> None:
    assert [document.name for document in BASE if document.kind == "Secret"] == []
    words = ("PASSWORD", "SECRET", "TOKEN", "KEY", "DATABASE_URL")
    written = [
        variable["name"]
        for container in containers(BASE)
        for variable in container.get("env", ())
        if any(word in variable["name"] for word in words) and "value" in variable
    ]
    assert written == []


@pytest.mark.parametrize("document", BASE, ids=lambda document: f"{document.kind}/{document.name}")
def test_a_manifest_is_valid(document: Document) -> None:
    assert schema_problem(document.content, DEFAULT_VERSION) is None
