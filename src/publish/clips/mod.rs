//! Clips: the sound of chosen events as files in a folder, and what became of each in the store.
//!
//! `writer` is the thread that takes samples over from the analysis and writes them with `encode`; `shelf` is the folder with its table,
//! which it makes agree and has `clear` tell what goes; `name` has the names of files, `rows` what the table is told, and `trouble` says why
//! nothing can be kept just now.
//!
//! Invariant: without clips there is no thread. The analysis never waits for the writer: a disk that is slow costs clips, which are counted,
//! and never a sample.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};

use crate::analysis::clips::Handover;
use crate::event::Report;
use crate::model::Labels;
use crate::publish::settings::ClipsConfig;
use crate::stats::Stats;
use crate::stats::clips::ClipStats;

mod clear;
mod encode;
pub mod name;
mod rows;
pub mod shelf;
mod trouble;
mod writer;

use writer::{Order, Writer};

/// The clips while they are on.
#[derive(Debug)]
pub struct Clips {
    handover: Handover,
    folder: PathBuf,
    orders: Sender<Order>,
    thread: JoinHandle<()>,
}

impl Clips {
    /// Starts the thread that writes, with what is kept so far.
    ///
    /// # Errors
    /// The system has no memory or no thread left.
    pub fn start(
        config: ClipsConfig,
        store: PathBuf,
        labels: &Labels,
        reports: Sender<Report>,
        stats: &Stats,
    ) -> std::io::Result<Self> {
        let counters = Arc::new(ClipStats::new(config.folder.clone()));
        let (handover, handed) = Handover::new(config.policy.clone(), labels, counters.clone())?;
        let (orders, taken) = bounded(16);
        let folder = config.folder.clone();
        let writer = Writer::new(config, store, counters.clone(), reports);
        let thread = std::thread::Builder::new().name("clips".to_owned()).spawn(move || writer.run(&handed, &taken))?;
        stats.set_clips(Some(counters));
        Ok(Self { handover, folder, orders, thread })
    }

    /// The way for the analysis.
    pub fn handover(&self) -> Handover {
        self.handover.clone()
    }

    /// The folder.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Puts other settings in force, at once, or another model's labels.
    pub fn change(&mut self, config: ClipsConfig, labels: &Labels) {
        self.handover = self.handover.under(config.policy.clone(), labels);
        let _ = self.orders.send(Order::Change(Box::new(config)));
    }

    /// Has what was handed over written, and ends the thread by the deadline.
    pub fn end(self, stats: &Stats, deadline: Instant) {
        let _ = self.orders.send_deadline(Order::End, deadline);
        while !self.thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.thread.is_finished() && self.thread.join().is_err() {
            tracing::error!("the thread of the clips panicked");
        }
        stats.set_clips(None);
    }
}
