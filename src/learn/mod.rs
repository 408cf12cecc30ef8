//! Learning: from embeddings of a few recordings to the head of a learnt sound.
//!
//! | module | does |
//! | --- | --- |
//! | `example` | the embeddings of a recording: which windows hold its sound, and how alike two recordings are |
//! | `moments` | the mean and the covariance of embeddings |
//! | `fit` | the discriminant between a sound and everything else, and its place on the scale of scores |
//! | `check` | leaves out one recording at a time, and says what the others make of it |
//! | `bank` | the embeddings of many kinds of sound that a model brings along |
//!
//! Everything here is arithmetic on numbers that others have gathered: the same recordings give the same bits each time. Nothing
//! here reads a recording, knows the model's graph, or writes a file; `cli` hears the recordings, and `model::learnt` has the files.

pub mod bank;
pub mod check;
pub mod example;
pub mod fit;
pub mod moments;
