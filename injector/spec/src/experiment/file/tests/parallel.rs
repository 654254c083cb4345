//! Branches become plain steps whose faults stay on.

use std::{fmt::Write as _, time::Duration};

use proptest::{collection::vec, prelude::*};

use super::*;

const TARGETS: [&str; 4] = ["a", "b", "c", "d"];

/// An experiment with these targets, a pause, and these branches.
fn parallel(branches: &str) -> Result<Experiment, String> {
    let file = format!(
        "name: x\ntargets: {{ a: {{ pid: 1 }}, b: {{ pid: 2 }}, c: {{ pid: 3 }}, d: {{ pid: 4 }} }}\nsteps:\n  - pause: 1s\n  - parallel:\n{branches}"
    );
    parse(&file, "x.yaml", None).map_err(|error| error.to_string())
}

/// Its steps, a line each: name, time, and faults with how many steps more they stay on.
fn lines(experiment: &Experiment) -> Vec<String> {
    let steps = experiment.steps.iter();
    steps
        .map(|step| {
            let faults = step.faults.iter();
            let faults = faults.map(|fault| format!("{}+{}", fault.kind.name(), fault.stays_on));
            let faults: Vec<String> = faults.collect();
            let length = duration::format(step.duration);
            format!("{} {length} {}", step.name, faults.join(" "))
        })
        .collect()
}

#[test]
fn branches_become_a_step_for_each_time_in_which_nothing_changes() {
    let experiment = parallel(
        "    - - { name: slow, duration: 40s, faults: [net.delay: { target: a, latency: 1s }] }\n    \
             - - pause: 10s\n      - { name: lossy, duration: 15s, faults: [net.loss: { target: b, percent: 5% }] }\n",
    )
    .unwrap();
    assert_eq!(
        lines(&experiment),
        [
            "pause 1s ",
            "slow 10s net.delay+2",
            "slow + lossy 15s net.loss+0",
            "slow (2) 15s ",
        ]
    );
    let quiet: Vec<bool> = (0..4).map(|step| experiment.is_quiet(step)).collect();
    assert_eq!(quiet, [true, false, false, false]);
    let fault = &experiment.steps[1].faults[0];
    assert_eq!(experiment.span(1, fault).on, Duration::from_secs(40));
    assert_eq!(experiment.baseline(), Duration::from_secs(1));
    assert_eq!(experiment.recovery(), Duration::ZERO);
}

#[test]
fn branches_that_cannot_be_told_apart_are_refused() {
    let same = "    - [{ duration: 5s, faults: [net.loss: { target: a, percent: 5% }] }]\n    \
                    - [{ pause: 4s }, { duration: 5s, faults: [net.blackhole: { target: a }] }]\n";
    let error = parallel(same).unwrap_err();
    assert!(
        error.contains("on target `a` while another branch"),
        "{error}"
    );
    assert!(error.contains(":7:"), "{error}");
    // One after the other they are apart.
    parallel(&same.replace("4s", "5s")).unwrap();
    let error =
        parallel("    - [{ duration: 5s, faults: [net.blackhole: { target: a }] }]\n").unwrap_err();
    assert!(error.contains("at least two branches"), "{error}");
    let gate = "    - [{ duration: 5s, faults: [net.blackhole: { target: a }] }]\n    \
                    - [{ gate: { approve: true, timeout: 1m } }]\n";
    let error = parallel(gate).unwrap_err();
    assert!(error.contains("a gate in a branch"), "{error}");
}

#[test]
fn what_would_be_too_much_is_refused_before_it_is_built() {
    let many = "      - { repeat: 1000, steps: [{ pause: 1s }] }\n".repeat(20);
    let many = format!(
        "    - - {{ duration: 1s, faults: [net.blackhole: {{ target: a }}] }}\n{many}    - [{{ pause: 1s }}]\n"
    );
    let error = parallel(&many).unwrap_err();
    assert!(error.contains("at most 1000"), "{error}");
    let names = ["x".repeat(70), "y".repeat(70)];
    let long = format!(
        "    - [{{ name: {}, duration: 5s, faults: [net.blackhole: {{ target: a }}] }}]\n    - [{{ name: {}, duration: 5s \
         }}]\n",
        names[0], names[1]
    );
    let error = parallel(&long).unwrap_err();
    assert!(error.contains("names of the branches"), "{error}");
}

#[test]
fn what_was_not_checked_is_written_without_looking_beyond_its_end() {
    let mut experiment = parallel(
        "    - [{ duration: 2s, faults: [net.blackhole: { target: a }] }]\n    - [{ duration: 1s }]\n",
    )
    .unwrap();
    for stays_on in [2, 5, usize::MAX] {
        experiment.steps[1].faults[0].stays_on = stays_on;
        assert!(experiment.check().is_err());
        let _ = experiment.document(&[]).yaml();
    }
}

proptest! {
    /// Whatever the branches: their times add up, each fault is on as long as it was written, and the document that is
    /// written for the experiment is read as the same.
    #[test]
    fn branches_keep_their_times(
        branches in vec(vec((1u64..6, any::<bool>()), 1..5), 2..5),
        is_named: bool,
    ) {
        let mut file = String::new();
        for (steps, target) in branches.iter().zip(TARGETS) {
            for (index, (seconds, has_fault)) in steps.iter().enumerate() {
                let dash = if index == 0 { "    - " } else { "      " };
                let name = if is_named { format!("name: {target}{index}, ") } else { String::new() };
                let faults = if *has_fault {
                    format!(", faults: [net.loss: {{ target: {target}, percent: 5% }}, net.blackhole: {{ target: {target} }}]")
                } else {
                    String::new()
                };
                let _ = writeln!(file, "{dash}- {{ {name}duration: {seconds}s{faults} }}");
            }
        }
        prop_assume!(branches.iter().flatten().any(|(_, has_fault)| *has_fault));
        let experiment = parallel(&file).map_err(TestCaseError::fail)?;
        let sum = |steps: &[(u64, bool)]| steps.iter().map(|(seconds, _)| seconds).sum::<u64>();
        let longest = branches.iter().map(|steps| sum(steps)).max().unwrap_or_default();
        prop_assert_eq!(experiment.duration(), Duration::from_secs(1 + longest));
        for (target, steps) in branches.iter().enumerate() {
            let asked: Vec<u64> = steps.iter().filter(|(_, has)| *has).flat_map(|(s, _)| [*s, *s]).collect();
            let mine = experiment.placed().filter(|(_, _, fault)| fault.target == target);
            let on: Vec<u64> = mine.map(|(step, _, fault)| experiment.span(step, fault).on.as_secs()).collect();
            prop_assert_eq!(on, asked);
        }
        let document = experiment.document(&[]).yaml();
        let again = parse(&document, "x.yaml", None).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(again.steps, experiment.steps);
    }
}
