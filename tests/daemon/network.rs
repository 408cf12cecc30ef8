//! Sources on the network, with real servers: cameras, stations and satellites, which refuse, fall silent, end and come back.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::camera_proxy::{Spoiling, camera_proxy};
use crate::support::network::{encrypted_rtsp_server, http_server, icecast, minute_of_voices, rtsp_server, station};
use crate::support::{Client, Daemon, VOICE, free_port};

/// A loss and a return are told within 3 s; machines that run other tests beside take longer.
const SOON: Duration = Duration::from_secs(12);

fn source(name: &str, input: &str, more: &str) -> String {
    format!("[[source]]\nname = \"{name}\"\ninput = \"{input}\"\n{more}\n")
}

/// The status of a source.
fn of<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["sources"].as_array().unwrap().iter().find(|source| source["name"] == name).unwrap()
}

/// Waits until each of these sources has heard a voice.
fn hear_voices(client: &mut Client, names: &[&str]) {
    let mut missing: Vec<&str> = names.to_vec();
    while !missing.is_empty() {
        let event = client.wait_for_event("event.start", &["Speech"]);
        missing.retain(|name| event["event"]["source"] != *name);
    }
}

#[test]
fn cameras_with_every_codec_are_heard() {
    let folder = tempfile::tempdir().unwrap();
    let (port, recording) = (free_port(), minute_of_voices(folder.path()));
    let codecs = ["aac16", "aac48", "pcmu", "pcma", "l16", "opus", "video+aac48"];
    let _server = rtsp_server(port, &recording, &codecs, None);
    let config: String = codecs.map(|codec| source(codec, &format!("rtsp://127.0.0.1:{port}/{codec}"), "")).concat();
    let daemon = Daemon::start(&format!("{config}[report]\nlabels = [\"Speech\"]\n"), &[], &[]);
    let mut client = daemon.connect();
    hear_voices(&mut client, &codecs);
    let status = client.status();
    let rates: Vec<&Value> = codecs.iter().map(|codec| &of(&status, codec)["rate_hz"]).collect();
    assert_eq!(rates, [16_000, 48_000, 8_000, 8_000, 44_100, 48_000, 48_000]);
    assert!(codecs.iter().all(|codec| of(&status, codec)["losses"] == 0), "{status}");
}

#[test]
fn a_camera_that_refuses_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let (port, recording) = (free_port(), minute_of_voices(folder.path()));
    let _server = rtsp_server(port, &recording, &["aac16", "video", "g722"], Some(("anna", "geheim:1")));
    let (file, closed) = (folder.path().join("password"), free_port());
    std::fs::write(&file, "geheim:1\n").unwrap();
    let camera = |login: &str, path: &str| format!("rtsp://{login}127.0.0.1:{port}/{path}");
    let config = [
        source("right", &camera("anna:geheim%3A1@", "aac16"), ""),
        source("file", &camera("anna@", "aac16"), &format!("password_file = {file:?}")),
        source("variable", &camera("anna:$CAMERA_PASSWORD@", "aac16"), ""),
        source("wrong", &camera("anna:falsch@", "aac16"), ""),
        source("none", &camera("", "aac16"), ""),
        source("video", &camera("anna:geheim%3A1@", "video"), ""),
        source("g722", &camera("anna:geheim%3A1@", "g722"), ""),
        source("missing", &camera("anna:geheim%3A1@", "nothing"), ""),
        source("closed", &format!("rtsp://127.0.0.1:{closed}/x"), ""),
    ];
    let daemon = Daemon::start(&config.concat(), &[], &[("CAMERA_PASSWORD", Path::new("geheim:1"))]);
    let mut client = daemon.connect();
    for name in ["right", "file", "variable"] {
        client.status_when(&format!("{name} to be heard"), |status| of(status, name)["samples"].as_u64() > Some(16_000));
    }
    for (name, reason) in [
        ("wrong", "the camera refused the password"),
        ("none", "the camera asks for a password, which its address does not have"),
        ("video", "no audio track: the stream has only H.264; turn the camera's microphone on"),
        ("g722", "its sound is G722, which is not known here; choose AAC, Opus or G.711 in the camera's settings"),
        ("missing", "the camera has no stream at this address (404)"),
        ("closed", "no connection to 127.0.0.1: Connection refused"),
    ] {
        let status = client.status_when(&format!("{name} to be lost"), |status| of(status, name)["state"] == "lost");
        assert_eq!(of(&status, name)["reason"], reason, "{name}");
        assert!(!status.to_string().contains("geheim") && !status.to_string().contains("falsch"));
    }
}

#[test]
fn an_encrypted_camera_is_heard_where_its_certificate_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (port, recording) = (free_port(), minute_of_voices(folder.path()));
    let certificate = folder.path().join("camera.pem");
    let _server = encrypted_rtsp_server(port, &recording, &["aac16"], &certificate);
    let (input, plain) = (format!("rtsps://127.0.0.1:{port}/aac16"), format!("rtsp://127.0.0.1:{port}/aac16"));
    let config = [
        source("right", &input, &format!("ca_file = {certificate:?}")),
        source("unknown", &input, ""),
        source("file", &input, "ca_file = \"/none.pem\""),
        source("plain", &plain, ""),
    ];
    let daemon = Daemon::start(&config.concat(), &[], &[]);
    let mut client = daemon.connect();
    hear_voices(&mut client, &["right"]);
    for (name, reason) in
        [("unknown", "is not trusted"), ("file", "the certificates in /none.pem cannot be read"), ("plain", "the camera")]
    {
        let status = client.status_when(&format!("{name} to be lost"), |status| of(status, name)["state"] == "lost");
        assert!(of(&status, name)["reason"].as_str().unwrap().contains(reason), "{status}");
    }
}

#[test]
fn a_camera_that_falls_silent_ends_and_returns_with_another_codec_is_told_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let (port, recording) = (free_port(), minute_of_voices(folder.path()));
    let mut server = rtsp_server(port, &recording, &["aac48"], None);
    let (input, microphone) = (format!("rtsp://127.0.0.1:{port}/aac48"), format!("file:{}?loop", recording.display()));
    let daemon = Daemon::start(&(source("camera", &input, "") + &source("microphone", &microphone, "")), &[], &[]);
    let mut client = daemon.connect();
    client.send(r#"{"op":"subscribe","sources":["camera"],"types":["source"]}"#);
    client.status_when("the camera to be heard", |status| of(status, "camera")["samples"].as_u64() > Some(96_000));
    // It is silent, and closes nothing.
    server.signal("-STOP");
    let since = Instant::now();
    assert_eq!(client.wait_for("source.lost")["reason"], "it is open but has delivered nothing for 2 s");
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
    server.signal("-CONT");
    let since = Instant::now();
    client.wait_for("source.restored");
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
    client.status_when("the camera to be heard", |status| of(status, "camera")["state"] == "live");
    // It ends, and is another one when it returns.
    server.kill();
    let since = Instant::now();
    let reason = client.wait_for("source.lost")["reason"].as_str().unwrap().to_owned();
    assert!(since.elapsed() < SOON && reason.contains("the camera"), "{reason}");
    let _server = rtsp_server(port, &recording, &["aac48=pcma"], None);
    client.wait_for("source.restored");
    client.status_when("the camera to be heard", |status| of(status, "camera")["rate_hz"] == 8_000);
    let status = client.status();
    assert_eq!((&of(&status, "microphone")["losses"], &of(&status, "microphone")["overrun_samples"]), (&json!(0), &json!(0)));
}

/// The onsets of the next voices of these sources, in seconds.
fn onsets_of_voices(client: &mut Client, names: &[&str], count: usize) -> Vec<Vec<f64>> {
    let mut onsets = vec![Vec::new(); names.len()];
    while onsets.iter().any(|onsets| onsets.len() < count) {
        let event = client.wait_for_event("event.end", &["Speech"])["event"].clone();
        let Some(at) = names.iter().position(|name| event["source"] == *name) else { continue };
        let onset: jiff::Timestamp = event["onset"].as_str().unwrap().parse().unwrap();
        onsets[at].push(onset.as_millisecond() as f64 / 1e3);
    }
    onsets
}

#[test]
fn times_stay_right_where_packets_are_lost_or_come_late_and_where_the_clock_of_the_camera_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (port, recording) = (free_port(), minute_of_voices(folder.path()));
    let _server = rtsp_server(port, &recording, &["pcmu", "aac48", "opus"], None);
    let spoilt = [
        ("lost", Spoiling::Lost, "pcmu"),
        ("lost-aac", Spoiling::Lost, "aac48"),
        ("lost-opus", Spoiling::Lost, "opus"),
        ("fast", Spoiling::Fast, "pcmu"),
        ("fast-aac", Spoiling::Fast, "aac48"),
        ("jumping", Spoiling::Jumping, "pcmu"),
        ("reordered", Spoiling::Reordered, "pcmu"),
    ];
    let through = |(name, spoiling, codec): (&str, Spoiling, &str)| {
        source(name, &format!("rtsp://127.0.0.1:{}/{codec}", camera_proxy(port, spoiling)), "")
    };
    let config = spoilt.map(through).concat() + &source("whole", &format!("rtsp://127.0.0.1:{port}/pcmu"), "");
    let daemon = Daemon::start(&format!("{config}[report]\nlabels = [\"Speech\"]\n"), &[], &[]);
    let mut client = daemon.connect();
    let names: Vec<&str> = spoilt.iter().map(|spoilt| spoilt.0).chain(["whole"]).collect();
    let onsets = onsets_of_voices(&mut client, &names, 4);
    // The voice comes again and again after the same time. The first ones may be nearer: after the first disorder the camera begins anew.
    let period_s = (std::fs::metadata(VOICE).unwrap().len() - 44) as f64 / 96_000.0 + 4.0;
    for (name, onsets) in names.iter().zip(&onsets) {
        let periods = (onsets[3] - onsets[1]) / period_s;
        let off_s = (periods - periods.round()).abs() * period_s;
        assert!(periods > 0.9 && off_s < 0.15, "{name}: {off_s} s off in {periods} periods: {onsets:?}");
    }
    let status = client.status();
    assert!(names.iter().all(|name| of(&status, name)["losses"] == 0), "{status}");
}

#[test]
fn stations_of_a_real_icecast_are_heard_also_after_it_was_started_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (port, recording) = (free_port(), minute_of_voices(folder.path()));
    let mut server = icecast(port, folder.path());
    let stations = || {
        [
            station(
                port,
                &recording,
                "a.mp3",
                &["-c:a", "libmp3lame", "-b:a", "64k", "-f", "mp3", "-content_type", "audio/mpeg"],
            ),
            station(port, &recording, "b.ogg", &["-c:a", "libvorbis", "-f", "ogg", "-content_type", "application/ogg"]),
            station(port, &recording, "c.aac", &["-c:a", "aac", "-f", "adts", "-content_type", "audio/aac"]),
        ]
    };
    let first = stations();
    let names = ["mp3", "ogg", "aac"];
    let config: String =
        ["a.mp3", "b.ogg", "c.aac"].map(|mount| source(&mount[2..], &format!("http://127.0.0.1:{port}/{mount}"), "")).concat();
    let daemon = Daemon::start(&format!("{config}[report]\nlabels = [\"Speech\"]\n"), &["--wait"], &[]);
    let mut client = daemon.connect();
    hear_voices(&mut client, &names);
    // They go on without a break, which is no longer than their pages.
    let heard = |status: &Value| names.map(|name| of(status, name)["samples"].as_u64().unwrap());
    let losses = |status: &Value| names.map(|name| of(status, name)["losses"].as_u64().unwrap());
    let all_live = |status: &Value| names.iter().all(|name| of(status, name)["state"] == "live");
    let begun = client.status_when("all to be live", all_live);
    let before = heard(&begun);
    let status = client.status_when("six seconds more of each", |status| {
        heard(status).iter().zip(before).all(|(now, before)| *now > before + 6 * 48_000)
    });
    assert_eq!(losses(&status), losses(&begun), "{status}");
    server.kill();
    for _ in names {
        let lost = client.wait_for("source.lost");
        let reason = lost["reason"].as_str().unwrap();
        assert!(["the server ended the stream", "delivered nothing", "broke"].iter().any(|part| reason.contains(part)), "{lost}");
    }
    drop(first);
    let _server = icecast(port, folder.path());
    let _second = stations();
    hear_voices(&mut client, &names);
    client.status_when("all to be live", all_live);
}

#[test]
fn a_recording_over_http_is_played_in_real_time_behind_redirects_and_playlists_and_passwords() {
    let folder = tempfile::tempdir().unwrap();
    let recording = std::fs::read(minute_of_voices(folder.path())).unwrap();
    let port = http_server(move |head| {
        let with = |lines: &str, body: &[u8]| [format!("HTTP/1.1 {lines}\r\n\r\n").as_bytes(), body].concat();
        // anna:geheim
        let is_known = head.contains("Basic YW5uYTpnZWhlaW0=");
        match head.split_whitespace().nth(1).unwrap_or_default() {
            "/start" => with("302 Found\r\nLocation: /list.m3u", b""),
            "/list.m3u" => with("200 OK\r\nContent-Type: audio/x-mpegurl", b"#EXTM3U\nminute.wav\n"),
            "/minute.wav" if is_known => with("200 OK\r\nContent-Type: audio/wav", &recording),
            "/minute.wav" => with("401 Unauthorized", b""),
            "/round" => with("301 Moved\r\nLocation: /round", b""),
            "/page" => with("200 OK\r\nContent-Type: text/html", b"<html>no sound</html>"),
            _ => with("404 Not Found", b""),
        }
    });
    let at = |login: &str, path: &str| format!("http://{login}127.0.0.1:{port}/{path}");
    let config = [
        source("right", &at("anna:geheim@", "start"), ""),
        source("wrong", &at("anna:falsch@", "start"), ""),
        source("none", &at("", "start"), ""),
        source("round", &at("", "round"), ""),
        source("page", &at("", "page"), ""),
        source("missing", &at("", "x"), ""),
    ];
    let daemon = Daemon::start(&config.concat(), &[], &[]);
    let mut client = daemon.connect();
    hear_voices(&mut client, &["right"]);
    // Ten seconds of it may come at once.
    let first = of(&client.status(), "right")["samples"].as_u64().unwrap();
    client.status_when("the recording to go on", |status| of(status, "right")["samples"].as_u64() > Some(first + 96_000));
    assert!(of(&client.status(), "right")["samples"].as_u64().unwrap() < 30 * 48_000);
    for (name, reason) in [
        ("wrong", "the server refused the password"),
        ("none", "the server asks for a password, which its address does not have"),
        ("round", "its address leads from one to the next more than 6 times"),
        ("missing", "the server has nothing at this address (404)"),
    ] {
        assert_eq!(of(&client.status(), name)["reason"], reason);
    }
    let page = client.status();
    assert!(of(&page, "page")["reason"].as_str().unwrap().contains("this is no recording in a format that is known"), "{page}");
}

#[test]
fn satellites_push_from_allowed_addresses_only() {
    let ports = [free_port(), free_port(), free_port()];
    let listen = |scheme: &str, port: u16| format!("{scheme}://127.0.0.1:{port}");
    let config = [
        source("raw", &listen("tcp", ports[0]), "allow = [\"127.0.0.0/8\"]\nrate_hz = 48000"),
        source("datagrams", &listen("udp", ports[1]), "allow = [\"127.0.0.2\"]\nrate_hz = 48000"),
        source("closed", &listen("tcp", ports[2]), "allow = [\"10.0.0.1\"]\nrate_hz = 48000"),
    ];
    let daemon = Daemon::start(&config.concat(), &[], &[]);
    let mut client = daemon.connect();
    let voice = std::fs::read(VOICE).unwrap()[44..].to_vec();
    let connect = |port| crate::support::until("a source to listen", || TcpStream::connect(("127.0.0.1", port)));
    let (mut raw, mut closed) = (connect(ports[0]), connect(ports[2]));
    // Nothing is taken of a stranger.
    assert!((0..20).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        closed.write_all(&voice).is_err()
    }));
    let (friend, stranger) = (UdpSocket::bind("127.0.0.2:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    for bytes in voice.chunks(960 * 2) {
        raw.write_all(bytes).unwrap();
        friend.send_to(bytes, ("127.0.0.1", ports[1])).unwrap();
        stranger.send_to(&[0x7f; 1_920], ("127.0.0.1", ports[1])).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    hear_voices(&mut client, &["raw", "datagrams"]);
    assert!(of(&client.status(), "datagrams")["samples"].as_u64().unwrap() <= voice.len() as u64 / 2);
    assert_eq!(of(&client.status(), "closed")["samples"], 0);
    drop(raw);
    let lost = client.wait_for("source.lost");
    assert!(
        ["the satellite 127.0.0.1 closed the connection", "it is open but has delivered nothing for 2 s"]
            .contains(&lost["reason"].as_str().unwrap())
            || lost["source"] != "raw",
        "{lost}"
    );
    // The next one speaks Wyoming, at another rate.
    let mut wyoming = connect(ports[0]);
    let samples: Vec<u8> = voice.chunks_exact(6).flat_map(|frame| [frame[0], frame[1]]).collect();
    for bytes in samples.chunks(640) {
        let head =
            json!({"type": "audio-chunk", "data": {"rate": 16_000, "width": 2, "channels": 1}, "payload_length": bytes.len()});
        wyoming.write_all(format!("{head}\n").as_bytes()).unwrap();
        wyoming.write_all(bytes).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    hear_voices(&mut client, &["raw"]);
    assert_eq!(of(&client.status(), "raw")["rate_hz"], 16_000);
}
