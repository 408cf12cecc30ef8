"""Measures what mimid costs and prints it as Markdown, with the target beside each figure.

usage: python3 benches/cost [--quick | --long] [--against BINARY] [PART …]; `make bench` prepares what it needs and runs it.

Where two things are compared they take turns. CPU time is that of all threads, as the kernel counts it.
"""
import argparse
import importlib
import os
import sys
import time

from process import allow_many_files
from table import Figures

#: Each part's module and function.
PARTS = {
    "window": ("window", "measure"),
    "front-end": ("front_end", "measure"),
    "live": ("live", "measure"),
    "onset": ("onset", "measure"),
    "start": ("cold_start", "measure"),
    "sources": ("sources", "one_in_ten"),
    "sources-loud": ("sources", "all_at_once"),
    "network": ("network", "measure"),
    "scan": ("scan", "measure"),
    "hop": ("hop", "measure"),
    "subscribers": ("subscribers", "measure"),
    "sinks": ("sinks", "measure"),
    "history": ("history", "measure"),
}


class Effort:
    """How long and how often things are measured, and against which other mimid."""

    def __init__(self, scale, against=None):
        self.scale, self.against = scale, against

    def seconds(self, usual):
        return max(2, round(usual * self.scale))

    def count(self, usual):
        return max(1, round(usual * self.scale))


def main():
    parser = argparse.ArgumentParser(prog="benches/cost", description="Measures what mimid costs, all of it or some parts.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    how_long = parser.add_mutually_exclusive_group()
    how_long.add_argument("--quick", action="store_true", help="a fifth of the time, for a first look")
    how_long.add_argument("--long", action="store_true", help="five times the time, and longer recordings")
    parser.add_argument("--against", metavar="BINARY", help="another mimid, with which the part `sinks` takes turns")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}, only {', '.join(PARTS)}")
    allow_many_files()
    effort = Effort(0.2 if arguments.quick else 5.0 if arguments.long else 1.0, arguments.against)
    figures, tables, failed = Figures(), [], []
    for name in arguments.parts or PARTS:
        print(f"cost: {name}", file=sys.stderr, flush=True)
        began = time.monotonic()
        module, function = PARTS[name]
        try:
            tables += getattr(importlib.import_module(module), function)(effort, figures)
        except (SystemExit, Exception) as error:
            # What the other parts have measured must not be lost.
            failed.append(name)
            print(f"cost: {name} failed: {error!r}", file=sys.stderr)
        print(f"cost: {name} took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(f"On {os.cpu_count()} cores, {cpu_model()}.\n")
    for table in [figures, *tables]:
        if table.rows:
            print(table)
    if failed:
        sys.exit(f"cost: {', '.join(failed)} could not be measured.")


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        lines = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return lines[0] if lines else os.uname().machine


main()
