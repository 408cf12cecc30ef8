"""Prints the packages that the integrations of the test need beside Home Assistant itself, as its manifests have them."""

import json
import pathlib

import homeassistant

folder = pathlib.Path(homeassistant.__file__).parent / "components"
seen, waiting, needed = set(), ["automation", "config", "mqtt"], set()
while waiting:
    name = waiting.pop()
    if name not in seen:
        seen.add(name)
        manifest = json.loads((folder / name / "manifest.json").read_text())
        needed.update(manifest.get("requirements", []))
        waiting += manifest.get("dependencies", [])
print(*sorted(needed))
