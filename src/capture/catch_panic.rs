//! Catches panics of foreign code that works on bytes from outside. Such a panic is a fault of the bytes; it ends neither the
//! thread nor the process.
//!
//! Panics alone can be caught. Endless loops, overflows of the stack and unbounded memory cannot; fuzzing shows that there are
//! none.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Does the work. If it panics, whatever it was changing must not be used again.
///
/// # Errors
/// The message of the panic. The process's panic hook, which may end the process, is not called.
pub fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    pass_over_the_hook();
    let outside = IS_CAUGHT.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_CAUGHT.set(outside);
    done.map_err(|panic| said(&*panic))
}

/// Puts a hook before the one in force, which passes over caught panics; once, because hooks hold for the whole process.
fn pass_over_the_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_CAUGHT.get() {
                hook(panic);
            }
        }));
    });
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason given".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_says_what_the_panic_said() {
        let empty: Vec<u8> = Vec::new();
        assert_eq!(catch_panic(|| 7), Ok(7));
        assert_eq!(catch_panic(|| panic!("a {}", "word")), Err::<(), _>("a word".to_owned()));
        assert!(catch_panic(|| empty[empty.len()]).unwrap_err().starts_with("index out of bounds"));
        assert_eq!(catch_panic(|| std::panic::panic_any(7)), Err::<(), _>("no reason given".to_owned()));
    }

    #[test]
    fn what_is_contained_in_what_is_contained_leaves_the_outer_one_contained() {
        let inner = catch_panic(|| catch_panic(|| panic!("inner")).map_err(|what: String| (what, IS_CAUGHT.get())));
        assert_eq!(inner, Ok(Err::<(), _>(("inner".to_owned(), true))));
        assert!(!IS_CAUGHT.get());
    }
}
