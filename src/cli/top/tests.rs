//! The program without terminal and daemon: lines and keys go in, requests and pictures come out.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::keys::{Action, press};
use super::palette::Palette;
use super::state::{Link, Mode, TopState};
use super::*;
use crate::publish::wire::{self, Line, OpenEvent, Thresholds, Top, TopLabel};

mod conversation;
mod picture;
mod random;

/// The program with a clock of the test's.
struct Bench {
    state: TopState,
    now: Instant,
    hops: u64,
}

fn line(body: Body) -> Line {
    Line { v: wire::VERSION, seq: None, ts: Some("2026-11-20T08:30:46.120Z".to_owned()), body }
}

fn hello(sources: &[&str]) -> Line {
    let model = wire::ModelInfo { name: "ced-tiny".to_owned(), sha256: String::new(), labels: 527 };
    let sources = sources.iter().map(|source| (*source).to_owned()).collect();
    line(Body::Hello { version: "0.1.0".to_owned(), instance: String::new(), model, sources })
}

fn label(name: &str, score: f64, thresholds: Option<(f64, f64)>, why: &str, because: &str) -> TopLabel {
    TopLabel {
        label: name.to_owned(),
        slug: name.to_lowercase(),
        score,
        two_sided: thresholds.map(|_| score * 0.8),
        background: thresholds.map(|_| 0.01),
        threshold: thresholds.map(|(threshold, _)| threshold),
        start_threshold: thresholds.map(|(_, start)| start),
        release: thresholds.map(|(threshold, _)| (threshold * 1e3).round() / 1e4),
        why: why.into(),
        because: because.to_owned(),
    }
}

impl Bench {
    fn new(sources: &[&str]) -> Self {
        let now = Instant::now();
        let state = TopState::new(&hello(sources), 40, Duration::from_millis(200), TimeZone::UTC, now);
        Self { state, now, hops: 0 }
    }

    /// The state after a minute of the sources kitchen and porch; in the kitchen somebody speaks every 15 seconds, and now.
    fn kitchen() -> Self {
        let mut bench = Self::new(&["kitchen", "porch"]);
        for step in 1..=300u32 {
            let wave = ((step % 75) as f64 / 75.0 * std::f64::consts::TAU).cos();
            let speech = 0.002f64.powf(0.5 - wave / 2.0) * 0.9;
            bench.hear(vec![bench.top("kitchen", speech), bench.top("porch", 0.002)]);
            bench.pass(200);
        }
        bench.state.requests();
        bench
    }

    fn top(&self, source: &str, speech: f64) -> Top {
        let is_open = speech >= 0.14;
        let why = if is_open { ("open", "an event is open") } else { ("below", "below its start threshold") };
        let open = OpenEvent {
            id: "x".to_owned(),
            label: "Speech".to_owned(),
            slug: "speech".to_owned(),
            onset: "2026-11-20T08:30:42.920Z".to_owned(),
            peak_score: 0.9,
            confirmed: true,
            also: vec!["Conversation".to_owned()],
        };
        Top {
            source: source.to_owned(),
            level_dbfs: -31.4,
            noise_floor_dbfs: -62.5,
            clipped_samples: if source == "porch" { 12 } else { 0 },
            hops: self.hops,
            hop_ms: 100,
            two_sided_lag_ms: 2_700,
            open: if is_open { vec![open] } else { vec![] },
            labels: vec![
                label("Speech", speech, Some((0.2, 0.14)), why.0, why.1),
                label("Conversation", 0.3, Some((0.2, 0.14)), "held", "the same sound is reported as Speech"),
                label("Inside, small room", 0.1, None, "not_reported", "[report] does not name it"),
                label("Dog", 0.08, Some((0.3, 0.15)), "below", "below its start threshold"),
                label("Bark", 0.06, Some((0.2, 0.05)), "cooling_down", "cooling down for another 12.3 s"),
                label("Glass", 0.03, Some((0.006, 0.004)), "too_quiet", "too quiet: -62.0 dBFS, must be -60.0"),
                label("Smoke detector, smoke alarm", 0.004, Some((0.1, 0.07)), "below", "below its start threshold"),
            ],
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.state.tick(self.now);
    }

    fn hear(&mut self, sources: Vec<Top>) {
        self.hops += 2;
        self.state.take(line(Body::Top { sources }), self.now);
    }

    fn take(&mut self, body: Body) {
        self.state.take(line(body), self.now);
    }

    fn press(&mut self, code: KeyCode) -> Option<Action> {
        press(&mut self.state, KeyEvent::new(code, KeyModifiers::NONE), self.now)
    }

    fn keys(&mut self, keys: &str) -> Option<Action> {
        keys.chars().map(|key| self.press(KeyCode::Char(key))).last().flatten()
    }

    /// The requests other than those for the strongest labels and the status.
    fn asked(&mut self) -> Vec<String> {
        let asks = self.state.requests().into_iter().filter(|ask| !matches!(ask, Request::Top { .. } | Request::Status {}));
        asks.map(|ask| serde_json::to_string(&ask).unwrap()).collect()
    }

    fn message(&self) -> &str {
        self.state.message.as_ref().map(|message| message.text.as_str()).unwrap_or_default()
    }

    fn drawn(&self, width: u16, height: u16, palette: Palette) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view::draw(&self.state, palette, frame.buffer_mut())).unwrap();
        terminal
    }

    fn picture(&self, width: u16, height: u16) -> String {
        self.drawn(width, height, Palette::Plain).backend().to_string()
    }
}
