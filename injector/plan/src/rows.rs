//! What the planner does with each fault, in one place: a new fault is one more arm of each function here.

use injector_common::rule::{Rule, action, loss_model};

use super::{Error, Mechanism};
use crate::line::{self, LookUp, Model, Rcode};
use injector_spec::experiment::{
    CorruptMode, Direction, DnsAnswer, Fault, FaultKind, Loss, OnCalls, Respawn,
};

/// A fault, as far as the host does not matter.
pub(super) struct Row<'f> {
    pub(super) met: Met,
    pub(super) mechanism: Chosen<'f>,
    /// What the delay line does with frames that it sends there.
    pub(super) line: Option<Model>,
}

/// Where the rule is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// At devices, by each packet.
    Packets,
    /// Where packets leave at devices, where they arrive at sockets.
    PacketsOrSockets,
    /// Where a socket connects.
    Connects,
    /// Where calls are made.
    Calls,
    /// At no hook: the run's own process acts.
    Nowhere,
}

/// Who chooses the mechanism.
#[derive(Clone, Copy, Debug)]
pub(super) enum Chosen<'f> {
    /// The fault: there is one.
    ByFault(Mechanism),
    /// The host: what stands near calls differs from kernel to kernel, see [`super::calls`].
    ByHost(OnCalls<'f>),
}

/// What this fault is; writes the action and its parameters into its rule, whose chance and seed are known. What is dear
/// to make and does not ramp is taken from `planned`, where there is one.
pub(super) fn of<'f>(
    fault: &'f Fault,
    rule: &mut Rule,
    planned: Option<&Model>,
) -> Result<Row<'f>, Error> {
    match &fault.kind {
        FaultKind::Noop => Ok(packet(rule, action::NOOP, Mechanism::Count)),
        FaultKind::Corrupt(CorruptMode::Payload) => {
            Ok(packet(rule, action::CORRUPT_PAYLOAD, Mechanism::Rewrite))
        }
        FaultKind::Duplicate => Ok(packet(rule, action::DUPLICATE, Mechanism::Clone)),
        FaultKind::Reorder { gap, latency } => {
            rule.gap = *gap;
            let line = Model::Reorder { latency: *latency };
            Ok(on_line(rule, action::REORDER, line))
        }
        FaultKind::Corrupt(CorruptMode::Wire) => {
            let line = Model::WireCorrupt { seed: rule.seed };
            Ok(on_line(rule, action::LINE, line))
        }
        FaultKind::Delay(delay) => {
            let line = Model::Delay(line::Delay {
                latency: delay.latency,
                jitter: delay.jitter,
                correlation: delay.correlation,
                distribution: delay.distribution,
                seed: rule.seed,
            });
            Ok(on_line(rule, action::LINE, line))
        }
        FaultKind::Bandwidth(rate) => {
            let bits_per_second = rate.bits_per_second();
            let line = Model::Bandwidth(line::Bandwidth { bits_per_second });
            Ok(on_line(rule, action::LINE, line))
        }
        FaultKind::Dns { answer, hostnames } => {
            let outcome = match answer {
                DnsAnswer::NxDomain => LookUp::Answered(Rcode::NxDomain),
                DnsAnswer::ServFail => LookUp::Answered(Rcode::ServFail),
                DnsAnswer::Timeout => LookUp::Lost,
            };
            dns(outcome, hostnames, rule, planned)
        }
        FaultKind::DnsDelay { latency, hostnames } => {
            dns(LookUp::Held(*latency), hostnames, rule, planned)
        }
        FaultKind::Loss(Loss::Independent { correlation }) => {
            rule.correlation = *correlation;
            Ok(lost(rule, fault.direction))
        }
        FaultKind::Loss(Loss::GilbertElliott(thresholds)) => {
            rule.loss_model = loss_model::GILBERT_ELLIOTT;
            rule.gemodel = *thresholds;
            Ok(lost(rule, fault.direction))
        }
        FaultKind::Blackhole | FaultKind::Partition { .. } => Ok(lost(rule, fault.direction)),
        FaultKind::Connect(errno) => {
            rule.action = action::CONNECT;
            rule.errno = errno.code().unsigned_abs();
            Ok(Row {
                met: Met::Connects,
                mechanism: Chosen::ByFault(Mechanism::Connect),
                line: None,
            })
        }
        FaultKind::Reset => Ok(own(rule, Mechanism::Reset)),
        FaultKind::Pause(_) => Ok(own(rule, Mechanism::Stop)),
        FaultKind::Starve(_) => Ok(own(rule, Mechanism::Limits)),
        FaultKind::Kill(kill) => {
            let met = if kill.respawn == Some(Respawn::DenyExec) {
                Met::Calls
            } else {
                Met::Nowhere
            };
            Ok(Row {
                met,
                ..own(rule, Mechanism::Signal)
            })
        }
        FaultKind::KillAtCall(kill) => Ok(call(rule, OnCalls::Signal(kill))),
        FaultKind::SysError(error) | FaultKind::IoError(error) | FaultKind::PipeError(error) => {
            rule.errno = error.errno.code().unsigned_abs();
            Ok(call(rule, OnCalls::Error(error)))
        }
        FaultKind::SysDelay(delay)
        | FaultKind::IoLatency(delay)
        | FaultKind::PipeDelay(delay)
        | FaultKind::PipeStall(delay) => Ok(call(rule, OnCalls::Delay(delay))),
        FaultKind::IoCorrupt(damage) | FaultKind::PipeCorrupt(damage) => {
            Ok(call(rule, OnCalls::Damage(damage)))
        }
        FaultKind::IoShort(short) => Ok(call(rule, OnCalls::Short(short))),
    }
}

/// What a program does to a packet where it passes a device.
fn packet(rule: &mut Rule, action: u32, mechanism: Mechanism) -> Row<'static> {
    rule.action = action;
    Row {
        met: Met::Packets,
        mechanism: Chosen::ByFault(mechanism),
        line: None,
    }
}

/// What the delay line does to packets that a program sends there.
fn on_line(rule: &mut Rule, action: u32, line: Model) -> Row<'static> {
    Row {
        line: Some(line),
        ..packet(rule, action, Mechanism::DelayLine)
    }
}

/// Loss of what arrives is done at the socket, so that the sender's own kernel learns nothing.
fn lost(rule: &mut Rule, direction: Direction) -> Row<'static> {
    rule.action = action::LOSS;
    let mechanism = match direction {
        Direction::Egress => Mechanism::WireLoss,
        Direction::Ingress => Mechanism::SocketLoss,
        Direction::Both => Mechanism::BothLoss,
    };
    Row {
        met: Met::PacketsOrSockets,
        mechanism: Chosen::ByFault(mechanism),
        line: None,
    }
}

/// What the run's own process does.
fn own(rule: &mut Rule, mechanism: Mechanism) -> Row<'static> {
    rule.action = action::NOOP;
    Row {
        met: Met::Nowhere,
        mechanism: Chosen::ByFault(mechanism),
        line: None,
    }
}

/// What stands near calls does.
fn call<'f>(rule: &mut Rule, done: OnCalls<'f>) -> Row<'f> {
    rule.action = match done {
        OnCalls::Error(_) => action::FAIL,
        OnCalls::Delay(_) => action::SLEEP,
        OnCalls::Damage(_) => action::DAMAGE,
        OnCalls::Short(_) => action::SHORTEN,
        OnCalls::Signal(_) => action::SIGNAL,
    };
    Row {
        met: Met::Calls,
        mechanism: Chosen::ByHost(done),
        line: None,
    }
}

/// What the delay line does to look-ups of these names.
fn dns(
    outcome: LookUp,
    hostnames: &[String],
    rule: &mut Rule,
    planned: Option<&Model>,
) -> Result<Row<'static>, Error> {
    if let Some(Model::Dns(planned)) = planned {
        let model = Model::Dns(planned.with(outcome, *rule));
        return Ok(on_line(rule, action::DNS, model));
    }
    let every = [String::from("*")];
    let globs = if hostnames.is_empty() {
        &every[..]
    } else {
        hostnames
    };
    let model = Model::Dns(line::DnsFault::new(outcome, globs, *rule)?);
    Ok(on_line(rule, action::DNS, model))
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
        FaultKind::Dns { .. } | FaultKind::DnsDelay { .. } => 10,
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
