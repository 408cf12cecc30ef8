//! The strains of years on the daemon: sound servers that come and go, kills at any moment, endless reloads, clients of every
//! kind.
//!
//! `make test` does a little of each. With `MIMID_ENDURANCE` set to anything, the tests run in full and take about ten minutes.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::support::network::{minute_of_voices, rtsp_server};
use crate::support::{Client, Daemon, Over, RINGTONE, SoundServer, VOICE, free_port, looped, until, voice_and_silence};
use serde_json::Value;

/// `whole` if `MIMID_ENDURANCE` is set, else `some`.
fn rounds(some: usize, whole: usize) -> usize {
    if std::env::var_os("MIMID_ENDURANCE").is_some() { whole } else { some }
}

/// Resident memory in MiB and the number of open descriptors.
fn resources(daemon: &Daemon) -> (f64, usize) {
    let process = Path::new("/proc").join(daemon.child.id().to_string());
    (daemon.resident_mib(), std::fs::read_dir(process.join("fd")).unwrap().count())
}

/// A bound for an optimised build, or a laxer one for the tests' own builds, which share the machine with other tests.
fn bound(release_s: u64, debug_s: u64) -> Duration {
    Duration::from_secs(if cfg!(debug_assertions) { debug_s } else { release_s })
}

/// Reads lines until one is of this type, and of this label if one is named. Counts the starts and the ends meanwhile.
fn read_until(client: &mut Client, kind: &str, label: Option<&str>, counts: &mut (u32, u32)) {
    loop {
        let line = client.next();
        counts.0 += u32::from(line["type"] == "event.start");
        counts.1 += u32::from(line["type"] == "event.end");
        if line["type"] == kind && label.is_none_or(|label| line["event"]["label"] == label) {
            return;
        }
    }
}

#[test]
fn a_sound_server_that_is_killed_again_and_again_is_lost_in_time_and_heard_again_in_time() {
    let mut server = SoundServer::start();
    let daemon = Daemon::start("", &[], &server.environment());
    let mut client = daemon.connect();
    client.hear_on(2.0);
    let (mut counts, mut at_first, mut longest) = ((0, 0), None, [Duration::ZERO; 2]);
    let rounds = rounds(3, 50);
    for round in 0..rounds {
        // From the moment on at which the server is there again, a voice is played into it until it is heard.
        let (returned, is_heard) = (Instant::now(), Over::default());
        std::thread::scope(|scope| {
            let _is_heard = is_heard.at_the_end();
            let (server, is_heard) = (&server, &is_heard);
            scope.spawn(move || {
                while !is_heard.is() {
                    server.play(VOICE);
                }
            });
            read_until(&mut client, "event.start", Some("Speech"), &mut counts);
            longest[0] = longest[0].max(returned.elapsed());
        });
        assert!(longest[0] < bound(3, 60), "round {round}: a voice is heard after {:?}", longest[0]);
        let killed = Instant::now();
        server.kill();
        read_until(&mut client, "source.lost", None, &mut counts);
        longest[1] = longest[1].max(killed.elapsed());
        assert!(longest[1] < bound(3, 20), "round {round}: lost after {:?}", longest[1]);
        // Every event ends with its source, before the source is told to be lost.
        assert_eq!(counts.0, counts.1, "round {round}");
        // Buffers are made with the first rounds.
        if round == 2 {
            at_first = Some(resources(&daemon));
        }
        server.restart();
    }
    eprintln!("{rounds} times: heard again within {:?}, lost within {:?}", longest[0], longest[1]);
    if let Some((resident, descriptors)) = at_first.filter(|_| rounds > 3) {
        client.wait_for("source.restored");
        let (resident_now, descriptors_now) = resources(&daemon);
        eprintln!("{resident:.1} MiB became {resident_now:.1} MiB, {descriptors} descriptors became {descriptors_now}");
        assert!(resident_now < resident + 4.0, "{resident} MiB became {resident_now} MiB");
        // Those of the stream that is open again are more than those of the lost one.
        assert!(descriptors_now <= descriptors + 6, "{descriptors} descriptors became {descriptors_now}");
    }
}

#[test]
fn a_daemon_that_is_killed_at_any_moment_starts_again_and_its_replay_is_honest() {
    let mut daemon = Daemon::looped("", RINGTONE);
    let (rounds, mut longest) = (rounds(10, 100), Duration::ZERO);
    for round in 0..rounds {
        // While it starts, hears, and speaks: the moment is left to chance.
        std::thread::sleep(Duration::from_millis(fastrand::u64(..400)));
        let client = daemon.connect();
        let (seq, instance) = (client.hello["seq"].as_u64().unwrap(), client.hello["instance"].clone());
        daemon.child.kill().unwrap();
        daemon.child.wait().unwrap();
        assert!(daemon.socket().exists(), "a killed daemon leaves its socket");
        let began = Instant::now();
        daemon.start_again("", &["--source", &looped(RINGTONE)], &[]);
        longest = longest.max(began.elapsed());
        assert!(longest < bound(1, 60), "it starts again after {longest:?}");
        let mut client = daemon.connect();
        assert_ne!(client.hello["instance"], instance);
        // Whoever says whose number it is, is told that the rest of it is gone, though the new one may have come as far.
        client.send(&format!(r#"{{"op":"subscribe","since":{seq},"instance":{instance}}}"#));
        assert_eq!(client.wait_for("subscribed")["restarted"], true);
        let own = client.hello["instance"].clone();
        client.send(&format!(r#"{{"op":"subscribe","since":0,"instance":{own}}}"#));
        assert_eq!(client.wait_for("subscribed")["restarted"], false);
        if round % 5 > 0 {
            continue;
        }
        // A number that the new one has not reached tells as much; then comes all that the new one says, from its first report on.
        client.send(&format!(r#"{{"op":"subscribe","since":{}}}"#, seq + 1_000));
        assert_eq!(client.wait_for("subscribed")["restarted"], true);
        let first = loop {
            if let Some(seq) = client.next()["seq"].as_u64() {
                break seq;
            }
        };
        assert_eq!(first, 1, "round {round}");
    }
    eprintln!("{rounds} times: started again within {longest:?}");
}

#[test]
fn thousands_of_reloads_half_of_them_bad_lose_no_sample_and_keep_the_last_good_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let recording = voice_and_silence(folder.path());
    let daemon = Daemon::looped("", recording);
    let mut client = daemon.connect();
    let before = client.status_when("a live source", |status| status["sources"][0]["state"] == "live");
    let n = rounds(300, 10_000);
    for round in 0..n {
        let is_bad = round % 2 == 1;
        let threshold = 0.3 + (round % 50) as f64 / 100.0;
        let labels =
            if is_bad { "[labels.Dgo]\nthreshold = 2\n".to_owned() } else { format!("[labels.Dog]\nthreshold = {threshold}\n") };
        daemon.configure(&labels);
        client.send(r#"{"op":"reload"}"#);
        let answer = loop {
            let line = client.next();
            // The answer has no number; the report that every client gets has one.
            if line["seq"].is_null() && (line["type"] == "config.reloaded" || line["type"] == "config.rejected") {
                break line;
            }
        };
        assert_eq!(answer["type"] == "config.rejected", is_bad, "round {round}: {answer}");
        if is_bad {
            assert!(answer["faults"].as_array().unwrap().len() >= 2 && answer.to_string().contains("Dog"), "{answer}");
        }
    }
    let last_good = 0.3 + ((n - 2) % 50) as f64 / 100.0;
    let dog = client.look("Dog");
    assert!((dog["threshold"].as_f64().unwrap() - last_good).abs() < 1e-3, "{dog} instead of {last_good}");
    let status = client.status();
    let source = &status["sources"][0];
    assert_eq!((source["overrun_samples"].as_u64(), source["losses"].as_u64()), (Some(0), Some(0)), "{source}");
    // All the while it was heard: a recording that is played at its own pace loses nothing and waits for nobody.
    let samples = |status: &Value| status["sources"][0]["samples"].as_f64().unwrap();
    let sound_s = (samples(&status) - samples(&before)) / 48_000.0;
    let took_s = status["uptime_s"].as_f64().unwrap() - before["uptime_s"].as_f64().unwrap();
    assert!((took_s - sound_s).abs() < 2.0, "{sound_s} s of sound in {took_s} s");
}

/// One of several kinds of unhealthy client, chosen at random.
fn misbehave(socket: &Path) {
    let Ok(mut stream) = UnixStream::connect(socket) else { return };
    let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
    let _ = stream.set_write_timeout(Some(Duration::from_millis(200)));
    let mut some = [0; 512];
    // How long a client stalls, and how slowly it writes, is left to chance; nothing waits for it.
    let stall = || std::thread::sleep(Duration::from_millis(fastrand::u64(..1_500)));
    let _ = match fastrand::u8(..10) {
        // It goes at once; it reads a little and goes; it subscribes and never reads.
        0 => Ok(0),
        1 => stream.read(&mut some),
        2 | 3 => {
            let _ = stream.write_all(b"{\"op\":\"subscribe\",\"since\":0}\n");
            stall();
            Ok(0)
        }
        // Garbage of several kinds: no UTF-8, no end, depth, NUL, chance.
        4 => stream.write_all(&[0xff, 0xfe, b'\n', 0, b'\n']).map(|()| 0),
        5 => stream.write_all(&[b'{'; 100_000]).map(|()| 0),
        6 => stream.write_all(format!("{}\n", "[".repeat(20_000)).as_bytes()).map(|()| 0),
        7 => stream.write_all(&std::iter::repeat_with(|| fastrand::u8(..)).take(5_000).collect::<Vec<_>>()).map(|()| 0),
        // It asks and asks, and takes no answer.
        8 => {
            let _ = stream.write_all("{\"op\":\"top\",\"k\":50}\n".repeat(300).as_bytes());
            stall();
            Ok(0)
        }
        // A request letter by letter, which never comes to its end.
        _ => {
            for letter in b"{\"op\":\"status\"" {
                let _ = stream.write_all(&[*letter]);
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(0)
        }
    };
}

#[test]
fn hundreds_of_clients_that_stall_vanish_and_send_garbage_cost_the_healthy_ones_nothing() {
    let daemon = Daemon::start("", &["--source", &looped(RINGTONE)], &[]);
    let lasts = rounds(100, 1_200);
    let (socket, over, came) = (daemon.socket(), Over::default(), AtomicUsize::new(0));
    let mut control = daemon.connect();
    control.status();
    let (descriptors, mut resident) = (resources(&daemon).1, 0.0);
    let healthy: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let over_at_the_end = over.at_the_end();
        let over = &over;
        let healthy: Vec<_> = (0..5)
            .map(|_| {
                let mut client = daemon.connect();
                scope.spawn(move || {
                    let mut seen = vec![client.hello["seq"].as_u64().unwrap()];
                    while !over.is() {
                        let line = client.next();
                        assert_ne!(line["type"], "dropped", "{line}");
                        seen.extend(line["seq"].as_u64());
                    }
                    seen
                })
            })
            .collect();
        for _ in 0..rounds(20, 200) {
            scope.spawn(|| {
                while !over.is() {
                    misbehave(&socket);
                    came.fetch_add(1, Relaxed);
                }
            });
        }
        for round in 0..lasts {
            // Buffers, and the model of a second thread for the inference, come with the first load.
            if round == lasts / 2 {
                resident = resources(&daemon).0;
            }
            control.hear_on(0.1);
            control.send(r#"{"op":"test","label":"Smoke detector, smoke alarm"}"#);
            control.wait_for("done");
        }
        drop(over_at_the_end);
        healthy.into_iter().map(|client| client.join().unwrap()).collect()
    });
    for seen in &healthy {
        assert!(seen.len() > 20, "{} reports", seen.len());
        assert!(
            seen.windows(2).all(|pair| pair[1] == pair[0] + 1),
            "a report is missing, comes twice, or out of order: {seen:?}"
        );
    }
    // Whoever has gone leaves nothing behind.
    until("descriptors to be closed", || {
        let now = resources(&daemon).1;
        if now <= descriptors + 2 { Ok(()) } else { Err(format!("{descriptors} descriptors became {now}")) }
    });
    let (after, reports) = (resources(&daemon).0, healthy[0].len());
    eprintln!("{} clients, {reports} reports; {resident:.1} MiB became {after:.1} MiB", came.load(Relaxed));
    assert!(after < resident + 12.0, "{resident} MiB became {after} MiB");
}

#[test]
fn hours_of_sound_at_full_speed_leave_the_memory_as_it_was_after_minutes() {
    const RATE_HZ: usize = 16_000;
    let mut daemon = Daemon::start("[report]\npreset = \"all\"\n", &["--source", "-"], &[]);
    let mut client = daemon.connect();
    client.send(r#"{"op":"subscribe","types":["heartbeat"]}"#);
    // A voice, made of every third sample of one at 48 kHz, and some seconds of what a quiet room gives.
    let bytes = std::fs::read(VOICE).unwrap();
    let voice = bytes[44..].chunks_exact(6).flat_map(|frame| [frame[0], frame[1]]);
    let room = (0..8 * RATE_HZ as u32).flat_map(|at| (((at.wrapping_mul(2_654_435_761) >> 24) as i16 - 128) / 16).to_le_bytes());
    let minute: Vec<u8> = voice.chain(room).collect::<Vec<u8>>().into_iter().cycle().take(60 * RATE_HZ * 2).collect();
    let mut input = daemon.child.stdin.take().unwrap();
    let (minutes, settled) = (rounds(4, 360), rounds(2, 10));
    let mut at_first = 0.0;
    for told in 0..minutes {
        input.write_all(&minute).unwrap();
        // All but what the pipe and the ring hold was heard.
        let heard = ((told + 1) * 60 * RATE_HZ - 10 * RATE_HZ) as u64;
        client.status_when("the minute to be heard", |status| status["sources"][0]["samples"].as_u64() >= Some(heard));
        if told + 1 == settled {
            at_first = resources(&daemon).0;
        }
    }
    let (resident, source) = (resources(&daemon).0, &client.status()["sources"][0]);
    assert!(source["events"].as_u64().unwrap() as usize >= minutes, "{source}");
    eprintln!("{minutes} minutes of sound: {at_first:.1} MiB became {resident:.1} MiB");
    assert!(resident < at_first + 2.0, "{at_first} MiB became {resident} MiB");
}

/// One camera's faults, of each kind in turn: it falls silent, ends, stays away for a while, and sends in bursts. Returns the longest
/// times until a loss and a return were told.
fn spoil_a_camera(client: &mut Client, name: &str, port: u16, recording: &Path, n_rounds: usize) -> [Duration; 2] {
    // The codec of the stream changes with each start of its server.
    let codecs = ["sound=aac48", "sound=pcma", "sound=opus", "sound=l16"];
    let mut server = rtsp_server(port, recording, &codecs[..1], None);
    client.send(&format!(r#"{{"op":"subscribe","sources":["{name}"],"types":["source"]}}"#));
    let own = |status: &Value| {
        status["sources"].as_array().unwrap().iter().find(|source| source["name"] == name).unwrap_or(&Value::Null).clone()
    };
    let mut longest = [Duration::ZERO; 2];
    for round in 0..n_rounds {
        for _ in 0..if round % 4 == 3 { 5 } else { 0 } {
            server.signal("-STOP");
            std::thread::sleep(Duration::from_millis(400));
            server.signal("-CONT");
            std::thread::sleep(Duration::from_millis(200));
        }
        // A source that has just begun is given more time for its first sound. One that is lost again within five seconds waits longer
        // before it is opened.
        let (mut since, heard_s) = (None, rounds(1, 6) as u64);
        client.status_when("the camera to be live for some seconds", |status| {
            let source = own(status);
            let (Some(samples), Some(rate_hz)) = (source["samples"].as_u64(), source["rate_hz"].as_u64()) else { return false };
            // The rate may have changed since.
            let (from, at) = *since.get_or_insert((samples, rate_hz));
            if source["state"] != "live" || at != rate_hz {
                since = None;
                return false;
            }
            samples - from >= heard_s * rate_hz
        });
        let (since, falls_silent) = (Instant::now(), round % 2 == 0);
        if falls_silent {
            server.signal("-STOP");
        } else {
            server.kill();
        }
        client.wait_for("source.lost");
        longest[0] = longest[0].max(since.elapsed());
        if round % 4 > 1 {
            std::thread::sleep(Duration::from_millis(fastrand::u64(..rounds(1_000, 15_000) as u64)));
        }
        if falls_silent {
            server.signal("-CONT");
        } else {
            server = rtsp_server(port, recording, &[codecs[round / 2 % codecs.len()]], None);
        }
        let since = Instant::now();
        client.wait_for("source.restored");
        longest[1] = longest[1].max(since.elapsed());
        assert!(longest[0] < bound(4, 20) && longest[1] < bound(4, 60), "{name}, round {round}: {longest:?}");
    }
    longest
}

#[test]
fn cameras_with_a_fault_every_few_seconds_are_lost_and_heard_in_time_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let recording = minute_of_voices(folder.path());
    let (n_cameras, n_rounds) = (rounds(1, 10), rounds(1, 144));
    let cameras: Vec<(String, u16)> = (0..n_cameras).map(|at| (format!("camera{at}"), free_port())).collect();
    let inputs = cameras.iter().map(|(name, port)| (name.as_str(), format!("rtsp://127.0.0.1:{port}/sound")));
    let inputs = inputs.chain([("microphone", looped(&recording))]);
    let sources: String = inputs.map(|(name, input)| format!("[[source]]\nname = \"{name}\"\ninput = \"{input}\"\n")).collect();
    // A second thread for the inference, which a busy machine may start at any moment, would bring a model of its own: 13 MiB.
    let daemon = Daemon::start(&format!("[model]\nthreads = 1\n{sources}"), &["--wait"], &[]);
    let n_threads = || std::fs::read_dir(format!("/proc/{}/task", daemon.child.id())).unwrap().count();
    // Before: some faults of each kind, so that buffers are made.
    let spoil = |n_rounds: usize| -> [Duration; 2] {
        std::thread::scope(|scope| {
            let spoilt: Vec<_> = cameras
                .iter()
                .map(|(name, port)| {
                    let (mut client, recording) = (daemon.connect(), &recording);
                    scope.spawn(move || spoil_a_camera(&mut client, name, *port, recording, n_rounds))
                })
                .collect();
            let longest = spoilt.into_iter().map(|camera| camera.join().unwrap());
            longest.fold([Duration::ZERO; 2], |longest, each| [longest[0].max(each[0]), longest[1].max(each[1])])
        })
    };
    spoil(4);
    let ((resident, files), threads) = (resources(&daemon), n_threads());
    let longest = spoil(n_rounds);
    let ((resident_now, files_now), threads_now) = (resources(&daemon), n_threads());
    eprintln!(
        "{} faults: told after {:?}, heard after {:?}, {resident:.1} MiB became {resident_now:.1}, {files} files {files_now}, \
         {threads} threads {threads_now}",
        n_cameras * n_rounds,
        longest[0],
        longest[1]
    );
    // At that moment some are opened again, and others are waited for.
    assert!(
        files_now <= files + 8 * n_cameras && threads_now <= threads + 2 * n_cameras,
        "{files} files and {threads} threads became {files_now} and {threads_now}"
    );
    assert!(resident_now < resident + 6.0, "{resident} MiB became {resident_now} MiB");
    let status = daemon.connect().status();
    let microphone = &status["sources"][n_cameras];
    assert_eq!((&microphone["losses"], &microphone["state"]), (&0.into(), &"live".into()), "{status}");
}
