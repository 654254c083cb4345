//! What a look has seen in all.

use std::{collections::BTreeMap, time::Duration};

use super::exchange::Exchange;

/// As many kinds of requests as are told apart.
const KINDS: usize = 64;

/// All requests of a look.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Requests that have ended, or were open at the end.
    pub requests: u64,
    /// Those that did not get what they asked for.
    pub failures: u64,
    /// Those that repeated one that had failed.
    pub retries: u64,
    /// The one that took longest.
    pub slowest: Option<Exchange>,
    /// By server, path and model; the first ones.
    pub kinds: BTreeMap<(String, String), Kind>,
}

/// Requests for one thing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kind {
    /// How many.
    pub requests: u64,
    /// How many of them failed.
    pub failures: u64,
    /// How many repeated one that had failed.
    pub retries: u64,
    /// The longest.
    pub slowest: Duration,
}

impl Tally {
    /// Takes a request in.
    pub fn add(&mut self, exchange: &Exchange) {
        let failed = u64::from(exchange.is_failed());
        let retried = u64::from(exchange.retry.is_some());
        self.requests += 1;
        self.failures += failed;
        self.retries += retried;
        if self
            .slowest
            .as_ref()
            .is_none_or(|slowest| slowest.took < exchange.took)
        {
            self.slowest = Some(exchange.clone());
        }
        let host = exchange.host.clone().unwrap_or_default();
        let key = (
            format!("{} {host}{}", exchange.method, exchange.path),
            exchange.model.clone().unwrap_or_default(),
        );
        if self.kinds.len() >= KINDS && !self.kinds.contains_key(&key) {
            return;
        }
        let kind = self.kinds.entry(key).or_default();
        kind.requests += 1;
        kind.failures += failed;
        kind.retries += retried;
        kind.slowest = kind.slowest.max(exchange.took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::retries::tests::asked;

    #[test]
    fn requests_are_counted_by_what_they_ask() {
        let mut tally = Tally::default();
        for exchange in [
            asked("/a", 200, 0, 9),
            asked("/a", 500, 10, 12),
            asked("/b", 200, 0, 3),
        ] {
            tally.add(&exchange);
        }
        assert_eq!((tally.requests, tally.failures), (3, 1));
        assert_eq!(tally.kinds.len(), 2);
        assert_eq!(
            tally.slowest.as_ref().unwrap().took,
            Duration::from_millis(9)
        );
        for number in 0..200 {
            tally.add(&asked(&format!("/{number}"), 200, 0, 1));
        }
        assert_eq!((tally.requests, tally.kinds.len()), (203, KINDS));
    }
}
