//! One source's input, opened again and again: a device or recording anew each time, a feed as long as it goes on.

use std::time::Duration;

use crossbeam_channel::Receiver;

use super::{Feed, Look, Over};
use crate::capture::source::{Input, SourceConfig};
use crate::capture::{Capture, CaptureError, device, exec, file, network, pipe};

/// The time after which a pipe that has given nothing counts as lost.
const PATIENCE: Duration = Duration::from_secs(2);
/// The time that a program or a connection has until its first sound.
const FIRST_SOUND: Duration = Duration::from_secs(10);

/// Opens the input of one source.
pub(crate) struct Opener {
    config: SourceConfig,
    feed: Option<Feed>,
    /// Whether the feed has had a capture.
    was_attached: bool,
    /// Waits for the return of a host that does not answer.
    watch: Option<Feed>,
}

/// The outcome of an attempt to open a source.
pub(crate) enum Opening {
    /// It is open.
    Open(Capture),
    /// There is no sound yet.
    Later(Later),
}

/// A source that has no sound yet.
pub(crate) struct Later {
    /// A wake-up, when it is worth opening it again.
    pub wake: Receiver<()>,
    /// The time after which it counts as lost.
    pub patience: Duration,
    /// Whether it is still waited for after that; another source is closed, and opened again later.
    pub goes_on: bool,
}

impl Opener {
    /// An opener of this source.
    pub fn new(config: SourceConfig) -> Self {
        Self { config, feed: None, was_attached: false, watch: None }
    }

    /// Opens the source, whose samples flow into the ring from then on.
    ///
    /// # Errors
    /// The reason why it has no sound; another attempt may help.
    pub fn open(&mut self) -> Result<Opening, CaptureError> {
        self.watch = None;
        let SourceConfig { input, channel, gain_db, .. } = &self.config;
        match input {
            Input::Default => return device::open(None, *channel, *gain_db).map(Opening::Open),
            Input::Device(id) => return device::open(Some(id), *channel, *gain_db).map(Opening::Open),
            Input::File { path, looped } if !pipe::is_pipe(path) => {
                let at_end = if *looped { file::AtEnd::Repeat } else { file::AtEnd::Stop };
                return file::open(path, at_end, *channel, *gain_db).map(Opening::Open);
            }
            _ => {}
        }
        if self.was_attached && self.feed.as_ref().is_some_and(|feed| !feed.manner.goes_on) {
            self.close_feed();
        }
        let feed = self.feed()?;
        match feed.look() {
            Look::Nothing => {
                let goes_on = feed.manner.goes_on;
                let patience = if goes_on { PATIENCE } else { FIRST_SOUND };
                Ok(Opening::Later(Later { wake: feed.wake(), patience, goes_on }))
            }
            Look::Trouble(what) => Err(CaptureError::Feed { what }),
            Look::Sound => {
                let capture = feed.attach();
                self.was_attached = true;
                Ok(Opening::Open(capture))
            }
            Look::Over(Over::Ended) => {
                // Without any sound it still ends as a recording does.
                let ended = feed.attach();
                self.close_feed();
                Ok(Opening::Open(ended))
            }
            Look::Over(Over::Lost(what)) => {
                self.close_feed();
                Err(CaptureError::Feed { what })
            }
        }
    }

    /// Whether the source goes on by itself after a loss, so that there is nothing to open anew.
    pub fn goes_on(&self) -> bool {
        self.feed.as_ref().is_some_and(|feed| feed.manner.goes_on && !feed.is_over())
    }

    /// A wake-up when the host of a lost source, which does not answer, can be reached again. It comes until the source is opened
    /// anew, and never for an input without a host.
    pub fn watch(&mut self) -> Receiver<()> {
        let watch = match &self.config.input {
            Input::Http { address } | Input::Rtsp { address } => network::reach::watch(&self.config.name, address).ok(),
            _ => None,
        };
        self.watch = watch;
        self.watch.as_ref().map_or_else(crossbeam_channel::never, Feed::wake)
    }

    /// Goes on after a pause.
    pub fn resume(&mut self) {
        if let Some(feed) = &self.feed {
            feed.discard(false);
        }
    }

    /// Closes a source that gave no sound, so that it is opened anew.
    pub fn give_up(&mut self) {
        self.close_feed();
    }

    /// Closes the source for a pause. The writer of a pipe is not held up by it: what it writes is thrown away.
    pub fn pause(&mut self) {
        if pipe::is_fed(&self.config.input) {
            if let Ok(feed) = self.feed() {
                feed.discard(true);
            }
            return;
        }
        self.close_feed();
    }

    fn close_feed(&mut self) {
        (self.feed, self.watch) = (None, None);
        self.was_attached = false;
    }

    /// The feed, which is started where there is none.
    fn feed(&mut self) -> Result<&Feed, CaptureError> {
        let feed = match self.feed.take() {
            Some(feed) => feed,
            None => start(&self.config)?,
        };
        Ok(self.feed.insert(feed))
    }
}

/// Starts the feed of a source.
fn start(config: &SourceConfig) -> Result<Feed, CaptureError> {
    match &config.input {
        Input::Stdin { coding } => pipe::standard_input(config, *coding),
        Input::File { path, looped } => pipe::open(config, path, *looped),
        Input::Exec { command, coding } => exec::open(config, command, *coding),
        Input::Http { address } => network::http::open(config, address),
        Input::Rtsp { address } => network::rtsp::open(config, address),
        Input::Push { protocol, listen, coding } => network::push::open(config, *protocol, *listen, *coding),
        // Devices are no feeds.
        Input::Default | Input::Device(_) => Err(CaptureError::Feed { what: "a device is opened otherwise".to_owned() }),
    }
}
