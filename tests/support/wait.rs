//! Waiting for a condition.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How long a test waits for what must come. It is long enough for a machine whose cores are busy with other work; only a test that fails
/// waits so long.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks again and again until what is waited for is there, and gives it. A test for which it never comes fails here, with the last look.
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

/// One look at what is waited for: whether it is there, the thing itself, or the thing and otherwise what is there instead.
pub trait Look {
    type Found;

    /// What was waited for, or what is there instead.
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
