//! One look through the connections of a namespace: which rules ask which of them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{Resetter, connection::connection};
use crate::effects::namespace::{
    ArmedNamespace,
    claim::{Asking, Met},
    pace::Reach,
};
use injector_host::targets::ResolvedTarget;
use injector_plan::PlannedRule;
use injector_record::{event::EventKind, report::ConnectionState};
use injector_spec::experiment::Activity;

/// How long one look may go on meeting connections, from the first that it meets: the run has its end and its watchdog to
/// look after, and those that are left are met at the next look. The search for them does not count: on a slow host it alone
/// may take longer, and then no connection would ever be met.
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// The rules of a step that reset, and what is known of them.
pub(super) struct Look<'r> {
    /// The rules, with their places in the plan.
    pub(super) rules: Vec<(usize, &'r PlannedRule)>,
    /// All targets, by scope.
    pub(super) targets: &'r [ResolvedTarget],
    /// Whether anything may fire.
    pub(super) is_live: &'r dyn Fn() -> bool,
}

impl Look<'_> {
    /// Lets the rules ask the connections of a namespace, and adds to `told` what they have hit.
    pub(super) fn through(
        &self,
        namespace: &mut ArmedNamespace,
        resetters: &mut BTreeMap<usize, Resetter>,
        told: &mut Vec<EventKind>,
    ) -> Reach {
        // Without a free descriptor now, there may be one at the next look.
        let Ok(network) = namespace.namespace.try_clone() else {
            return Reach::Whole;
        };
        let mut reach = Reach::Whole;
        let mut until = None;
        for scope in namespace.scopes.clone() {
            let of_scope = || self.rules.iter().filter(|(_, rule)| rule.scope == scope);
            let rules: Vec<_> = of_scope().map(|(_, rule)| *rule).collect();
            if rules.is_empty() {
                continue;
            }
            let asking = asking(&rules);
            namespace.look(scope, self.targets, asking, &mut |maps, socket, slots| {
                let now = Instant::now();
                let until = *until.get_or_insert(now + LONGEST_LOOK);
                if now > until || !(self.is_live)() {
                    reach = Reach::Part;
                    return Met::Enough;
                }
                let connection = match connection(socket, maps) {
                    Ok(connection) => connection,
                    Err(met) => return met,
                };
                let (mut asked, mut is_open) = (0, true);
                for (index, rule) in of_scope().filter(|(_, rule)| slots >> rule.slot & 1 == 1) {
                    if !is_meant(rule.fault.traffic.activity, connection.seen.state) {
                        continue;
                    }
                    asked |= 1 << rule.slot;
                    // The rule before may have reset it.
                    if !is_open {
                        continue;
                    }
                    let resetter = resetters.entry(*index).or_default();
                    if let Some(number) = resetter.ask(rule, socket, &connection, &network) {
                        is_open = false;
                        told.push(EventKind::ConnectionReset {
                            fault: rule.fault.kind.name().to_owned(),
                            target: self.targets[rule.fault.target].name.clone(),
                            number,
                            connection: connection.seen,
                        });
                    }
                }
                Met::Asked(asked)
            });
        }
        reach
    }
}

/// Which slots ask which connections.
fn asking(rules: &[&PlannedRule]) -> Asking {
    let mut asking = Asking::default();
    for rule in rules {
        let slots = match rule.fault.traffic.activity {
            Activity::Any => &mut asking.any,
            Activity::Busy => &mut asking.busy,
            Activity::Idle => &mut asking.idle,
        };
        *slots |= 1 << rule.slot;
    }
    asking
}

fn is_meant(wanted: Activity, state: ConnectionState) -> bool {
    match wanted {
        Activity::Any => true,
        Activity::Busy => state == ConnectionState::Busy,
        Activity::Idle => state == ConnectionState::Idle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_that_are_meant_are_asked() {
        let busy = ConnectionState::Busy;
        let idle = ConnectionState::Idle;
        assert!(is_meant(Activity::Any, busy) && is_meant(Activity::Any, idle));
        assert!(is_meant(Activity::Busy, busy) && !is_meant(Activity::Busy, idle));
        assert!(is_meant(Activity::Idle, idle) && !is_meant(Activity::Idle, busy));
    }
}
