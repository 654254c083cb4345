//! The same for faults on calls: from the words of an experiment file to the decision about a call.

use std::{fmt::Write as _, net::IpAddr};

use injector_common::{
    call::{Remote, filters, kind},
    glob,
};
use ipnet::IpNet;
use proptest::{prelude::*, sample::select};

use super::packets::{address, few, holds, network, port, ports, ranges, texts};
use crate::{CallPlan, Names, Plan};
use injector_spec::experiment::file;

/// Filters as a person writes them.
#[derive(Clone, Debug)]
struct Asked {
    dest: Vec<IpNet>,
    dest_ports: Vec<(u16, u16)>,
    kinds: Vec<&'static str>,
    thread: Option<&'static str>,
}

/// A call as a person would describe it.
#[derive(Clone, Copy, Debug)]
struct Made {
    thread: &'static str,
    kind: &'static str,
    /// Of sockets of IPv4 and IPv6 that are connected, or are given an address to send to.
    far_end: Option<(IpAddr, u16)>,
}

/// Kinds of descriptors, by the words of people and as the programs number them.
const KINDS: [(&str, u32); 6] = [
    ("file", kind::FILE),
    ("directory", kind::DIRECTORY),
    ("pipe", kind::PIPE),
    ("unix", kind::UNIX),
    ("inet", kind::INET),
    ("character", kind::CHARACTER),
];

/// Whether the filters mean the call.
fn means(asked: &Asked, made: &Made) -> bool {
    let of_kind = asked.kinds.is_empty() || asked.kinds.contains(&made.kind);
    let by_thread = match asked.thread {
        None | Some("*") => true,
        Some("work*") => made.thread.starts_with("work"),
        Some(name) => made.thread == name,
    };
    let restricts_far_ends = !asked.dest.is_empty() || !asked.dest_ports.is_empty();
    let to_far_end = made.far_end.is_some_and(|(address, port)| {
        let within = |(first, last): &(u16, u16)| (*first..=*last).contains(&port);
        (asked.dest.is_empty() || asked.dest.iter().any(|net| holds(net, address)))
            && (asked.dest_ports.is_empty() || asked.dest_ports.iter().any(within))
    });
    of_kind && by_thread && (!restricts_far_ends || to_far_end)
}

/// What the planner makes of the filters; `None` where they are refused before.
fn planned(asked: &Asked) -> Option<CallPlan> {
    let mut words = String::from("errno: EIO, syscall: [sendto, read, connect]");
    for (name, values) in [
        ("dest-ip", texts(&asked.dest)),
        ("dest-port", ports(&asked.dest_ports)),
        (
            "fd-kind",
            asked.kinds.iter().map(ToString::to_string).collect(),
        ),
    ] {
        if !values.is_empty() {
            let _ = write!(words, ", {name}: {values:?}");
        }
    }
    if let Some(thread) = asked.thread {
        let _ = write!(words, ", thread: {thread:?}");
    }
    let text = format!(
        "name: x\ntargets:\n  t: {{ pid: 1 }}\nsteps:\n  - name: s\n    duration: 1s\n    faults:\n      - sys.error: {{ target: t, {words} }}\n"
    );
    let experiment = file::parse(&text, "x", None).ok()?;
    let plan = Plan::make(&experiment, &Names::of(&[]), 1, &|_| true).ok()?;
    plan.rules.into_iter().next()?.compiled.calls
}

/// Whether the compiled rule lets the call through its filters.
fn decides(plan: &CallPlan, made: &Made) -> bool {
    let record = &plan.record;
    let asks = |filter| record.filters & filter != 0;
    let (_, bit) = KINDS
        .into_iter()
        .find(|(word, _)| *word == made.kind)
        .unwrap();
    let remote = made
        .far_end
        .map_or(Remote::default(), |(address, port)| match address {
            IpAddr::V4(v4) => Remote::v4(v4.octets(), port),
            IpAddr::V6(v6) => {
                let octets = v6.octets();
                let (high, low) = octets.split_at(8);
                Remote::v6(high.try_into().unwrap(), low.try_into().unwrap(), port)
            }
        });
    let pattern = &record.thread[..record.thread_length as usize];
    record.kinds & bit != 0
        && (!asks(filters::THREAD) || glob::matches(pattern, made.thread.as_bytes()))
        && (!asks(filters::REMOTE) || record.means(&remote))
}

fn asked() -> impl Strategy<Value = Asked> {
    let kinds = prop_oneof![
        3 => Just(vec![]),
        1 => Just(vec!["inet"]),
        1 => few(select(KINDS.map(|(word, _)| word).to_vec())),
    ];
    let thread = select(vec![None, None, Some("*"), Some("work*"), Some("main")]);
    (few(network()), ranges(), kinds, thread).prop_map(|(dest, dest_ports, kinds, thread)| Asked {
        dest,
        dest_ports,
        kinds,
        thread,
    })
}

fn made() -> impl Strategy<Value = Made> {
    let thread = select(vec!["main", "worker-1", "work", "other"]);
    let kind = select(KINDS.map(|(word, _)| word).to_vec());
    let kind = prop_oneof![2 => Just("inet"), 1 => kind];
    let far_end = prop::option::weighted(0.8, (address(), port()));
    (thread, kind, far_end).prop_map(|(thread, kind, far_end)| Made {
        thread,
        kind,
        far_end: far_end.filter(|_| kind == "inet"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_filter_on_calls_acts_on_what_it_says(asked in asked(), calls in prop::collection::vec(made(), 20)) {
        if let Some(plan) = planned(&asked) {
            for call in calls {
                prop_assert_eq!(decides(&plan, &call), means(&asked, &call), "{:?}", call);
            }
        }
    }
}

#[test]
fn the_model_meets_calls_of_both_kinds() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut draw = || {
        let asked = asked().new_tree(&mut runner).unwrap().current();
        let call = made().new_tree(&mut runner).unwrap().current();
        let is_narrow = !asked.dest.is_empty();
        Some((is_narrow, decides(&planned(&asked)?, &call)))
    };
    let decided: Vec<_> = (0..400).filter_map(|_| draw()).collect();
    let count = |wanted| decided.iter().filter(|one| **one == wanted).count();
    let counts = [
        count((true, true)),
        count((true, false)),
        count((false, true)),
        count((false, false)),
    ];
    assert!(counts.iter().all(|count| *count > 3), "{counts:?}");
}
