//! What a person should know about a fault's counters.

use injector_common::rule::{Counters, When};

use injector_spec::{
    experiment::{
        Activity, ActsOn, Connections, Direction, Fault, GUARDED_PORTS, Interface, OnProcesses,
        OnRequests, Parameter, Protocol, ToolCalls, Traffic,
    },
    quantity::{Percent, format_when},
};

/// The note, where the numbers alone would mislead: a fault that was on and never met its target proves
/// nothing about the target.
pub(super) fn note(fault: &Fault, counted: Counters) -> Option<String> {
    let missed = counted.missed;
    if counted.hit == 0 {
        Some(format!(
            "applied, but the target never met it: {}",
            reason(fault, counted)
        ))
    } else if fault
        .chance
        .max_hits
        .is_some_and(|most| counted.hit >= most)
    {
        let (hit, what) = (counted.hit, what(fault));
        Some(format!(
            "its budget of {hit} hits is spent; {what} after that went through unharmed"
        ))
    } else if missed > 0 {
        Some(format!(
            "{missed} more were chosen but could not be acted on; they went through unharmed"
        ))
    } else {
        None
    }
}

/// Where look-ups go that `dns error` does not see.
const ELSEWHERE: &str = "only UDP port 53 is looked at: not other ports, not TCP, TLS or HTTPS, and not \
                         a resolver's own interface, as that of systemd-resolved";

/// The likely reason for zero hits, from the first stage at which the numbers turn to zero.
fn reason(fault: &Fault, counted: Counters) -> String {
    let Counters {
        seen,
        matched,
        missed,
        ..
    } = counted;
    if seen == 0 {
        unseen(fault)
    } else if matched == 0 {
        unmatched(fault, seen)
    } else if missed > 0 {
        format!("{missed} were chosen but could not be acted on; they went through unharmed")
    } else {
        unlucky(fault, matched)
    }
}

/// What a target has not done whose requests were not seen.
const UNASKED: &str = "it made no request that the relay could read, in plain text or in TLS that [relay] opens, on a connection of its own that began in this run";

/// Which calls of tools a fault means.
fn call(calls: &ToolCalls) -> String {
    let named = |what: &str, globs: &[String]| match globs {
        [] => String::new(),
        globs => format!(" {what} `{}`", globs.join("`, `")),
    };
    let tools = named("of a tool like", &calls.tools);
    let paths = named("to a path like", &calls.paths);
    match (calls.interface, calls.methods.as_slice()) {
        (Interface::Json, _) => format!("a call{tools}{paths}"),
        (Interface::Mcp, []) => format!("a call of MCP{tools}{paths}"),
        (Interface::Mcp, methods) => {
            format!("a call of MCP by `{}`{tools}{paths}", methods.join("`, `"))
        }
    }
}

/// Something came, and none of it was meant.
fn unmatched(fault: &Fault, seen: u64) -> String {
    match fault.kind.acts_on() {
        ActsOn::LookUps(_) => format!(
            "none of its {seen} packets was a query for such a name to such a resolver; {ELSEWHERE}"
        ),
        ActsOn::Processes(
            OnProcesses::Kill(_) | OnProcesses::Pause(_) | OnProcesses::Plugins(_),
        ) => "all of it stood still already, had just ended, or is never a target".to_owned(),
        ActsOn::Requests(OnRequests::Tools(on)) => {
            format!("none of its {seen} requests was {}", call(on.calls()))
        }
        ActsOn::Packets(_)
        | ActsOn::Connects
        | ActsOn::Connections
        | ActsOn::Requests(OnRequests::Models(_))
        | ActsOn::Calls(..)
        | ActsOn::Processes(OnProcesses::Starve(_)) => {
            let (what, filters) = (what(fault), filters(&fault.traffic));
            format!("none of its {seen} {what} passed the filters ({filters})")
        }
    }
}

/// Nothing came from the target at all.
fn unseen(fault: &Fault) -> String {
    match fault.kind.acts_on() {
        ActsOn::Connects => "it never called connect(2) while the fault was on".to_owned(),
        ActsOn::Connections => match fault.traffic.activity {
            Activity::Any => "it had no established connection",
            Activity::Busy => "it had no connection that was busy while the fault was on",
            Activity::Idle => "it had no connection that was idle while the fault was on",
        }
        .to_owned(),
        ActsOn::Requests(OnRequests::Models(_)) => UNASKED.to_owned(),
        ActsOn::Requests(OnRequests::Tools(on)) => match on.calls().interface {
            Interface::Mcp => format!(
                "{UNASKED}; MCP over stdio is not reached by the relay, and `pipe` faults reach it"
            ),
            Interface::Json => UNASKED.to_owned(),
        },
        ActsOn::Processes(OnProcesses::Plugins(_)) => {
            "it had no such plug-in while the fault was on, or none that was started then: no child process whose standard input and output are pipes or a pair of unix sockets of the target's"
                .to_owned()
        }
        ActsOn::Processes(OnProcesses::Kill(_) | OnProcesses::Pause(_) | OnProcesses::Starve(_)) => {
            "it had no process while the fault was on, or the fault was not due before its end"
                .to_owned()
        }
        ActsOn::Calls(..) => "it made no such call while the fault was on".to_owned(),
        ActsOn::LookUps(_) => format!("it sent nothing while the fault was on; {ELSEWHERE}"),
        ActsOn::Packets(_) => {
            let verb = match fault.direction {
                Direction::Egress => "sent",
                Direction::Ingress => "received",
                Direction::Both => "sent and received",
            };
            format!(
                "it {verb} nothing while the fault was on, or through sockets that belong to others"
            )
        }
    }
}

/// Everything matched, and yet nothing was hit.
fn unlucky(fault: &Fault, matched: u64) -> String {
    let chance = &fault.chance;
    let percent = match fault.ramp_of(Parameter::Percent) {
        Some(ramp) => format!("{} to {}", ramp.from, ramp.to),
        None => Percent(chance.percent).to_string(),
    };
    if chance.percent.0 == 0 {
        "the percentage is 0, which never fires".to_owned()
    } else if chance.max_hits == Some(0) {
        "max-hits is 0, which never fires".to_owned()
    } else if chance.when != When::ALWAYS {
        let when = format_when(&chance.when);
        format!("{matched} matched, and `when {when}` with {percent} chose none of them")
    } else {
        format!("{matched} matched, and {percent} of so few may well be none")
    }
}

fn what(fault: &Fault) -> &'static str {
    match fault.kind.acts_on() {
        ActsOn::Packets(_) | ActsOn::LookUps(_) => "packets",
        ActsOn::Connects | ActsOn::Calls(..) => "calls",
        ActsOn::Connections => "connections",
        ActsOn::Requests(_) => "requests",
        ActsOn::Processes(OnProcesses::Plugins(_)) => "plug-ins",
        ActsOn::Processes(_) => "processes",
    }
}

/// The filters that the experiment sets, and the ports that it excludes or does not name.
fn filters(traffic: &Traffic) -> String {
    let set = [
        ("dest-ip", !traffic.dest.is_empty()),
        ("hostname", !traffic.hostnames.is_empty()),
        ("exclude-ip", !traffic.exclude.is_empty()),
        ("dest-port", !traffic.dest_ports.is_empty()),
        ("source-port", !traffic.source_ports.is_empty()),
        ("protocol", traffic.protocol != Protocol::Any),
        (
            "connection",
            traffic.connections != Connections::Any || traffic.activity != Activity::Any,
        ),
    ];
    let mut parts: Vec<String> = set
        .into_iter()
        .filter(|(_, is_set)| *is_set)
        .map(|(name, _)| name.to_owned())
        .collect();
    for range in &traffic.exclude_ports {
        let is_guarded = GUARDED_PORTS.contains(&range.first()) && range.first() == range.last();
        let unless = if is_guarded { " unless named" } else { "" };
        parts.push(format!("port {range} excluded{unless}"));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use injector_common::threshold::Threshold;
    use injector_spec::experiment::{Chance, Connect, DnsAnswer, DnsError, FaultKind, ToolStale};

    fn counted(seen: u64, matched: u64, hit: u64, missed: u64) -> Counters {
        Counters {
            seen,
            matched,
            hit,
            missed,
            ..Counters::default()
        }
    }

    fn fault(kind: FaultKind) -> Fault {
        Fault {
            target: 0,
            kind,
            direction: Direction::Egress,
            traffic: Traffic {
                dest_ports: vec!["9".parse().unwrap()],
                ..Traffic::default()
            }
            .guarded(),
            chance: Chance::ALWAYS,
            ramps: Vec::new(),
            stays_on: 0,
        }
    }

    fn says(fault: &Fault, counters: Counters, part: &str) {
        let note = note(fault, counters).unwrap();
        assert!(
            note.starts_with("applied, but the target never met it: "),
            "{note}"
        );
        assert!(note.contains(part), "{note}");
    }

    #[test]
    fn hits_need_no_note() {
        assert_eq!(
            note(&fault(FaultKind::Blackhole), counted(3, 2, 1, 0)),
            None
        );
        let missed = note(&fault(FaultKind::Blackhole), counted(3, 3, 1, 2)).unwrap();
        assert!(missed.starts_with("2 more were chosen"), "{missed}");
    }

    #[test]
    fn a_spent_budget_is_told() {
        let mut loss = fault(FaultKind::Blackhole);
        loss.chance.max_hits = Some(2);
        assert_eq!(note(&loss, counted(3, 2, 1, 0)), None);
        let spent = note(&loss, counted(9, 8, 2, 0)).unwrap();
        assert!(spent.contains("budget of 2 hits is spent"), "{spent}");
    }

    #[test]
    fn the_first_stage_without_anything_is_the_reason() {
        let blackhole = fault(FaultKind::Blackhole);
        says(&blackhole, counted(0, 0, 0, 0), "sent nothing while");
        let ingress = Fault {
            direction: Direction::Ingress,
            ..blackhole.clone()
        };
        says(&ingress, counted(0, 0, 0, 0), "received nothing");
        let filtered =
            "none of its 7 packets passed the filters (dest-port, port 22 excluded unless";
        says(&blackhole, counted(7, 0, 0, 0), filtered);
        says(&blackhole, counted(7, 7, 0, 7), "7 were chosen but");
        says(
            &fault(FaultKind::Reset),
            counted(0, 0, 0, 0),
            "no established connection",
        );
        let look_up = fault(FaultKind::DnsError(DnsError {
            answer: DnsAnswer::NxDomain,
            hostnames: vec!["*".to_owned()],
        }));
        says(&look_up, counted(0, 0, 0, 0), "sent nothing while");
        says(&look_up, counted(3, 0, 0, 0), "only UDP port 53");
        let connect = FaultKind::Connect(Connect {
            errno: "EIO".parse().unwrap(),
        });
        says(
            &fault(connect),
            counted(0, 0, 0, 0),
            "never called connect(2)",
        );
    }

    #[test]
    fn a_tool_that_was_never_called_is_told() {
        let tool = |interface, tools: &[&str]| {
            let calls = ToolCalls {
                interface,
                tools: tools.iter().map(|&tool| tool.to_owned()).collect(),
                ..ToolCalls::default()
            };
            fault(FaultKind::ToolStale(ToolStale { calls }))
        };
        let search = tool(Interface::Mcp, &["search*", "find"]);
        says(
            &search,
            counted(0, 0, 0, 0),
            "MCP over stdio is not reached",
        );
        let named = "none of its 4 requests was a call of MCP of a tool like `search*`, `find`";
        says(&search, counted(4, 0, 0, 0), named);
        says(
            &tool(Interface::Json, &[]),
            counted(4, 0, 0, 0),
            "was a call",
        );
    }

    #[test]
    fn the_chance_is_the_last_reason() {
        let with = |chance| Fault {
            chance,
            ..fault(FaultKind::Duplicate)
        };
        let none = Chance {
            percent: Threshold::NEVER,
            ..Chance::ALWAYS
        };
        says(&with(none), counted(5, 5, 0, 0), "the percentage is 0");
        let budget = Chance {
            max_hits: Some(0),
            ..Chance::ALWAYS
        };
        says(&with(budget), counted(5, 5, 0, 0), "max-hits is 0");
        let late = Chance {
            when: injector_spec::quantity::parse_when("9+").unwrap(),
            ..Chance::ALWAYS
        };
        says(
            &with(late),
            counted(5, 5, 0, 0),
            "`when 9+` with 100% chose none",
        );
        let rare = Chance {
            percent: Threshold(1 << 20),
            ..Chance::ALWAYS
        };
        says(
            &with(rare),
            counted(5, 5, 0, 0),
            "of so few may well be none",
        );
    }
}
