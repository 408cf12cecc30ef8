//! The figures that `benches/cost` takes from inside: parts of mimid in this process, and a thousand subscribers of a running daemon;
//! and the scores that `models/tools/agree.py` compares.
//!
//! Each command prints one JSON object; the scripts run the command and make tables of what it says. Nothing here judges.

mod front_end;
mod meter;
mod noise;
mod scores;
mod subscribers;
mod window;

use std::process::ExitCode;

/// The result of a command: its figures, or its error.
type Outcome = Result<serde_json::Value, Box<dyn std::error::Error>>;

const USAGE: &str = "usage: probe window ORIGINAL ROUNDS | scores FRAMES BATCH OUT | log-mel SECONDS | live SECONDS ROUNDS \
    | subscribers SOCKET HEALTHY STALLED EVENTS_PER_S WARM_UP_S SECONDS";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["window", original, rounds] => number(rounds).and_then(|rounds| window::measure(original.as_ref(), rounds)),
        ["scores", frames, batch, out] => {
            number(frames).and_then(|frames| number(batch).and_then(|batch| scores::score(frames, batch, out.as_ref())))
        }
        ["log-mel", seconds] => number(seconds).and_then(front_end::log_mel),
        ["live", seconds, rounds] => {
            number(seconds).and_then(|seconds| number(rounds).and_then(|rounds| front_end::live(seconds, rounds)))
        }
        ["subscribers", socket, ref numbers @ ..] => numbers
            .iter()
            .map(|text| number(text))
            .collect::<Result<Vec<_>, _>>()
            .and_then(|numbers| subscribers::measure(socket.as_ref(), &numbers)),
        // `cargo bench` runs every bench with this one word.
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("probe: {error}");
            ExitCode::from(2)
        }
    }
}

fn number(text: &str) -> Result<usize, Box<dyn std::error::Error>> {
    text.parse().map_err(|_| format!("{text:?} is not a whole number").into())
}
