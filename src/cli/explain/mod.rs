//! `mimid explain`: why the events of a recording came, and why a label did not come.

pub mod plot;
