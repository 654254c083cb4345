//! The rules, and which of them take a request.

mod meant;

use std::{collections::BTreeMap, net::SocketAddr};

use http::request::Parts;
use injector_common::{
    decide::{Memory, decide},
    rule::Rule,
};
use injector_host::kernel::clock::boot_ns;
use injector_spec::experiment::Provider;

use self::meant::Meant;
use crate::{
    act::{Act, Answer, ToolAct},
    asked::Asked,
    conversation::{Count, RuleOrder, RuleState, Said},
    tools::{call::Called, memory::Memory as Answers},
};

/// All rules, by their place in the plan, and what is to be said of them.
#[derive(Default)]
pub(crate) struct Rules {
    known: BTreeMap<usize, Known>,
    told: Vec<Said>,
    /// What tools have answered so far.
    pub(crate) answers: Answers,
}

/// What a request is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Met<'r> {
    /// One to a model's API.
    Model(&'r Asked),
    /// One that may call a tool.
    Tool(&'r Called),
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The target.
    pub(crate) scope: u32,
    /// Slots of the target's rules that mean its connection, one bit each.
    pub(crate) slots: u32,
    /// Where it goes: another server's tools are others, whatever they are called.
    pub(crate) far: SocketAddr,
}

struct Known {
    order: RuleOrder,
    act: Act,
    meant: Meant,
    memory: Memory,
    count: Count,
    /// Taken from the budget; a hit that comes to nothing gives it back.
    spent: u64,
    is_told: bool,
}

/// A rule that takes a request, until it is known what came of that.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Taken {
    /// Its place in the plan.
    pub(crate) rule: usize,
    /// Whose words an answer is made up in, where the fault says so.
    pub(crate) provider: Option<Provider>,
    /// The number of the match.
    number: u64,
    path: String,
    model: Option<String>,
    tool: Option<String>,
}

/// What came of a request that a rule has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was acted on.
    Hit,
    /// It could not be, and went through unharmed.
    Missed,
}

impl Rules {
    /// Takes in what the worker says.
    pub(crate) fn set(&mut self, orders: Vec<RuleOrder>) {
        let mut former = std::mem::take(&mut self.known);
        for order in orders {
            let place = order.rule;
            // The worker hands over no other.
            let Some(on) = order.fault.kind.on_requests() else {
                continue;
            };
            let act = Act::of(on);
            let known = match former.remove(&place) {
                // Values may have moved; what is meant never does.
                Some(known) => Known {
                    order,
                    act,
                    ..known
                },
                None => Known {
                    act,
                    meant: Meant::of(on),
                    memory: Memory::default(),
                    count: Count::default(),
                    spent: 0,
                    is_told: true,
                    order,
                },
            };
            self.known.insert(place, known);
        }
    }

    /// No rule acts any more; what they have done stays to be said.
    pub(crate) fn end(&mut self) {
        for known in self.known.values_mut() {
            known.order.state = RuleState::Off;
        }
    }

    /// Whether a rule of this target could take a request now.
    pub(crate) fn concern(&self, origin: Origin) -> bool {
        self.known.values().any(|known| known.is_on(origin))
    }

    /// Whether a rule is on.
    pub(crate) fn is_on(&self, rule: usize) -> bool {
        let known = self.known.get(&rule);
        known.is_some_and(|known| known.order.state == RuleState::On)
    }

    /// Whether the body of a request says whether it calls a tool that a rule of the target means, in this step or another.
    pub(crate) fn reads(&self, origin: Origin, head: &Parts) -> bool {
        let mut all = self.known.values();
        all.any(|known| known.is_of(origin) && known.meant.may_take(head))
    }

    /// Whether a rule of the target, in this step or another, gives the answer to such a call again. That to `initialize` is
    /// given by none: a session begins with it, and one that its server does not know is of no use to any call.
    pub(crate) fn remembers(&self, origin: Origin, called: &Called) -> bool {
        if called.begins_a_session() {
            return false;
        }
        let mut all = self.known.values();
        all.any(|known| {
            known.act == Act::Tool(ToolAct::Answer(Answer::Again))
                && known.is_of(origin)
                && known.meant.takes(Met::Tool(called))
        })
    }

    /// Counts a request of a target that is to no model and to no tool.
    pub(crate) fn pass(&mut self, origin: Origin) {
        let all = self.known.values_mut();
        for known in all.filter(|known| known.is_on(origin)) {
            known.count.seen += 1;
            known.is_told = false;
        }
    }

    /// Asks the rules of a target about a request, in the order of the plan; what each that takes it does. What slows an answer
    /// down goes with what is behind it; everything else ends the walk.
    pub(crate) fn ask(&mut self, origin: Origin, met: Met<'_>) -> Vec<(Act, Taken)> {
        let mut taken = Vec::new();
        let mut is_over = false;
        for (place, known) in &mut self.known {
            if !known.is_on(origin) {
                continue;
            }
            known.count.seen += 1;
            known.is_told = false;
            if is_over {
                continue;
            }
            if let Some(number) = known.take(met) {
                let act = known.act.clone();
                is_over = !act.goes_with_others();
                let (path, model, tool) = match met {
                    Met::Model(asked) => (&asked.path, asked.model.as_deref(), None),
                    Met::Tool(called) => (&called.path, None, called.told()),
                };
                let by = Taken {
                    rule: *place,
                    provider: known.meant.provider(),
                    number,
                    path: short(path),
                    model: model.map(short),
                    tool: tool.map(short),
                };
                taken.push((act, by));
            }
        }
        taken
    }

    /// Counts what came of a request.
    pub(crate) fn settle(&mut self, taken: &Taken, outcome: Outcome) {
        let Some(known) = self.known.get_mut(&taken.rule) else {
            return;
        };
        known.is_told = false;
        match outcome {
            Outcome::Hit => {
                let boot_ns = boot_ns();
                known.count.hit += 1;
                known.count.first_hit_boot_ns.get_or_insert(boot_ns);
                known.count.last_hit_boot_ns = boot_ns;
                self.told.push(Said::Hit {
                    rule: taken.rule,
                    number: taken.number,
                    boot_ns,
                    path: taken.path.clone(),
                    model: taken.model.clone(),
                    tool: taken.tool.clone(),
                });
            }
            Outcome::Missed => {
                known.count.missed += 1;
                known.spent = known.spent.saturating_sub(1);
            }
        }
    }

    /// What has not been said yet.
    pub(crate) fn news(&mut self) -> Vec<Said> {
        let mut news = std::mem::take(&mut self.told);
        for (place, known) in &mut self.known {
            if !known.is_told {
                known.is_told = true;
                news.push(Said::Counted {
                    rule: *place,
                    counters: known.count,
                });
            }
        }
        news
    }
}

impl Known {
    fn is_on(&self, origin: Origin) -> bool {
        self.is_of(origin) && self.order.state == RuleState::On
    }

    /// Whether its target is this, and its filters mean the connection.
    fn is_of(&self, origin: Origin) -> bool {
        let order = &self.order;
        order.scope == origin.scope && origin.slots >> (order.slot & 31) & 1 == 1
    }

    /// The number of the match, where the rule takes the request.
    fn take(&mut self, met: Met<'_>) -> Option<u64> {
        if !self.meant.takes(met) {
            return None;
        }
        let chance = &self.order.fault.chance;
        self.count.matched += 1;
        let rule = Rule {
            percent: chance.percent,
            when: chance.when,
            max_hits: chance.max_hits.unwrap_or(u64::MAX),
            seed: self.order.seed,
            ..Rule::default()
        };
        if self.spent >= rule.max_hits || !decide(&rule, self.count.matched, &mut self.memory) {
            return None;
        }
        self.spent += 1;
        Some(self.count.matched)
    }
}

/// As much of a text as is told, in characters.
const LONGEST: usize = 128;

fn short(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests;
