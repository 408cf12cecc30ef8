//! The errors that end the daemon, with their exit codes.

use crate::capture::CaptureError;
use crate::model::ModelError;
use crate::publish::socket::BindError;

/// The reason why the daemon could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The model or ONNX Runtime cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The socket cannot be bound.
    #[error(transparent)]
    Socket(#[from] BindError),
    /// No source could be opened.
    #[error("{}", sentences(.0))]
    NoSource(Vec<CaptureError>),
    /// The system refused a resource, or a stage failed.
    #[error("the daemon cannot run: {0}")]
    System(String),
}

/// The sentences of several sources, one on a line.
fn sentences(errors: &[CaptureError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl DaemonError {
    /// The exit code of a process that ends for this.
    pub fn exit_code(&self) -> u8 {
        match self {
            DaemonError::Model(_) => 4,
            DaemonError::Socket(error) => error.exit_code(),
            DaemonError::NoSource(errors) => errors.first().map_or(3, CaptureError::exit_code),
            DaemonError::System(_) => 1,
        }
    }
}
