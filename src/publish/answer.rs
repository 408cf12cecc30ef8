//! Answers requests, whoever brings them: a client of the socket or a sink. Who may ask for what is judged before.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::shared::Shared;
use super::wire::{self, Body, Request};
use crate::control::{Control, InForce, Mark, SetThresholds, SourceTop, TopLabel, View};
use crate::detect::why::Why;

/// How long the pipeline may take for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a request ends that gets no other answer: a code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub &'static str, pub String);

impl Request {
    /// Whether it changes the daemon, or what is told to others.
    pub fn changes(&self) -> bool {
        !matches!(self, Request::Subscribe { .. } | Request::Status {} | Request::Top { .. } | Request::Peaks { .. })
    }
}

impl Shared {
    /// Has a request done, and gives its answer.
    ///
    /// # Errors
    /// Why it is not done.
    pub async fn answer(&self, request: Request) -> Result<Body, Refusal> {
        match request {
            Request::Top { k } => {
                let sources = self.top(k).await?;
                Ok(Body::Top { sources: sources.into_iter().map(Into::into).collect() })
            }
            Request::Set { label, threshold, start_threshold, release } => {
                let thresholds = SetThresholds { threshold, start_threshold, release };
                match self.ask(|reply| Control::Set { label, thresholds, reply }).await? {
                    Ok(InForce { subject, threshold, start_threshold, release }) => Ok(Body::Set {
                        label: subject.name.clone(),
                        slug: subject.slug.clone(),
                        threshold: wire::score(threshold),
                        start_threshold: wire::score(start_threshold),
                        release: wire::score(release),
                    }),
                    Err(faults) => Err(Refusal("bad_request", faults.join("; "))),
                }
            }
            Request::Peaks { since, floor } => {
                let floor = floor as f32;
                Ok(Body::Peaks(self.ask(|reply| Control::Peaks { since, floor, reply }).await?.into()))
            }
            Request::Reload {} => match self.ask(|reply| Control::Reload { reply }).await? {
                Ok(changes) => Ok(Body::ConfigReloaded { changes }),
                Err(faults) => Ok(Body::ConfigRejected { faults }),
            },
            Request::Pause { seconds } => {
                if seconds.is_some_and(|seconds| !(seconds > 0.0 && seconds <= 366.0 * 86_400.0)) {
                    return Err(Refusal("bad_request", "seconds must be above 0 and at most a year".to_owned()));
                }
                self.ask(|reply| Control::Pause { seconds, reply }).await?;
                Ok(Body::Done { op: "pause".to_owned() })
            }
            Request::Resume {} => {
                self.ask(|reply| Control::Resume { reply }).await?;
                Ok(Body::Done { op: "resume".to_owned() })
            }
            Request::Test { label } => match self.ask(|reply| Control::Test { label, reply }).await? {
                Ok(()) => Ok(Body::Done { op: "test".to_owned() }),
                Err(message) => Err(Refusal("unknown_label", message)),
            },
            Request::Status {} => Ok(Body::Status(Box::new(self.status()))),
            Request::Subscribe { .. } => Err(Refusal("bad_request", "only a client of the socket subscribes".to_owned())),
        }
    }

    /// The open events and the `k` strongest labels of each source just now.
    ///
    /// # Errors
    /// Where the daemon has too much to do to answer.
    pub async fn top(&self, k: usize) -> Result<Vec<SourceTop>, Refusal> {
        let mut sources = self.ask(|reply| Control::Top { k: k.min(10_000), reply }).await?;
        self.tell_ignored(sources.iter_mut().flat_map(|source| &mut source.labels));
        Ok(sources)
    }

    /// What somebody sees who looks at a source just now, and has seen it as far as `since`.
    ///
    /// # Errors
    /// Where the daemon has too much to do to answer.
    pub async fn view(&self, source: Arc<str>, since: Option<Mark>) -> Result<View, Refusal> {
        let mut view = self.ask(|reply| Control::View { source, since, reply }).await?;
        self.tell_ignored(view.seen.iter_mut().flat_map(|seen| &mut seen.labels));
        Ok(view)
    }

    /// The analysis knows rules and no reasons for there being none: those that the configuration ignores are told so here.
    fn tell_ignored<'a>(&self, labels: impl Iterator<Item = &'a mut TopLabel>) {
        let ignored = &self.directory().ignored;
        for label in labels.filter(|label| label.why == Why::NotReported && ignored.contains(&label.subject.name)) {
            label.why = Why::Ignored;
        }
    }

    async fn ask<T>(&self, control: impl FnOnce(oneshot::Sender<T>) -> Control) -> Result<T, Refusal> {
        let busy = || Refusal("busy", "the daemon has too much to do to take this just now; ask again".to_owned());
        let (reply, answer) = oneshot::channel();
        self.control.try_send(control(reply)).map_err(|_| busy())?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }
}
