//! The runs of one hook that wait, and when each is tried. It knows no clock, no program and no server: times are given.
//!
//! A run that fails comes again after all that have been tried less often, and after a failure nothing is tried for a while, which grows
//! with each further failure. So a server that is away is not stormed, and one run that a server cannot take holds up no other.
//!
//! Invariant: a run that was taken in leaves exactly once: done, refused or given up.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// The first wait after a failure; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The bounds of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The most runs that wait or are being tried.
    pub queue: usize,
    /// The most runs that are tried at a time.
    pub at_once: usize,
    /// How often a run that failed is tried again.
    pub retries: u32,
}

/// A run: the line that its hook is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its number, which no other run of the hook has.
    pub number: u64,
    /// How often it was tried.
    pub tries: u32,
    /// The report's line, as JSON.
    pub line: String,
}

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// It is done.
    Done,
    /// It failed, and is worth another try, at the earliest after so long where the server said so.
    Failed(Option<Duration>),
    /// It is refused, so that another try would be in vain.
    Refused,
    /// It was broken off, and counts as none.
    BrokenOff,
}

/// The runs of one hook.
#[derive(Debug)]
pub struct Queue {
    bounds: Bounds,
    /// By how often they were tried, then by their numbers.
    waiting: BTreeMap<(u32, u64), Run>,
    running: HashMap<u64, Run>,
    failures: u32,
    until: Option<Instant>,
    next: u64,
}

impl Queue {
    /// An empty queue.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, waiting: BTreeMap::new(), running: HashMap::new(), failures: 0, until: None, next: 0 }
    }

    /// How many runs wait or are being tried.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.running.len()
    }

    /// How many runs are being tried.
    #[cfg(test)]
    pub fn n_running(&self) -> usize {
        self.running.len()
    }

    /// Takes a new run in. `None` where there is no room.
    pub fn push(&mut self, line: String) -> Option<&Run> {
        let run = Run { number: self.next, tries: 0, line };
        self.restore(run)
    }

    /// Takes a run of an earlier start in, with its number and its tries.
    pub fn restore(&mut self, run: Run) -> Option<&Run> {
        if self.len() >= self.bounds.queue {
            return None;
        }
        self.next = self.next.max(run.number + 1);
        Some(self.waiting.entry((run.tries, run.number)).or_insert(run))
    }

    /// The next run to try at this time, if there is one.
    pub fn take(&mut self, now: Instant) -> Option<Run> {
        // After a failure one run alone tries whether the others have a chance.
        let at_once = if self.failures > 0 { 1 } else { self.bounds.at_once };
        if self.until.is_some_and(|until| now < until) || self.running.len() >= at_once {
            return None;
        }
        let (_, run) = self.waiting.pop_first()?;
        self.running.insert(run.number, run.clone());
        Some(run)
    }

    /// Records how a try ended. Returns whether the run is over, and its tries so far.
    pub fn ended(&mut self, number: u64, tried: Tried, now: Instant) -> Option<(bool, u32)> {
        let mut run = self.running.remove(&number)?;
        run.tries += u32::from(tried != Tried::BrokenOff);
        let tries = run.tries;
        let again = match tried {
            Tried::Done | Tried::Refused => {
                (self.failures, self.until) = (0, None);
                false
            }
            Tried::Failed(at_least) => {
                // Runs that were tried together and fail together are one failure.
                let known = self.until.filter(|until| now < *until);
                if known.is_none() {
                    self.failures = self.failures.saturating_add(1);
                }
                let wait = FIRST_WAIT.saturating_mul(1 << (self.failures - 1).min(10)).min(LONGEST_WAIT);
                let until = known.unwrap_or(now + wait);
                self.until = Some(until.max(now + at_least.unwrap_or_default()));
                tries <= self.bounds.retries
            }
            Tried::BrokenOff => true,
        };
        if again {
            self.waiting.insert((run.tries, run.number), run);
        }
        Some((!again, tries))
    }

    /// A run that waits.
    pub fn waiting(&self, tries: u32, number: u64) -> Option<&Run> {
        self.waiting.get(&(tries, number))
    }

    /// When to look again for a run to try; `None` where something else has to happen before.
    pub fn wake_at(&self) -> Option<Instant> {
        self.until.filter(|_| !self.waiting.is_empty() && self.running.is_empty())
    }

    /// All that is not over, the runs that are being tried first.
    pub fn into_rest(self) -> Vec<Run> {
        let mut rest: Vec<Run> = self.running.into_values().chain(self.waiting.into_values()).collect();
        rest.sort_by_key(|run| run.number);
        rest
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn after_failures_the_waits_grow_and_one_run_tries_alone() {
        let mut queue = Queue::new(Bounds { queue: 10, at_once: 4, retries: 99 });
        (0..5).for_each(|n| assert!(queue.push(n.to_string()).is_some()));
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..12 {
            let run = queue.take(now).unwrap();
            if !waits.is_empty() {
                assert!(queue.take(now).is_none());
            }
            queue.ended(run.number, Tried::Failed(None), now);
            let until = queue.wake_at().unwrap();
            assert!(queue.take(until - Duration::from_millis(1)).is_none());
            waits.push((until - now).as_secs());
            now = until;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        // Each had its turn before any had its next.
        let run = queue.take(now).unwrap();
        assert_eq!((run.tries, run.line.as_str()), (2, "2"));
        queue.ended(run.number, Tried::Failed(Some(Duration::from_secs(900))), now);
        assert_eq!(queue.wake_at(), Some(now + Duration::from_secs(900)));
        let run = queue.take(now + Duration::from_secs(900)).unwrap();
        queue.ended(run.number, Tried::Done, now);
        assert!((0..4).all(|_| queue.take(now).is_some()) && queue.take(now).is_none());
    }

    #[test]
    fn runs_that_fail_together_are_one_failure_and_the_latest_time_of_a_server_holds() {
        let mut queue = Queue::new(Bounds { queue: 10, at_once: 8, retries: 99 });
        (0..10).for_each(|n| assert!(queue.push(n.to_string()).is_some()));
        let mut now = Instant::now();
        let together: Vec<Run> = std::iter::from_fn(|| queue.take(now)).collect();
        assert_eq!(together.len(), 8);
        for run in &together {
            now += Duration::from_millis(10);
            queue.ended(run.number, Tried::Failed(None), now);
        }
        assert!(queue.wake_at().unwrap() < now + Duration::from_secs(1));
        now = queue.wake_at().unwrap();
        let alone = queue.take(now).unwrap();
        queue.ended(alone.number, Tried::Failed(Some(Duration::from_secs(30))), now);
        assert_eq!(queue.wake_at(), Some(now + Duration::from_secs(30)));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push,
        Take,
        End(prop::sample::Index, Tried),
        Wait(u64),
        Restart,
    }

    fn step() -> impl Strategy<Value = Step> {
        let tried = prop_oneof![
            Just(Tried::Done),
            Just(Tried::Failed(None)),
            Just(Tried::Failed(Some(Duration::from_secs(7)))),
            Just(Tried::Refused),
            Just(Tried::BrokenOff)
        ];
        prop_oneof![
            4 => Just(Step::Push),
            4 => Just(Step::Take),
            4 => (any::<prop::sample::Index>(), tried).prop_map(|(at, tried)| Step::End(at, tried)),
            2 => (0_u64..400).prop_map(Step::Wait),
            1 => Just(Step::Restart)
        ]
    }

    proptest! {
        #[test]
        fn each_run_that_is_taken_in_leaves_exactly_once(
            steps in prop::collection::vec(step(), 0..300), queue in 1_usize..9, at_once in 1_usize..4, retries in 0_u32..4
        ) {
            let bounds = Bounds { queue, at_once, retries };
            let mut now = Instant::now();
            let (mut real, mut held, mut over) = (Queue::new(bounds), BTreeSet::new(), BTreeSet::new());
            let mut running: Vec<Run> = Vec::new();
            for step in steps {
                match step {
                    Step::Push => match real.push("x".to_owned()).map(|run| run.number) {
                        Some(number) => prop_assert!(held.len() < queue && !over.contains(&number) && held.insert(number)),
                        None => prop_assert_eq!(held.len(), queue),
                    },
                    Step::Take => if let Some(run) = real.take(now) {
                        prop_assert!(held.contains(&run.number) && run.tries <= retries);
                        running.push(run);
                        prop_assert!(running.len() <= at_once);
                    },
                    Step::End(at, tried) if !running.is_empty() => {
                        let run = running.swap_remove(at.index(running.len()));
                        let (is_over, tries) = real.ended(run.number, tried, now).unwrap();
                        prop_assert_eq!(tries, run.tries + u32::from(tried != Tried::BrokenOff));
                        let expected = match tried {
                            Tried::Done | Tried::Refused => true,
                            Tried::Failed(_) => tries > retries,
                            Tried::BrokenOff => false,
                        };
                        prop_assert_eq!(is_over, expected);
                        if is_over {
                            prop_assert!(held.remove(&run.number) && over.insert(run.number));
                        }
                        prop_assert_eq!(real.ended(run.number, tried, now), None);
                    }
                    Step::End(..) => {}
                    Step::Wait(seconds) => now += Duration::from_secs(seconds),
                    Step::Restart => {
                        let next = real.next;
                        let rest = std::mem::replace(&mut real, Queue::new(bounds)).into_rest();
                        prop_assert_eq!(rest.iter().map(|run| run.number).collect::<BTreeSet<_>>(), held.clone());
                        running.clear();
                        rest.into_iter().for_each(|run| assert!(real.restore(run).is_some()));
                        real.next = next;
                    }
                }
                prop_assert_eq!(real.len(), held.len());
                prop_assert_eq!(real.n_running(), running.len());
                // Whatever waits is tried sooner or later.
                if !held.is_empty() && running.is_empty() {
                    let at = real.wake_at().map_or(now, |at| at.max(now));
                    let run = real.take(at);
                    prop_assert!(run.is_some());
                    run.into_iter().for_each(|run| assert!(real.ended(run.number, Tried::BrokenOff, now).is_some()));
                }
            }
        }
    }
}
