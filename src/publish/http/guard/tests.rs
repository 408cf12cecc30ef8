use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

const TOKEN: &str = "0123456789abcdef";

fn guard(listen: &str, token: Option<&str>) -> Result<Guard, String> {
    let listen = match listen.strip_prefix("unix:") {
        Some(path) => Listen::Unix(PathBuf::from(path)),
        None => Listen::Tcp(listen.parse().unwrap()),
    };
    let config = HttpConfig { listen, token_file: None, hosts: vec!["mimid.example".to_owned()], public_health: false };
    Guard::new(&config, token, Access::new(None))
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}

fn status(guard: &Guard, method: Method, pairs: &[(&'static str, &str)]) -> Option<u16> {
    guard.refuse_site(&method, &headers(pairs)).map(|problem| problem.status().as_u16())
}

#[test]
fn who_could_be_anybody_needs_a_token() {
    for open in ["0.0.0.0:1", "[::]:1", "192.168.1.2:1"] {
        assert!(guard(open, None).unwrap_err().contains("there is no access token"), "{open}");
        assert!(guard(open, Some(TOKEN)).is_ok());
    }
    assert!(guard("127.0.0.1:1", Some("short")).unwrap_err().contains("at least 16"));
    assert!(guard("[::1]:1", None).is_ok() && guard("unix:/s", None).is_ok());
}

#[test]
fn only_its_own_names_are_served() {
    let local = guard("127.0.0.1:1", None).unwrap();
    for own in ["localhost", "localhost:1", "LOCALHOST:1", "127.0.0.1:1", "[::1]:1", "mimid.example", "mimid.example:443"] {
        assert_eq!(status(&local, Method::GET, &[("host", own)]), None, "{own}");
    }
    for other in [
        "evil.example",
        "localhost.evil.example",
        "192.168.1.2",
        "127.0.0.1.evil.example:1",
        "",
        ":1",
        "[localhost",
        "a@localhost",
    ] {
        assert_eq!(status(&local, Method::GET, &[("host", other)]), Some(421), "{other}");
    }
    assert_eq!(status(&local, Method::GET, &[]), Some(421));
    let wide = guard("0.0.0.0:1", Some(TOKEN)).unwrap();
    assert_eq!(status(&wide, Method::GET, &[("host", "192.168.1.2:1")]), None);
    assert_eq!(status(&wide, Method::GET, &[("host", "evil.example")]), Some(421));
    let mut two = headers(&[("host", "localhost")]);
    two.append(header::HOST, HeaderValue::from_static("evil.example"));
    assert_eq!(local.refuse_site(&Method::GET, &two).unwrap().status(), 400);
}

#[test]
fn a_page_of_another_site_may_not_ask_but_a_link_may_lead_here() {
    let guard = guard("127.0.0.1:1", None).unwrap();
    let host = ("host", "localhost:1");
    for origin in ["http://evil.example", "null", "http://localhost:2", "http://localhost", "localhost:1", "", "file://"] {
        for method in [Method::GET, Method::POST] {
            assert_eq!(status(&guard, method, &[host, ("origin", origin)]), Some(403), "{origin}");
        }
    }
    assert_eq!(status(&guard, Method::POST, &[host, ("origin", "http://localhost:1")]), None);
    for site in ["cross-site", "same-site"] {
        let from = |mode, dest| [host, ("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
        assert_eq!(status(&guard, Method::GET, &from("navigate", "document")), None);
        assert_eq!(status(&guard, Method::POST, &from("navigate", "document")), Some(403));
        assert_eq!(status(&guard, Method::GET, &from("navigate", "iframe")), Some(403));
        assert_eq!(status(&guard, Method::GET, &from("no-cors", "image")), Some(403));
        assert_eq!(status(&guard, Method::GET, &from("websocket", "empty")), Some(403));
    }
    for site in ["same-origin", "none"] {
        assert_eq!(status(&guard, Method::POST, &[host, ("sec-fetch-site", site)]), None);
    }
}

#[test]
fn a_token_or_the_cookie_of_a_log_in_is_what_it_takes() {
    let (guard, now) = (guard("0.0.0.0:1", Some(TOKEN)).unwrap(), Instant::now());
    let is_authorized = |pairs: &[(&'static str, &str)]| guard.is_authorized(&headers(pairs), now);
    assert!(
        is_authorized(&[("authorization", &format!("Bearer {TOKEN}"))])
            && is_authorized(&[("authorization", &format!("bearer  {TOKEN} "))])
    );
    for wrong in ["", "Bearer", "Bearer ", "Bearer 0123456789abcdeF", "Basic 0123456789abcdef", TOKEN] {
        assert!(!is_authorized(&[("authorization", wrong)]), "{wrong}");
    }
    assert!(!is_authorized(&[]) && !is_authorized(&[("cookie", "mimid_session=")]));
    let none = HeaderMap::new();
    assert_eq!(guard.log_in("wrong", &none, now).unwrap_err().status(), 401);
    let set = guard.log_in(TOKEN, &none, now).unwrap();
    assert!(set.contains("; HttpOnly; SameSite=Strict") && !set.contains(TOKEN) && !set.contains("Secure"), "{set}");
    let cookie = format!("theme=dark; {}", set.split(';').next().unwrap());
    assert!(is_authorized(&[("cookie", &cookie)]));
    assert!(guard.log_out(&headers(&[("cookie", &cookie)])).contains("Max-Age=0"));
    assert!(!is_authorized(&[("cookie", &cookie)]));
    let tls = headers(&[("origin", "https://mimid.example")]);
    assert!(guard.log_in(TOKEN, &tls, now).unwrap().ends_with("; Secure"));
    (0..9).for_each(|_| drop(guard.log_in("wrong", &none, now)));
    assert_eq!(guard.log_in(TOKEN, &none, now).unwrap_err().status(), 429);
}

#[tokio::test]
async fn over_a_unix_socket_only_those_change_who_may() {
    let peer = Peer::Unix(None);
    assert!(!guard("unix:/s", None).unwrap().may_change(&peer).await);
    assert!(guard("unix:/s", Some(TOKEN)).unwrap().may_change(&peer).await);
    let own = tokio::net::UnixStream::pair().unwrap().0.peer_cred().ok();
    assert!(guard("unix:/s", None).unwrap().may_change(&Peer::Unix(own)).await);
}

proptest! {
    /// A request that does not name this host, or whose origin is not that host, is refused. No header panics.
    #[test]
    fn no_foreign_host_or_origin_passes(host in "[ -~]{0,30}", origin in proptest::option::of("[ -~]{0,30}"), is_get: bool) {
        let guard = guard("127.0.0.1:1", None).unwrap();
        let mut brought = headers(&[("host", &host)]);
        if let Some(origin) = &origin {
            brought.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        let method = if is_get { Method::GET } else { Method::POST };
        if guard.refuse_site(&method, &brought).is_none() {
            let name = host.to_ascii_lowercase();
            prop_assert!(["localhost", "127.", "[::1]", "::1", "mimid.example"].iter().any(|own| name.starts_with(own)) || name.contains("::"), "{host}");
            if let Some(origin) = origin {
                prop_assert!(origin.to_ascii_lowercase().ends_with(&format!("://{name}")), "{origin} at {host}");
            }
        }
    }

    /// Only the token itself is accepted.
    #[test]
    fn no_other_token_passes(authorization in "(Bearer )?[ -~]{0,40}", cookie in "(mimid_session=)?[ -~]{0,80}") {
        let guard = guard("0.0.0.0:1", Some(TOKEN)).unwrap();
        let brought = headers(&[("authorization", &authorization), ("cookie", &cookie)]);
        prop_assert!(!guard.is_authorized(&brought, Instant::now()) || authorization.trim_end().ends_with(TOKEN));
    }
}
