# make build | run | test | quick | api-test | test-home-assistant | deny | endurance | fuzz | bench | lint | deb | deb-test | setup | clean. Each sets up what it needs, once.
SHELL := /bin/bash
.DEFAULT_GOAL := build
.PHONY: build run test quick api-test test-home-assistant deny endurance fuzz bench lint deb deb-test setup packages clean help

# ONNX Runtime leaves a device id in the home of whoever loads it, the tests' processes among them, if it is not told otherwise.
export ORT_DISABLE_TELEMETRY := 1
TARGET := $(or $(CARGO_TARGET_DIR),target)
# PipeWire's native host needs its headers (cpal asks for 0.3.53; Debian 12 has 0.3.65) and libclang's (libclang-dev); without
# them PipeWire is reached as a PulseAudio server.
FEATURES := $(shell pkg-config --exists 'libpipewire-0.3 >= 0.3.53' 2>/dev/null && ls /usr/lib/llvm-*/lib/libclang.so >/dev/null 2>&1 && echo --features pipewire)
PYTHON_PACKAGES := $(shell python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3 python3-venv)
# Ubuntu has other names for the browser and its driver than Debian.
BROWSER := $(shell . /etc/os-release 2>/dev/null; [ "$$ID" = ubuntu ] && echo chromium-browser chromium-chromedriver || echo chromium chromium-driver)
RTSP_SERVER := python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad \
	gstreamer1.0-plugins-ugly gstreamer1.0-libav glib-networking
SOUNDS := /usr/share/sounds/alsa/Front_Center.wav $(addprefix /usr/share/sounds/freedesktop/stereo/,phone-incoming-call.oga \
	phone-outgoing-busy.oga camera-shutter.oga complete.oga alarm-clock-elapsed.oga)

help:
	@sed -n 1p Makefile | cut -c3-

setup: packages
	@models/setup.sh

packages:
	@.ci/packages gcc libc6-dev cmake pkg-config libasound2-dev $(PYTHON_PACKAGES)

# The model is fetched and prepared while the program is compiled, which does not need it.
build: packages
	@models/setup.sh & setup=$$!; trap "kill $$setup" INT TERM; cargo build --release --locked $(FEATURES); built=$$?; \
	wait $$setup || { echo "build: the model is not ready; its set-up said why above, and make setup repeats it" >&2; exit 1; }; exit $$built

# Prints the events of the default microphone; where there is none, those of some recorded sounds.
run: build
	@.ci/packages --optional sound-theme-freedesktop alsa-utils
	$(TARGET)/release/mimid run --print $(foreach sound,$(SOUNDS),--fallback file:$(sound)) $(ARGS)

# The checks of the source, and the pages of its documentation, which are a check as well: no warning is let through.
lints = .ci/layers --self-test && cargo fmt --all -- --check && cargo clippy --all-targets --locked -- -D warnings
pages = RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --document-private-items

lint:
	$(lints)

# Runs the tests, with these arguments for nextest, or with those for cargo where there is no nextest. Most tests wait most of the time, so
# there may be more of them at a time than processors.
tests = if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --locked --test-threads $$((2 * $$(nproc))) $1; \
	else cargo test --locked --no-fail-fast $2; fi

# Most tests wait most of the time, so that the lints and the pages, made beside them, add little to the time of the tests alone.
test: setup
	@.ci/packages pulseaudio pulseaudio-utils sound-theme-freedesktop alsa-utils espeak-ng curl socat tmux fonts-dejavu-core faketime dpkg-dev mosquitto \
		mosquitto-clients openssl $(BROWSER) python3-prometheus-client ffmpeg icecast2 $(RTSP_SERVER)
	@.ci/packages --optional systemd procps sndfile-programs prometheus
	@.ci/packages --optional firefox-esr
	$(call tests,--no-run,--lib --bins --tests --no-run)
	@{ $(lints) && $(pages); } >$(TARGET)/lint.log 2>&1 & lint=$$!; trap "kill $$lint" INT TERM; \
	$(call tests,,--lib --bins --tests); tested=$$?; wait $$lint; linted=$$?; cat $(TARGET)/lint.log; \
	[ $$tested -eq 0 ] || exit $$tested; exit $$linted
	cargo test --locked --doc

# The short loop: the format, the lints, and the tests that need no device, broker, browser or terminal and do not hear in real time.
quick: setup lint
	$(call tests,--profile quick,--lib --bins --test library --test commands --test allocations)

# Asks the HTTP interface for whatever its description allows and does not, for five minutes: SECONDS=60 is one.
api-test: SECONDS := 300
api-test: build
	@.ci/packages alsa-utils curl
	@cmp -s tests/api/.venv/ready tests/api/requirements.txt || { \
		rm -rf tests/api/.venv && python3 -m venv tests/api/.venv >/dev/null \
		&& tests/api/.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps --require-hashes \
			--only-binary :all: --requirement tests/api/requirements.txt \
		&& cp tests/api/requirements.txt tests/api/.venv/ready; }
	tests/api/run $(TARGET)/release/mimid $(SECONDS)

# mimid in a real Home Assistant, in a root of Debian's that is made once (some 2 GB, some minutes); as root.
test-home-assistant: build
	@.ci/packages mmdebstrap mosquitto mosquitto-clients pulseaudio pulseaudio-utils sound-theme-freedesktop
	tests/home_assistant/root $(abspath $(TARGET))/home-assistant
	python3 tests/home_assistant $(abspath $(TARGET))/home-assistant $(abspath $(TARGET))/release/mimid

# The licences, sources and known faults of the dependencies (.deny.toml).
deny:
	@.ci/deny

# What years do to a daemon, in some ten minutes: `make test` does a little of each.
endurance: setup
	@.ci/packages pulseaudio pulseaudio-utils sound-theme-freedesktop alsa-utils mosquitto mosquitto-clients openssl
	MIMID_ENDURANCE=1 cargo test --release --locked --test daemon -- endurance:: stuck:: mqtt:: --nocapture

# Gives every parser of foreign bytes what a fuzzer thinks up, ten minutes each; with PART=wav one of them. See fuzz/README.md.
fuzz: SECONDS := 600
fuzz:
	@.ci/packages g++ cmake pkg-config libasound2-dev
	@cargo fuzz --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-fuzz \
		|| { echo "fuzz: cargo-fuzz could not be installed; run: cargo install --locked cargo-fuzz" >&2; exit 1; }
	cargo fuzz build --sanitizer none $(PART)
	for target in $(or $(PART),$$(cargo fuzz list)); do \
		mkdir -p fuzz/target/corpus/$$target; \
		TMPDIR=$(or $(wildcard /dev/shm),/tmp) cargo fuzz run --sanitizer none $$target fuzz/target/corpus/$$target fuzz/corpus/$$target \
			-- -max_total_time=$(SECONDS) -max_len=8192 -timeout=30 -rss_limit_mb=1024 -print_final_stats=1 || exit 1; \
	done

# The whole of it, or with PART=subscribers one part; ARGS=--quick takes a fifth of the time.
bench: build
	@.ci/packages pulseaudio pulseaudio-utils sound-theme-freedesktop alsa-utils mosquitto ffmpeg $(RTSP_SERVER)
	@cmp -s benches/cost/.venv/ready benches/cost/requirements.txt || { \
		rm -rf benches/cost/.venv && python3 -m venv benches/cost/.venv >/dev/null \
		&& benches/cost/.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps --require-hashes \
			--only-binary :all: --requirement benches/cost/requirements.txt \
		&& cp benches/cost/requirements.txt benches/cost/.venv/ready; }
	benches/cost/.venv/bin/python benches/cost $(ARGS) $(PART)
	$(if $(PART),,MIMID_MODELS=$(CURDIR)/models MIMID_ONNXRUNTIME=$(CURDIR)/models/runtime/libonnxruntime.so cargo bench --locked --bench engine)

# A Debian package with all that the service needs, in target/debian.
deb: build
	@.ci/packages dpkg-dev
	FEATURES="$(FEATURES)" systemd/debian/build $(TARGET)/release/mimid $(TARGET)/debian

# Installs, upgrades, removes and purges it in a bare root, and asks lintian.
deb-test: deb
	@.ci/packages lintian mmdebstrap alsa-utils
	systemd/debian/test $(TARGET)/debian/mimid_*_$$(dpkg --print-architecture).deb

clean:
	rm -rf $(TARGET) benches/cost/.venv tests/api/.venv models/.venv models/runtime models/ced-tiny/{model.onnx,labels.tsv,ontology.tsv}
