"""From a sound's onset in the microphone to the line on the socket."""
import threading
import time
from statistics import median

import sound
from mimid import Daemon
from sound_server import SoundServer

SOUNDS = [sound.VOICES / "Front_Center.wav", sound.THEME / "phone-incoming-call.oga", sound.VOICES / "Rear_Left.wav",
          sound.THEME / "complete.oga", sound.VOICES / "Side_Right.wav"]
ONSETS = 15
#: Between two sounds: nothing of the one before is open any more.
BETWEEN_S = 4.5
#: A line after this belongs to no onset.
LATEST_S = 3.0
#: The median by the measure of the hearing, from onset to announcement; nothing may make it later.
BEFORE_S = 0.37


def measure(effort, figures):
    starts = []
    with SoundServer() as server, Daemon(sound_server=server) as daemon:
        client = daemon.connect()
        daemon.wait_until_live(client)
        subscriber = daemon.connect()
        subscriber.ask({"op": "subscribe", "types": ["event.start"]}, "subscribed")

        def collect():
            while True:
                try:
                    subscriber.wait_for("event.start")
                except (SystemExit, OSError, ValueError):
                    return
                starts.append(time.time())

        threading.Thread(target=collect, daemon=True).start()
        ear = server.listen()
        time.sleep(3.0)
        for index in range(effort.count(ONSETS)):
            server.play(SOUNDS[index % len(SOUNDS)]).wait()
            time.sleep(BETWEEN_S)
        ear.stop()
        onsets = ear.onsets()
    delays = [next((start - onset for start in starts if 0.0 < start - onset < LATEST_S), None) for onset in onsets]
    heard = [delay for delay in delays if delay is not None]
    figures.row("onsets played, and heard", f"{len(onsets)}, {len(heard)}", "", "")
    if heard:
        figures.at_most("onset to line on the socket, median, one source", median(heard), BEFORE_S, " s")
        figures.beside("the slowest of them", max(heard), " s")
    return []
