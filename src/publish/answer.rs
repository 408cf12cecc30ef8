//! Answers the requests of the socket's clients and of sinks. The callers have checked before that the client may make the
//! request.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::shared::Shared;
use super::store::NO_STORE;
use super::store::marks::{Mark, Unmarked};
use super::wire::{Body, MarkKind, Request};
use crate::analysis::query::{Query, SourceTop, View, ViewCursor};
use crate::control::{Control, InForce, Reporting, ThresholdChange};
use crate::detect::rule;
use crate::event::Subject;

/// The time that the pipeline has for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The reason why a request is refused: a code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub &'static str, pub String);

impl Request {
    /// Whether the request changes the daemon, or the lines of other clients.
    pub fn changes(&self) -> bool {
        !matches!(self, Request::Subscribe { .. } | Request::Status {} | Request::Top { .. } | Request::Peaks { .. })
    }
}

impl Shared {
    /// Carries out a request, and returns its answer.
    ///
    /// # Errors
    /// The reason why the request is refused.
    pub async fn answer(&self, request: Request) -> Result<Body, Refusal> {
        match request {
            Request::Top { k } => {
                let sources = self.top(k).await?;
                Ok(Body::Top { sources: sources.into_iter().map(Into::into).collect() })
            }
            Request::Set { label, threshold, start_threshold, release } => {
                self.subject(&label)?;
                let change = ThresholdChange { threshold, start_threshold, release };
                match self.ask(|reply| Control::Set { label, change, reply }).await? {
                    Ok(InForce { subject, thresholds }) => {
                        Ok(Body::Set { label: subject.name.clone(), slug: subject.slug.clone(), thresholds: thresholds.into() })
                    }
                    Err(faults) => Err(Refusal("bad_request", faults.join("; "))),
                }
            }
            Request::Peaks { since, floor } => {
                let floor = floor as f32;
                Ok(Body::Peaks(self.query(|reply| Query::Peaks { since, floor, reply }).await?.into()))
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
                Ok(Body::Done { op: "pause".to_owned(), note: None })
            }
            Request::Resume {} => {
                self.ask(|reply| Control::Resume { reply }).await?;
                Ok(Body::Done { op: "resume".to_owned(), note: None })
            }
            Request::Test { label } => match self.ask(|reply| Control::Test { label, reply }).await? {
                Ok(note) => Ok(Body::Done { op: "test".to_owned(), note }),
                Err(message) => Err(Refusal("unknown_label", message)),
            },
            Request::Mark { id, mark, label } => {
                self.mark(&id, mark, label.as_deref()).await?;
                Ok(Body::Done { op: "mark".to_owned(), note: None })
            }
            Request::Status {} => Ok(Body::Status(Box::new(self.status()))),
            Request::Subscribe { .. } => Err(Refusal("bad_request", "only a client of the socket subscribes".to_owned())),
        }
    }

    /// Marks an event of the store, or takes its mark away.
    ///
    /// # Errors
    /// The reason why it is not marked.
    pub async fn mark(&self, id: &str, mark: MarkKind, label: Option<&str>) -> Result<(), Refusal> {
        let refused = |unmarked: Unmarked| Refusal(unmarked.code(), unmarked.to_string());
        let store = self.hub.store.as_ref().ok_or_else(|| Refusal("no_store", NO_STORE.to_owned()))?;
        let mark = match mark {
            MarkKind::Right => Some(Mark::Right),
            MarkKind::Wrong => Some(Mark::Wrong),
            MarkKind::None => None,
            MarkKind::Other => {
                let (labels, name) = (&self.directory().labels, label.unwrap_or_default());
                let found = labels.find(name).ok_or_else(|| Refusal("unknown_label", labels.unknown(name)))?;
                Some(Mark::Other(labels.subjects()[found].clone()))
            }
        };
        let id = id.parse().map_err(|_| refused(Unmarked::NoEvent))?;
        store.mark(id, mark).await.map_err(refused)
    }

    /// The group or the label of this name, slug or id.
    ///
    /// # Errors
    /// `unknown_label`, where there is neither.
    pub fn subject(&self, name: &str) -> Result<Arc<Subject>, Refusal> {
        let directory = self.directory();
        let found = rule::find_subject(&directory.rules, &directory.labels, name);
        found.map_err(|message| Refusal("unknown_label", message))
    }

    /// The open events of each source, and its `k` labels with the highest scores.
    ///
    /// # Errors
    /// `busy`, where the daemon does not answer in time.
    pub async fn top(&self, k: usize) -> Result<Vec<SourceTop>, Refusal> {
        self.query(|reply| Query::Top { k: k.min(10_000), reply }).await
    }

    /// Writes thresholds of a label or a group into the configuration file.
    ///
    /// # Errors
    /// The reason why they are not written, as a sentence.
    pub async fn save(&self, label: String, change: ThresholdChange) -> Result<(), String> {
        match self.ask(|reply| Control::Save { label, change, reply }).await {
            Ok(written) => written,
            Err(Refusal(_, sentence)) => Err(sentence),
        }
    }

    /// Writes into the configuration file whether a label is reported, and loads that.
    ///
    /// # Errors
    /// The reason why it is not so, as a sentence.
    pub async fn choose(&self, label: String, wanted: Reporting) -> Result<(), String> {
        let sentence = |Refusal(_, sentence)| sentence;
        self.ask(|reply| Control::Choose { label, wanted, reply }).await.map_err(sentence)??;
        let loaded = self.ask(|reply| Control::Reload { reply }).await.map_err(sentence)?;
        loaded.map(drop).map_err(|faults| faults.join("; "))
    }

    /// A view of a source, with the columns of its spectrogram from `since` on.
    ///
    /// # Errors
    /// `busy`, where the daemon does not answer in time.
    pub async fn view(&self, source: Arc<str>, since: Option<ViewCursor>) -> Result<View, Refusal> {
        self.query(|reply| Query::View { source, since, reply }).await
    }

    async fn query<T>(&self, query: impl FnOnce(oneshot::Sender<T>) -> Query) -> Result<T, Refusal> {
        self.ask(|reply| Control::Query(query(reply))).await
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
