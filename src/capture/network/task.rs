//! The futures of one connection, on the thread of its feed: each ends with its feed, and those that have a deadline at it.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;
use tokio::runtime::{Builder, EnterGuard, Runtime};

use crate::capture::feed::Stopper;
use crate::limits;

/// Runs the futures of a connection.
pub(super) struct Task {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    stop: Receiver,
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The look-up of a name, which nothing can end, is not waited for.
            runtime.shutdown_background();
        }
    }
}

/// The future was not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfinished {
    /// The feed was closed.
    Closed,
    /// It took too long.
    Late,
}

impl Unfinished {
    /// The sentence about a server that was asked for something.
    pub fn sentence(self, what: &str) -> String {
        match self {
            Unfinished::Closed => "it was closed".to_owned(),
            Unfinished::Late => format!("{what} did not answer within {} s", super::ANSWERING.as_secs()),
        }
    }
}

impl Task {
    /// A task that ends with the feed of this stopper.
    pub fn new(stopper: Stopper) -> Result<Self, String> {
        let sentence = |error: io::Error| limits::explain(&error);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(sentence)?;
        let stop = {
            let _entered = runtime.enter();
            Receiver::from_owned_fd(stopper.into()).map_err(sentence)?
        };
        Ok(Self { runtime: Some(runtime), stop })
    }

    /// Runs a future to its end.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> Result<T, Unfinished> {
        let runtime = self.runtime.as_ref().ok_or(Unfinished::Closed)?;
        runtime.block_on(async {
            tokio::select! {
                done = future => Ok(done),
                _ = self.stop.readable() => Err(Unfinished::Closed),
            }
        })
    }

    /// Runs a future that is an answer of the other side, for which there is not all the time of the world.
    pub fn ask<T>(&self, future: impl Future<Output = T>) -> Result<T, Unfinished> {
        self.run(async { tokio::time::timeout(super::ANSWERING, future).await })?.map_err(|_| Unfinished::Late)
    }

    /// Runs a future for a short time, whether or not the feed is closed.
    pub fn take_leave(&self, future: impl Future<Output = ()>, time: Duration) {
        if let Some(runtime) = &self.runtime {
            let _ = runtime.block_on(async { tokio::time::timeout(time, future).await });
        }
    }

    /// Enters the runtime: a session that is dropped outside one panics.
    pub fn enter(&self) -> Option<EnterGuard<'_>> {
        self.runtime.as_ref().map(Runtime::enter)
    }

    /// Lets a future run beside the others.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(future);
        }
    }
}
