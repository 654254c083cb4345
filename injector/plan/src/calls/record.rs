//! The record of a fault on system calls: what its programs read beside its rule.

use injector_common::call::{CallRule, RemoteFilter, THREAD_NAME, filling, filters, sleep};
use ipnet::IpNet;

use super::Subject;
use injector_spec::{
    experiment::{Calls, Filling, OnCalls, SleepAt},
    quantity::duration::nanos,
};

/// The record, but for where it is asked.
pub(super) fn record(on_calls: OnCalls<'_>, subject: Subject) -> CallRule {
    let calls = on_calls.calls();
    let mut record = CallRule {
        kinds: subject.kinds,
        ..CallRule::default()
    };
    match on_calls {
        OnCalls::Error(_) => {}
        OnCalls::Short(short) => record.bytes = short.at_most,
        OnCalls::Signal(kill) => record.signal = kill.signal.number().unsigned_abs(),
        OnCalls::Delay(delay) => {
            record.sleep_ns = nanos(delay.length);
            record.jitter_ns = nanos(delay.jitter);
            record.sleep_at = match delay.at {
                SleepAt::Enter => sleep::ENTER,
                SleepAt::Exit => sleep::EXIT,
            };
        }
        OnCalls::Damage(damage) => {
            record.bytes = damage.max_length;
            record.places = damage.max_occurrences;
            record.filling = match damage.filling {
                Filling::Zero => filling::ZERO,
                Filling::Random => filling::RANDOM,
                Filling::Flip => filling::FLIP,
            };
        }
    }
    if !calls.paths.is_empty() {
        record.filters |= filters::PATH;
    }
    if subject.remotes {
        record.filters |= filters::REMOTE;
        for (place, remote) in record.remotes.iter_mut().zip(remotes(calls)) {
            *place = remote;
        }
    }
    if let Some(pattern) = &calls.thread {
        record.filters |= filters::THREAD;
        let bytes = &pattern.as_bytes()[..pattern.len().min(THREAD_NAME)];
        record.thread[..bytes.len()].copy_from_slice(bytes);
        record.thread_length = u32::try_from(bytes.len()).unwrap_or_default();
    }
    record
}

/// Each address with each range of ports.
fn remotes(calls: &Calls) -> impl Iterator<Item = RemoteFilter> {
    let ports: Vec<(u16, u16)> = if calls.dest_ports.is_empty() {
        vec![(0, u16::MAX)]
    } else {
        let ranges = calls.dest_ports.iter();
        ranges.map(|range| (range.first(), range.last())).collect()
    };
    let nets: Vec<Option<IpNet>> = if calls.dest.is_empty() {
        vec![None]
    } else {
        calls.dest.iter().copied().map(Some).collect()
    };
    nets.into_iter().flat_map(move |net| {
        let of = move |(first, last)| match net {
            None => RemoteFilter::anywhere(first, last),
            Some(IpNet::V4(net)) => {
                let address = net.addr().to_ipv6_mapped();
                let bits = 96 + u32::from(net.prefix_len());
                RemoteFilter::new(address.octets(), bits, first, last)
            }
            Some(IpNet::V6(net)) => {
                let bits = u32::from(net.prefix_len());
                RemoteFilter::new(net.addr().octets(), bits, first, last)
            }
        };
        ports.clone().into_iter().map(of)
    })
}
