//! Faults on requests that are answered in the target's own memory: programs act by themselves, and what they count is in
//! [`super::programs`]. Here probes go with the processes of the targets, and the report says what was not met so.

use injector_common::rule::Counters;
use injector_host::targets::ResolvedTarget;
use injector_plan::{Mechanism, Plan};
use injector_record::{event::EventKind, report::FaultReport};
use injector_spec::error::Refusal;

use super::{
    Effect, Scene, Step, StepTime,
    ground::Ground,
    namespace::{ArmedNamespace, rewrites::Rewrites},
};

/// The state of all rules that are carried out so.
#[derive(Debug, Default)]
pub(super) struct InPlace {
    /// What the report says of hits whose answer did not fit: by the rule's place in the plan, how many.
    degraded: Vec<(usize, u64)>,
    /// The places of the rules that had taken a request whose answer was not met when the lease ended, one for each.
    unanswered: Vec<usize>,
}

impl InPlace {
    /// Lets each namespace see who belongs to its targets, where a look is due, and has it make its answers anew, where those
    /// are.
    fn look(scene: &mut Scene<'_>) {
        let targets = scene.targets;
        let mut told = Vec::new();
        for namespace in &mut scene.ground.namespaces {
            namespace.say_who_is_in_place(targets);
            if let Some(rewrites) = &mut namespace.rewrites {
                rewrites.renew();
                told.extend(rewrites.news());
            }
        }
        for (pid, why) in told {
            scene.tell(EventKind::ProcessNotCovered { pid, why });
        }
    }
}

fn rewrites(ground: &Ground) -> impl Iterator<Item = &Rewrites> {
    let namespaces = ground.namespaces.iter();
    namespaces.filter_map(|namespace: &ArmedNamespace| namespace.rewrites.as_ref())
}

/// What the report says where no request was seen.
const UNASKED: &str = "applied, but the target never met it: it wrote no request of HTTP/1.1 through a TLS library that was attached to; tls-rewrite meets none in plain text, which `--by relay` does";

/// What it says of what is not measured.
const UNMEASURED: &str = "what the target did about answers by tls-rewrite is not measured; `--by relay`, with [relay] in the configuration for TLS, measures it";

impl Effect for InPlace {
    fn set(&mut self, _: Option<StepTime>, _: &mut Scene<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    /// All of it has times of its own, see [`InPlace::look`].
    fn keep_up(&mut self, _: &mut Scene<'_>) {}

    fn act(&mut self, _: Step, scene: &mut Scene<'_>) -> Result<(), Refusal> {
        Self::look(scene);
        Ok(())
    }

    /// Its processes are seen at the next look.
    fn follow(&mut self, _: u32, _: &ResolvedTarget, _: &mut Scene<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn settle(&mut self, _: u32, _: &mut Scene<'_>) {}

    fn broken(&self, ground: &Ground) -> Option<&'static str> {
        rewrites(ground).find_map(Rewrites::broken)
    }

    /// Programs ask the lease: there is nothing to put back.
    fn undo(&mut self, _: Option<usize>, _: &mut Scene<'_>) {}

    fn quiet(&mut self, scene: &mut Scene<'_>) -> Vec<String> {
        let rules = 0..scene.plan.rules.len();
        let degraded = rules.map(|rule| {
            let all = rewrites(scene.ground).map(|one| one.degraded(rule));
            (rule, all.sum())
        });
        self.degraded = degraded.filter(|(_, count)| *count > 0).collect();
        self.unanswered = rewrites(scene.ground)
            .flat_map(Rewrites::unanswered)
            .collect();
        Vec::new()
    }

    fn events(&mut self, _: &mut Scene<'_>) {}

    /// The kernel counts all but what is left at the end.
    fn counters(&self, rule: usize, _: &Plan, _: &Ground) -> Counters {
        let unanswered = self.unanswered.iter().filter(|place| **place == rule);
        Counters {
            missed: unanswered.count() as u64,
            ..Counters::default()
        }
    }

    /// The kernel counts them.
    fn own_hits(&self) -> u64 {
        0
    }

    fn report(&self, rule: usize, report: &mut FaultReport) {
        if report.mechanism != Mechanism::TlsRewrite.name() {
            return;
        }
        if report.seen == 0 {
            report.note = Some(UNASKED.to_owned());
        }
        let degraded = self.degraded.iter().find(|(place, _)| *place == rule);
        if let Some((_, count)) = degraded {
            let told = format!(
                "degraded: {count} of its {} hits changed the status alone, or a part of the answer, because it did not fit into what the target read",
                report.hit
            );
            report.note = Some(match report.note.take() {
                Some(note) => format!("{note}; {told}"),
                None => told,
            });
        }
    }

    fn remarks(&self, plan: &Plan, ground: &Ground) -> Vec<String> {
        let mut rules = plan.rules.iter();
        let is_used = rules.any(|rule| rule.compiled.mechanism == Mechanism::TlsRewrite);
        let unmeasured = is_used.then(|| UNMEASURED.to_owned());
        let unmet = rewrites(ground).flat_map(Rewrites::unmet);
        unmet.chain(unmeasured).collect()
    }
}
