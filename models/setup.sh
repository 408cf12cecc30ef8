#!/usr/bin/env bash
# Gets what is not under version control: libonnxruntime into models/runtime, and the model's files into models/ced-tiny.
# Everything is pinned by checksum and lies inside the project's folder. It is done in a second where nothing is missing, and
# it can be interrupted at any time: a file gets its name only when it is whole.
set -euo pipefail
cd "$(dirname "$0")/.."
export ORT_DISABLE_TELEMETRY=1

fail() { echo "setup: $1" >&2; exit 1; }
matches() { [ -f "$2" ] && [ "$(sha256sum <"$2" | cut -d' ' -f1)" = "$1" ]; }

version=1.31.1
case "$(uname -m)" in
    x86_64) library_sha256=fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3 ;;
    aarch64) library_sha256=8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467 ;;
    *) fail "there is no official ONNX Runtime wheel for $(uname -m); build libonnxruntime 1.17 or newer yourself and set MIMID_ONNXRUNTIME to its path" ;;
esac
library=models/runtime/libonnxruntime.so.$version
venv=models/.venv

make_venv() {
    # pip is called as a module: its launcher holds an absolute path, which a moved project breaks.
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 && return
    command -v python3 >/dev/null || fail "python3 was not found; install it (Debian: apt-get install python3 python3-venv)"
    rm -rf "$venv"
    python3 -m venv "$venv" >/dev/null || { rm -rf "$venv"; fail "python3 cannot make a virtual environment; install it (Debian: apt-get install python3-venv)"; }
}

if ! matches "$library_sha256" "$library"; then
    echo "setup: fetching ONNX Runtime $version" >&2
    make_venv
    rm -rf models/runtime.tmp && mkdir -p models/runtime models/runtime.tmp
    "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-cache-dir --no-deps --require-hashes --only-binary :all: \
        --python-version 311 --implementation cp --abi cp311 --platform "manylinux_2_28_$(uname -m)" \
        --dest models/runtime.tmp --requirement models/requirements-runtime.txt \
        || fail "the wheel onnxruntime $version could not be fetched; set MIMID_ONNXRUNTIME to a libonnxruntime.so of version 1.17 or newer to do without"
    python3 - models/runtime.tmp "onnxruntime/capi/$(basename "$library")" "$library" <<'PY'
import glob, os, sys, zipfile
folder, member, target = sys.argv[1:]
with zipfile.ZipFile(glob.glob(folder + "/*.whl")[0]) as wheel, open(target + ".tmp", "wb") as out:
    out.write(wheel.read(member))
    for name in ("LICENSE", "ThirdPartyNotices.txt"):
        with open(os.path.join(os.path.dirname(target), name), "wb") as licence:
            licence.write(wheel.read("onnxruntime/" + name))
os.replace(target + ".tmp", target)
PY
    rm -rf models/runtime.tmp
    matches "$library_sha256" "$library" || fail "$library is not the library that was expected (sha256 $library_sha256)"
fi
ln -sf "$(basename "$library")" models/runtime/libonnxruntime.so

# The library lies beside the binary, where mimid looks for it first.
target=${CARGO_TARGET_DIR:-target}
for profile in release debug; do
    mkdir -p "$target/$profile"
    ln -sf "$PWD/models/runtime/libonnxruntime.so" "$target/$profile/libonnxruntime.so"
done

pinned() { sed -n "s/^$1 = \"\([0-9a-f]*\)\"\$/\1/p" models/ced-tiny/manifest.toml; }
if ! matches "$(pinned sha256)" models/ced-tiny/model.onnx || ! matches "$(pinned labels_sha256)" models/ced-tiny/labels.tsv \
    || ! matches "$(pinned ontology_sha256)" models/ced-tiny/ontology.tsv; then
    echo "setup: preparing the model ced-tiny" >&2
    make_venv
    if ! cmp -s "$venv/ready" models/requirements.txt; then
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --require-hashes --only-binary :all: --requirement models/requirements.txt \
            || fail "the packages of models/requirements.txt could not be installed (they need CPython 3.11 to 3.13)"
        cp models/requirements.txt "$venv/ready"
    fi
    cargo fetch --quiet --locked || fail "cargo could not fetch the packages of Cargo.lock"
    # Two packages that no target builds carry the weights and the ontology; cargo has checked their checksums.
    package() {
        cargo metadata --locked --offline --format-version 1 | python3 -c '
import json, os, sys
print(next(os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == sys.argv[1]))' "$1"
    }
    weights=$(package soundevents) && dataset=$(package soundevents-dataset) || fail "cargo does not say where the packages soundevents and soundevents-dataset lie"
    "$venv/bin/python" models/prepare.py --graph "$weights/models/tiny.onnx" --labels "$dataset/assets/class_labels_indices.csv" \
        --ontology "$dataset/assets/ontology.json" --out models/ced-tiny || fail "the model ced-tiny could not be prepared"
fi
