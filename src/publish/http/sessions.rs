//! The sessions of browsers that are logged in. A session is a random value in a cookie; the daemon keeps only its hash, and only
//! in memory, so all sessions end with the sink.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

/// The cookie's name.
pub const COOKIE: &str = "mimid_session";
/// The lifetime of a session.
pub const LASTING: Duration = Duration::from_secs(30 * 86_400);
/// The most sessions; the oldest makes room for a new one.
const MOST: usize = 64;
/// The most wrong tokens in an [`ATTEMPTS_PERIOD`]; after them no token is checked for a while.
const ATTEMPTS: usize = 10;
/// The time after which a wrong token no longer counts.
const ATTEMPTS_PERIOD: Duration = Duration::from_secs(60);

/// The hash of a secret. Hashes are compared instead of secrets, because the time that a comparison takes would reveal how much
/// of a guess is right.
pub type Hash = [u8; 32];

/// Hashes a secret.
pub fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

/// The open sessions, and the times of the latest wrong tokens.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<LogIns>);

#[derive(Debug, Default)]
struct LogIns {
    open: VecDeque<(Hash, Instant)>,
    wrong: VecDeque<Instant>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, LogIns> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session, and returns the value of its cookie.
    ///
    /// # Errors
    /// Where the system gives no random numbers.
    pub fn open(&self, now: Instant) -> std::io::Result<String> {
        let mut random = [0; 32];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let value: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut log_ins = self.lock();
        if log_ins.open.len() == MOST {
            log_ins.open.pop_front();
        }
        log_ins.open.push_back((hash(&value), now));
        Ok(value)
    }

    /// Whether an open session has this cookie.
    pub fn is_open(&self, value: &str, now: Instant) -> bool {
        let mut log_ins = self.lock();
        log_ins.open.retain(|(_, since)| now.duration_since(*since) < LASTING);
        let sought = hash(value);
        log_ins.open.iter().any(|(known, _)| *known == sought)
    }

    /// Ends a session.
    pub fn close(&self, value: &str) {
        let sought = hash(value);
        self.lock().open.retain(|(known, _)| *known != sought);
    }

    /// Whether a token may be checked now, or too many wrong ones came before it.
    pub fn may_try(&self, now: Instant) -> bool {
        let mut log_ins = self.lock();
        log_ins.wrong.retain(|at| now.duration_since(*at) < ATTEMPTS_PERIOD);
        log_ins.wrong.len() < ATTEMPTS
    }

    /// Counts a wrong token.
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
        assert!(!sessions.may_try(now) && sessions.may_try(now + ATTEMPTS_PERIOD));
    }
}
