//! What the planner does with each fault: one row each. A new fault is one more, and the compiler asks for it.

use std::{num::NonZeroU64, time::Duration};

use injector_common::{
    rule::{Rule, When, action, loss_model},
    threshold::Threshold,
};

use super::{Error, Mechanism};
use crate::line::{self, LookUp, Model, Rcode};
use injector_spec::experiment::{
    CorruptMode, Delay, Direction, DnsAnswer, DnsError, FaultKind, Loss, OnCalls, Respawn, SleepAt,
    Sleeps,
};

/// A fault, as far as the host does not matter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'f> {
    /// Its place in the order of composition.
    pub(super) rank: Rank,
    /// What a hit is: one of [`action`].
    action: u32,
    /// What the action reads besides.
    reads: Reads,
    /// Where its rule is asked.
    pub(super) met: Met,
    /// How it is carried out.
    pub(super) mechanism: Chosen<'f>,
    /// What the delay line does with frames that it sends there.
    line: Option<Line<'f>>,
    /// What becomes of processes that appear in the target afterwards.
    pub(super) respawn: Option<Respawn>,
}

/// The order of composition on one target: what loses packets comes first, what holds them last. A call sleeps before
/// it fails, and only what has not failed is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Noop,
    Blackhole,
    Partition,
    Loss,
    PayloadCorrupt,
    Duplicate,
    Reorder,
    WireCorrupt,
    Delay,
    Bandwidth,
    LookUps,
    Connect,
    Relay,
    Reset,
    Kill,
    Pause,
    Starve,
    Plugins,
    CallDelay,
    CallError,
    CallDamage,
}

/// What an action reads of its rule, beside what all of them have.
#[derive(Clone, Copy, Debug)]
enum Reads {
    Nothing,
    Gap(u32),
    Errno(u32),
    Correlation(Threshold),
    Bursts([Threshold; 4]),
    /// Every match is hit: what decides about requests stands behind the connection.
    Every,
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
    /// Where requests are written inside TLS.
    Requests,
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
    /// The host: the first of these that it offers and that reaches all of the calls, see [`super::calls`].
    ByHost(OnCalls<'f>, &'static [Mechanism]),
}

/// What the delay line does, before it is made into a model.
#[derive(Clone, Copy, Debug)]
enum Line<'f> {
    Reorder(Duration),
    WireCorrupt,
    Delay(&'f Delay),
    Bandwidth(NonZeroU64),
    LookUps(LookUp, &'f [String]),
}

/// The row of a fault on packets that go this way.
pub(super) fn row(kind: &FaultKind, direction: Direction) -> Row<'_> {
    match kind {
        FaultKind::Noop => packets(Rank::Noop, action::NOOP, Mechanism::Count),
        FaultKind::Blackhole => lost(Rank::Blackhole, direction),
        FaultKind::Partition(_) => lost(Rank::Partition, direction),
        FaultKind::Loss(Loss::Independent { correlation }) => Row {
            reads: Reads::Correlation(*correlation),
            ..lost(Rank::Loss, direction)
        },
        FaultKind::Loss(Loss::GilbertElliott(thresholds)) => Row {
            reads: Reads::Bursts(*thresholds),
            ..lost(Rank::Loss, direction)
        },
        FaultKind::Corrupt(corrupt) => match corrupt.mode {
            CorruptMode::Payload => packets(
                Rank::PayloadCorrupt,
                action::CORRUPT_PAYLOAD,
                Mechanism::Rewrite,
            ),
            CorruptMode::Wire => on_line(Rank::WireCorrupt, action::LINE, Line::WireCorrupt),
        },
        FaultKind::Duplicate => packets(Rank::Duplicate, action::DUPLICATE, Mechanism::Clone),
        FaultKind::Reorder(reorder) => Row {
            reads: Reads::Gap(reorder.gap),
            ..on_line(
                Rank::Reorder,
                action::REORDER,
                Line::Reorder(reorder.latency),
            )
        },
        FaultKind::Delay(delay) => on_line(Rank::Delay, action::LINE, Line::Delay(delay)),
        FaultKind::Bandwidth(bandwidth) => {
            let line = Line::Bandwidth(bandwidth.rate.bits_per_second());
            on_line(Rank::Bandwidth, action::LINE, line)
        }
        FaultKind::DnsError(error) => failed_look_ups(error),
        FaultKind::DnsDelay(delay) => {
            let line = Line::LookUps(LookUp::Held(delay.latency), &delay.hostnames);
            on_line(Rank::LookUps, action::DNS, line)
        }
        FaultKind::Connect(connect) => Row {
            reads: Reads::Errno(connect.errno.code().unsigned_abs()),
            met: Met::Connects,
            ..packets(Rank::Connect, action::CONNECT, Mechanism::Connect)
        },
        FaultKind::RateLimit(_)
        | FaultKind::ModelError(_)
        | FaultKind::Overload(_)
        | FaultKind::Timeout(_)
        | FaultKind::Slow(_)
        | FaultKind::Stall(_)
        | FaultKind::Cut(_)
        | FaultKind::Malformed(_)
        | FaultKind::Empty(_)
        | FaultKind::WrongModel(_)
        | FaultKind::ToolError(_)
        | FaultKind::ToolIsError(_)
        | FaultKind::ToolTimeout(_)
        | FaultKind::ToolSlow(_)
        | FaultKind::ToolEmpty(_)
        | FaultKind::ToolCorrupt(_)
        | FaultKind::ToolSchemaMismatch(_)
        | FaultKind::ToolStale(_)
        | FaultKind::ToolInject(_) => requests(),
        FaultKind::Reset => own(Rank::Reset, Mechanism::Reset),
        FaultKind::Kill(kill) => Row {
            met: match kill.respawn {
                Some(Respawn::DenyExec) => Met::Calls,
                Some(Respawn::KillAgain) | None => Met::Nowhere,
            },
            respawn: kill.respawn,
            ..own(Rank::Kill, Mechanism::Signal)
        },
        FaultKind::KillAtCall(kill) => Row {
            respawn: kill.respawn,
            ..calls(Rank::Kill, OnCalls::Signal(kill))
        },
        FaultKind::Pause(_) => own(Rank::Pause, Mechanism::Stop),
        FaultKind::Starve(_) => own(Rank::Starve, Mechanism::Limits),
        FaultKind::PluginKill(_) | FaultKind::PluginCrashLoop(_) => {
            own(Rank::Plugins, Mechanism::PluginSignal)
        }
        FaultKind::PluginHang(_) | FaultKind::PluginSlowStart(_) => {
            own(Rank::Plugins, Mechanism::PluginStop)
        }
        FaultKind::PluginPipeHeldDeath(_) => own(Rank::Plugins, Mechanism::PluginHold),
        FaultKind::PluginTornLine(_) => own(Rank::Plugins, Mechanism::PluginWrite),
        FaultKind::SysDelay(delay) => calls(Rank::CallDelay, OnCalls::Delay(&delay.0)),
        FaultKind::IoLatency(delay) => calls(Rank::CallDelay, OnCalls::Delay(&delay.0)),
        FaultKind::PipeDelay(delay) => calls(Rank::CallDelay, OnCalls::Delay(&delay.0)),
        FaultKind::PipeStall(stall) => calls(Rank::CallDelay, OnCalls::Delay(&stall.0)),
        FaultKind::SysError(error) => calls(Rank::CallError, OnCalls::Error(&error.0)),
        FaultKind::IoError(error) => calls(Rank::CallError, OnCalls::Error(&error.0)),
        FaultKind::PipeError(error) => calls(Rank::CallError, OnCalls::Error(&error.0)),
        FaultKind::IoCorrupt(damage) => calls(Rank::CallDamage, OnCalls::Damage(&damage.0)),
        FaultKind::PipeCorrupt(damage) => calls(Rank::CallDamage, OnCalls::Damage(&damage.0)),
        FaultKind::IoShort(short) => calls(Rank::CallDamage, OnCalls::Short(short)),
    }
}

/// Look-ups that fail.
fn failed_look_ups(error: &DnsError) -> Row<'_> {
    let outcome = match error.answer {
        DnsAnswer::NxDomain => LookUp::Answered(Rcode::NxDomain),
        DnsAnswer::ServFail => LookUp::Answered(Rcode::ServFail),
        DnsAnswer::Timeout => LookUp::Lost,
    };
    let line = Line::LookUps(outcome, &error.hostnames);
    on_line(Rank::LookUps, action::DNS, line)
}

/// What a program does to a packet where it passes a device.
const fn packets(rank: Rank, action: u32, mechanism: Mechanism) -> Row<'static> {
    Row {
        rank,
        action,
        reads: Reads::Nothing,
        met: Met::Packets,
        mechanism: Chosen::ByFault(mechanism),
        line: None,
        respawn: None,
    }
}

/// What the relay does to requests on connections that a program sends there.
const fn requests() -> Row<'static> {
    Row {
        reads: Reads::Every,
        met: Met::Connects,
        ..packets(Rank::Relay, action::RELAY, Mechanism::Relay)
    }
}

/// What the delay line does to packets that a program sends there.
const fn on_line(rank: Rank, action: u32, line: Line<'_>) -> Row<'_> {
    Row {
        line: Some(line),
        ..packets(rank, action, Mechanism::DelayLine)
    }
}

/// Loss of what arrives is done at the socket, so that the sender's own kernel learns nothing.
const fn lost(rank: Rank, direction: Direction) -> Row<'static> {
    let mechanism = match direction {
        Direction::Egress => Mechanism::WireLoss,
        Direction::Ingress => Mechanism::SocketLoss,
        Direction::Both => Mechanism::BothLoss,
    };
    Row {
        met: Met::PacketsOrSockets,
        ..packets(rank, action::LOSS, mechanism)
    }
}

/// What the run's own process does.
const fn own(rank: Rank, mechanism: Mechanism) -> Row<'static> {
    Row {
        met: Met::Nowhere,
        ..packets(rank, action::NOOP, mechanism)
    }
}

/// What stands near calls does: the mechanisms in the order in which they are tried.
fn calls(rank: Rank, done: OnCalls<'_>) -> Row<'_> {
    let (action, reads, ladder): (_, _, &[Mechanism]) = match done {
        OnCalls::Error(error) => (
            action::FAIL,
            Reads::Errno(error.errno.code().unsigned_abs()),
            &[
                Mechanism::Lsm,
                Mechanism::SecurityReturn,
                Mechanism::SyscallReturn,
                Mechanism::KprobeOverride,
                Mechanism::SockAddr,
            ],
        ),
        OnCalls::Delay(delay) => (
            action::SLEEP,
            Reads::Nothing,
            match (delay.at, delay.sleeps) {
                (SleepAt::Enter, Sleeps::Single) => &[Mechanism::LsmPark, Mechanism::SyscallPark],
                // One program sleeps once; here the copies take turns with what is left.
                (SleepAt::Exit, _) | (_, Sleeps::Chained) => &[Mechanism::SyscallPark],
            },
        ),
        OnCalls::Damage(_) => (action::DAMAGE, Reads::Nothing, &[Mechanism::Trace]),
        OnCalls::Short(_) => (action::SHORTEN, Reads::Nothing, &[Mechanism::Vector]),
        OnCalls::Signal(_) => (action::SIGNAL, Reads::Nothing, &[Mechanism::SignalAtCall]),
    };
    Row {
        reads,
        met: Met::Calls,
        mechanism: Chosen::ByHost(done, ladder),
        ..packets(rank, action, Mechanism::Count)
    }
}

impl Row<'_> {
    /// The same of a fault on requests that is carried out in the target's own memory.
    pub(super) const fn in_place(self) -> Self {
        Self {
            action: action::ANSWER,
            reads: Reads::Nothing,
            met: Met::Requests,
            mechanism: Chosen::ByFault(Mechanism::TlsRewrite),
            ..self
        }
    }

    /// Writes the action and what it reads into its rule.
    pub(super) const fn write(&self, rule: &mut Rule) {
        rule.action = self.action;
        match self.reads {
            Reads::Nothing => {}
            Reads::Gap(gap) => rule.gap = gap,
            Reads::Errno(errno) => rule.errno = errno,
            Reads::Correlation(correlation) => rule.correlation = correlation,
            Reads::Bursts(thresholds) => {
                rule.loss_model = loss_model::GILBERT_ELLIOTT;
                rule.gemodel = thresholds;
            }
            Reads::Every => {
                rule.percent = Threshold::ALWAYS;
                rule.when = When::ALWAYS;
                rule.max_hits = u64::MAX;
            }
        }
    }

    /// What the delay line does, by the chance and the seed of its rule. What is dear to make and does not ramp is taken
    /// from `planned`, where there is one.
    pub(super) fn model(
        &self,
        rule: &Rule,
        planned: Option<&Model>,
    ) -> Result<Option<Model>, Error> {
        let Some(line) = self.line else {
            return Ok(None);
        };
        Ok(Some(match line {
            Line::Reorder(latency) => Model::Reorder { latency },
            Line::WireCorrupt => Model::WireCorrupt { seed: rule.seed },
            Line::Delay(delay) => Model::Delay(line::Delay {
                latency: delay.latency,
                jitter: delay.jitter,
                correlation: delay.correlation,
                distribution: delay.distribution,
                seed: rule.seed,
            }),
            Line::Bandwidth(bits_per_second) => {
                Model::Bandwidth(line::Bandwidth { bits_per_second })
            }
            Line::LookUps(outcome, hostnames) => look_ups(outcome, hostnames, rule, planned)?,
        }))
    }
}

/// What the delay line does to look-ups of these names.
fn look_ups(
    outcome: LookUp,
    hostnames: &[String],
    rule: &Rule,
    planned: Option<&Model>,
) -> Result<Model, Error> {
    if let Some(Model::Dns(planned)) = planned {
        return Ok(Model::Dns(planned.with(outcome, *rule)));
    }
    let every = [String::from("*")];
    let globs = if hostnames.is_empty() {
        &every[..]
    } else {
        hostnames
    };
    Ok(Model::Dns(line::DnsFault::new(outcome, globs, *rule)?))
}
