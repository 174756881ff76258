"""A job for the Flink Kubernetes Operator: a FlinkDeployment, or a pair of them, blue and green."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tickloop.core.errors import ConfigError
from tickloop.streaming.flink.deployed import SQL, Deployment, of_plan
from tickloop.streaming.flink.operations import entry_of, job_settings
from tickloop.streaming.flink.plan import EXACTLY_ONCE, from_json

API = "flink.apache.org/v1beta1"
FLINK = "2.2.1"
_PYTHON = "/usr/bin/python3"
# The image's own user: state in buckets needs no other, and none may become root.
_USER = 9999
_DRIVER = "org.apache.flink.client.python.PythonDriver"
_BUCKETS = {"s3": f"flink-s3-fs-presto-{FLINK}.jar", "gs": f"flink-gs-fs-hadoop-{FLINK}.jar"}
# How long the old colour goes on after the new one runs, so that a look at both is possible.
_OVERLAP = "60s"

Document = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Site:
    """Where a job is to run."""

    image: str  # infra/kubernetes/flink.Dockerfile makes it
    state: str  # folder or bucket for checkpoints, savepoints and the cluster's own state
    namespace: str = "tickloop"
    memory: str = "2048m"
    cpu: float = 1.0


def flink_deployment(what: Deployment, site: Site) -> Document:
    """Describe a job as an application cluster of its own."""
    return {
        "apiVersion": API, "kind": "FlinkDeployment",
        "metadata": _metadata(what, site), "spec": _spec(what, site),
    }  # fmt: skip


def blue_green(what: Deployment, site: Site) -> Document:
    """Describe a job whose next version starts beside it and takes over when it runs.

    Both write the same rows for a while, and readers take each once: that rests on rows being
    told apart by their cause. Two writers under one transactional id are none.
    """
    if what.plan.get("guarantee") == EXACTLY_ONCE:
        raise ConfigError(
            f"{what.name}: exactly_once seen, at_least_once expected: blue and green would end each"
            " other's transactions; readers take each row once all the same"
        )
    return {
        "apiVersion": API, "kind": "FlinkBlueGreenDeployment",
        "metadata": _metadata(what, site),
        "spec": {
            "configuration": {"kubernetes.operator.bluegreen.deployment-deletion.delay": _OVERLAP},
            "template": {"spec": _spec(what, site)},
        },
    }  # fmt: skip


def _metadata(what: Deployment, site: Site) -> Document:
    name = f"tickloop-{what.name.lower().replace('_', '-')}"
    return {
        "name": name, "namespace": site.namespace,
        "labels": {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "tickloop"},
    }  # fmt: skip


def _spec(what: Deployment, site: Site) -> Document:
    what = in_image(what)
    resource = {"cpu": site.cpu, "memory": site.memory}
    return {
        "image": site.image,
        "flinkVersion": "v" + "_".join(FLINK.split(".")[:2]),
        "serviceAccount": "flink",
        "flinkConfiguration": _configuration(what, site),
        "podTemplate": _pod(site),
        "jobManager": {"replicas": 1, "resource": resource},
        "taskManager": {"resource": resource},
        "job": {
            # The driver starts Python; the program is in the image's own packages.
            "jarURI": f"local:///opt/flink/opt/flink-python-{FLINK}.jar",
            "entryClass": _DRIVER,
            "args": ["-pyclientexec", _PYTHON, "-pyexec", _PYTHON, "-pym", entry_of(what),
                     what.text],
            "parallelism": what.parallelism,
            "upgradeMode": "savepoint",
            "allowNonRestoredState": False,
        },
    }  # fmt: skip


def in_image(what: Deployment) -> Deployment:
    """Say that the image is the code: there is no archive that a digest could name."""
    if what.kind == SQL:
        return replace(what, text=json.dumps({**what.plan, "code_digest": ""}, sort_keys=True))
    plan = from_json(what.text)
    if plan.path:
        raise ConfigError(
            f"{plan.name} runs {plan.path}, which is in no image: make it a package with an entry"
            " point in the group tickloop.operators, install that in the image, and name it"
        )
    return of_plan(replace(plan, code_digest=""))


def _configuration(what: Deployment, site: Site) -> Document:
    folder = f"{site.state.rstrip('/')}/{what.name}"
    own = job_settings(what, "")
    del own["python.files"]
    return {
        **own,
        "taskmanager.numberOfTaskSlots": "1",
        "taskmanager.memory.segment-size": "256 kb",
        "execution.checkpointing.dir": f"{folder}/checkpoints",
        "execution.checkpointing.savepoint-dir": f"{folder}/savepoints",
        "high-availability.type": "kubernetes",
        "high-availability.storageDir": f"{folder}/ha",
        "restart-strategy.type": "exponential-delay",
        "kubernetes.operator.job.restart.failed": "true",
        "kubernetes.operator.savepoint.history.max.count": "5",
    }


def _pod(site: Site) -> Document:
    scheme = site.state.partition("://")[0]
    container: dict[str, object] = {
        "name": "flink-main-container",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    if scheme in _BUCKETS:
        container["env"] = [{"name": "ENABLE_BUILT_IN_PLUGINS", "value": _BUCKETS[scheme]}]
    return {
        "spec": {
            "securityContext": {"runAsNonRoot": True, "runAsUser": _USER, "fsGroup": _USER},
            "containers": [container],
        }
    }
