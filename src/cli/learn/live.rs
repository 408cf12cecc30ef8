//! Listens to a source for learning: the room first, then the sound, several times. The samples of a play are forgotten once its embeddings
//! are made.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::Args;
use super::hear::Hearing;
use crate::capture::feed::{Opener, Opening};
use crate::capture::source::{Coding, Input, SourceConfig};
use crate::capture::{Capture, Notice, parse_input};
use crate::cli::{Failure, exit, say};
use crate::detect::level::dbfs;
use crate::learn::example::HeardRecording;
use crate::text::without_passwords;

/// The length of a block of which the level is measured, in seconds.
const BLOCK_S: f64 = 0.05;
/// The quiet before the first play, in seconds.
const ROOM_S: f64 = 4.0;
/// A play begins where the level is so far above the room's, and ends where it has been less than half of that for a while, in dB.
const ABOVE_DB: f32 = 12.0;
/// The level that a play has at the least, in dBFS.
const LEAST_DBFS: f32 = -65.0;
/// The pause that ends a play, in seconds; what is remembered before it; and its longest length.
const PAUSE_S: f64 = 0.8;
const BEFORE_S: f64 = 0.5;
const LONGEST_S: f64 = 12.0;
/// The time in seconds in which nothing is played, after which the command goes on with what there is.
const PATIENCE_S: f64 = 60.0;
/// The time between two looks into the ring.
const LOOK: Duration = Duration::from_millis(20);

/// The plays of a sound, and the room without it.
pub struct Live {
    /// The plays.
    pub plays: Vec<HeardRecording>,
    /// The room.
    pub room: HeardRecording,
}

/// Listens until the sound was made as often as asked for.
pub fn listen(args: &Args, hearing: &mut Hearing, sources: &[SourceConfig]) -> Result<Live, Failure> {
    let source = source(args, sources)?;
    let name = source.name.clone();
    let mut opener = Opener::new(source);
    let opened = opener.open().map_err(|error| Failure::new(&error, error.exit_code()))?;
    let Opening::Open(mut capture) = opened else {
        return Err(Failure::new(format!("the source {name:?} has no sound yet; try again when it sends some"), exit::FAILED));
    };
    let rate_hz = capture.rate_hz;
    let count = |seconds: f64| (seconds * f64::from(rate_hz)) as usize;
    let block = count(BLOCK_S).max(1);
    let meter = Meter::new();
    say(format_args!("Be quiet for {ROOM_S:.0} seconds, so that mimid hears the room"));
    let mut room = Vec::new();
    while room.len() < count(ROOM_S) {
        let Some(samples) = next(&mut capture, block)? else {
            return Err(Failure::new(format!("the source {name:?} ended before anything could be learnt"), exit::FAILED));
        };
        meter.show(level(&samples), "quiet, please");
        room.extend(samples);
    }
    let floor_dbfs = floor(&room, block);
    // A door that slams meanwhile, or the sound itself, is not the room.
    let is_quiet = |block: &&[f32]| level(block) - floor_dbfs < ABOVE_DB / 2.0;
    let room = room.chunks(block).filter(is_quiet).collect::<Vec<_>>().concat();
    let room = hearing.hear_samples(&format!("the room of {name:?}"), rate_hz, &room)?;
    let mut plays = Vec::new();
    let (mut play, mut pause, mut waited): (Vec<f32>, usize, usize) = (Vec::new(), 0, 0);
    let mut is_sounding = false;
    say(format_args!("Now make the sound {} times, with a pause after each", args.plays));
    while plays.len() < args.plays as usize && waited < count(PATIENCE_S) {
        let samples = next(&mut capture, block)?;
        let is_over = samples.is_none();
        let samples = samples.unwrap_or_default();
        let level_dbfs = level(&samples);
        meter.show(level_dbfs, &format!("play {} of {}", plays.len() + 1, args.plays));
        play.extend(&samples);
        let above = level_dbfs - floor_dbfs;
        if !is_sounding {
            is_sounding = above >= ABOVE_DB && level_dbfs >= LEAST_DBFS;
            pause = 0;
            waited += samples.len();
            if !is_sounding {
                let surplus = play.len().saturating_sub(count(BEFORE_S));
                play.drain(..surplus);
            }
        } else {
            pause = if above < ABOVE_DB / 2.0 { pause + samples.len() } else { 0 };
        }
        if is_sounding && (is_over || pause >= count(PAUSE_S) || play.len() >= count(LONGEST_S)) {
            let number = plays.len() + 1;
            let heard = hearing.hear_samples(&format!("play {number}"), rate_hz, &play)?;
            meter.clear();
            let lasted_s = play.len().saturating_sub(pause + count(BEFORE_S)) as f64 / f64::from(rate_hz);
            say(format_args!("  {number} of {}: {lasted_s:.1} s", args.plays));
            plays.push(heard);
            play.clear();
            (is_sounding, waited) = (false, 0);
        }
        if is_over {
            break;
        }
    }
    meter.clear();
    if plays.is_empty() {
        return Err(Failure::new(
            format!(
                "nothing was at least {ABOVE_DB} dB louder than the room, which has {floor_dbfs:.0} dBFS; make the sound nearer to the microphone"
            ),
            exit::FAILED,
        ));
    }
    Ok(Live { plays, room })
}

/// The source that is listened to.
fn source(args: &Args, sources: &[SourceConfig]) -> Result<SourceConfig, Failure> {
    let Some(wanted) = &args.source else {
        return Ok(sources.first().cloned().unwrap_or_else(|| SourceConfig::new("default".into(), Input::Default)));
    };
    if let Some(source) = sources.iter().find(|source| *source.name == **wanted) {
        return Ok(source.clone());
    }
    let input = parse_input(wanted, Coding::auto(16_000))
        .map_err(|wrong| Failure::new(format!("--source {}: {wrong}", without_passwords(wanted)), exit::USAGE))?;
    Ok(SourceConfig::new("source".into(), input))
}

/// The next samples, at least `block` of them; `None` where the source has ended.
fn next(capture: &mut Capture, block: usize) -> Result<Option<Vec<f32>>, Failure> {
    let mut samples = vec![0.0; block];
    let mut filled = 0;
    let began = Instant::now();
    loop {
        filled += capture.reader.pop(&mut samples[filled..]).count;
        if filled == block {
            return Ok(Some(samples));
        }
        match capture.notices.try_recv() {
            Ok(Notice::Ended) if capture.reader.available() == 0 => {
                samples.truncate(filled);
                return Ok((filled > 0).then_some(samples));
            }
            Ok(Notice::Lost(reason)) => return Err(Failure::new(format!("the source is lost: {reason}"), exit::FAILED)),
            _ => {}
        }
        if capture.reader.available() == 0 {
            if began.elapsed() > Duration::from_secs(5) {
                return Ok(None);
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// The level of samples in dBFS.
fn level(samples: &[f32]) -> f32 {
    let sum: f64 = samples.iter().map(|sample| f64::from(*sample) * f64::from(*sample)).sum();
    dbfs(sum / samples.len().max(1) as f64)
}

/// The level of the room: the median of its blocks.
fn floor(room: &[f32], block: usize) -> f32 {
    let mut levels: Vec<f32> = room.chunks(block).map(level).collect();
    levels.sort_by(f32::total_cmp);
    levels.get(levels.len() / 2).copied().unwrap_or(-100.0).max(LEAST_DBFS - ABOVE_DB)
}

/// The level meter on a terminal; it shows nothing anywhere else.
struct Meter {
    is_on: bool,
}

impl Meter {
    fn new() -> Self {
        Self { is_on: std::io::stderr().is_terminal() }
    }

    fn show(&self, level_dbfs: f32, what: &str) {
        const WIDTH: usize = 40;
        if self.is_on {
            let filled = ((level_dbfs + 80.0) / 80.0 * WIDTH as f32).clamp(0.0, WIDTH as f32) as usize;
            let _ = write!(std::io::stderr(), "\r[{:<WIDTH$}] {level_dbfs:>6.1} dBFS  {what:<20}", "#".repeat(filled));
        }
    }

    fn clear(&self) {
        if self.is_on {
            let _ = write!(std::io::stderr(), "\r{:<80}\r", "");
        }
    }
}
