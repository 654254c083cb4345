//! One fault to one rule: its record for the kernel, its filters, its model for the delay line.

use injector_common::{
    RuleId,
    filter::{FilterKey, bits, kind},
    rule::{ActiveSlots, Rule, action, loss_model},
};

use super::{CallPlan, Error, Mechanism, Names, Need, calls, exec_deny, prefix};
use crate::line;
use injector_spec::experiment::{
    Connections, CorruptMode, Direction, DnsAnswer, Fault, FaultKind, Loss, OnCalls, Peer,
    Protocol, Respawn,
};

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
    }
}

/// A model of the delay line.
pub type LineModel = line::Model;

/// Compiles a fault into the rule with this id; `seed` is used where the person gave none.
pub(super) fn compile(
    fault: &Fault,
    id: RuleId,
    names: &Names,
    seed: u64,
    offers: &dyn Fn(Need) -> bool,
) -> Result<Compiled, Error> {
    check_addresses(fault, names)?;
    let (filters, filter_bits) = filters(fault, id, names);
    let chance = &fault.chance;
    let mut rule = Rule {
        action: action_of(&fault.kind),
        filters: filter_bits,
        percent: chance.percent,
        when: chance.when,
        max_hits: chance.max_hits.unwrap_or(u64::MAX),
        seed: chance.seed.unwrap_or(seed),
        ..Rule::default()
    };
    match &fault.kind {
        FaultKind::Loss(Loss::Independent { correlation }) => rule.correlation = *correlation,
        FaultKind::Loss(Loss::GilbertElliott(thresholds)) => {
            rule.loss_model = loss_model::GILBERT_ELLIOTT;
            rule.gemodel = *thresholds;
        }
        FaultKind::Reorder { gap, .. } => rule.gap = *gap,
        FaultKind::Connect(errno) => rule.errno = errno.code().unsigned_abs(),
        _ => {}
    }
    if let Some(OnCalls::Error(error)) = fault.kind.on_calls() {
        rule.errno = error.errno.code().unsigned_abs();
    }
    let line = line_model(&fault.kind, &rule)?;
    let (mechanism, mut calls) = match calls::choose(&fault.kind, offers)? {
        Some((mechanism, plan)) => (mechanism, Some(plan)),
        None => (mechanism(fault), None),
    };
    let exec_deny = exec_deny::choose(&fault.kind, offers);
    if let Some(mechanism) = exec_deny {
        rule.errno = linux_raw_sys::errno::EACCES;
        exec_deny::add(&mut calls, mechanism);
    }
    Ok(Compiled {
        rule,
        filters,
        hooks: hooks(fault),
        line,
        mechanism,
        exec_deny,
        calls,
    })
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

fn action_of(kind: &FaultKind) -> u32 {
    match kind {
        FaultKind::Noop
        | FaultKind::Reset
        | FaultKind::Kill(_)
        | FaultKind::Pause(_)
        | FaultKind::Starve(_) => action::NOOP,
        FaultKind::KillAtCall(_) => action::SIGNAL,
        FaultKind::SysError(_) | FaultKind::IoError(_) | FaultKind::PipeError(_) => action::FAIL,
        FaultKind::SysDelay(_)
        | FaultKind::IoLatency(_)
        | FaultKind::PipeDelay(_)
        | FaultKind::PipeStall(_) => action::SLEEP,
        FaultKind::IoCorrupt(_) | FaultKind::PipeCorrupt(_) => action::DAMAGE,
        FaultKind::IoShort(_) => action::SHORTEN,
        FaultKind::Loss(_) | FaultKind::Blackhole | FaultKind::Partition { .. } => action::LOSS,
        FaultKind::Corrupt(CorruptMode::Payload) => action::CORRUPT_PAYLOAD,
        FaultKind::Duplicate => action::DUPLICATE,
        FaultKind::Reorder { .. } => action::REORDER,
        FaultKind::Delay(_) | FaultKind::Bandwidth(_) | FaultKind::Corrupt(CorruptMode::Wire) => {
            action::LINE
        }
        FaultKind::Dns { .. } => action::DNS,
        FaultKind::Connect(_) => action::CONNECT,
    }
}

/// Where the rule is evaluated. Loss of what arrives is done at the socket, everything else at the
/// device.
fn hooks(fault: &Fault) -> ActiveSlots {
    let mut hooks = ActiveSlots::default();
    match fault.kind {
        FaultKind::Connect(_) => {
            hooks.connect = 1;
            return hooks;
        }
        _ if fault.kind.on_calls().is_some() => {
            hooks.call = 1;
            return hooks;
        }
        FaultKind::Kill(ref kill) => {
            hooks.call = u32::from(kill.respawn == Some(Respawn::DenyExec));
            return hooks;
        }
        FaultKind::Reset | FaultKind::Pause(_) | FaultKind::Starve(_) => {
            return hooks;
        }
        _ => {}
    }
    if fault.direction != Direction::Ingress {
        hooks.egress = 1;
    }
    if fault.direction != Direction::Egress {
        match action_of(&fault.kind) {
            action::LOSS => hooks.deliver = 1,
            _ => hooks.ingress = 1,
        }
    }
    hooks
}

fn mechanism(fault: &Fault) -> Mechanism {
    match (&fault.kind, fault.direction) {
        (FaultKind::Noop, _) => Mechanism::Count,
        (FaultKind::Connect(_), _) => Mechanism::Connect,
        (FaultKind::Reset, _) => Mechanism::Reset,
        (FaultKind::Kill(_), _) => Mechanism::Signal,
        (FaultKind::KillAtCall(_), _) => Mechanism::SignalAtCall,
        (FaultKind::Pause(_), _) => Mechanism::Stop,
        (FaultKind::Starve(_), _) => Mechanism::Limits,
        (FaultKind::Corrupt(CorruptMode::Payload), _) => Mechanism::Rewrite,
        (FaultKind::Duplicate, _) => Mechanism::Clone,
        (FaultKind::Loss(_) | FaultKind::Blackhole | FaultKind::Partition { .. }, direction) => {
            match direction {
                Direction::Egress => Mechanism::WireLoss,
                Direction::Ingress => Mechanism::SocketLoss,
                Direction::Both => Mechanism::BothLoss,
            }
        }
        _ => Mechanism::DelayLine,
    }
}

fn line_model(fault: &FaultKind, rule: &Rule) -> Result<Option<LineModel>, Error> {
    use line::{Bandwidth, Delay, DnsFailure, DnsFault, Model};
    Ok(Some(match fault {
        FaultKind::Delay(delay) => Model::Delay(Delay {
            latency: delay.latency,
            jitter: delay.jitter,
            correlation: delay.correlation,
            distribution: delay.distribution,
            seed: rule.seed,
        }),
        FaultKind::Bandwidth(rate) => Model::Bandwidth(Bandwidth {
            bits_per_second: rate.bits_per_second(),
        }),
        FaultKind::Reorder { latency, .. } => Model::Reorder { latency: *latency },
        FaultKind::Corrupt(CorruptMode::Wire) => Model::WireCorrupt { seed: rule.seed },
        FaultKind::Dns { answer, hostnames } => {
            let failure = match answer {
                DnsAnswer::NxDomain => DnsFailure::NxDomain,
                DnsAnswer::ServFail => DnsFailure::ServFail,
                DnsAnswer::Timeout => DnsFailure::Timeout,
            };
            let every = [String::from("*")];
            let globs = if hostnames.is_empty() {
                &every[..]
            } else {
                hostnames
            };
            Model::Dns(DnsFault::new(failure, globs, *rule)?)
        }
        _ => return Ok(None),
    }))
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
    if let FaultKind::Partition { peers } = &fault.kind {
        for peer in peers {
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
    }
    set.networks(kind::EXCLUDE_ADDR, bits::EXCLUDE_ADDR, &traffic.exclude);
    if matches!(fault.kind, FaultKind::Dns { .. }) {
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
    if matches!(fault.kind, FaultKind::Dns { .. }) {
        return bits::UDP;
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

/// Where a fault stands in the order of composition on one target: what loses packets comes first,
/// what holds them last.
pub(super) fn rank(kind: &FaultKind) -> u8 {
    match kind {
        FaultKind::Noop => 0,
        FaultKind::Blackhole => 1,
        FaultKind::Partition { .. } => 2,
        FaultKind::Loss(_) => 3,
        FaultKind::Corrupt(CorruptMode::Payload) => 4,
        FaultKind::Duplicate => 5,
        FaultKind::Reorder { .. } => 6,
        FaultKind::Corrupt(CorruptMode::Wire) => 7,
        FaultKind::Delay(_) => 8,
        FaultKind::Bandwidth(_) => 9,
        FaultKind::Dns { .. } => 10,
        FaultKind::Connect(_) => 11,
        FaultKind::Reset => 12,
        FaultKind::Kill(_) | FaultKind::KillAtCall(_) => 13,
        FaultKind::Pause(_) => 14,
        FaultKind::Starve(_) => 15,
        // A call sleeps before it fails, and only what has not failed is damaged.
        FaultKind::SysDelay(_)
        | FaultKind::IoLatency(_)
        | FaultKind::PipeDelay(_)
        | FaultKind::PipeStall(_) => 16,
        FaultKind::SysError(_) | FaultKind::IoError(_) | FaultKind::PipeError(_) => 17,
        FaultKind::IoShort(_) | FaultKind::IoCorrupt(_) | FaultKind::PipeCorrupt(_) => 18,
    }
}
