"""mimid at home in a real Home Assistant: python3 tests/home_assistant FOLDER MIMID, where FOLDER/root has Home Assistant.

Each check prints a line with what was measured; the exit code is 1 where one fails.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from home import HomeAssistant, until  # noqa: E402
from place import Broker, Daemon, Microphone, alarm  # noqa: E402

PHONE = "/usr/share/sounds/freedesktop/stereo/phone-incoming-call.oga"
SMOKE = "Smoke detector, smoke alarm"
# The names under which a telephone is heard.
RINGING = ["Telephone", "Telephone bell ringing", "Ringtone"]
SMOKE_ID = "binary_sensor.kitchen_pi_kitchen_smoke_detector_smoke_alarm"
SOUND_ID = "event.kitchen_pi_kitchen_sound"
CONFIGURATION = f"""
homeassistant:
  name: Test
  latitude: 0
  longitude: 0
  time_zone: UTC
  auth_providers:
    - type: homeassistant
api:
config:
websocket_api:
automation:
  - id: smoke
    alias: confirmed smoke
    triggers:
      - trigger: state
        entity_id: {SMOKE_ID}
        attribute: confirmed
        to: true
    conditions:
      - condition: state
        entity_id: {SMOKE_ID}
        state: "on"
    actions:
      - event: mimid_smoke
  - id: phone
    alias: a telephone at once
    triggers:
      - trigger: state
        entity_id: {SOUND_ID}
    conditions:
      - condition: template
        value_template: "{{{{ trigger.to_state is not none and trigger.to_state.attributes.get('label') in {RINGING} }}}}"
    actions:
      - event: mimid_phone
"""
# What Home Assistant says about itself in a bare root.
ITS_OWN = ["aiohttp_fast_zlib"]
# Where a device goes that has disabled entities, Home Assistant itself empties the device's topic once for each of them, and warns of each.
AT_REMOVAL = ["No device components to cleanup for", "mqtt.discovery is logging too frequently"]
failures = []


def check(is_right, what):
    print(("ok      " if is_right else "FAILED  ") + what, flush=True)
    if not is_right:
        failures.append(what)


def main():
    folder, program = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        work.chmod(0o755)
        broker, microphone = Broker(work), Microphone(work)
        home = HomeAssistant(folder / "root", CONFIGURATION)
        daemons = []
        try:
            home.use_broker(broker.port)
            for kind in ("mimid_smoke", "mimid_phone", "state_changed"):
                home.socket.ask("subscribe_events", event_type=kind)
            one_microphone(home, broker, microphone, program, work, daemons)
            two_machines(home, broker, microphone, program, work, daemons)
            for daemon in daemons:
                daemon.stop()
            warnings = [line for line in home.warnings() if not any(own in line for own in ITS_OWN)]
            at_removal = [line for line in warnings if any(own in line for own in AT_REMOVAL)]
            warnings = [line for line in warnings if line not in at_removal]
            print(f"        {len(at_removal)} lines are Home Assistant's own about the disabled entities of a device that was removed")
            check(not warnings, f"no warning in Home Assistant's log{''.join(chr(10) + '        ' + line for line in warnings)}")
        finally:
            home.stop()
            for process in [broker.process, microphone.process, *(daemon.process for daemon in daemons)]:
                process.kill()
    print(f"{len(failures)} failed")
    return 1 if failures else 0


def source(broker, node):
    node = "" if node is None else f'node = "{node}"\n'
    sinks = f'[sinks.mqtt]\nurl = "mqtt://127.0.0.1:{broker.port}"\n{node}'
    phone = "".join(f'[labels."{name}"]\nannounce = "at once"\n' for name in RINGING)
    told = f'[labels."{SMOKE}"]\nannounce = "at once"\n{phone}'
    return f'[[source]]\nname = "kitchen"\ninput = "default"\n{told}{sinks}'


def entities(home):
    """The entities over MQTT by their ids."""
    listed = home.socket.ask("config/entity_registry/list")
    return {entity["entity_id"]: entity for entity in listed if entity["platform"] == "mqtt"}


def state(home, entity):
    return next((one["state"] for one in home.socket.ask("get_states") if one["entity_id"] == entity), None)


def changed_at(home, entity, to, since):
    """When Home Assistant first had this state of an entity after a time."""
    for at, event in home.socket.events:
        data = event["data"]
        if at >= since and data.get("entity_id") == entity and data["new_state"] and data["new_state"]["state"] == to:
            return at
    return None


def fired(home, kind, since):
    return [at for at, event in home.socket.events if event["event_type"] == kind and at >= since]


def one_microphone(home, broker, microphone, program, work, daemons):
    daemon = Daemon(program, work, "kitchen", source(broker, "kitchen-pi"), microphone.environment)
    daemons.append(daemon)
    until("the smoke sensor in Home Assistant", lambda: state(home, SMOKE_ID) == "off")
    devices = {device["id"]: device["name"] for device in home.socket.ask("config/device_registry/list")}
    known = entities(home)
    own = [entity for entity in known.values() if "kitchen" in devices.get(entity["device_id"], "").lower() and entity["disabled_by"] is None]
    of_source = [entity for entity in own if devices[entity["device_id"]].endswith("kitchen")]
    check(10 <= len(of_source) and len(own) <= 40, f"{len(of_source)} enabled entities for one microphone, {len(own)} with the daemon's, of {len(known)}; at most 40")

    began = time.time()
    microphone.play(PHONE)
    until("the automation at once", lambda: fired(home, "mimid_phone", began), 10)
    # Its name may come with an update.
    told = until("the telephone", lambda: sorted(daemon.events("event.start", RINGING) + daemon.events("event.update", RINGING), key=lambda line: line[0]))
    at, line = told[0]
    start = next(start for _, start in daemon.lines if start["type"] == "event.start" and start["event"]["id"] == line["event"]["id"])
    late = fired(home, "mimid_phone", began)[0] - at
    check(not start["event"]["confirmed"], "the telephone is announced before it is confirmed")
    check(late < 0.5, f"an automation at once fires {late:.3f} s after the announcement, for a telephone; 0.5 s")
    until("the end of the telephone", lambda: daemon.events("event.end", RINGING) and not daemon.open())
    check(not fired(home, "mimid_smoke", began), "an automation on confirmed smoke does not fire for a telephone")

    began = time.time()
    microphone.play(str(alarm(work / "alarm.wav")))
    until("the automation on confirmed smoke", lambda: fired(home, "mimid_smoke", began), 30)
    confirmed = [at for at, line in daemon.events("event.update", [SMOKE]) + daemon.events("event.start", [SMOKE]) if line["event"]["confirmed"]]
    late = fired(home, "mimid_smoke", began)[0] - min(confirmed)
    check(late < 0.5, f"an automation on confirmed smoke fires {late:.3f} s after the confirmation, for an alarm")
    until("the end of the alarm", lambda: state(home, SMOKE_ID) == "off", 60)
    count = len(fired(home, "mimid_smoke", began))
    check(count == 1, f"it fires once ({count})")

    began = time.time()
    microphone.unplug()
    until("the sensor to be unavailable", lambda: changed_at(home, SMOKE_ID, "unavailable", began), 30)
    late = changed_at(home, SMOKE_ID, "unavailable", began) - began
    check(late < 2, f"the sensor is unavailable {late:.2f} s after its source was lost; 2 s")
    microphone.plug_in()
    until("the sensor to be back", lambda: state(home, SMOKE_ID) == "off", 60)

    early = [line for line in home.warnings() if not any(own in line for own in ITS_OWN)]
    check(not early, f"no warning in Home Assistant's log until a device is removed{''.join(chr(10) + '        ' + line for line in early)}")
    daemon.stop()
    daemon.start(source(broker, "pantry-pi"))
    until("the renamed node", lambda: broker.retained("mimid/pantry-pi/availability"))
    left = until("nothing of the old node", lambda: nothing_of(broker, "kitchen"), 30)
    check(left, "a stop with a renamed node leaves no retained topic")
    until("the old entities to be gone", lambda: SMOKE_ID not in entities(home), 30)


def nothing_of(broker, node):
    return not [topic for topic in broker.retained() if f"{node}-pi" in topic or f"{node}_pi" in topic]


def two_machines(home, broker, microphone, program, work, daemons):
    for machine in ("1" * 32, "2" * 32):
        daemons.append(Daemon(program, work, f"machine-{machine[0]}", source(broker, None), microphone.environment, machine))
    host = os.uname().nodename.split(".")[0]

    def both():
        topics = broker.retained("mimid/+/availability")
        nodes = [topic.split("/")[1] for topic, payload in topics.items() if payload == "online" and host in topic]
        return len(nodes) == 2 and nodes

    nodes = until("both machines to be online", both, 30)
    # Whoever threw the other out would do so within seconds.
    ends = time.monotonic() + 10
    is_steady = True
    while time.monotonic() < ends:
        is_steady = is_steady and bool(both())
    registered = home.socket.ask("config/device_registry/list")
    names = [device["name"] for device in registered if device["name"].lower().endswith("kitchen")]
    check(is_steady and len(set(names)) >= 2, f"two daemons of one host name are side by side: {', '.join(nodes)}; devices {', '.join(sorted(names))}")


if __name__ == "__main__":
    sys.exit(main())
