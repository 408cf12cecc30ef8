//! What the fuzzer gives its bytes to: one function a target, each of which takes any bytes, and panics only where mimid has a bug.
//!
//! cargo-fuzz looks for such bytes; the project's own tests give every function what stands in its corpus, without a fuzzer.
#![allow(missing_docs, reason = "the project's tests are among those that compile it, and they are no library")]

mod configuration;
mod dataset;
mod learnt;
mod map;
mod memory;
mod model;
mod recording;
mod request;
mod satellite;
mod tuning;

pub use configuration::configuration;
pub use dataset::dataset;
pub use learnt::learnt;
pub use map::map;
pub use model::model;
pub use recording::recording;
pub use request::request;
pub use satellite::{discovery, satellite};
pub use tuning::tuning;

/// A file with these bytes, for those that read nothing but files.
fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a place for temporary files");
    std::fs::write(&file, bytes).expect("room for temporary files");
    file
}
