//! `mimid top --once`: prints one answer of the daemon as a table for people.

use std::io::{self, Write};

use crate::publish::wire::{Top, TopLabel};
use crate::text::visible;

/// Prints the level and the strongest labels of a source.
pub fn table(top: &Top, out: &mut impl Write) -> io::Result<()> {
    let Top { level_dbfs, noise_floor_dbfs, clipped_samples, .. } = top;
    let source = visible(&top.source);
    writeln!(out, "{source}  {level_dbfs:.1} dBFS, noise floor {noise_floor_dbfs:.1} dBFS, {clipped_samples} samples clipped")?;
    let width = top.labels.iter().map(|label| label.label.chars().count()).max().unwrap_or(0).max(5);
    writeln!(out, "{:<width$}  causal  start   confirmed  threshold  why", "label")?;
    for label in &top.labels {
        let TopLabel { score, two_sided: confirmed, threshold, start_threshold, because, .. } = label;
        let number = |value: &Option<f64>| value.map(|value| format!("{value:.4}")).unwrap_or_else(|| "–".to_owned());
        let (start, confirmed, threshold) = (number(start_threshold), number(confirmed), number(threshold));
        let (name, because) = (visible(&label.label), visible(because));
        writeln!(out, "{name:<width$}  {score:<6.3}  {start:<6}  {confirmed:<9}  {threshold:<9}  {because}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::wire::Why;

    #[test]
    fn the_columns_are_aligned() {
        let label = |name: &str, score: f64, threshold: Option<f64>| TopLabel {
            label: name.to_owned(),
            slug: String::new(),
            score,
            two_sided: threshold.map(|_| 0.5),
            background: threshold.map(|_| 0.01),
            threshold,
            start_threshold: threshold.map(|threshold| threshold * 0.7),
            release: None,
            why: Why::Open,
            because: "an event\u{1b} is open".to_owned(),
        };
        let top = Top {
            source: "kit\nchen".to_owned(),
            level_dbfs: -31.25,
            noise_floor_dbfs: -60.0,
            clipped_samples: 3,
            hops: 1,
            hop_ms: 100,
            two_sided_lag_ms: 2_700,
            open: vec![],
            labels: vec![label("Speech", 0.81234, Some(0.2)), label("Inside, small room", 0.01, None)],
        };
        let mut out = Vec::new();
        table(&top, &mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @"
        kit�chen  -31.2 dBFS, noise floor -60.0 dBFS, 3 samples clipped
        label               causal  start   confirmed  threshold  why
        Speech              0.812   0.1400  0.5000     0.2000     an event� is open
        Inside, small room  0.010   –       –          –          an event� is open
        ");
    }
}
