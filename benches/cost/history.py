"""The store: ten million events over three years, made and asked for inside one test program of Rust."""
import json
import os
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
EVENTS = 10_000_000


def measure(effort, figures):
    events = max(100_000, round(EVENTS * min(effort.scale, 1.0)))
    with tempfile.TemporaryDirectory(prefix="mimid-history-") as folder:
        environment = os.environ | {"MIMID_STORE_EVENTS": str(events), "MIMID_STORE_FILE": str(Path(folder, "events.db"))}
        command = ["cargo", "test", "--release", "--locked", "--lib", "publish::store::measure", "--", "--nocapture"]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit("the store could not be measured; its test program failed, see above")
    told = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("MEASURED ")).removeprefix("MEASURED "))
    years = f"{events:,} events over three years: "
    figures.at_least(years + "kept a second", told["inserts_per_s"], 5_000)
    figures.at_most(years + "bytes of the file an event", told["bytes_per_event"], 250)
    figures.at_most("a page of 100 events, at the 95th percentile", told["page_ms"][1], 100, " ms")
    figures.at_most("the hours of a year of all events, at the 95th percentile", told["year_ms"], 300, " ms")
    figures.at_most("the same of the most frequent label", told["year_of_a_label_ms"], 300, " ms")
    figures.at_most("the same of that label and one source", told["year_of_a_label_and_source_ms"], 300, " ms")
    figures.beside("the days of a year by label", told["year_by_day_and_label_ms"], " ms")
    figures.beside("clearing a piece of 400 events, at the 95th percentile", told["piece_ms"][1], " ms")
    figures.at_most("the longest piece", told["piece_ms"][2], 250, " ms")
    figures.at_most("memory while all of it is made, asked for and cleared", told["memory_mib"], 32, " MiB")
    return []
