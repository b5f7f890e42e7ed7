"""Airflow runs the pipeline each night. Exit 3 is a result (the new model is worse): the task is skipped."""

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG("asr_pipeline", schedule="0 3 * * *", start_date=datetime(2026, 11, 27), catchup=False, max_active_runs=1):
    BashOperator(
        task_id="run",
        bash_command="asr pipeline run configs/pipeline.toml",
        cwd="/srv/asr",
        skip_on_exit_code=3,
        retries=3,
        retry_delay=timedelta(minutes=10),
    )
