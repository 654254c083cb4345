//! Which requests repeat one that failed: the same method, server, path and model again, by any process of the target.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::exchange::{Exchange, Retry};

/// How long after a failure the same request counts as its repetition.
const WITHIN_NS: u64 = 600_000_000_000;

/// As many requests as failures are remembered of, and failures of each.
const REMEMBERED: usize = 4_096;
const OF_EACH: usize = 64;

type Asked = (String, Option<String>, String, Option<String>);

/// Failures that were not repeated yet, the first to end in front: as many repetitions may follow as requests failed beside
/// each other.
#[derive(Debug, Default)]
pub(super) struct Retries(HashMap<Asked, VecDeque<Failure>>);

#[derive(Clone, Copy, Debug)]
struct Failure {
    ended_ns: u64,
    /// Repetitions so far.
    number: u32,
}

impl Retries {
    /// Says of a request that has ended whether it was a repetition, and remembers how it went.
    pub(super) fn judge(&mut self, exchange: &mut Exchange) {
        let asked: Asked = (
            exchange.method.clone(),
            exchange.host.clone(),
            exchange.path.clone(),
            exchange.model.clone(),
        );
        let former = self.take(&asked, exchange.began_ns);
        exchange.retry = former.map(|failure| Retry {
            number: failure.number + 1,
            gap: Duration::from_nanos(exchange.began_ns.saturating_sub(failure.ended_ns)),
        });
        if !exchange.is_failed() {
            return;
        }
        let took = u64::try_from(exchange.took.as_nanos()).unwrap_or(u64::MAX);
        let ended_ns = exchange.began_ns.saturating_add(took);
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&asked) {
            let is_open = |failure: &Failure| failure.is_open(ended_ns);
            self.0.retain(|_, failures| failures.iter().any(is_open));
            if self.0.len() >= REMEMBERED {
                return;
            }
        }
        let number = exchange.retry.map_or(0, |retry| retry.number);
        let failures = self.0.entry(asked).or_default();
        let at = failures.partition_point(|failure| failure.ended_ns <= ended_ns);
        failures.insert(at, Failure { ended_ns, number });
        if failures.len() > OF_EACH {
            failures.pop_front();
        }
    }

    /// The failure that a request repeats which began then. One that ran beside a failed one is no repetition of it.
    fn take(&mut self, asked: &Asked, began_ns: u64) -> Option<Failure> {
        let failures = self.0.get_mut(asked)?;
        failures.retain(|failure| failure.is_open(began_ns));
        let first = failures.front().copied();
        let former = first.filter(|failure| failure.ended_ns <= began_ns);
        if former.is_some() {
            failures.pop_front();
        }
        if failures.is_empty() {
            self.0.remove(asked);
        }
        former
    }
}

impl Failure {
    /// Whether a request that begins then may repeat it.
    const fn is_open(&self, began_ns: u64) -> bool {
        self.ended_ns.saturating_add(WITHIN_NS) >= began_ns
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::observe::exchange::{End, Through};

    /// A request that ended with this status, in milliseconds from and to.
    pub(crate) fn asked(path: &str, status: u16, from: u64, to: u64) -> Exchange {
        Exchange {
            began_ns: from * 1_000_000,
            pid: 7,
            name: "agent".into(),
            through: Through::Tls,
            method: "POST".into(),
            host: Some("h".into()),
            path: path.into(),
            model: None,
            status: Some(status),
            first_byte: None,
            took: Duration::from_millis(to - from),
            stream: None,
            end: End::Clean,
            retry_after: None,
            retry: None,
        }
    }

    #[test]
    fn repetitions_of_what_failed_are_counted_until_it_works() {
        let mut retries = Retries::default();
        let mut judged = |path, status, from, to| {
            let mut exchange = asked(path, status, from, to);
            retries.judge(&mut exchange);
            exchange
                .retry
                .map(|retry| (retry.number, retry.gap.as_millis()))
        };
        assert_eq!(judged("/a", 429, 0, 10), None);
        assert_eq!(judged("/b", 200, 11, 12), None, "something else");
        assert_eq!(judged("/a", 503, 510, 520), Some((1, 500)));
        assert_eq!(judged("/a", 200, 1_520, 1_530), Some((2, 1_000)));
        assert_eq!(judged("/a", 200, 1_600, 1_610), None);
        assert_eq!(judged("/a", 500, 1_700, 1_750), None);
        assert_eq!(judged("/a", 200, 1_720, 1_760), None, "it ran beside it");
        assert_eq!(judged("/a", 200, 1_800, 1_810), Some((1, 50)), "it is open");
        assert_eq!(judged("/a", 500, 2_000, 2_010), None);
        assert_eq!(judged("/a", 500, 2_001, 2_020), None, "two at once");
        assert_eq!(judged("/a", 200, 2_110, 2_120), Some((1, 100)));
        assert_eq!(judged("/a", 200, 2_120, 2_130), Some((1, 100)));
        assert_eq!(judged("/a", 200, 2_200, 2_210), None);
    }
}
