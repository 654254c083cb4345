//! `cargo xtask campaign mutation`: what keeps the promise is broken on purpose, one thing at a time, in a copy of
//! the sources, and a test has to notice.
//!
//! The copy has a target folder of its own, so that only what a mutation touches is built again. The tests run in
//! a network namespace of their own: a setting that a broken injector does not put back is gone with it.
//! A mutation whose place is not in the sources any more, or that does not build, is a failure of the campaign.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};

use crate::{
    build::{self, BpfDebug},
    paths::Project,
    process::{self, announce},
    root::{self, Root},
};

/// What is broken, and who has to notice.
struct Mutation {
    what: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    noticed_by: Check,
}

/// Who notices.
#[derive(Clone, Copy)]
enum Check {
    /// An end-to-end test.
    Test(&'static str),
    /// A campaign and its number of runs.
    Campaign(&'static str, &'static str),
}

const MUTATIONS: &[Mutation] = &[
    Mutation {
        what: "a qdisc of an injector's goes with another program's filter in it",
        file: "injector/host/src/kernel/clsact/removal.rs",
        from: "meant.clsact == Clsact::Made && found.len() == look.filters.len() && is_evident",
        to: "is_evident",
        noticed_by: Check::Test("clsact::what_is_anothers_stays"),
    },
    Mutation {
        what: "filters without a link are not removed",
        file: "injector/engine/src/changes/filters.rs",
        from: "if announced.boot != boot_id() {",
        to: "if announced.boot == boot_id() {",
        noticed_by: Check::Test("clsact::it_bites_and_says_how"),
    },
    Mutation {
        what: "a filter acts without the table that dies with its owner",
        file: "injector/host/src/kernel/clsact/programs.rs",
        from: "Side::Egress => (DeviceHook::Egress, tail::EGRESS, \"inj_clsact_out\"),",
        to: "Side::Egress => (DeviceHook::Egress, tail::EGRESS, \"inj_egress\"),",
        noticed_by: Check::Test("clsact::kill_9_of_all_is_inert_and_swept"),
    },
    Mutation {
        what: "what a run gives back to a device's ingress does not say whose it is",
        file: "injector-common/src/met.rs",
        from: "RETURNED | (tap & !KINDS & 0xffff)",
        to: "RETURNED | (tap & KINDS & 0xffff)",
        noticed_by: Check::Test("life::two_runs_give_back_what_arrives_once"),
    },
    Mutation {
        what: "a stage is unlocked by a run of the one in front that did not hold",
        file: "injector/record/src/stages.rs",
        from: "Word::None => Shortfall::Unjudged,",
        to: "Word::None => return Ok(Self::Held(run)),",
        noticed_by: Check::Test("stages::one_that_held_unlocks_the_next"),
    },
    Mutation {
        what: "a run that ended as planned is rolled back",
        file: "injector/engine/src/rollback.rs",
        from: "let Some((outcome, why)) = report.breach() else {\n        return Vec::new();\n    };",
        to: "let (outcome, why) = report.breach().unwrap_or_default();",
        noticed_by: Check::Test("rollback::a_run_that_ends_as_planned_runs_none"),
    },
    Mutation {
        what: "an answer does not end an escalation",
        file: "injector/engine/src/escalation/asking.rs",
        from: "if let Some(by) = around.answer() {",
        to: "if let Some(by) = around.answer().filter(|_| false) {",
        noticed_by: Check::Test("escalation::after_a_halt_an_acknowledgement_ends_it"),
    },
    Mutation {
        what: "a terminal keeps the mode of a dashboard whose recorder was killed",
        file: "injector/engine/src/dashboard/mode.rs",
        from: "        if is_other {",
        to: "        if is_other && self.mode.local_modes.is_empty() {",
        noticed_by: Check::Test("dashboard::a_recorder_that_dies_leaves_the_terminal_as_it_was"),
    },
    Mutation {
        what: "a kept list that cannot be read counts as an empty one",
        file: "injector/engine/src/ledgers.rs",
        from: "list(\"kept\", &ledger.kept)?",
        to: "list(\"kept\", &ledger.kept).unwrap_or_default()",
        noticed_by: Check::Test("measures::a_ledger_says_what_is_lost_torn_and_double"),
    },
    Mutation {
        what: "a gate that stays shut lets the run go on",
        file: "injector/engine/src/executor/run/gates.rs",
        from: "outcome.or_else(given_up)",
        to: "outcome",
        noticed_by: Check::Test("gate::a_gate_that_stays_shut_is_inconclusive"),
    },
    Mutation {
        what: "the value that a search tries is not the one that acts",
        file: "injector/src/cli/trials/search.rs",
        from: "self.values.with(self.varied.at(value))",
        to: "self.values.with(self.varied.at(if value == self.ends.scale.harshest() { value } else { self.ends.scale.mildest() }))",
        noticed_by: Check::Test("search::a_known_breaking_point_is_found_within_five_percent"),
    },
    Mutation {
        what: "faults begin although the steady state does not hold",
        file: "injector/engine/src/measures.rs",
        from: "let why = why.or_else(|| measure::unsteady(&watched.measured(seen)));",
        to: "let why: Option<String> = why.filter(|_| seen == u64::MAX);",
        noticed_by: Check::Test("judged::each_verdict_has_its_exit_code"),
    },
    Mutation {
        what: "an operation that takes too long is taken for a good one",
        file: "injector/record/src/operations.rs",
        from: "answer.ended_ns.saturating_sub(answer.begun_ns) <= limit",
        to: "answer.ended_ns.saturating_sub(answer.begun_ns) <= limit.max(u64::MAX)",
        noticed_by: Check::Test("operations::slow_ones_are_those_that_the_target_knows"),
    },
    Mutation {
        what: "a run does not notice when its faults were off",
        file: "injector/engine/src/measures.rs",
        from: "watched.times.lifted_ns = Some(boot_ns());",
        to: "watched.times.lifted_ns.get_or_insert(watched.times.begun_ns);",
        noticed_by: Check::Test("judged::five_services_whose_recovery_is_known"),
    },
    Mutation {
        what: "a cgroup that was made again keeps its old id in the programs' table",
        file: "injector/engine/src/effects/namespace/follow.rs",
        from: "        self.maps.write_cgroup(to.id, scope)?;\n",
        to: "",
        noticed_by: Check::Test("target::a_cgroup_that_is_made_again"),
    },
    Mutation {
        what: "what comes back is let in unasked",
        file: "injector/engine/src/executor/roster.rs",
        from: "            Err(refusal) | Ok(Some(refusal)) => entry.keep_out(scope, refusal.message),\n            Ok(None) =>",
        to: "            Err(refusal) => entry.keep_out(scope, refusal.message),\n            Ok(_) =>",
        noticed_by: Check::Test("target::a_cgroup_that_stays_away"),
    },
    Mutation {
        what: "a process that another one lets go on counts as standing",
        file: "injector/engine/src/effects/processes/standing.rs",
        from: "News::WentOn(after) => went_on.push((subject.clone(), after)),",
        to: "News::WentOn(_) => {}",
        noticed_by: Check::Test("proc::a_sigcont_by_another_is_told"),
    },
    Mutation {
        what: "who listens on any address gets what is forwarded",
        file: "injector-ebpf/src/arrival.rs",
        from: "    if !is_connected && matches!(proof, Proof::Connected) {\n",
        to: "    if !is_connected && matches!(proof, Proof::Connected) && scratch.walk.scope == u32::MAX {\n",
        noticed_by: Check::Test("bystander::of_forwarded_packets_v4"),
    },
    Mutation {
        what: "a packet is met at each device that it passes",
        file: "injector-ebpf/src/device.rs",
        from: "met::is_met_elsewhere((*skb).tc_index, Direction::Egress",
        to: "met::is_met_elsewhere(0, Direction::Egress",
        noticed_by: Check::Test("bystander::macvlan_is_met_once"),
    },
    Mutation {
        what: "the lease is not asked in the kernel",
        file: "injector-ebpf/src/gate.rs",
        from: "INJ_LEASE.get(0).is_some_and(|lease| lease.is_live(now))",
        to: "INJ_LEASE.get(0).is_some() && now > 0",
        noticed_by: Check::Campaign("freeze", "11"),
    },
    Mutation {
        what: "the lease lasts for an hour",
        file: "injector-common/src/lease.rs",
        from: "        now_boot_ns < self.expires_boot_ns\n",
        to: "        self.expires_boot_ns > 0 && now_boot_ns < self.expires_boot_ns + 3_600_000_000_000\n",
        noticed_by: Check::Campaign("freeze", "11"),
    },
    Mutation {
        what: "links are leaked",
        file: "injector/engine/src/effects/namespace/ending.rs",
        from: "        drop(links);\n",
        to: "        std::mem::forget(links);\n",
        noticed_by: Check::Campaign("soak", "15"),
    },
    Mutation {
        what: "what a run has locked in memory stays locked",
        file: "injector/host/src/privilege/memory.rs",
        from: "                if *entry.get() == 0 {\n",
        to: "                if *entry.get() == usize::MAX {\n",
        noticed_by: Check::Campaign("soak", "15"),
    },
    Mutation {
        what: "the supervisor reads the journal by its name",
        file: "injector/engine/src/supervisor/clean.rs",
        from: "match Journal::adopt(journal, path.to_owned()) {\n        Ok(adopted)",
        to: "match Journal::adopt(journal, path.to_owned()) {\n        Ok(_) if !path.exists() => return String::new(),\n        Ok(adopted)",
        noticed_by: Check::Test("death::kill_9_when_the_journal_was_deleted"),
    },
    Mutation {
        what: "a process is known by its PID alone",
        file: "injector-ebpf/src/claim.rs",
        from: "(own_start_ticks() == target.start_ticks).then_some",
        to: "(own_start_ticks() >= target.start_ticks).then_some",
        noticed_by: Check::Test("target::a_reused_pid_is_a_stranger"),
    },
    Mutation {
        what: "the budget is taken without asking what was spent",
        file: "injector-ebpf/src/rules.rs",
        from: "{ AtomicOrdering::AcqRel }>(&raw mut (*state).spent, 1)",
        to: "{ AtomicOrdering::Relaxed }>(&raw mut (*state).spent, 1)",
        noticed_by: Check::Campaign("probability-and-budget", "20"),
    },
    Mutation {
        what: "settings of the host are not put back",
        file: "injector/engine/src/changes/undo.rs",
        from: "let Some(namespace) = namespace else {\n                return Ok(Fate::Gone);",
        to: "let Some(namespace) = namespace.filter(|_| false) else {\n                return Ok(Fate::Gone);",
        noticed_by: Check::Test("effect::delay_tcp::loopback_v4"),
    },
    Mutation {
        what: "the worker outlives its supervisor",
        file: "injector/engine/src/spawn.rs",
        from: "libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL)",
        to: "libc::prctl(libc::PR_SET_PDEATHSIG, 0)",
        noticed_by: Check::Test("death::kill_9_of_the_supervisor_of_a_stopped_worker"),
    },
    Mutation {
        what: "a pick takes one process too many",
        file: "injector/plan/src/pick.rs",
        from: "ranked.truncate(count);",
        to: "ranked.truncate(count + 1);",
        noticed_by: Check::Test("target::two_of_four_at_random"),
    },
    Mutation {
        what: "the schedule forgets what it has started today",
        file: "injector/engine/src/schedule.rs",
        from: "today: u32::try_from(today)",
        to: "today: u32::try_from(today / 1000)",
        noticed_by: Check::Test("schedule::starts_and_halts_and_counts"),
    },
];

/// Tries all of them, or those whose description has this text.
pub(crate) fn run(project: &Project, wanted: Option<&str>) -> Result<ExitCode> {
    let root = root::available()?;
    let scratch = copy(project)?;
    let mut escaped = Vec::new();
    let mut tried = 0;
    for mutation in MUTATIONS {
        if wanted.is_some_and(|wanted| !mutation.what.contains(wanted)) {
            continue;
        }
        let check = mutation.noticed_by;
        ensure!(
            passes(&scratch, root, check)?,
            "{} fails without any mutation",
            check.name()
        );
        let path = scratch.root().join(mutation.file);
        let whole = fs::read_to_string(&path)?;
        ensure!(
            whole.matches(mutation.from).count() == 1,
            "{} has no longer the one place of: {}",
            mutation.file,
            mutation.what
        );
        fs::write(&path, whole.replace(mutation.from, mutation.to))?;
        let passed = passes(&scratch, root, check);
        fs::write(&path, whole)?;
        tried += 1;
        let is_caught = !passed?;
        println!(
            "| {} | {} | {} |",
            mutation.what,
            check.name(),
            if is_caught { "caught" } else { "ESCAPED" }
        );
        if !is_caught {
            escaped.push(mutation.what);
        }
    }
    announce(&format!("{tried} mutations, {} escaped", escaped.len()));
    Ok(if tried > 0 && escaped.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Check {
    const fn name(self) -> &'static str {
        match self {
            Self::Test(name) | Self::Campaign(name, _) => name,
        }
    }
}

/// The sources as git knows them, in the target folder.
fn copy(project: &Project) -> Result<Project> {
    let folder = project.target().join("mutation");
    let sources = folder.join("sources");
    let listed = process::answer(
        Command::new("git")
            .args(["ls-files", "-z"])
            .current_dir(project.root()),
    )
    .context("git does not list the sources")?;
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        copy_if_changed(&project.root().join(name), &sources.join(name))?;
    }
    let scratch = Project::at(sources, folder.join("target"));
    let tools = scratch.tools();
    if !tools.exists() {
        fs::create_dir_all(scratch.target())?;
        std::os::unix::fs::symlink(project.tools(), tools)?;
    }
    Ok(scratch)
}

/// Keeps the time of what is the same, so that it is not built again.
fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let Ok(new) = fs::read(from) else {
        return Ok(());
    };
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    fs::write(to, new).with_context(|| format!("{} could not be written", to.display()))
}

/// Builds, and asks the one who has to notice.
fn passes(scratch: &Project, root: Root, check: Check) -> Result<bool> {
    let (program, words): (PathBuf, Vec<&str>) = match check {
        Check::Test(name) => (build::end_to_end(scratch)?, vec!["--exact", name]),
        Check::Campaign(name, runs) => {
            build::product(scratch, BpfDebug::Silent)?;
            (scratch.binary("campaign"), vec![name, "--runs", runs])
        }
    };
    let injector = scratch.binary("injector");
    let environment = [("INJECTOR_BIN", injector.as_os_str())];
    let inside = "ip link set lo up; exec \"$@\"";
    let mut command = root.command(scratch, Path::new("/usr/bin/unshare"), &environment);
    command.args(["--net", "sh", "-c", inside, "sh"]);
    let outcome = process::stream(command.arg(program).args(words))?;
    ensure!(
        !outcome.stdout.contains("running 0 tests"),
        "there is no test {}",
        check.name()
    );
    Ok(outcome.status.success())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::MUTATIONS;

    #[test]
    fn every_mutation_has_its_place() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for mutation in MUTATIONS {
            let text = fs::read_to_string(root.join(mutation.file)).unwrap();
            let places = text.matches(mutation.from).count();
            assert_eq!(places, 1, "{} in {}", mutation.what, mutation.file);
        }
    }
}
