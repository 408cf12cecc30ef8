//! `GET /` and `GET /history`: the pages for people. Its files lie in the folder beside this one, and the binary includes them unchanged.
//!
//! Invariant: the page holds no data of the daemon, so it needs no token. It requests its data as every other client does. A
//! browser loads nothing for it from elsewhere, and runs nothing in it that is not one of its files.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::sessions::hash;

/// The content security policy: the page may load its own files and make requests to this daemon.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// One file of the page.
#[derive(Debug)]
struct PageFile {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

macro_rules! files {
    ($($name:literal $kind:ident $file:literal),* $(,)?) => {
        &[$(PageFile { name: $name, kind: $kind, text: include_str!(concat!("page/", $file)) }),*]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TABLE: &str = "application/json";
const PICTURE: &str = "image/svg+xml";

/// All files of the page. Another language takes a line here and one in words.js.
const FILES: &[PageFile] = files![
    "" HTML "index.html",
    "history.html" HTML "history.html",
    "icon.svg" PICTURE "icon.svg",
    "style.css" STYLE "style.css",
    "history.css" STYLE "history.css",
    "main.js" SCRIPT "main.js",
    "history.js" SCRIPT "history.js",
    "api.js" SCRIPT "api.js",
    "clip.js" SCRIPT "clip.js",
    "curve.js" SCRIPT "curve.js",
    "daemon.js" SCRIPT "daemon.js",
    "day.js" SCRIPT "day.js",
    "dom.js" SCRIPT "dom.js",
    "events.js" SCRIPT "events.js",
    "found.js" SCRIPT "found.js",
    "heat.js" SCRIPT "heat.js",
    "marks.js" SCRIPT "marks.js",
    "memory.js" SCRIPT "memory.js",
    "meter.js" SCRIPT "meter.js",
    "notify.js" SCRIPT "notify.js",
    "past.js" SCRIPT "past.js",
    "scale.js" SCRIPT "scale.js",
    "seek.js" SCRIPT "seek.js",
    "sounds.js" SCRIPT "sounds.js",
    "spectrogram.js" SCRIPT "spectrogram.js",
    "timeline.js" SCRIPT "timeline.js",
    "top.js" SCRIPT "top.js",
    "words.js" SCRIPT "words.js",
    "en.json" TABLE "languages/en.json",
    "ja.json" TABLE "languages/ja.json",
];

/// The documentation that the page leads to, as it is in `docs/`.
const DOCUMENTS: [(&str, &str); 6] = [
    ("clips.md", include_str!("../../../docs/clips.md")),
    ("configuration.md", include_str!("../../../docs/configuration.md")),
    ("hearing.md", include_str!("../../../docs/hearing.md")),
    ("history.md", include_str!("../../../docs/history.md")),
    ("http.md", include_str!("../../../docs/http.md")),
    ("tuning.md", include_str!("../../../docs/tuning.md")),
];

/// `GET /docs/{document}`
pub async fn document(Path(name): Path<String>) -> Response {
    match DOCUMENTS.iter().find(|(document, _)| *document == name) {
        Some((_, text)) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], *text).into_response(),
        None => Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such document").into_response(),
    }
}

/// `GET /`
pub async fn page(headers: HeaderMap) -> Response {
    serve("", &headers)
}

/// `GET /history`
pub async fn history(headers: HeaderMap) -> Response {
    serve("history.html", &headers)
}

/// `GET /page/{part}`
pub async fn part(Path(name): Path<String>, headers: HeaderMap) -> Response {
    serve(&name, &headers)
}

/// Answers with a file of the page, or with 304 if the browser has the same one. The browser asks each time, so after an update
/// of mimid it does not keep the old file.
fn serve(name: &str, headers: &HeaderMap) -> Response {
    let Some(file) = FILES.iter().find(|file| file.name == name) else {
        return Problem::new(StatusCode::NOT_FOUND, "not_found", "the page has no such part").into_response();
    };
    let tag: String = hash(file.text)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let headers = [
        (header::CONTENT_TYPE, file.kind.to_owned()),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin".to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, tag),
    ];
    if is_known { (StatusCode::NOT_MODIFIED, headers).into_response() } else { (headers, file.text).into_response() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    fn folder() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/publish/http/page")
    }

    fn languages() -> impl Iterator<Item = (&'static str, Value)> {
        FILES.iter().filter(|file| file.kind == TABLE).map(|file| (file.name, serde_json::from_str(file.text).unwrap()))
    }

    fn keys(value: &Value) -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn every_file_of_the_folder_is_in_the_page() {
        let files = |folder: std::path::PathBuf| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let all = files(folder()).chain(files(folder().join("languages")));
        let names: BTreeSet<String> = all
            .filter(|entry| entry.file_type().unwrap().is_file())
            .map(|entry| entry.file_name().into_string().unwrap())
            .map(|name| if name == "index.html" { String::new() } else { name })
            .collect();
        assert_eq!(names, FILES.iter().map(|file| file.name.to_owned()).collect());
    }

    #[test]
    fn no_file_loads_anything_from_elsewhere() {
        for file in FILES {
            let text = file.text.replace("http://www.w3.org/2000/svg", "");
            for address in ["http://", "https://", "\"//", "@import", "url(", "innerHTML", "eval(", " style=\"", "onclick=\""] {
                assert!(!text.contains(address), "{}: {address}", file.name);
            }
        }
    }

    #[test]
    fn every_language_has_every_word_with_the_same_places_in_it() {
        let all: Vec<(&str, Value)> = languages().collect();
        let english = all.iter().find(|(name, _)| *name == "en.json").map(|(_, table)| table.clone()).unwrap();
        let places = |text: &str| -> BTreeSet<String> {
            text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned())).collect()
        };
        for (name, table) in all {
            assert_eq!(keys(&table["interface"]), keys(&english["interface"]), "{name}");
            for (key, text) in table["interface"].as_object().unwrap() {
                let (said, meant) = (text.as_str().unwrap(), english["interface"][key].as_str().unwrap());
                assert!(!said.is_empty() && places(said) == places(meant), "{name}: {key}");
            }
        }
    }

    #[test]
    fn every_word_that_is_used_is_there_and_no_other() {
        let english = languages().find(|(name, _)| *name == "en.json").unwrap().1;
        let text: String = FILES.iter().filter(|file| [HTML, SCRIPT].contains(&file.kind)).map(|file| file.text).collect();
        // Some keys are composed.
        let made = |key: &str| {
            ["why_", "legend_", "choose_", "gap_", "mark_", "clip_state_"]
                .iter()
                .any(|first| key.starts_with(first) && text.contains(&format!("`{first}${{")))
        };
        let of_a_slider = |key: &str| key.strip_suffix("_of").is_some_and(|name| text.contains(&format!("\"{name}\"")));
        for key in keys(&english["interface"]) {
            assert!(text.contains(&format!("\"{key}\"")) || made(&key) || of_a_slider(&key), "nothing uses {key}");
        }
        for used in
            text.split("data-t=\"").skip(1).chain(text.split("data-t-label=\"").skip(1)).chain(text.split(" t(\"").skip(1))
        {
            let key = used.split('"').next().unwrap();
            assert!(english["interface"][key].is_string(), "{key} is used but not there");
        }
    }

    #[test]
    fn every_label_of_the_model_has_a_name_of_its_own_in_every_language() {
        let labels = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ced-tiny/labels.tsv")).unwrap();
        let labels: BTreeSet<String> = labels
            .lines()
            .skip(1)
            .filter_map(|line| line.split('\t').find(|cell| !cell.starts_with('/')).map(str::to_owned))
            .collect();
        assert_eq!(labels.len(), 527);
        for (name, table) in languages().filter(|(name, _)| *name != "en.json") {
            let named = table["labels"].as_object().unwrap();
            assert_eq!(labels, keys(&table["labels"]), "{name}");
            let different: BTreeSet<&str> = named.values().map(|name| name.as_str().unwrap()).collect();
            assert_eq!(different.len(), named.len(), "{name}");
        }
    }
}
