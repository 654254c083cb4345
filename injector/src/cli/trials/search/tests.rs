use std::fs;

use super::*;
use crate::cli::{Action, parse};
use injector_engine::page::Look;

const FILE: &str = "\
name: slow-api
targets: { a: { pid: 7 } }
variables: { slow: 100ms, port: 443 }
probes: { web: 'tcp 127.0.0.1:80 every 100ms' }
steady-state: [web]
steps:
  - name: slow
    duration: 3s
    faults:
      - net.delay: { latency: '${slow}', dest-port: ['${port}'] }
      - net.bandwidth: { rate: { from: 1mbit, to: 10kbit, over: 2s } }
";

fn wanted(text: &str, words: &str) -> Result<Wanted, Refusal> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("slow.yaml");
    fs::write(&file, text).unwrap();
    let line = format!("injector search {} {words}", file.display());
    match parse(line.split(' ').map(OsString::from))? {
        Action::Search(wanted) => Ok(*wanted),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_search_is_refused_before_anything_is_run() {
    let unjudged = FILE
        .replace("steady-state: [web]\n", "")
        .replace("probes", "labels");
    let cases = [
        (
            FILE,
            "--parameter latency --from 1ms --to 1s",
            "`latency` is no path of a parameter",
        ),
        (
            FILE,
            "--parameter steps[0].latncy --from 1ms --to 1s",
            "slow.yaml:7:5: no fault of step 0 has a parameter `latncy`; did you mean `latency`?",
        ),
        (
            FILE,
            "--parameter steps[1].latency --from 1ms --to 1s",
            "there is no step 1: the file has 1",
        ),
        (
            FILE,
            "--parameter steps[0].dest-port --from 1ms --to 1s",
            "`dest-port` of `net.delay` is no time, share or rate",
        ),
        (
            FILE,
            "--parameter steps[0].rate --from 1kbit --to 1mbit",
            ":11:32: `rate` ramps here",
        ),
        (
            FILE,
            "--parameter steps[0].latency --from 1s --to 1s",
            "is not below `--to 1s`",
        ),
        (
            FILE,
            "--parameter steps[0].latency --from 1ms --to 5%",
            "are not of one kind",
        ),
        (
            FILE,
            "--parameter steps[0].latency --from 1kbit --to 1mbit",
            "`steps[0].latency` is a time, as in `500ms`, and `--from 1kbit` is a rate",
        ),
        (
            FILE,
            "--parameter steps[0].latency --from 5 --to 6",
            "`5` has no unit",
        ),
        (
            FILE,
            "--parameter $fast --from 1ms --to 1s",
            "no variable is called `fast`",
        ),
        (FILE, "--parameter $port --from 1ms --to 1s", "`1ms`"),
        (FILE, "--parameter $slow --from 1% --to 2%", ":10:"),
        (
            FILE,
            "--parameter steps[0].latency --from 0s --to 1s",
            "latency and jitter are zero",
        ),
        (
            FILE,
            "--parameter steps[0].latency --from 1ms --to 1s --repeat 3 --max-runs 5",
            "--max-runs 5 is too few for --repeat 3: the two ends alone take 6 runs",
        ),
        (
            FILE,
            "--parameter steps[0].latency --from 1ms --to 1s --within 0%",
            "is not between 0.01% and 50%",
        ),
        (
            &unjudged,
            "--parameter steps[0].latency --from 1ms --to 1s",
            "has no steady state",
        ),
        (
            "name: [",
            "--parameter steps[0].latency --from 1ms --to 1s",
            "slow.yaml:1:",
        ),
    ];
    for (text, words, part) in cases {
        let refusal = wanted(text, words).unwrap_err();
        assert_eq!(refusal.exit, Exit::Usage, "{words}: {refusal}");
        assert!(refusal.message.contains(part), "{words}: {refusal}");
    }
}

/// Without a seed in the file, too.
#[test]
fn all_values_are_tried_on_the_same_pick() {
    let picking = FILE.replace("{ pid: 7 }", "{ pid: [7, 8, 9], pick: 1 }");
    let words = "--parameter steps[0].latency --from 10ms --to 10s --set port=80";
    let wanted = wanted(&picking, words).unwrap();
    let seed = |value: &str| {
        let experiment = wanted.at(value.parse().unwrap()).unwrap();
        experiment.targets[0].selector.pick().unwrap().seed
    };
    assert!(seed("1s").is_some());
    assert_eq!(seed("1s"), seed("2s"));
}

/// A parameter by its path and the variable that is its value are the same.
#[test]
fn a_path_and_a_variable_lead_to_the_same_value() {
    for parameter in ["steps[0].latency", "$slow", "variables.slow"] {
        let words = format!("--parameter {parameter} --from 10ms --to 10s --set port=80");
        let wanted = wanted(FILE, &words).unwrap();
        assert_eq!(wanted.ends.what, "net.delay latency");
        let experiment = wanted.at("2s".parse().unwrap()).unwrap();
        let faults: Vec<_> = experiment.faults().map(|(_, fault)| fault).collect();
        let latency = faults[0].amount(injector_spec::experiment::Parameter::Latency);
        assert_eq!(latency, Ok("2s".parse().unwrap()));
        assert_eq!(faults[0].traffic.dest_ports[0].first(), 80);
    }
}

/// A search with a victim that breaks from a value on, or that broke off.
fn made(wanted: &Wanted, limit: Amount, ended: Option<&str>) -> Made {
    let mut search = Search::new(wanted.ends.scale, wanted.rules);
    let mut trials = Vec::new();
    while let Next::Run(value) = search.next() {
        let breaks = value.number() >= limit.number();
        search.told(value, if breaks { Answer::Broke } else { Answer::Held });
        trials.push((value, Trial::Refused(Refusal::usage("not run here"))));
    }
    Made {
        search,
        trials,
        ended: ended.map(str::to_owned),
    }
}

#[test]
fn a_card_has_twelve_lines_of_eighty_columns() {
    let line = "--parameter steps[0].latency --from 10ms --to 10s --repeat 3 --set port=80 --profile=x --json";
    let line = line.replace("--profile=x ", "");
    let wanted = wanted(FILE, &line).unwrap();
    let long =
        "a sentence of many words that says why it broke off and what to do about it, ".repeat(9);
    let limit = "700ms".parse().unwrap();
    for (ended, first) in [
        (
            None,
            "## net.delay latency breaks it at 710ms, and not at 690ms",
        ),
        (
            Some(long.as_str()),
            "## net.delay latency: the search broke off",
        ),
    ] {
        let made = made(&wanted, limit, ended);
        let told = Told::of(&wanted, &made);
        let rows = card::card(&told).rows(Look::Pipe);
        assert!(rows.len() <= 12, "{rows:#?}");
        // The path of a file is no longer than it is.
        let is_narrow = |row: &&String| row.chars().count() <= 80 || row.contains("/slow.yaml");
        assert!(rows.iter().all(|row| is_narrow(&row)), "{rows:#?}");
        assert_eq!(rows[0], first);
        let text = rows.join("\n");
        for part in [
            "- 710ms broke 3 of 3 runs: at least 13.1 % of such runs break",
            "- 690ms held 3 of 3 runs: at least 13.1 % of such runs hold",
            "- both with 95 % confidence; more runs at each value (`--repeat`) prove more",
            "- 30 runs at 10 values; what held and what broke are 2.9 % apart",
            "--set port=80",
            "--set 'steps[0].latency=710ms'\n```",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(
            !text.contains("--from") && !text.contains("--json"),
            "{text}"
        );
    }
}

#[test]
fn ends_that_agree_are_told_with_their_verdicts() {
    let wanted = wanted(FILE, "--parameter $slow --from 10ms --to 10s").unwrap();
    for (limit, part) in [
        ("11s", "both ends hold: 10ms (refused) and 10s (refused)"),
        ("1ms", "the mildest end, 10ms, breaks already (refused)"),
    ] {
        let made = made(&wanted, limit.parse().unwrap(), None);
        let refusal = Told::of(&wanted, &made).refusal().unwrap();
        assert!(refusal.message.contains(part), "{refusal}");
        assert_eq!((refusal.exit, made.exit()), (Exit::Usage, Exit::Usage));
    }
    let found = made(&wanted, "1s".parse().unwrap(), None);
    assert_eq!(found.exit(), Exit::Done);
    assert!(Told::of(&wanted, &found).refusal().is_none());
    let document = serde_json::to_value(Told::of(&wanted, &found)).unwrap();
    assert_eq!(document["result"], "found", "{document:#}");
    let broken = made(&wanted, "1s".parse().unwrap(), Some("stopped"));
    let document = serde_json::to_value(Told::of(&wanted, &broken)).unwrap();
    assert_eq!(document["result"], "broken-off", "{document:#}");
}

#[test]
fn the_command_again_has_all_but_what_a_search_alone_has() {
    let search = "injector --config=c.toml search -  --from 1ms --to=1s --parameter $slow --within=5% --repeat 3 \
                  --max-runs 9 --json --pid 7 --halt-if host.load>8";
    let search: Vec<OsString> = search
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(OsString::from)
        .collect();
    let setting: Setting = "slow=2s".parse().unwrap();
    assert_eq!(
        replay::words(&search, &setting).join(" "),
        "sudo injector --config=c.toml run - --pid 7 --halt-if 'host.load>8' --set slow=2s"
    );
    let words = replay::words(&search, &setting);
    let lines = replay::lines(&words, 40);
    assert!(
        lines.len() > 1 && lines.iter().all(|line| line.chars().count() <= 40),
        "{lines:#?}"
    );
    assert!(
        lines[..lines.len() - 1]
            .iter()
            .all(|line| line.ends_with(" \\")),
        "{lines:#?}"
    );
}
