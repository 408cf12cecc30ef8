//! Serves one client: sends `hello`, then the client's lines and the answers to its requests, until the client goes away.
//!
//! A client that does not read holds up its own task and nothing else. Its queue in the hub bounds the number of lines that wait.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf, UCred};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::publish::answer::Refusal;
use crate::publish::hub::{Delivery, Subscription};
use crate::publish::shared::{Shared, down};
use crate::publish::subscribe::StreamStart;
use crate::publish::wire::{Body, Line, Request};

/// The longest request line in bytes.
pub const MAX_LINE: usize = 64 * 1024;
/// The longest time without a line.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// The number of requests in a [`RATE_PERIOD`] after which a client has to wait for the next period.
const RATE: u32 = 200;
/// The number of requests that `top`, `peaks` or `subscribe` counts as. The analysis has to answer the first two, and the third
/// can replay thousands of lines.
const COSTLY: u32 = 10;
const RATE_PERIOD: Duration = Duration::from_secs(1);
/// The size in bytes up to which waiting lines are sent together, because a system call costs more than a line.
const TOGETHER: usize = 8 * 1024;
/// The interval at which a client that has closed its sending half is checked for having gone.
const LOOK: Duration = Duration::from_millis(250);

/// A connected client.
pub struct Connection {
    input: Requests,
    output: OwnedWriteHalf,
    sent_at: Instant,
    /// The beginning of the present [`RATE_PERIOD`], and the number of requests in it.
    asked: (Instant, u32),
    /// The longest time without a line.
    pub(super) heartbeat: Duration,
    peer: Option<UCred>,
    /// Whether the peer may change the daemon; `None` until the first request that needs it.
    may_change: Option<bool>,
    shared: Arc<Shared>,
}

impl Connection {
    /// The connection of an accepted stream.
    pub fn new(stream: UnixStream, shared: Arc<Shared>) -> Self {
        let peer = stream.peer_cred().ok();
        let (input, output) = stream.into_split();
        let input = Requests { input, buffer: Vec::new(), scanned: 0, skipping: false };
        Self {
            input,
            output,
            sent_at: Instant::now(),
            asked: (Instant::now(), 0),
            heartbeat: HEARTBEAT,
            peer,
            may_change: None,
            shared,
        }
    }

    /// Serves the client until it goes, or until `shutdown` is true and the waiting lines are sent.
    pub async fn serve(mut self, shutdown: watch::Receiver<bool>) {
        // An error here is a client that has gone, so nobody can be told.
        let _ = self.talk(shutdown).await;
    }

    async fn talk(&mut self, mut shutdown: watch::Receiver<bool>) -> io::Result<()> {
        let (mut subscription, seq) = self.shared.hub.connect();
        self.send_line(self.shared.hello(seq)).await?;
        let mut open = true;
        loop {
            let may_ask = self.asked.1 < RATE;
            tokio::select! {
                Some(delivery) = subscription.next() => {
                    self.write_with_those_behind(&delivery, &mut subscription).await?;
                    self.tell_missed(&subscription).await?;
                }
                request = self.input.next(), if may_ask && open => {
                    if self.asked.0.elapsed() >= RATE_PERIOD {
                        self.asked = (Instant::now(), 0);
                    }
                    self.asked.1 += 1;
                    match request? {
                        Incoming::Line(line) => self.answer(&line, &mut subscription).await?,
                        Incoming::TooLong => {
                            self.refuse(Refusal("too_long", format!("a request has more than {MAX_LINE} bytes"))).await?;
                        }
                        // The client has closed its sending half, as `echo … | socat` does. It may still read.
                        Incoming::End => open = false,
                    }
                }
                () = gone(&self.output), if !open => return Ok(()),
                () = tokio::time::sleep_until(self.asked.0 + RATE_PERIOD), if !may_ask => self.asked = (Instant::now(), 0),
                () = tokio::time::sleep_until(self.sent_at + self.heartbeat) => self.send(Body::Heartbeat {}).await?,
                () = down(&mut shutdown) => return self.flush(&mut subscription).await,
            }
        }
    }

    /// Sends the waiting lines, and closes the connection.
    async fn flush(&mut self, subscription: &mut Subscription) -> io::Result<()> {
        while let Some(delivery) = subscription.try_next() {
            self.write(&delivery.line()).await?;
        }
        self.tell_missed(subscription).await?;
        self.output.shutdown().await
    }

    /// Writes a delivery's line together with the lines that wait behind it.
    async fn write_with_those_behind(&mut self, delivery: &Delivery, subscription: &mut Subscription) -> io::Result<()> {
        let line = delivery.line();
        let Some(second) = subscription.try_next() else { return self.write(&line).await };
        let mut together = [line, second.line()].concat();
        while together.len() < TOGETHER
            && let Some(next) = subscription.try_next()
        {
            together.push_str(&next.line());
        }
        self.write(&together).await
    }

    async fn tell_missed(&mut self, subscription: &Subscription) -> io::Result<()> {
        match subscription.missed() {
            None => Ok(()),
            Some(missed) => self.write(&missed.line()).await,
        }
    }

    async fn write(&mut self, line: &str) -> io::Result<()> {
        self.output.write_all(line.as_bytes()).await?;
        self.sent_at = Instant::now();
        Ok(())
    }

    async fn send_line(&mut self, line: Line) -> io::Result<()> {
        self.write(&line.to_line()).await
    }

    async fn send(&mut self, body: Body) -> io::Result<()> {
        self.send_line(Line::new(Timestamp::now(), body)).await
    }

    async fn refuse(&mut self, Refusal(code, message): Refusal) -> io::Result<()> {
        self.send(Body::Error { code: code.to_owned(), message }).await
    }

    async fn answer(&mut self, line: &[u8], subscription: &mut Subscription) -> io::Result<()> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let request = match Request::parse(line) {
            Ok(request) => request,
            Err(bad) => return self.refuse(Refusal("bad_request", bad.to_string())).await,
        };
        if matches!(request, Request::Top { .. } | Request::Peaks { .. } | Request::Subscribe { .. }) {
            self.asked.1 += COSTLY - 1;
        }
        match request {
            Request::Subscribe { .. } => self.subscribe(&request, subscription).await,
            Request::Status {} => {
                let status = self.shared.status();
                let seq = self.shared.hub.seq();
                self.send_line(Line { seq: Some(seq), ..Line::new(Timestamp::now(), Body::Status(Box::new(status))) }).await
            }
            other if other.changes() && !self.may_change().await => {
                let message = "only the daemon's own user, root and the members of the configured group may do this";
                self.refuse(Refusal("forbidden", message.to_owned())).await
            }
            other => match self.shared.answer(other).await {
                Ok(body) => self.send(body).await,
                Err(refusal) => self.refuse(refusal).await,
            },
        }
    }

    async fn subscribe(&mut self, request: &Request, subscription: &mut Subscription) -> io::Result<()> {
        let StreamStart { before, subscribed, mut replay } = match self.shared.subscribe(subscription, request).await {
            Ok(start) => start,
            Err(refusal) => return self.refuse(refusal).await,
        };
        for delivery in before {
            self.write(&delivery.line()).await?;
        }
        self.send_line(subscribed).await?;
        while let Some(deliveries) = replay.next(subscription).await {
            for delivery in deliveries {
                self.write(&delivery.line()).await?;
            }
        }
        Ok(())
    }

    /// Whether the peer may change the daemon. This is looked up once for a connection, so a user who joins the group has to
    /// connect again.
    async fn may_change(&mut self) -> bool {
        match self.may_change {
            Some(may) => may,
            None => *self.may_change.insert(self.shared.access.allows_peer(self.peer).await),
        }
    }
}

/// Waits until the peer has closed both halves of the connection. The system does not announce that the second half is closed, so
/// it is checked again and again.
async fn gone(output: &OwnedWriteHalf) {
    loop {
        tokio::time::sleep(LOOK).await;
        if output.ready(Interest::WRITABLE).await.is_ok_and(|ready| ready.is_write_closed()) {
            return;
        }
    }
}

/// The requests of a client: its bytes split into lines of bounded length.
struct Requests {
    input: OwnedReadHalf,
    buffer: Vec<u8>,
    /// The length of the buffer's beginning that is known to hold no newline.
    scanned: usize,
    /// Whether the rest of a line that was too long is being skipped.
    skipping: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Incoming {
    Line(Vec<u8>),
    TooLong,
    End,
}

impl Requests {
    /// The next line without its newline, which the last line may lack. Bytes that were read stay in the buffer if this is
    /// cancelled.
    async fn next(&mut self) -> io::Result<Incoming> {
        loop {
            let end = self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n').map(|at| self.scanned + at);
            if let Some(end) = end {
                let rest = self.buffer.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                self.scanned = 0;
                line.pop();
                if std::mem::take(&mut self.skipping) {
                    continue;
                }
                return Ok(if line.len() > MAX_LINE { Incoming::TooLong } else { Incoming::Line(line) });
            }
            self.scanned = self.buffer.len();
            if self.skipping || self.buffer.len() > MAX_LINE {
                (self.buffer, self.scanned) = (Vec::new(), 0);
                if !std::mem::replace(&mut self.skipping, true) {
                    return Ok(Incoming::TooLong);
                }
            }
            if self.input.read_buf(&mut self.buffer).await? == 0 {
                self.scanned = 0;
                let last = std::mem::take(&mut self.buffer);
                return Ok(if last.is_empty() || self.skipping { Incoming::End } else { Incoming::Line(last) });
            }
        }
    }
}
