//! What a model's licence allows: a sentence for every licence that is not free for every use.

/// The word for a licence that nobody has named.
pub const UNKNOWN: &str = "unknown";

/// Licences that allow every use, as SPDX spells them, in lower case.
const FREE: [&str; 14] = [
    "mit",
    "apache-2.0",
    "bsd-2-clause",
    "bsd-3-clause",
    "0bsd",
    "isc",
    "zlib",
    "unlicense",
    "cc0-1.0",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc-by-sa-4.0",
    "cc-by-sa-3.0",
    "mpl-2.0",
];

/// The sentence about a licence; `None` for one that is free for every use.
pub fn warning(licence: &str) -> Option<String> {
    let licence = licence.trim();
    let lower = licence.to_lowercase();
    let is_free = |part: &str| FREE.contains(&part.trim().trim_matches(['(', ')']));
    if lower.split(" or ").any(|choice| choice.split(" and ").all(is_free)) {
        return None;
    }
    if licence.is_empty() || lower == UNKNOWN {
        return Some("the model's licence is not known; ask its authors before you use it for more than a trial".to_owned());
    }
    let is_for_some = lower.split(['-', ' ', '_']).any(|word| matches!(word, "nc" | "noncommercial"));
    if is_for_some || lower.contains("non-commercial") || lower.contains("non commercial") {
        return Some(format!("the model's licence is {licence:?}, which does not allow commercial use"));
    }
    Some(format!("the model's licence is {licence:?}, which is not known to be free for every use; read it first"))
}

#[cfg(test)]
mod tests {
    use super::warning;

    #[test]
    fn what_is_not_free_for_every_use_is_told() {
        for free in ["MIT", "Apache-2.0", " mit OR Apache-2.0", "GPL-3.0 OR MIT", "(MIT AND CC-BY-4.0)", "CC0-1.0"] {
            assert_eq!(warning(free), None, "{free}");
        }
        for (licence, told) in [
            ("CC-BY-NC-4.0", "does not allow commercial use"),
            ("CC BY-NC-SA 4.0", "does not allow commercial use"),
            ("for non-commercial research", "does not allow commercial use"),
            ("MIT AND CC-BY-NC-4.0", "does not allow commercial use"),
            ("", "is not known;"),
            ("Unknown", "is not known;"),
            ("AGPL-3.0", "read it first"),
            ("MIT-like", "read it first"),
        ] {
            assert!(warning(licence).unwrap().contains(told), "{licence}");
        }
    }
}
