//! Metrics in the older text format of Prometheus, version 0.0.4, for readers that ask for it.

use std::fmt::Write;

/// Whether the `Accept` of a request prefers plain text to OpenMetrics.
pub fn is_wanted(accept: &str) -> bool {
    let (mut open, mut plain) = (0.0, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |quality| quality.parse().ok());
        let place: &mut f64 = match kind.as_str() {
            "application/openmetrics-text" => &mut open,
            "text/plain" | "text/*" => &mut plain,
            _ => continue,
        };
        *place = place.max(quality.unwrap_or(0.0));
    }
    plain > open
}

/// The same metrics as they stand in OpenMetrics text. There a metric has its unit and no suffix of its kind in its description.
pub fn from_open_metrics(text: &str) -> String {
    let (mut out, mut help) = (String::with_capacity(text.len()), None);
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                kind => ("", kind),
            };
            if let Some((_, help)) = help.take().filter(|(of, _)| *of == name) {
                // Writing to a string cannot fail.
                let _ = writeln!(out, "# HELP {name}{suffix} {help}");
            }
            let _ = writeln!(out, "# TYPE {name}{suffix} {kind}");
        } else if !line.starts_with('#') {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_preferred_is_given_and_open_metrics_where_nothing_is() {
        for (accept, expected) in [
            ("", false),
            ("*/*", false),
            ("text/plain;version=0.0.4", true),
            ("text/plain", true),
            ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", false),
            ("application/openmetrics-text;q=0.2, text/plain;q=0.5", true),
        ] {
            assert_eq!(is_wanted(accept), expected, "{accept}");
        }
    }

    #[test]
    fn descriptions_carry_the_names_of_their_samples() {
        let text = "# HELP a_seconds Time.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total 1.5\n\
                    # HELP b Build.\n# TYPE b info\nb_info{v=\"1\"} 1\n# HELP c Up.\n# TYPE c gauge\nc 1.0\n# EOF\n";
        let expected = "# HELP a_seconds_total Time.\n# TYPE a_seconds_total counter\na_seconds_total 1.5\n\
                        # HELP b_info Build.\n# TYPE b_info gauge\nb_info{v=\"1\"} 1\n# HELP c Up.\n# TYPE c gauge\nc 1.0\n";
        assert_eq!(from_open_metrics(text), expected);
    }
}
