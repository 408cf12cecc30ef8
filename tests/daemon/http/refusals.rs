//! Refusals by address, token, host and site.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Server, hearing};
use crate::support::http::Answer;
use crate::support::{PATIENCE, free_port, until};

const TOKEN: &str = "a token of the tests";

#[test]
fn nothing_is_told_or_changed_without_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let server = Server::start_at("0.0.0.0", &format!("token_file = {file:?}\n"));
    let described = {
        let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
        server.ask("GET", "/api/v1/openapi.json", &bearer, "").json()
    };
    let json = "Content-Type: application/json\r\n";
    let mut open = Vec::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for (method, described) in methods.as_object().unwrap() {
            if described["security"] == json!([]) {
                open.push(path);
                continue;
            }
            for headers in ["", "Authorization: Bearer a token of the testz\r\n", "Cookie: mimid_session=0\r\n"] {
                let answer = server.ask(&method.to_uppercase(), path, &format!("{json}{headers}"), "{}");
                assert_eq!((answer.status, &answer.json()["code"]), (401, &json!("unauthorized")), "{method} {path}");
            }
        }
    }
    assert_eq!(open, ["/", "/api/v1/login", "/api/v1/logout", "/docs/{document}", "/history", "/page/{part}"]);
    assert_eq!((server.get("/").status, server.get("/page/main.js").status, server.get("/page/none").status), (200, 200, 404));
    assert_eq!(server.get("/none").status, 401);
    assert_eq!(server.post("/api/v1/login", r#"{"token":"wrong"}"#).status, 401);
    let login = server.post("/api/v1/login", &json!({ "token": TOKEN }).to_string());
    assert_eq!(login.status, 200, "{login:?}");
    let cookie =
        login.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap().split(';').next().unwrap().to_owned();
    let cookie = format!("Cookie: {cookie}\r\n");
    assert_eq!(server.ask("GET", "/api/v1/status", &cookie, "").status, 200);
    assert_eq!(server.ask("POST", "/api/v1/resume", &cookie, "").status, 200);
    assert_eq!(server.ask("POST", "/api/v1/logout", &cookie, "").status, 200);
    assert_eq!(server.ask("GET", "/api/v1/status", &cookie, "").status, 401);
    let effective = server.ask("GET", "/api/v1/config", &format!("Authorization: Bearer {TOKEN}\r\n"), "");
    assert!(effective.status == 200 && !effective.body.contains(TOKEN));
}

#[test]
fn an_open_address_without_a_token_is_not_served() {
    let port = free_port();
    let (daemon, _recording) = hearing(&format!("[sinks.http]\nlisten = \"0.0.0.0:{port}\"\n"));
    let status = daemon.connect().status();
    let sink = &status["sinks"][0];
    assert_eq!((&sink["name"], &sink["state"]), (&json!("http"), &json!("down")));
    assert!(sink["reason"].as_str().unwrap().contains("there is no access token"), "{sink}");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn other_hosts_other_sites_and_tricks_are_refused() {
    let server = Server::start("");
    let host =
        |host: &str| server.raw(&format!("GET /api/v1/status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).status;
    assert_eq!(
        (host("localhost"), host("evil.example"), host(&format!("evil.example:{}", server.address.port()))),
        (200, 421, 421)
    );
    assert_eq!(server.raw("GET /api/v1/status HTTP/1.0\r\n\r\n").status, 421);
    let origin = "Origin: http://evil.example\r\n";
    assert_eq!(server.ask("GET", "/api/v1/events", origin, "").status, 403);
    assert_eq!(server.ask("POST", "/api/v1/pause", origin, "").status, 403);
    assert_eq!(server.ask("POST", "/api/v1/pause", "Content-Type: text/plain\r\n", "{}").status, 415);
    assert_eq!(server.get("/api/v1/status").json()["paused"], Value::Null);
    let long = format!("/{}", "a".repeat(20_000));
    for path in [
        "/..",
        "/api/v1/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/api/v1/labels/%00",
        "/api/v1/%2e/status",
        "//",
        "/api//v1/status",
        "/api/v1/labels/%ff",
        "*",
        &long,
    ] {
        let status = server.ask("GET", path, "", "").status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    let json = "Content-Type: application/json\r\n";
    for slug in ["%00", "%ff", "..%2f..%2fetc", "%F0%9F%92%A9"] {
        let answer = server.ask("PATCH", &format!("/api/v1/labels/{slug}"), json, r#"{"threshold":0.5,"save":true}"#);
        assert!(matches!(answer.status, 400 | 404), "{slug}: {answer:?}");
    }
    assert_eq!(server.post("/api/v1/test", &" ".repeat(70_000)).status, 413);
    assert_eq!(server.get(&format!("/api/v1/status?{}", "a".repeat(20_000))).status, 431);
    assert_eq!(server.get("/api/v1/status").status, 200);
}

#[test]
fn the_machine_s_own_names_are_served_and_another_is_told_the_setting() {
    let server = Server::start("");
    let host = |host: &str, more: &str| server.raw(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n"));
    let own = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let short = own.split('.').next().unwrap();
    for own in [own.clone(), short.to_uppercase(), format!("{short}.local:8787")] {
        assert_eq!(host(&own, "").status, 200, "{own}");
    }
    let page = host("ears.example:8787", "Accept: text/html,application/xhtml+xml;q=0.9\r\n");
    assert_eq!(page.status, 421);
    assert!(page.head.contains("content-type: text/html") && page.head.contains("default-src 'none'"), "{}", page.head);
    assert!(page.body.contains("<pre>[sinks.http]\nhosts = [\"ears.example\"]</pre>"), "{}", page.body);
    let odd = host("<script>", "Accept: text/html\r\n");
    assert!(odd.status == 421 && !odd.body.contains("<script>"), "{odd:?}");
    let told = host("ears.example", "").json();
    assert!(told["message"].as_str().unwrap().contains("hosts = [\"ears.example\"]"), "{told}");
}

#[test]
fn the_health_may_be_asked_without_a_token_and_names_no_source_then() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "a token of the tests").unwrap();
    let token = format!("token_file = \"{}\"\n", folder.path().join("token").display());
    let closed = Server::start(&token);
    assert_eq!(closed.get("/healthz").status, 401);
    let server = Server::start(&format!("{token}public_health = true\n"));
    let health = server.get("/healthz");
    assert_eq!((health.status, health.json()), (200, json!({"healthy": true, "sources": []})));
    assert_eq!(server.get("/api/v1/status").status, 401);
    let known = server.ask("GET", "/healthz", "Authorization: Bearer a token of the tests\r\n", "").json();
    assert_eq!(known["sources"].as_array().unwrap().len(), 1);
}

#[test]
fn who_asks_slowly_is_not_waited_for() {
    let server = Server::start("");
    let open = |text: &str| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    let head = open(&format!("GET /api/v1/status HTTP/1.1\r\nHost: {}\r\nX: ", server.address));
    let silent = open("");
    let body = open(&format!(
        "POST /api/v1/pause HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{{",
        server.address
    ));
    // Each sends a byte now and then, which does not help.
    for mut slow in [head.try_clone().unwrap(), body.try_clone().unwrap()] {
        std::thread::spawn(move || {
            while slow.write_all(b" ").is_ok() {
                // It is slow, which is what is tested; nothing waits for it.
                std::thread::sleep(Duration::from_secs(2))
            }
        });
    }
    assert_eq!(Answer::read(body).status, 408);
    assert!(matches!(Answer::read(head).status, 0 | 408));
    assert_eq!(Answer::read(silent).status, 0);
    assert_eq!(server.get("/api/v1/status").json()["paused"], Value::Null);
}

#[test]
fn over_a_unix_socket_the_own_user_may_do_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("http");
    let (mut daemon, _recording) = hearing(&format!("[sinks.http]\nlisten = \"unix:{}\"\n", path.display()));
    until("the socket of HTTP", || path.exists());
    let ask = |request: &str| {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        Answer::read(stream)
    };
    assert_eq!(ask("GET /healthz HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n").status, 200);
    assert_eq!(ask("POST /api/v1/resume HTTP/1.1\r\nHost: any\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").status, 200);
    assert_eq!(
        ask(
            "POST /api/v1/resume HTTP/1.1\r\nHost: any\r\nOrigin: http://other\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        .status,
        403
    );
    daemon.signal("-TERM");
    assert_eq!(daemon.wait(), 0);
    assert!(!path.exists());
}

#[test]
fn an_address_in_use_is_told_and_served_when_it_is_free() {
    let taken = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let address = taken.local_addr().unwrap();
    let (daemon, _recording) = hearing(&format!("[sinks.http]\nlisten = \"{address}\"\n"));
    let sink = || daemon.connect().status()["sinks"][0].clone();
    let down = sink();
    assert_eq!(down["state"], "down");
    assert!(down["reason"].as_str().unwrap().starts_with(&format!("{address} cannot be listened on: ")), "{down}");
    drop(taken);
    until("the sink to be up", || sink()["state"] == "up");
    assert!(TcpStream::connect(address).is_ok());
}
