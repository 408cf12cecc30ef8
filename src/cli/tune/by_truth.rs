//! `mimid tune --truth`: the thresholds and releases that suit recordings whose sounds are known.

use super::recordings::{self, Wrong};
use super::subjects::Subjects;
use super::{Args, hear};
use crate::cli::{Failure, exit, load};
use crate::config;
use crate::detect::family::Kinship;
use crate::model::onnx::{self, Runtime};
use crate::tune::candidates::{self, RELEASE_RATIOS};

pub fn run(args: &Args) -> Result<(), Failure> {
    let (loaded, model) = load(&args.config)?;
    let raw = config::read(args.config.config.as_deref()).map_err(|faults| Failure::new(faults, exit::USAGE))?;
    let config = loaded.config;
    let recordings = recordings::read(&args.truth, &args.files, &model.labels).map_err(failure)?;
    let kinship = Kinship::new(&model.labels);
    let subjects = Subjects::new(&raw, &config, &model.labels, &kinship, &recordings);
    let thresholds = candidates::thresholds();
    let gates: Vec<Vec<_>> = subjects
        .tuned
        .iter()
        .map(|tuned| {
            let in_force = tuned.rule.gate;
            let tried = RELEASE_RATIOS.iter().flat_map(|ratio| thresholds.iter().map(move |threshold| (*threshold, *ratio)));
            std::iter::once(in_force)
                .chain(tried.map(|(threshold, ratio)| candidates::gate(&in_force, threshold, ratio)))
                .collect()
        })
        .collect();
    let runtime = Runtime::load(&onnx::find_runtime(config.model.runtime.as_deref())?)?;
    let heard = hear::hear(&model, &runtime, config.model.threads, &subjects.tuned, &gates, &recordings)?;
    let observed = heard.map_err(|sentences| Failure::new(sentences.join("\n"), exit::FAILED))?;
    {
        use std::io::Write;
        let mut out = std::io::BufWriter::new(std::fs::File::create(std::env::var("MIMID_DUMP").unwrap()).unwrap());
        for (r, o) in recordings.iter().zip(&observed) {
            for (t, (tuned, by)) in subjects.tuned.iter().zip(&o.by_gate).enumerate() {
                for span in tuned.truth(r) {
                    writeln!(
                        out,
                        "T\t{}\t{}\t{}\t{:.3}\t{:.3}",
                        r.path.display(),
                        tuned.rule.subject.name,
                        tuned.from.len(),
                        span.onset_s,
                        span.offset_s
                    )
                    .unwrap();
                }
                for (g, h) in by.iter().enumerate() {
                    let gate = gates[t][g];
                    writeln!(
                        out,
                        "U\t{}\t{}\t{g}\t{}\t{}",
                        r.path.display(),
                        tuned.rule.subject.name,
                        gate.start_threshold,
                        h.n_taken_back
                    )
                    .unwrap();
                    for e in &h.events {
                        writeln!(
                            out,
                            "E\t{}\t{}\t{g}\t{:.5}\t{:.5}\t{:.3}\t{:.3}",
                            r.path.display(),
                            tuned.rule.subject.name,
                            gate.threshold,
                            gate.release,
                            e.onset_s,
                            e.offset_s
                        )
                        .unwrap();
                    }
                }
            }
        }
    }
    Ok(())
}

fn failure(wrong: Wrong) -> Failure {
    let exit_code = if wrong.truth.is_empty() { exit::FAILED } else { exit::USAGE };
    let mut sentences: Vec<String> = wrong.truth.iter().map(ToString::to_string).collect();
    sentences.extend(wrong.recordings);
    Failure::new(sentences.join("\n"), exit_code)
}
