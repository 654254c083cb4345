//! One fault to one rule: its record for the kernel, its filters, its model for the delay line.

use std::time::Duration;

use injector_common::{
    RuleId,
    filter::{FilterKey, bits, kind},
    rule::{ActiveSlots, Rule},
};

use super::{
    Attachment, CallPlan, Error, Mechanism, Names, Need, Values, calls, exec_deny, prefix,
    rows::{self, Chosen, Met, Row},
    values,
};
use crate::line;
use injector_spec::experiment::{ActsOn, Connections, Direction, Fault, Peer, Protocol};

/// A fault in the kernel's terms.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The record.
    pub rule: Rule,
    /// Its filters: keys of the trie, with the bits of the value that count.
    pub filters: Vec<(FilterKey, u32)>,
    /// At which hooks it is evaluated; each field is 1 or 0.
    pub hooks: ActiveSlots,
    /// What the delay line does with frames that it sends there.
    pub line: Option<LineModel>,
    /// How it is carried out.
    pub mechanism: Mechanism,
    /// How its programs stand on devices, where it has such.
    pub attachment: Attachment,
    /// How it is seen to that no program is started after it, where that is asked.
    pub exec_deny: Option<Mechanism>,
    /// What a fault on system calls has besides.
    pub calls: Option<CallPlan>,
}

impl Compiled {
    /// What the host must offer for it.
    pub fn needs(&self) -> impl Iterator<Item = Need> {
        let mechanisms = [Some(self.mechanism), self.exec_deny];
        mechanisms
            .into_iter()
            .flatten()
            .flat_map(|mechanism| mechanism.needs().iter().copied())
            .map(|need| match need {
                Need::DeviceLinks => self.attachment.need(),
                other => other,
            })
            .chain(self.gives_copies_back().then_some(Need::Tap))
    }

    /// The name of how it is carried out, in plans and reports.
    pub const fn means(&self) -> &'static str {
        self.mechanism.name_by(self.attachment)
    }

    /// Whether it sends copies into a device's ingress, which have lost their route as held frames have, and whose mark
    /// names the run by its TAP.
    pub(super) fn gives_copies_back(&self) -> bool {
        self.mechanism == Mechanism::Clone && self.hooks.ingress != 0
    }
}

/// A model of the delay line.
pub type LineModel = line::Model;

/// Compiles a fault into the rule with this id; `seed` is used where the person gave none. Of a fault on requests it is known
/// how they are reached.
pub(super) fn compile(
    fault: &Fault,
    id: RuleId,
    requests: Option<Mechanism>,
    names: &Names,
    (seed, offers): (u64, &dyn Fn(Need) -> bool),
) -> Result<Compiled, Error> {
    check_addresses(fault, names)?;
    let (filters, filter_bits) = filters(fault, id, names);
    let mut rule = record(fault, filter_bits, seed);
    let row = row(fault, requests);
    let line = row.model(&rule, None)?;
    row.write(&mut rule);
    let (mechanism, mut calls) = match row.mechanism {
        Chosen::ByFault(mechanism) => (mechanism, None),
        Chosen::ByHost(done, ladder) => {
            let (mechanism, plan) = calls::choose(&fault.kind, done, ladder, offers)?;
            (mechanism, Some(plan))
        }
    };
    let attachment = if mechanism.needs().contains(&Need::DeviceLinks) {
        Attachment::choose(offers)
    } else {
        Attachment::default()
    };
    let exec_deny = exec_deny::choose(row.respawn, offers);
    if let Some(mechanism) = exec_deny {
        rule.errno = DENIED;
        exec_deny::add(&mut calls, mechanism);
    }
    let mut compiled = Compiled {
        rule,
        filters,
        hooks: hooks(row.met, fault.direction),
        line,
        mechanism,
        attachment,
        exec_deny,
        calls,
    };
    if !fault.ramps.is_empty() {
        begin(fault, &mut compiled)?;
    }
    Ok(compiled)
}

/// The row of a fault that is carried out so, where that is known.
pub(super) fn row(fault: &Fault, mechanism: Option<Mechanism>) -> Row<'_> {
    let row = rows::row(&fault.kind, fault.direction);
    if mechanism == Some(Mechanism::TlsRewrite) {
        row.in_place()
    } else {
        row
    }
}

/// What a program that may not be started returns.
pub(super) const DENIED: u32 = linux_raw_sys::errno::EACCES;

/// The record without what the fault's row writes into it; `seed` is used where the person gave none.
pub(super) fn record(fault: &Fault, filters: u32, seed: u64) -> Rule {
    let chance = &fault.chance;
    Rule {
        filters,
        percent: chance.percent,
        when: chance.when,
        max_hits: chance.max_hits.unwrap_or(u64::MAX),
        seed: chance.seed.unwrap_or(seed),
        ..Rule::default()
    }
}

/// Puts the values of the step's beginning in place of the harshest, by which everything else was chosen.
fn begin(fault: &Fault, compiled: &mut Compiled) -> Result<(), Error> {
    let Values { rule, line, call } = values::values(&fault.at(Duration::ZERO), compiled)?;
    compiled.rule = rule;
    compiled.line = line;
    if let (Some(calls), Some(call)) = (&mut compiled.calls, call) {
        calls.record = call;
    }
    Ok(())
}

/// Refuses filters that exclude every address that the names stand for.
fn check_addresses(fault: &Fault, names: &Names) -> Result<(), Error> {
    let of_names: Vec<_> = fault
        .names()
        .flat_map(|name| names.addresses(name))
        .copied()
        .collect();
    if of_names.is_empty() {
        return Ok(());
    }
    Ok(fault.check_addresses(&of_names)?)
}

/// At which hooks the rule is asked.
fn hooks(met: Met, direction: Direction) -> ActiveSlots {
    let (leaves, arrives) = (
        u32::from(direction != Direction::Ingress),
        u32::from(direction != Direction::Egress),
    );
    let none = ActiveSlots::default();
    match met {
        Met::Packets => ActiveSlots {
            egress: leaves,
            ingress: arrives,
            ..none
        },
        Met::PacketsOrSockets => ActiveSlots {
            egress: leaves,
            deliver: arrives,
            ..none
        },
        Met::Connects => ActiveSlots { connect: 1, ..none },
        Met::Calls => ActiveSlots { call: 1, ..none },
        Met::Requests => ActiveSlots { request: 1, ..none },
        Met::Nowhere => none,
    }
}

/// The filters as prefixes, and the bits that tell the kernel which sets the rule has.
fn filters(fault: &Fault, id: RuleId, names: &Names) -> (Vec<(FilterKey, u32)>, u32) {
    let traffic = &fault.traffic;
    let mut set = FilterSet {
        id,
        prefixes: Vec::new(),
        bits: transports(fault),
    };

    set.networks(kind::DEST_ADDR, bits::DEST_ADDR, &traffic.dest);
    for name in &traffic.hostnames {
        // A name without an address lets nothing through, and not everything.
        set.bits |= bits::DEST_ADDR;
        set.addresses(kind::DEST_ADDR, bits::DEST_ADDR, names.addresses(name));
    }
    for peer in fault.kind.peers().unwrap_or_default() {
        match peer {
            Peer::Net(net) => {
                set.networks(kind::DEST_ADDR, bits::DEST_ADDR, std::slice::from_ref(net));
            }
            Peer::Host(name) => {
                set.bits |= bits::DEST_ADDR;
                set.addresses(kind::DEST_ADDR, bits::DEST_ADDR, names.addresses(name));
            }
        }
    }
    set.networks(kind::EXCLUDE_ADDR, bits::EXCLUDE_ADDR, &traffic.exclude);
    if matches!(fault.kind.acts_on(), ActsOn::LookUps(_)) {
        set.ports(kind::DEST_PORT, bits::DEST_PORT, 53, 53);
    } else {
        for range in &traffic.dest_ports {
            set.ports(
                kind::DEST_PORT,
                bits::DEST_PORT,
                range.first(),
                range.last(),
            );
        }
        for range in &traffic.exclude_ports {
            set.ports(
                kind::EXCLUDE_PORT,
                bits::EXCLUDE_PORT,
                range.first(),
                range.last(),
            );
        }
    }
    for range in &traffic.source_ports {
        set.ports(
            kind::SOURCE_PORT,
            bits::SOURCE_PORT,
            range.first(),
            range.last(),
        );
    }
    match traffic.connections {
        Connections::Any => {}
        Connections::New => set.bits |= bits::NEW_ONLY,
        Connections::Established => set.bits |= bits::ESTABLISHED_ONLY,
    }
    (set.prefixes, set.bits)
}

fn transports(fault: &Fault) -> u32 {
    match fault.kind.acts_on() {
        ActsOn::LookUps(_) => return bits::UDP,
        ActsOn::Requests(_) => return bits::TCP,
        ActsOn::Packets(_)
        | ActsOn::Connects
        | ActsOn::Connections
        | ActsOn::Calls(..)
        | ActsOn::Processes(_) => {}
    }
    match fault.traffic.protocol {
        Protocol::Any => bits::ANY_TRANSPORT,
        Protocol::Tcp => bits::TCP,
        Protocol::Udp => bits::UDP,
        Protocol::Icmp => bits::ICMP,
    }
}

struct FilterSet {
    id: RuleId,
    prefixes: Vec<(FilterKey, u32)>,
    bits: u32,
}

impl FilterSet {
    fn networks(&mut self, kind: u16, bit: u32, networks: &[ipnet::IpNet]) {
        for network in networks {
            self.bits |= bit;
            self.prefixes
                .extend(prefix::network(self.id, kind, network));
        }
    }

    fn addresses(&mut self, kind: u16, bit: u32, addresses: &[std::net::IpAddr]) {
        for address in addresses {
            self.bits |= bit;
            self.prefixes
                .extend(prefix::address(self.id, kind, *address));
        }
    }

    fn ports(&mut self, kind: u16, bit: u32, first: u16, last: u16) {
        self.bits |= bit;
        self.prefixes
            .extend(prefix::ports(self.id, kind, first, last));
    }
}
