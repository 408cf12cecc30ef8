//! The browsers that are logged in: random values in cookies, known here by their hashes and nowhere else. They end with the sink.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

/// The cookie's name.
pub const COOKIE: &str = "mimid_session";
/// How long a log-in holds.
pub const LASTING: Duration = Duration::from_secs(30 * 86_400);
/// How many browsers may be logged in; the oldest makes room for a new one.
const MOST: usize = 64;
/// So many wrong tokens are looked at …
const ATTEMPTS: usize = 10;
/// … in so long a time.
const PERIOD: Duration = Duration::from_secs(60);

/// The hash by which a secret is known. Comparing hashes takes no time that tells how much of a guess was right.
pub type Hash = [u8; 32];

/// The hash of a secret.
pub fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

/// The browsers that are logged in, and the wrong tokens of late.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    open: VecDeque<(Hash, Instant)>,
    wrong: VecDeque<Instant>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new session's value.
    ///
    /// # Errors
    /// Where the system has no randomness to give.
    pub fn open(&self, now: Instant) -> std::io::Result<String> {
        let mut random = [0; 32];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let value: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut state = self.lock();
        if state.open.len() == MOST {
            state.open.pop_front();
        }
        state.open.push_back((hash(&value), now));
        Ok(value)
    }

    /// Whether this is the value of a session that is open.
    pub fn is_open(&self, value: &str, now: Instant) -> bool {
        let mut state = self.lock();
        state.open.retain(|(_, since)| now.duration_since(*since) < LASTING);
        let sought = hash(value);
        state.open.iter().any(|(known, _)| *known == sought)
    }

    /// Ends a session.
    pub fn close(&self, value: &str) {
        let sought = hash(value);
        self.lock().open.retain(|(known, _)| *known != sought);
    }

    /// Whether another token may be tried just now.
    pub fn may_try(&self, now: Instant) -> bool {
        let mut state = self.lock();
        state.wrong.retain(|at| now.duration_since(*at) < PERIOD);
        state.wrong.len() < ATTEMPTS
    }

    /// Remembers that a token was wrong.
    pub fn was_wrong(&self, now: Instant) {
        self.lock().wrong.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_open_until_it_is_closed_or_old() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let [one, two] = [sessions.open(now).unwrap(), sessions.open(now).unwrap()];
        assert!(one != two && one.len() == 64);
        assert!(sessions.is_open(&one, now) && sessions.is_open(&two, now) && !sessions.is_open("", now));
        sessions.close(&one);
        assert!(!sessions.is_open(&one, now) && sessions.is_open(&two, now));
        assert!(!sessions.is_open(&two, now + LASTING));
    }

    #[test]
    fn the_oldest_makes_room() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let first = sessions.open(now).unwrap();
        let rest: Vec<String> = (0..MOST).map(|_| sessions.open(now).unwrap()).collect();
        assert!(!sessions.is_open(&first, now));
        assert!(rest.iter().all(|value| sessions.is_open(value, now)));
    }

    #[test]
    fn after_many_wrong_tokens_none_is_looked_at_for_a_while() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        for _ in 0..ATTEMPTS {
            assert!(sessions.may_try(now));
            sessions.was_wrong(now);
        }
        assert!(!sessions.may_try(now) && sessions.may_try(now + PERIOD));
    }
}
