"""The bench program `probe` (benches/probe): built once, run for one figure after the other."""
import functools
import json
import subprocess

from mimid import PROJECT, environment


@functools.cache
def binary():
    command = ["cargo", "bench", "--no-run", "--quiet", "--locked", "--bench", "probe", "--message-format", "json"]
    built = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    if built.returncode:
        raise SystemExit("The bench program could not be built.")
    messages = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
    return next(message["executable"] for message in messages if message.get("target", {}).get("name") == "probe")


def start(*arguments):
    return subprocess.Popen([binary(), *map(str, arguments)], env=environment(), stdout=subprocess.PIPE, text=True)


def figures(*arguments):
    """What one run of it says."""
    child = start(*arguments)
    said, _ = child.communicate()
    if child.returncode:
        raise SystemExit(f"The bench program failed at {arguments[0]}.")
    return json.loads(said)
