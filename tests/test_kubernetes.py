"""Manifests: what Kubernetes and the Flink operator would refuse is not in them."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.command import good, tickloop
from tickloop.core.config import load
from tickloop.infra.pins import FLINK
from tickloop.streaming.flink import manifest
from tickloop.streaming.flink.plan import from_json
from tickloop.streaming.flink.yaml_text import yaml_text

FOLDER = Path(__file__).parents[1] / "infra" / "kubernetes"
CONFIG = FOLDER / "tickloop.toml"
JOBS = ("bars", "signals", "pairs", "quality")
NAME = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
QUANTITY = r"[0-9]+(\.[0-9]+)?(m|Ki|Mi|Gi|Ti|k|M|G|T)?"

# Fields of the operator's custom resources, and of the pods in them, with their types; a `!` marks
# those that have to be there. What is not listed, no manifest of ours may have.
RESOURCE: dict[str, Any] = {"cpu!": float, "memory!": QUANTITY}
SECURITY: dict[str, Any] = {"allowPrivilegeEscalation!": bool, "capabilities!": {"drop!": [str]}}
DEPLOYMENT: dict[str, Any] = {
    "image!": r"[a-z0-9./-]+:[A-Za-z0-9._-]+",
    "flinkVersion!": r"v1_(1[3-9]|20)|v2_[0-4]",
    "serviceAccount!": NAME,
    "flinkConfiguration!": {"*": str},
    "podTemplate!": {
        "spec!": {
            "securityContext!": {"runAsNonRoot!": bool, "runAsUser!": int, "fsGroup!": int},
            "containers!": [
                {"name!": "flink-main-container", "securityContext!": SECURITY,
                 "env": [{"name!": str, "value!": str}]},
            ],
        }
    },
    "jobManager!": {"replicas!": int, "resource!": RESOURCE},
    "taskManager!": {"resource!": RESOURCE},
    "job!": {
        "jarURI!": r"local:///.+\.jar", "entryClass!": r"[a-z]+(\.\w+)+", "args!": [str],
        "parallelism!": int, "upgradeMode!": "savepoint|last-state|stateless",
        "allowNonRestoredState!": bool,
    },
}  # fmt: skip
METADATA: dict[str, Any] = {"name!": NAME, "namespace!": NAME, "labels!": {"*": str}}
KINDS: dict[str, dict[str, Any]] = {
    "FlinkDeployment": {"spec!": DEPLOYMENT},
    "FlinkBlueGreenDeployment": {
        "spec!": {"configuration!": {"*": str}, "template!": {"spec!": DEPLOYMENT}}
    },
}


def faults(value: Any, wanted: Any, where: str = "") -> Iterator[str]:
    """List what is missing, unknown or of another type."""
    if isinstance(wanted, dict):
        if not isinstance(value, dict):
            yield f"{where}: {value!r} is no map"
            return
        known = {key.rstrip("!"): each for key, each in wanted.items()}
        yield from (f"{where}.{key[:-1]}: missing" for key in wanted
                    if key[-1] == "!" and key[:-1] not in value)  # fmt: skip
        for key, each in value.items():
            if key not in known and "*" not in known:
                yield f"{where}.{key}: unknown"
            else:
                yield from faults(each, known.get(key, known.get("*")), f"{where}.{key}")
    elif isinstance(wanted, list):
        for number, each in enumerate(value if isinstance(value, list) else [None]):
            yield from faults(each, wanted[0], f"{where}[{number}]")
    elif isinstance(wanted, str):
        if not isinstance(value, str) or not re.fullmatch(wanted, value):
            yield f"{where}: {value!r} does not look like {wanted}"
    elif type(value) is not wanted and not (wanted is float and type(value) is int):
        yield f"{where}: {value!r} is no {wanted.__name__}"


def documents(name: str) -> list[dict[str, Any]]:
    return [*yaml.safe_load_all((FOLDER / name).read_text())]


def deployments() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(FOLDER.glob("flink-*.yaml")):
        for document in documents(path.name):
            spec = document["spec"]
            yield path.stem, spec["template"]["spec"] if "template" in spec else spec


# Jobs


@pytest.mark.parametrize("path", sorted(FOLDER.glob("flink-*.yaml")), ids=lambda path: path.stem)
def test_the_flink_operator_would_take_every_job(path: Path) -> None:
    for document in documents(path.name):
        assert document["apiVersion"] == "flink.apache.org/v1beta1"
        wanted = {
            "apiVersion!": str,
            "kind!": str,
            "metadata!": METADATA,
            **KINDS[document["kind"]],
        }
        assert list(faults(document, wanted)) == []


def test_the_lint_finds_what_is_wrong() -> None:
    (document,) = documents("flink-bars.yaml")
    spec = document["spec"]
    spec["job"]["upgradeMode"] = "hopeful"
    spec["taskmanager"] = spec.pop("taskManager")
    spec["jobManager"]["replicas"] = "1"
    found = list(faults(spec, DEPLOYMENT))
    assert len(found) == 4
    assert {each.partition(":")[0] for each in found} == {
        ".taskManager", ".job.upgradeMode", ".jobManager.replicas", ".taskmanager",
    }  # fmt: skip


@pytest.mark.parametrize("name", JOBS)
def test_shipped_manifests_are_what_the_command_makes_of_the_shipped_configuration(
    name: str,
) -> None:
    made = good("stream", "manifest", name, "--config", CONFIG)
    assert made.out == (FOLDER / f"flink-{name}.yaml").read_text()


def test_the_blue_green_example_is_the_command_s() -> None:
    made = good("stream", "manifest", "bars", "--config", CONFIG, "--blue-green")
    assert made.out == (FOLDER / "flink-bars-bluegreen.yaml").read_text()


def test_jobs_run_the_pinned_flink_with_the_plan_that_rest_shows() -> None:
    for stem, spec in deployments():
        version = FLINK.version
        assert version == manifest.FLINK
        assert spec["flinkVersion"] == "v" + "_".join(version.split(".")[:2])
        assert spec["job"]["jarURI"].endswith(f"flink-python-{version}.jar")
        assert spec["job"]["entryClass"].endswith("PythonDriver")
        assert spec["job"]["upgradeMode"] == "savepoint"
        marks = json.loads(spec["flinkConfiguration"]["pipeline.global-job-parameters"])
        plan = from_json(spec["job"]["args"][-1])
        assert marks["tickloop.plan"] == plan.to_json()
        assert stem.startswith(f"flink-{plan.name}")
        assert plan.shards == load(CONFIG).sinks.kafka.shards
        assert spec["flinkConfiguration"]["pipeline.max-parallelism"] == str(plan.max_parallelism)
        assert spec["flinkConfiguration"]["python.execution-mode"] == marks["tickloop.mode"]


def test_every_job_keeps_its_state_in_a_place_of_its_own_and_runs_as_nobody_special() -> None:
    places = []
    for stem, spec in deployments():
        settings = spec["flinkConfiguration"]
        kinds = ("checkpointing.dir", "checkpointing.savepoint-dir")
        folders = [settings[f"execution.{kind}"] for kind in kinds]
        folders.append(settings["high-availability.storageDir"])
        assert all(re.fullmatch(r"s3://\S+", folder) for folder in folders)
        places += [] if "bluegreen" in stem else folders
        assert spec["podTemplate"]["spec"]["securityContext"]["runAsUser"] == 9999
    assert len(set(places)) == len(places) == 3 * len(JOBS)


def test_jobs_that_no_manifest_can_hold_are_refused(tmp_path: Path) -> None:
    config = tmp_path / "once.toml"
    config.write_text(CONFIG.read_text().replace("[flink]", '[flink]\nguarantee = "exactly_once"'))
    twice = tickloop("stream", "manifest", "bars", "--config", config, "--blue-green")
    twice.refused("exactly_once seen, at_least_once expected")
    assert tickloop("stream", "manifest", "bars", "--config", config).code == 0
    tickloop("stream", "manifest", "bars").refused("no brokers")


def test_sql_jobs_have_manifests_too() -> None:
    made = yaml.safe_load(good("stream", "manifest", "ohlc.sql", "--config", CONFIG).out)
    assert list(faults(made["spec"], DEPLOYMENT)) == []
    assert made["spec"]["job"]["args"][-2] == "tickloop.streaming.flink.sql_entry"
    assert "python.execution-mode" not in made["spec"]["flinkConfiguration"]


# The plant


def test_the_plant_s_service_and_set_fit_together() -> None:
    service, stateful = documents("plant.yaml")
    assert (service["apiVersion"], service["kind"]) == ("v1", "Service")
    assert (stateful["apiVersion"], stateful["kind"]) == ("apps/v1", "StatefulSet")
    spec, pod = stateful["spec"], stateful["spec"]["template"]
    assert spec["serviceName"] == service["metadata"]["name"]
    assert spec["replicas"] == 1
    labels = pod["metadata"]["labels"]
    for selector in (spec["selector"]["matchLabels"], service["spec"]["selector"]):
        assert selector.items() <= labels.items()
    named = {port["name"] for each in pod["spec"]["containers"] for port in each["ports"]}
    assert {port["targetPort"] for port in service["spec"]["ports"]} == named
    for container in pod["spec"]["containers"]:
        assert {"name", "image", "args", "resources", "securityContext"} <= set(container)
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        claims = {claim["metadata"]["name"] for claim in spec["volumeClaimTemplates"]}
        assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]} | claims
        probe = container["readinessProbe"]["tcpSocket"]["port"]
        assert probe in {port["name"] for port in container["ports"]}


def test_the_plant_listens_where_its_service_looks_and_takes_the_shipped_configuration() -> None:
    service, stateful = documents("plant.yaml")
    config = load(CONFIG)
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    assert ports == {"plant": config.serve.port, "q": config.query.q_port,
                     "sql": config.query.pg_port}  # fmt: skip
    pod = stateful["spec"]["template"]["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert config.serve.password_file.startswith(mounts["secret"])
    for container in pod["containers"]:
        command, *options = container["args"]
        listed = good(command, "--help").out
        assert all(word in listed for word in options if word.startswith("--"))


def test_images_are_made_of_the_pinned_versions() -> None:
    made = (FOLDER / "flink.Dockerfile").read_text()
    assert f"FROM flink:{FLINK.version}-" in made
    (connector,) = FLINK.artifacts
    assert str(connector) in made
    assert "pins/flink.txt" in made
    for path in FOLDER.glob("*.Dockerfile"):
        assert re.search(r"^USER [1-9]\d+$", path.read_text(), flags=re.M), path


# YAML

TEXT = st.text(max_size=12) | st.sampled_from(["true", "No", "null", "1", "1e3", "a: b", "-", ""])
PLAIN = st.recursive(
    TEXT | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXT, PLAIN, min_size=1, max_size=4))
def test_any_plain_data_comes_back_from_its_yaml(document: Mapping[str, object]) -> None:
    assert yaml.safe_load(yaml_text(document)) == document
