//! Host names: those that are the machine's own, and the answer to a request for one that is not served. It decides nothing about
//! requests.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use crate::publish::http::problem::Problem;

/// The code of the refusal.
pub const UNKNOWN: &str = "unknown_host";

/// The names under which the machine itself is known: its host name, with and without a domain, and that of multicast DNS. No
/// other site can have them.
pub fn machine_names() -> Vec<String> {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.map(|name| names_of(&name)).unwrap_or_default()
}

fn names_of(host: &str) -> Vec<String> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let short = host.split('.').next().unwrap_or_default().to_owned();
    if short.is_empty() {
        return Vec::new();
    }
    let mut names = vec![format!("{short}.local"), short];
    names.extend((!names.contains(&host)).then_some(host));
    names
}

/// The host name of a `Host` header in lower case, without its port and the brackets of an IPv6 address.
pub fn name_in(header: &str) -> String {
    let name = match header.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => header,
    };
    name.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(name).to_ascii_lowercase()
}

/// The name as it would stand in the configuration; none where it could not stand there.
fn plain(header: Option<&str>) -> Option<String> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-._:".contains(letter);
    header.map(name_in).filter(|name| !name.is_empty() && name.len() <= 253 && name.chars().all(is_plain))
}

/// The refusal of a request for a host that is not served.
pub fn unknown(header: Option<&str>) -> Problem {
    let message = match plain(header) {
        Some(name) => format!("{name} is not served here; write hosts = [\"{name}\"] under [sinks.http], and load that again"),
        None => "the request names no host that could be served; name it in hosts under [sinks.http]".to_owned(),
    };
    Problem::new(StatusCode::MISDIRECTED_REQUEST, UNKNOWN, message)
}

/// Whether the request is that of a person's browser for a page.
pub fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with("text/html"))
}

/// The refusal as a page for people, which says which setting to change. It names nothing of the daemon's: another site may read it.
pub fn page(header: Option<&str>) -> Response {
    let name = plain(header).unwrap_or_else(|| "NAME".to_owned());
    let text = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>mimid: unknown host name</title>\n\
         <h1>mimid does not know this name</h1>\n\
         <p>The page was asked for as <b>{name}</b>. mimid answers to its own names only, so that no other site can pass itself off as it.</p>\n\
         <p>To use this name, write it into mimid's configuration, then run <code>mimid check</code> and load the configuration again:</p>\n\
         <pre>[sinks.http]\nhosts = [\"{name}\"]</pre>\n\
         <p lang=\"ja\">この名前で開くには、mimid の設定の <code>[sinks.http]</code> に上の <code>hosts</code> を書いて、設定を読み込み直してください。</p>\n"
    );
    (StatusCode::MISDIRECTED_REQUEST, Html(text)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_its_name_with_and_without_a_domain() {
        assert_eq!(names_of("RaspberryPi"), ["raspberrypi.local", "raspberrypi"]);
        assert_eq!(names_of("ears.example.org"), ["ears.local", "ears", "ears.example.org"]);
        assert_eq!(names_of("ears.local"), ["ears.local", "ears"]);
        assert_eq!(names_of(""), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_name_is_not_repeated() {
        assert_eq!(plain(Some("Ears.example:80")).as_deref(), Some("ears.example"));
        assert_eq!(plain(Some("[fd00::1]:80")).as_deref(), Some("fd00::1"));
        for odd in ["<b>", "a\"b", "", "a b"] {
            assert_eq!(plain(Some(odd)), None, "{odd}");
        }
    }
}
