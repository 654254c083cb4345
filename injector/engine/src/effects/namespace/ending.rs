//! Ends a namespace: lets held packets go, waits for programs in flight, detaches; and what was counted.

use std::time::{Duration, Instant};

use injector_common::{flow::Unjudged, rule::Counters, rule_id};

use injector_host::{
    delay_line::{self},
    kernel::{Error, links::Skipped},
};
use injector_spec::error::Refusal;

use super::{ArmedNamespace, unjudged};

/// How long programs in flight are waited for. Each has some hundred instructions left.
const FLIGHT: Duration = Duration::from_secs(2);

impl ArmedNamespace {
    /// A rule's counters, the delay line's share included.
    pub fn counters(
        &self,
        scope: u32,
        slot: u32,
        line: &delay_line::Stats,
    ) -> Result<Counters, Error> {
        let id = rule_id(scope, slot);
        let mut counters = self.maps.counters(id)?;
        if let Some(dns) = line.dns.get(&id) {
            counters.matched += dns.matched;
            counters.hit += dns.hit;
        }
        Ok(counters)
    }

    /// Lets everything that is held go, in order. The lease has ended and programs in flight are done.
    pub fn flush(&mut self) -> Result<delay_line::Stats, Refusal> {
        // Threads that sleep go on now, and find no lease.
        self.calls.session = None;
        let flight = self.await_flight();
        let stats = match self.line.take() {
            None => delay_line::Stats::default(),
            Some(line) => line.flush()?,
        };
        flight?;
        Ok(stats)
    }

    /// Calls that the kernel let by without asking the programs that decide, in words.
    pub fn unseen(&self) -> impl Iterator<Item = String> {
        self.links.skipped().into_iter().map(|Skipped { program, calls }| {
            format!(
                "{calls} calls of this host missed the program `{program}`, which was busy with another thread of the same CPU; as many calls of the target at most went through unseen and are in no counter"
            )
        })
    }

    /// Packets that reached the targets and that no rule was asked about, in words.
    pub fn unjudged(&self) -> Vec<String> {
        if !self.hooks.ingress {
            return Vec::new();
        }
        let of_scope = |scope: &u32| self.maps.unjudged(*scope).unwrap_or_default();
        let all = self.scopes.iter().map(of_scope);
        unjudged::told(all.fold(Unjudged::default(), Unjudged::add))
    }

    /// Waits until no sleepable program is on its way through a call of a target.
    pub(super) fn await_flight(&self) -> Result<(), Error> {
        let deadline = Instant::now() + FLIGHT;
        while self.maps.in_flight()? > 0 {
            if Instant::now() > deadline {
                return Err(Error::InFlight);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Detaches everything, then closes the TAP. Probes in targets are waited for until then; what is left is said in words.
    pub fn detach(self, until: Instant) -> Option<String> {
        let Self {
            links,
            cgroup_links,
            covered,
            filters,
            object,
            maps,
            events,
            operations,
            debug_log,
            calls,
            line,
            tap,
            relay,
            rewrites,
            ..
        } = self;
        // Sleepers first: a program that sleeps keeps what it is attached to.
        drop(calls.session);
        drop(links);
        drop(cgroup_links);
        drop(relay);
        let left = rewrites.and_then(|mut rewrites| rewrites.end(until));
        // With the object goes the table that filters reach their programs through: from here on they do nothing.
        drop((
            covered, filters, object, maps, events, operations, debug_log,
        ));
        drop((line, tap, calls.places));
        left
    }
}
