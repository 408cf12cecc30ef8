//! Text in messages: the nearest name to a misspelt one, and text that is safe to print.
//!
//! It knows nothing of the meaning of a name.

/// The longest name of a label, a group or a source that anybody may have meant, in characters.
const LONGEST_NAME: usize = 100;

/// A wrong name as a sentence repeats it: cut to the length of the longest name.
pub fn shown(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// The end of a sentence about a wrong name, with the suggestion; empty where there is none.
pub fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}

/// The candidate nearest to `word`, by spelling or because one contains the other; `None` where none is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.trim().to_lowercase();
    // A text that is longer than any name is no misspelt name, and comparing it with all of them would take seconds.
    if word.is_empty() || word.chars().nth(LONGEST_NAME).is_some() {
        return None;
    }
    let likeness = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        let whole = strsim::normalized_damerau_levenshtein(&word, &candidate);
        // "smoke alarm" means "Smoke detector, smoke alarm": the parts between commas count too, a little less than the whole.
        let part =
            candidate.split(", ").map(|part| 0.97 * strsim::normalized_damerau_levenshtein(&word, part)).fold(0.0, f64::max);
        let contained = if word.len() >= 3 && candidate.contains(&word) { 0.75 } else { 0.0 };
        whole.max(part).max(contained)
    };
    candidates
        .into_iter()
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.len().cmp(&a.1.len())))
        .map(|(_, candidate)| candidate)
}

/// A text without control characters, so that a name from a configuration or a file cannot control the terminal.
pub fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The bytes of a name in one line and one column of a table: control characters, bytes that are no UTF-8 and backslashes are
/// written as escapes, which [`unescaped`] reads back.
pub fn escaped(name: &[u8]) -> String {
    let mut out = String::new();
    for chunk in name.utf8_chunks() {
        for (at, c) in chunk.valid().char_indices() {
            // White space at an end of a column is no part of it.
            let is_outermost = at == 0 || at + c.len_utf8() == chunk.valid().len();
            match c {
                ' ' if is_outermost => out.push_str("\\x20"),
                '\t' => out.push_str("\\t"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\\' => out.push_str("\\\\"),
                c if c.is_control() || (is_outermost && c.is_whitespace()) => {
                    c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")))
                }
                c => out.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    out
}

/// The name of which this was written; `None` where no name was.
pub fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let (kind, after) = rest.split_first()?;
        rest = after;
        match kind {
            b't' => out.push(b'\t'),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b'\\' => out.push(b'\\'),
            b'x' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                out.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[2..];
            }
            _ => return None,
        }
    }
    Some(out)
}

/// The words of a query after whose `=` a secret stands.
const SECRETS: [&str; 8] = ["password", "passwd", "pwd", "pass", "token", "secret", "key", "auth"];

/// The text with `***` in the place of the passwords of URLs, and of secrets in their queries.
pub fn without_passwords(text: &str) -> String {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let url = &after[..after.find(is_end).unwrap_or(after.len())];
        let (address, query) = url.split_once('?').map_or((url, None), |(address, query)| (address, Some(query)));
        // A password may hold any sign, a slash and an @ too.
        match address.rsplit_once('@').map(|(user, host)| (user.split_once(':'), host)) {
            Some((Some((user, _)), host)) => out.extend([user, ":***@", host]),
            _ => out.push_str(address),
        }
        for (index, pair) in query.into_iter().flat_map(|query| query.split('&')).enumerate() {
            out.push(if index == 0 { '?' } else { '&' });
            match pair.split_once('=').filter(|(key, _)| SECRETS.iter().any(|word| key.to_lowercase().ends_with(word))) {
                Some((key, _)) => out.extend([key, "=***"]),
                None => out.push_str(pair),
            }
        }
        rest = &after[url.len()..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_password_is_left_and_all_else_is() {
        for (text, told) in [
            ("rtsp://anna:geheim@cam/1 failed", "rtsp://anna:***@cam/1 failed"),
            ("\"http://a:p@ss:w/rd@cam:80/x\", 401", "\"http://a:***@cam:80/x\", 401"),
            ("http://cam:80/x?size=2&token=abc&b=c", "http://cam:80/x?size=2&token=***&b=c"),
            ("two: rtsp://a:b@c rtsp://d:e@f", "two: rtsp://a:***@c rtsp://d:***@f"),
            ("rtsp://anna@cam/1 and a:b@c ://", "rtsp://anna@cam/1 and a:b@c ://"),
        ] {
            assert_eq!(without_passwords(text), told);
        }
    }

    #[test]
    fn names_are_escaped_where_they_must_be() {
        assert_eq!(escaped(b"a b.wav"), "a b.wav");
        assert_eq!(escaped(b" a "), "\\x20a\\x20");
        assert_eq!(escaped("ひ.wav".as_bytes()), "ひ.wav");
        assert_eq!(escaped(b"a\tb\n\x1b[2J\xff\\.wav"), "a\\tb\\n\\x1b[2J\\xff\\\\.wav");
        for none in ["a\\", "a\\q", "a\\x1", "a\\xzz"] {
            assert_eq!(unescaped(none), None);
        }
    }

    proptest! {
        #[test]
        fn any_name_comes_back(name in prop::collection::vec(any::<u8>(), 0..40)) {
            let text = escaped(&name);
            prop_assert!(text.chars().all(|c| !c.is_control()));
            prop_assert_eq!(unescaped(&text), Some(name));
        }
    }
}
