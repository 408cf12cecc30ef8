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
