"""`tickloop stream manifest`: jobs as manifests for the Flink Kubernetes Operator."""

from pathlib import Path
from typing import Any

import click

from tickloop.app.commands.stream_flink import config_option, config_with, job_options
from tickloop.app.options import settings_of

_IMAGE = "tickloop-flink:0.1.0"


@click.command()
@click.argument("jobs", nargs=-1, metavar="[NAME|FILE.sql]...")
@job_options
@config_option
@click.option("--image", default=_IMAGE, show_default=True,
              help="Made by infra/kubernetes/flink.Dockerfile.")  # fmt: skip
@click.option("--state", default="s3://tickloop/flink", show_default=True, metavar="URL",
              help="Folder or bucket of checkpoints and savepoints.")  # fmt: skip
@click.option("--namespace", default="tickloop", show_default=True)
@click.option("--blue-green", is_flag=True, help="A FlinkBlueGreenDeployment: the next version"
              " starts beside the one that runs.")  # fmt: skip
def manifest(
    jobs: tuple[str, ...], config_path: Path | None, given: tuple[str, ...], image: str,
    state: str, namespace: str, blue_green: bool, **options: Any,
) -> None:  # fmt: skip
    """Print jobs as YAML for the Flink Kubernetes Operator; nothing is asked of any cluster.

    The image holds the code. What a change of the plan does to the state, the operator does not
    look at: `tickloop stream plan --flink URL` of the job's REST service does.

    \b
    Examples:
      tickloop stream manifest --config desk.toml | kubectl apply -f -
      tickloop stream manifest bars --brokers kafka:9092 --blue-green
    """
    from tickloop.app.flink_jobs import chosen
    from tickloop.streaming.flink.manifest import Site, flink_deployment
    from tickloop.streaming.flink.manifest import blue_green as pair
    from tickloop.streaming.flink.yaml_text import yaml_text

    config = config_with(config_path, options)
    site = Site(image, state, namespace)
    spell = pair if blue_green else flink_deployment
    found = chosen(config, jobs, settings_of(given))
    print("---\n".join(yaml_text(spell(each.what, site)) for each in found), end="")
