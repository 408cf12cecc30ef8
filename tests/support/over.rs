//! Threads that go on until a test is over.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Tells threads that the test is over, also if it fails. Otherwise a scope would wait for its threads for ever.
#[derive(Default)]
pub struct Over(AtomicBool);

impl Over {
    pub fn is(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// A guard. When it is dropped, the test is over.
    pub fn at_the_end(&self) -> impl Drop + '_ {
        struct AtTheEnd<'a>(&'a AtomicBool);
        impl Drop for AtTheEnd<'_> {
            fn drop(&mut self) {
                self.0.store(true, Relaxed);
            }
        }
        AtTheEnd(&self.0)
    }
}
