"""What Flink runs: one argument, a job plan as JSON or the path of a file with it."""

import sys


def main(arguments: list[str]) -> None:
    """Submit the job of a plan to the cluster that runs this."""
    from tickloop.streaming.flink.plan import read
    from tickloop.streaming.flink.unpack import use

    if len(arguments) != 1:
        raise SystemExit(f"one argument expected, a job plan as JSON or a file; seen {arguments}")
    plan = read(arguments[0])
    # Before anything else of ours: what is pickled has to be of the modules that are loaded then.
    use(plan.code_digest)
    from tickloop.streaming.flink.graph import submit

    submit(plan.to_json())


if __name__ == "__main__":
    main(sys.argv[1:])
