"""Prefect runs the pipeline each night: `python examples/prefect_flow.py`. Exit 3 is a result: it was rejected."""

import subprocess

from prefect import flow, task


@task(retries=3, retry_delay_seconds=600)
def run(file: str) -> int:
    """One `asr pipeline run`, which goes on where the last one ended. Raises where it failed, or waits for streams."""
    code = subprocess.run(["asr", "pipeline", "run", file], check=False).returncode
    if code not in (0, 3):
        raise RuntimeError(f"asr pipeline run ended with {code}")
    return code


@flow
def pipeline(file: str = "configs/pipeline.toml") -> int:
    """The whole pipeline is one task: its steps resume by themselves."""
    return run(file)


if __name__ == "__main__":
    pipeline.serve(name="nightly", cron="0 3 * * *")
