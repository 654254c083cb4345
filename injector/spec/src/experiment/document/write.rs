//! Experiments as documents. A test reads each back as the same experiment.

use std::path::Path;

use super::{
    Document,
    branches::{self, written as step},
};
use crate::{
    experiment::{
        BlastRadius, Described, Experiment, Fault, Follow, Gate, Ground, Latency, Ledger, Many,
        NamedOperation, NamedProbe, OnTargetExit, Pick, Placed, ProbeMode, ProbeRole, Rpo,
        Selector, Sign, Stage, SteadyState, Step, Success, Target, Variables, file::API_VERSION,
    },
    quantity::{Portion, duration},
};

/// Fields of an object in the making.
pub(super) type Fields = Vec<(String, Document)>;

impl Experiment {
    /// The document that says the same. Its variables stand in it with the values in force, which stand in all other
    /// places, too; one that was read with a profile is read again with the same.
    ///
    /// `drawn` are its faults in the order of the steps with what was drawn for them, where it has run.
    pub fn document(&self, drawn: &[Placed]) -> Document {
        let mut fields = self.head();
        let targets = self.targets.iter();
        let targets = targets.map(|target| (target.name.as_str(), selector(&target.selector)));
        if let Some(radius) = self.blast_radius.as_deref() {
            put(&mut fields, "blast-radius", reach(radius));
        }
        if !self.targets.is_empty() {
            put(&mut fields, "targets", Document::object(targets));
        }
        if let Some(steady_state) = &self.steady_state {
            fields.extend(probes(steady_state));
        }
        put(&mut fields, "steps", Document::List(self.written(drawn)));
        if !self.halt.is_empty() {
            let lines = self.halt.iter();
            let lines = lines.map(|line| Document::text(line.to_string())).collect();
            put(&mut fields, "halt", Document::List(lines));
        }
        if !self.notify.is_empty() {
            put(&mut fields, "notify", Document::of(&self.notify));
        }
        if !self.fail_on.is_empty() {
            put(&mut fields, "fail-on", Document::of(&self.fail_on));
        }
        if let Some(handoff) = self.handoff() {
            put(&mut fields, "handoff", sign(handoff));
        }
        if let Some(success) = self.success() {
            put(&mut fields, "success", claimed(success));
        }
        if !self.escalate.is_empty() {
            put(&mut fields, "escalate", Document::of(&self.escalate));
        }
        if !self.rollback.is_empty() {
            put(&mut fields, "rollback", Document::of(&self.rollback));
        }
        match self.on_target_exit {
            OnTargetExit::Wait => {}
            OnTargetExit::End => put(&mut fields, "on-target-exit", Document::text("end")),
        }
        let mut document = Document::Object(fields);
        // A text that looks like a variable must not be taken for one.
        document.spell_out_dollars();
        document
    }

    fn head(&self) -> Fields {
        let mut fields = Fields::new();
        put(&mut fields, "apiVersion", Document::text(API_VERSION));
        put(&mut fields, "name", Document::text(&self.name));
        if let Some(hypothesis) = &self.hypothesis {
            put(&mut fields, "hypothesis", Document::text(hypothesis));
        }
        if let Some(owner) = &self.owner {
            put(&mut fields, "owner", Document::text(owner));
        }
        if !self.labels.is_empty() {
            put(&mut fields, "labels", Document::of(&self.labels));
        }
        if let Some(variables) = &self.variables {
            fields.extend(chosen(variables));
        }
        if let Some(stage) = &self.stage {
            put(&mut fields, "stage", written(stage));
        }
        fields
    }

    /// The list of steps, with blocks of branches where faults stay on.
    fn written(&self, drawn: &[Placed]) -> Vec<Document> {
        let mut drawn = drawn.iter();
        let mut written = Vec::new();
        let mut first = 0;
        while let Some(one) = self.steps.get(first) {
            let last = branches::end_of_block(self, first);
            let steps = &self.steps[first..=last];
            let faults = steps.iter().zip(first..).flat_map(|(step, index)| {
                let faults = step.faults.iter();
                faults.map(move |fault| (index, fault))
            });
            let mut document = |(index, fault)| (index, fault, self.fault(fault, drawn.next()));
            let faults: Vec<_> = faults.map(&mut document).collect();
            written.push(match &one.gate {
                Some(gate) => waiting(one, gate),
                None if first == last => {
                    let faults = faults.into_iter().map(|(.., fault)| fault).collect();
                    step(Some(&one.name), one.duration, faults)
                }
                None => branches::block(steps, first, faults),
            });
            first = last + 1;
        }
        written
    }

    fn fault(&self, fault: &Fault, drawn: Option<&Placed>) -> Document {
        let own = fault.describe();
        let described = drawn.map_or(&own, |placed| &placed.described);
        let target = self.targets.get(fault.target);
        let target = target.map_or(Target::ONLY, |target| &target.name);
        Document::object([(fault.kind.name(), values(target, described))])
    }
}

fn waiting(step: &Step, gate: &Gate) -> Document {
    let length = Document::text(duration::format(step.duration));
    let (key, opened_by) = match gate {
        Gate::Until(question) => ("gate", ("until", Document::text(question.to_string()))),
        Gate::Approve => ("gate", ("approve", Document::Bool(true))),
        Gate::Run(command) => ("run", ("command", Document::of(command))),
    };
    let gate = Document::object([opened_by, ("timeout", length)]);
    Document::object([("name", Document::text(&step.name)), (key, gate)])
}

pub(super) fn put(fields: &mut Fields, key: &str, value: Document) {
    fields.push((key.to_owned(), value));
}

/// The variables, and the profile, whose values they have already.
fn chosen(variables: &Variables) -> Fields {
    let mut fields = vec![("variables".to_owned(), Document::of(&variables.values))];
    if let Some(profile) = &variables.profile {
        let nothing = Document::object([("set", Document::Object(Vec::new()))]);
        let profiles = Document::object([(profile, nothing)]);
        put(&mut fields, "profiles", profiles);
    }
    fields
}

/// A stage that was chosen.
fn written(stage: &Stage) -> Document {
    let mut fields = Fields::new();
    put(&mut fields, "name", Document::text(&stage.name));
    put(&mut fields, "asks", Document::text(stage.asks.to_string()));
    if let Some(earlier) = &stage.after {
        put(&mut fields, "after", Document::text(&earlier.stage));
        put(
            &mut fields,
            "after-asks",
            Document::text(earlier.asks.to_string()),
        );
    }
    if let Some(name) = &stage.approved_by {
        put(&mut fields, "approved-by", Document::text(name));
    }
    match stage.ground {
        Ground::Anywhere => {}
        Ground::Sandbox => put(&mut fields, "ground", Document::text("sandbox")),
    }
    Document::Object(fields)
}

/// The names that flags and files have for a selector.
fn selector(selector: &Selector) -> Document {
    let mut fields = Fields::new();
    let follow = match selector {
        Selector::Pids { pids, follow, .. } => {
            let pids = pids.iter().map(|pid| Document::Unsigned((*pid).into()));
            put(&mut fields, "pid", Document::List(pids.collect()));
            *follow
        }
        Selector::Cgroup(path) => {
            let path = path.display().to_string();
            put(&mut fields, "cgroup", Document::Text(path));
            Follow::Process
        }
        Selector::Unit(name) => {
            put(&mut fields, "unit", Document::text(name));
            Follow::Process
        }
        Selector::Container(id) => {
            put(&mut fields, "container", Document::text(id));
            Follow::Process
        }
        Selector::Process {
            pattern,
            many,
            follow,
            ..
        } => {
            put(&mut fields, "process", Document::text(pattern));
            match many {
                Many::ExactlyOne => {}
                Many::All => put(&mut fields, "all", Document::Bool(true)),
            }
            *follow
        }
    };
    match follow {
        Follow::Process => {}
        Follow::Tree => put(&mut fields, "tree", Document::Bool(true)),
    }
    if let Some(Pick { portion, seed }) = selector.pick() {
        let portion = match portion {
            Portion::Count(count) => Document::Unsigned(count.get().into()),
            Portion::Share(share) => Document::text(share.to_string()),
        };
        put(&mut fields, "pick", portion);
        if let Some(seed) = seed {
            put(&mut fields, "seed", Document::Unsigned(*seed));
        }
    }
    Document::Object(fields)
}

fn sign(sign: &Sign) -> Document {
    let file = |path: &Path| ("file", Document::text(path.to_string_lossy()));
    Document::object(match sign {
        Sign::Changed(path) => vec![file(path)],
        Sign::Appended { file: path, lines } => {
            vec![file(path), ("lines", Document::text(lines.as_str()))]
        }
        Sign::Connected(hosts) => {
            let hosts = hosts.iter().map(|host| Document::text(host.as_str()));
            vec![("connect-to", Document::List(hosts.collect()))]
        }
    })
}

fn claimed(success: &Success) -> Document {
    let claim = success.claim.iter().map(|claim| ("claim", sign(claim)));
    let effects = success.effects.iter().map(sign).collect();
    Document::object(claim.chain([("effects", Document::List(effects))]))
}

fn probes(steady_state: &SteadyState) -> Fields {
    let mut fields = Fields::new();
    let detect = steady_state.detect.iter();
    let asked = steady_state.probes.iter();
    let asked: Vec<_> = asked
        .map(|probe| (&probe.name, &probe.question))
        .chain(detect.map(|detect| (&detect.name, &detect.question)))
        .map(|(name, question)| (name.as_str(), Document::text(question.to_string())))
        .collect();
    if !asked.is_empty() {
        put(&mut fields, "probes", Document::object(asked));
    }
    if !steady_state.operations.is_empty() {
        let watched = steady_state.operations.iter();
        let watched = watched.map(|one| (one.name.as_str(), operation(one)));
        put(&mut fields, "operations", Document::object(watched));
    }
    for (key, role) in [
        ("steady-state", ProbeRole::SteadyState),
        ("controls", ProbeRole::Control),
    ] {
        let asked = steady_state.probes.iter().filter(|one| one.role == role);
        let watched = steady_state.operations.iter();
        let watched = watched.filter(|one| one.role == role);
        let names: Vec<Document> = asked.map(when_asked).chain(watched.map(share)).collect();
        if !names.is_empty() {
            put(&mut fields, key, Document::List(names));
        }
    }
    if let Some(detect) = &steady_state.detect {
        put(&mut fields, "detect", Document::text(&detect.name));
    }
    let ledgers = steady_state.ledgers.iter();
    let ledgers: Vec<_> = ledgers
        .map(|ledger| (ledger.name.as_str(), lists(ledger)))
        .collect();
    if !ledgers.is_empty() {
        put(&mut fields, "ledgers", Document::object(ledgers));
    }
    put(&mut fields, "objectives", objectives(steady_state));
    fields
}

fn lists(ledger: &Ledger) -> Document {
    Document::object([
        ("acknowledged", Document::of(&ledger.acknowledged)),
        ("kept", Document::of(&ledger.kept)),
        ("within", Document::text(duration::format(ledger.within))),
    ])
}

fn objectives(steady_state: &SteadyState) -> Document {
    let time = |time| Document::text(duration::format(time));
    let objectives = &steady_state.objectives;
    let mut fields = Fields::new();
    put(&mut fields, "rto", time(objectives.rto));
    if let Some(within) = objectives.detect {
        put(&mut fields, "detect", time(within));
    }
    if let Some(share) = objectives.success {
        put(&mut fields, "success", Document::text(share.to_string()));
    }
    if let Some(Latency { quantile, within }) = objectives.latency {
        let latency = Document::object([(quantile.name(), time(within))]);
        put(&mut fields, "latency", latency);
    }
    let of_ledger = |ledger: &Ledger| {
        let Rpo {
            lost,
            torn,
            double,
            age,
        } = ledger.rpo?;
        let mut fields = Fields::new();
        put(&mut fields, "ledger", Document::text(&ledger.name));
        for (key, most) in [("lost", lost), ("torn", torn), ("double", double)] {
            put(&mut fields, key, Document::Unsigned(most));
        }
        if let Some(age) = age {
            put(&mut fields, "age", time(age));
        }
        Some(Document::Object(fields))
    };
    let rpo: Vec<Document> = steady_state.ledgers.iter().filter_map(of_ledger).collect();
    if !rpo.is_empty() {
        put(&mut fields, "rpo", Document::List(rpo));
    }
    Document::Object(fields)
}

fn operation(operation: &NamedOperation) -> Document {
    let mut fields = Fields::new();
    put(&mut fields, "of", Document::text(&operation.of));
    put(&mut fields, "kind", Document::text(operation.kind.name()));
    if !operation.connect_to.is_empty() {
        put(
            &mut fields,
            "connect-to",
            Document::of(&operation.connect_to),
        );
    }
    if let Some(within) = operation.within {
        let within = Document::text(duration::format(within));
        put(&mut fields, "good", Document::object([("within", within)]));
    }
    Document::Object(fields)
}

/// What names operations, with the share of them that has to be good.
fn reach(radius: &BlastRadius) -> Document {
    let BlastRadius {
        processes,
        share,
        hits,
    } = *radius;
    let mut fields = Fields::new();
    if let Some(processes) = processes {
        put(
            &mut fields,
            "processes",
            Document::Unsigned(processes.get().into()),
        );
    }
    if let Some(share) = share {
        put(&mut fields, "share", Document::text(share.to_string()));
    }
    if let Some(hits) = hits {
        put(&mut fields, "hits", Document::Unsigned(hits));
    }
    Document::Object(fields)
}

fn when_asked(probe: &NamedProbe) -> Document {
    let name = Document::text(&probe.name);
    match probe.mode {
        ProbeMode::Continuous => name,
        mode => Document::object([("probe", name), ("mode", Document::text(mode.name()))]),
    }
}

fn share(operation: &NamedOperation) -> Document {
    Document::object([
        ("operations", Document::text(&operation.name)),
        ("ratio", Document::text(operation.ratio.to_string())),
    ])
}

/// The parameters of a fault.
fn values(target: &str, described: &Described) -> Document {
    let mut fields = vec![("target".to_owned(), Document::text(target))];
    for set in [&described.parameters, &described.filters, &described.chance] {
        if let Document::Object(more) = Document::of(set) {
            fields.extend(more);
        }
    }
    Document::Object(fields)
}

impl Document {
    /// Spells `${` in each value as files have it, `$${`.
    fn spell_out_dollars(&mut self) {
        match self {
            Self::Text(text) => {
                if text.contains("${") {
                    *text = text.replace("${", "$${");
                }
            }
            Self::List(items) => items.iter_mut().for_each(Self::spell_out_dollars),
            Self::Object(fields) => {
                for (_, value) in fields {
                    value.spell_out_dollars();
                }
            }
            Self::Null | Self::Bool(_) | Self::Unsigned(_) | Self::Signed(_) | Self::Float(_) => {}
        }
    }
}
