//! Real servers of sound for the tests: GStreamer's RTSP server, Icecast with ffmpeg as its station, and a small HTTP server.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{free_port, until, voice_and_seconds_of_silence};

/// A minute of a voice that comes again every few seconds, in a folder.
pub fn minute_of_voices(folder: &Path) -> PathBuf {
    let voice = voice_and_seconds_of_silence(folder, 4);
    let bytes = std::fs::read(voice).unwrap();
    let samples: Vec<i16> = bytes[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let minute: Vec<i16> = samples.into_iter().cycle().take(60 * 48_000).collect();
    let path = folder.join("minute.wav");
    std::fs::write(&path, super::wav(&minute, 48_000, 1)).unwrap();
    path
}

/// A child process that ends with the test.
pub struct Running(pub Child);

impl Running {
    pub fn signal(&self, signal: &str) {
        assert!(Command::new("bash").arg("-c").arg(format!("kill {signal} {}", self.0.id())).status().unwrap().success());
    }

    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// GStreamer's RTSP server on a port, with these codecs, each under its own name.
pub fn rtsp_server(port: u16, recording: &Path, codecs: &[&str], login: Option<(&str, &str)>) -> Running {
    let login = login.map(|(user, password)| ["--user", user, "--password", password].map(OsStr::new));
    start_rtsp_server(port, recording, codecs, login.as_ref().map_or(&[], |login| login))
}

/// The same server behind TLS, with a certificate that it has signed itself, for another name than its own.
pub fn encrypted_rtsp_server(port: u16, recording: &Path, codecs: &[&str], certificate: &Path) -> Running {
    let key = certificate.with_extension("key");
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=camera", "-keyout"]).arg(&key);
    let made = command.arg("-out").arg(certificate).output().expect("openssl is needed; `make test` installs it");
    assert!(made.status.success(), "{made:?}");
    let both = certificate.with_extension("both.pem");
    let text = [certificate, &key].map(|file| std::fs::read_to_string(file).unwrap()).concat();
    std::fs::write(&both, text).unwrap();
    start_rtsp_server(port, recording, codecs, &[OsStr::new("--certificate"), both.as_os_str()])
}

fn start_rtsp_server(port: u16, recording: &Path, codecs: &[&str], options: &[&OsStr]) -> Running {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/rtsp_server.py");
    // The bindings are those of the system's own Python.
    let mut command = Command::new("/usr/bin/python3");
    command.arg(script).arg(port.to_string()).arg(recording).args(codecs).args(options);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("python3 is needed; `make test` installs it");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "listening", "GStreamer's RTSP server is needed; `make test` installs it");
    Running(child)
}

/// A camera that answers the question for cameras on the loopback interface.
pub fn onvif_camera(name: &str) -> Running {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/onvif_camera.py");
    let mut command = Command::new("python3");
    let mut child =
        command.arg(script).arg(name).stdout(Stdio::piped()).spawn().expect("python3 is needed; `make test` installs it");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "listening");
    Running(child)
}

/// Icecast on a port, with its folder.
pub fn icecast(port: u16, folder: &Path) -> Running {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let is_root = nix::unistd::Uid::effective().is_root();
    let owner = if is_root { "<changeowner><user>nobody</user><group>nogroup</group></changeowner>" } else { "" };
    let place = folder.display();
    let text = format!(
        "<icecast><authentication><source-password>station</source-password><admin-user>a</admin-user>\
         <admin-password>a</admin-password></authentication><hostname>localhost</hostname>\
         <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>\
         <paths><basedir>/usr/share/icecast2</basedir><logdir>{place}</logdir><webroot>/usr/share/icecast2/web</webroot>\
         <adminroot>/usr/share/icecast2/admin</adminroot></paths>\
         <logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog></logging>\
         <security><chroot>0</chroot>{owner}</security></icecast>"
    );
    std::fs::write(folder.join("icecast.xml"), text).unwrap();
    let mut command = Command::new("icecast2");
    command.arg("-c").arg(folder.join("icecast.xml")).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running(command.spawn().expect("icecast2 is needed; `make test` installs it"));
    until("Icecast to listen", || TcpStream::connect(("127.0.0.1", port)));
    running
}

/// A station that sends the recording to Icecast again and again.
pub fn station(port: u16, recording: &Path, mount: &str, coding: &[&str]) -> Running {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i"]).arg(recording).args(coding);
    command.arg(format!("icecast://source:station@127.0.0.1:{port}/{mount}"));
    Running(command.stdout(Stdio::null()).spawn().expect("ffmpeg is needed; `make test` installs it"))
}

/// An HTTP server that gives these answers by their paths, again and again, until the test ends.
pub fn http_server(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> u16 {
    let port = free_port();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while reader.read_line(&mut head).unwrap_or(0) > 0 && !head.ends_with("\r\n\r\n") {}
            let bytes = answer(&head);
            std::thread::spawn(move || {
                let _ = stream.write_all(&bytes);
            });
        }
    });
    port
}
