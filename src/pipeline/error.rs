//! Why the daemon could not start or had to stop, and the exit code of each. It decides nothing.

use crate::capture::CaptureError;
use crate::model::ModelError;
use crate::publish::socket::BindError;

/// Why the daemon could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The model or ONNX Runtime cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// There is no socket.
    #[error(transparent)]
    Socket(#[from] BindError),
    /// No source could be opened.
    #[error("{}", sentences(.0))]
    NoSource(Vec<CaptureError>),
    /// The system refused something that a stage needs.
    #[error("the daemon cannot run: {0}")]
    System(String),
}

/// What several sources say, a sentence a line.
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
