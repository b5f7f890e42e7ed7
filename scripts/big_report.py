"""Measures the report of very many recordings: time, memory and size, and how fast Chromium opens the page.

.venv/bin/python scripts/big_report.py runs/models --recordings 10000 --out runs/big

The recordings are those of a finished run, each as often as needed, as other recordings of other speakers.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from eval.runs.folder import TRACES
from eval.trace import Trace, read_traces, to_line


def main() -> None:
    """Makes the run, reports on it, and prints a JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--recordings", type=int, default=10_000)
    parser.add_argument("--mode", default="replay")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    run, report = options.out / "run", options.out / "report"
    run.mkdir(parents=True)
    shutil.copy(options.run / "run.json", run)
    traces = [trace for trace in read_traces(options.run / TRACES) if trace.mode == options.mode]
    with (run / TRACES).open("w", encoding="utf-8") as file:
        file.writelines(to_line(trace) + "\n" for trace in repeated(traces, options.recordings))
    began_s = time.monotonic()
    command = [sys.executable, "-c", "from asr.cli import main; main()", "eval", "compare", str(run)]
    subprocess.run([*command, "--out", str(report)], check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {
        "recordings": options.recordings,
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "wall_s": round(time.monotonic() - began_s, 1),
        "peak_memory_mb": used.ru_maxrss // 1024,
        "page_mb": round((report / "report.html").stat().st_size / 1e6, 1),
    }
    print(json.dumps(figures | opened(report / "report.html")))


def repeated(traces: list[Trace], count: int) -> Iterator[Trace]:
    """``count`` recordings of each model, the ids and speakers of each copy with its number."""
    keys = list(dict.fromkeys((trace.dataset, trace.utterance) for trace in traces))
    for copy in range(-(-count // len(keys))):
        taken = set(keys[: count - copy * len(keys)])
        for trace in traces:
            if (trace.dataset, trace.utterance) in taken:
                speaker = trace.speaker and f"{trace.speaker}-{copy}"
                yield replace(trace, utterance=f"{trace.utterance}-{copy}", speaker=speaker)


def opened(page: Path) -> dict[str, float]:
    """Seconds until Chromium shows the first recording, and from a search's last key to its result; {} without it."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return {}
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        window = browser.new_page()
        began_s = time.monotonic()
        window.goto(page.absolute().as_uri())
        window.locator("article").first.wait_for()
        shown_s = time.monotonic() - began_s
        began_s = time.monotonic()
        window.locator("#find").fill("no such words anywhere")
        window.wait_for_function("document.querySelectorAll('article').length === 0")
        searched_s = time.monotonic() - began_s
        browser.close()
    return {"page_shown_s": round(shown_s, 2), "page_searched_s": round(searched_s, 2)}


if __name__ == "__main__":
    main()
