"""Prints the notices of the Rust packages that are linked into mimid: name, version, licence, and each licence's text once.

What only builds or tests is left out, for nothing of it is handed on. Arguments are passed to cargo metadata (--features …).
"""

import glob
import json
import os
import subprocess
import sys

rustc = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
host = next(line.split()[1] for line in rustc.splitlines() if line.startswith("host:"))
command = ["cargo", "metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", host, *sys.argv[1:]]
metadata = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}

linked, waiting = set(), [metadata["resolve"]["root"]]
while waiting:
    package_id = waiting.pop()
    macro = any("proc-macro" in target["kind"] for target in packages[package_id]["targets"])
    if package_id in linked or macro:
        continue
    linked.add(package_id)
    waiting += [dep["pkg"] for dep in nodes[package_id]["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
linked.remove(metadata["resolve"]["root"])

# Many packages share a text word for word; it is printed once, under all of their names.
texts: dict[str, list[str]] = {}
for package in sorted((packages[package_id] for package_id in linked), key=lambda package: (package["name"], package["version"])):
    name = f"{package['name']} {package['version']}"
    print(f"{name}: {package['license'] or 'see its licence file'}")
    folder = os.path.dirname(package["manifest_path"])
    for path in sorted(glob.glob(folder + "/*")):
        stem = os.path.basename(path).upper()
        if os.path.isfile(path) and stem.startswith(("LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE")):
            with open(path, encoding="utf-8", errors="replace") as file:
                names = texts.setdefault(file.read().strip(), [])
            if name not in names:
                names.append(name)
for text, names in texts.items():
    print(f"\n{'=' * 78}\n{', '.join(names)}\n\n{text}")
