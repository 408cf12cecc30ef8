//! The main loop: passes events of keyboard, daemon, system and clock to the state, sends the state's requests, and draws.
//!
//! It is the only module that waits. Two threads read the keyboard and the socket, a third waits for signals.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use nix::sys::signal::{Signal, raise};
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::signal::unix::{SignalKind, signal};

use super::keys::{Action, press};
use super::link::{self, FromDaemon};
use super::palette::Palette;
use super::proposal;
use super::screen::Screen;
use super::state::{Mode, TopState};
use super::view;
use crate::cli::client::Daemon;
use crate::cli::{Failure, exit};

/// The least time between two pictures.
const FRAME: Duration = Duration::from_millis(100);
/// The longest wait where nothing is due, after which a terminal that has gone is noticed.
const IDLE: Duration = Duration::from_secs(2);
/// The longest time to write a request; a daemon that takes longer counts as lost.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// An event of the main loop.
#[derive(Debug)]
pub enum Happening {
    /// A key, or a new size of the terminal.
    Terminal(Event),
    /// An event of the connection.
    Daemon(FromDaemon),
    /// The process has to end, with this exit code.
    End(u8),
    /// The process was continued after it was stopped.
    Continued,
}

/// Runs until the user or the system ends it.
pub fn run(daemon: Daemon, socket: Option<PathBuf>, state: TopState, palette: Palette) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(format_args!("the terminal cannot be used: {error}"), exit::FAILED);
    let (happen, happenings) = unbounded();
    start("signals", &happen, signals)?;
    let screen = Screen::take().map_err(failed)?;
    start("link", &happen, move |happen| link::read(daemon, socket, happen))?;
    start("keys", &happen, keys)?;
    let mut session = Session { state, palette, screen, writer: None, drawn_at: None };
    match session.go_on(&happenings).map_err(failed)? {
        0 => Ok(()),
        exit_code => Err(Failure { message: String::new(), exit_code }),
    }
}

/// Starts a thread, which ends with the process; it may wait for ever for a key or a line.
fn start(name: &str, happen: &Sender<Happening>, work: impl FnOnce(&Sender<Happening>) + Send + 'static) -> Result<(), Failure> {
    let happen = happen.clone();
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&happen));
    thread.map(|_| ()).map_err(Failure::no_thread)
}

/// Reads the keyboard, until it cannot be read any more.
fn keys(happen: &Sender<Happening>) {
    while let Ok(event) = event::read() {
        if happen.send(Happening::Terminal(event)).is_err() {
            return;
        }
    }
    let _ = happen.send(Happening::End(exit::FAILED));
}

/// Waits for signals of the system.
fn signals(happen: &Sender<Happening>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    runtime.block_on(async {
        let kinds = [
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::interrupt(),
            SignalKind::from_raw(Signal::SIGCONT as i32),
        ];
        let [Ok(mut term), Ok(mut hangup), Ok(mut interrupt), Ok(mut cont)] = kinds.map(signal) else { return };
        loop {
            let happening = tokio::select! {
                _ = term.recv() => Happening::End(0),
                _ = hangup.recv() => Happening::End(0),
                _ = interrupt.recv() => Happening::End(exit::INTERRUPTED),
                _ = cont.recv() => Happening::Continued,
            };
            if happen.send(happening).is_err() {
                return;
            }
        }
    });
}

struct Session {
    state: TopState,
    palette: Palette,
    screen: Screen,
    writer: Option<UnixStream>,
    drawn_at: Option<Instant>,
}

impl Session {
    /// Runs the loop until the end, and returns the exit code.
    fn go_on(&mut self, happenings: &Receiver<Happening>) -> std::io::Result<u8> {
        loop {
            if self.screen.is_gone() {
                return Ok(exit::FAILED);
            }
            self.state.tick(Instant::now());
            self.send();
            let now = Instant::now();
            let frame_at = self.drawn_at.map_or(now, |drawn_at| drawn_at + FRAME);
            if self.state.is_changed && frame_at <= now {
                self.draw(now)?;
            }
            let frame_at = self.state.is_changed.then_some(frame_at);
            let until = [frame_at, self.state.next()].into_iter().flatten().min().unwrap_or(now + IDLE);
            let mut happening = match happenings.recv_deadline(until) {
                Ok(happening) => Some(happening),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(exit::FAILED),
            };
            while let Some(this) = happening {
                if let Some(exit_code) = self.take(this)? {
                    return Ok(exit_code);
                }
                happening = happenings.try_recv().ok();
            }
        }
    }

    fn draw(&mut self, now: Instant) -> std::io::Result<()> {
        let (state, palette) = (&self.state, self.palette);
        self.screen.terminal.draw(|frame| view::draw(state, palette, frame.buffer_mut()))?;
        self.state.is_changed = false;
        self.drawn_at = Some(now);
        Ok(())
    }

    fn send(&mut self) {
        for request in self.state.requests() {
            let Some(writer) = &mut self.writer else { return };
            let line = serde_json::to_string(&request).map(|json| json + "\n").unwrap_or_default();
            if let Err(error) = writer.write_all(line.as_bytes()) {
                // Shutting the connection down lets the reading thread notice that it is broken.
                let _ = writer.shutdown(std::net::Shutdown::Both);
                self.writer = None;
                return self.state.lost(&format!("the daemon takes no requests: {error}"));
            }
        }
    }

    /// Handles an event; an exit code ends the loop.
    fn take(&mut self, happening: Happening) -> std::io::Result<Option<u8>> {
        let now = Instant::now();
        match happening {
            Happening::Terminal(Event::Key(key)) if key.kind != KeyEventKind::Release => match press(&mut self.state, key, now) {
                Some(Action::Quit) => return Ok(Some(0)),
                Some(action) => self.act(action, now)?,
                None => {}
            },
            Happening::Terminal(_) => self.state.is_changed = true,
            Happening::Continued => {
                self.screen.lend(|| ())?;
                self.state.is_changed = true;
            }
            Happening::End(exit_code) => return Ok(Some(exit_code)),
            Happening::Daemon(FromDaemon::Connected(hello, writer)) => {
                let _ = writer.set_write_timeout(Some(WRITE_TIMEOUT));
                self.writer = Some(writer);
                self.state.connected(&hello, now);
            }
            Happening::Daemon(FromDaemon::Line(line)) => self.state.take(*line, now),
            Happening::Daemon(FromDaemon::Lost(why)) => {
                self.writer = None;
                self.state.lost(&why);
            }
        }
        Ok(None)
    }

    fn act(&mut self, action: Action, now: Instant) -> std::io::Result<()> {
        match action {
            Action::Quit => {}
            // The shell has the terminal while the process is stopped; the signal that continues it takes the terminal back.
            Action::Suspend => self.screen.lend(|| raise(Signal::SIGSTOP).unwrap_or_default())?,
            Action::Redraw => self.screen.clear()?,
            Action::Propose => match proposal::plan(self.state.config(), self.state.changes.all()) {
                Ok(plan) => self.state.mode = Mode::Diff(Box::new(plan), 0),
                Err(sentence) => self.state.warn(sentence, now),
            },
            Action::Write => {
                if let Mode::Diff(plan, _) = std::mem::replace(&mut self.state.mode, Mode::Watch) {
                    match plan.write() {
                        Ok(()) => self.state.written(plan.path(), now),
                        Err(error) => self.state.warn(error.to_string(), now),
                    }
                }
            }
        }
        self.state.is_changed = true;
        Ok(())
    }
}
