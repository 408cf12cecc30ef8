//! Waiting for a condition.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// The longest time that a test waits for a condition. It is long enough for a busy machine, and only a test that fails waits so
/// long.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Calls `look` again and again until it finds something, and returns that. If it never does, the test fails here with the last
/// look.
pub fn until<L: Look>(what: &str, mut look: impl FnMut() -> L) -> L::Found {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().found() {
            Ok(found) => return found,
            Err(seen) => assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what} in vain: {seen:#?}"),
        }
        std::thread::sleep(PAUSE);
    }
}

/// The result of one look: a bool, an option of the thing that was waited for, or a result with the thing or the state instead.
pub trait Look {
    type Found;

    /// The thing that was waited for, or the state instead.
    fn found(self) -> Result<Self::Found, impl Debug>;
}

impl Look for bool {
    type Found = ();

    fn found(self) -> Result<(), impl Debug> {
        if self { Ok(()) } else { Err("it is not so") }
    }
}

impl<T> Look for Option<T> {
    type Found = T;

    fn found(self) -> Result<T, impl Debug> {
        self.ok_or("there is nothing")
    }
}

impl<T, E: Debug> Look for Result<T, E> {
    type Found = T;

    fn found(self) -> Result<T, impl Debug> {
        self
    }
}
