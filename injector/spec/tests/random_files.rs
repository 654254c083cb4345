//! 1000 files as no person would write them: whatever stands in one, the reader ends with an experiment that holds together
//! or with a refusal that has a place in the file and says what to do.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{cell::Cell, fs, path::Path};

use injector_spec::experiment::{
    Experiment,
    file::{FileError, Reading},
};
use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{TestError, TestRunner},
};

/// What each refusal has one of, for a remedy is something that a person can do.
const REMEDIES: &[&str] = &[
    "add",
    "ask",
    "check",
    "choose",
    "close",
    "correct",
    "declare",
    "did you mean",
    "end",
    "escape",
    "give",
    "indent",
    "known are",
    "known:",
    "leave",
    "let",
    "look",
    "may stand there",
    "there are:",
    "lower",
    "make",
    "move",
    "name",
    "pick",
    "put",
    "quote",
    "raise",
    "remove",
    "repeat",
    "replace",
    "run with",
    "save",
    "set",
    "split",
    "take",
    "use",
    "write",
];

/// Files that are read: those of the project, and one with each key.
fn seeds() -> Vec<Vec<u8>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [
        here.join("../../configs/experiments"),
        here.join("../../configs/experiments/game-days"),
        here.join("../../configs/experiments/agents"),
        here.join("tests/former"),
    ];
    let files = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap());
    let yaml = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    let mut seeds: Vec<Vec<u8>> = yaml.map(|path| fs::read(path).unwrap()).collect();
    seeds.push(WHOLE.into());
    seeds
}

const WHOLE: &str = "\
apiVersion: injector/v1
name: whole ${x}
hypothesis: It holds.
owner: a team
labels: { team: a, tier: gold }
variables: { x: y, time: 5s, empty: z }
profiles:
  ci: { set: { x: z } }
targets:
  agent: { pid: [7, 8], tree: true }
  tool: { process: 'agent[.]py', all: true, pick: 25%, seed: 7 }
probes:
  p: { http: 'http://127.0.0.1:80/x', status: 204, json: '$.a < 3', every: 100ms, within: 100ms }
  warm: http http://127.0.0.1:80/warm
  q: tcp 127.0.0.1:80 fails 2 of 3 every 100ms within 100ms
  alarm: command [\"/bin/test\", \"-e\", \"/run/alarm\"] every 200ms within 100ms
steady-state: [p]
controls: [q]
detect: alarm
ledgers:
  orders:
    acknowledged: { file: /var/lib/a }
    kept: { command: [/bin/a, b] }
    within: 5s
  mails: { acknowledged: { http: 'http://127.0.0.1:80/a' }, kept: { file: /var/lib/b } }
objectives: { rto: 5s, detect: 30s, rpo: { ledger: orders, lost: 1, torn: 0, double: 2, age: 5s } }
baseline: 10s
recovery: 20s
steps:
  - repeat: 2
    pause: 1s
    steps:
      - name: slow
        duration: ${time}
        faults:
          - net.delay: { target: agent, latency: { from: 10ms, to: 1s, over: 2s }, dest-port: [80, '90-99'] }
          - sys.error: { target: tool, syscall: [openat], errno: ENOENT, when: 3 }
          - llm.timeout: { target: agent }
  - pause: 3s
  - gate: { until: warm, timeout: 1m }
  - { name: go, gate: { approve: true, timeout: 5m } }
  - run: { command: [/bin/a, b], timeout: 5s }
  - name: flaps
    duration: 30s
    pulse: { on: 5s, off: 5s }
    faults: [net.blackhole: { target: agent }]
halt: [ 'host.load > 80', 'command [\"/bin/true\"] fails 2' ]
on-target-exit: wait
rollback: [ [/bin/a, b], { command: [/bin/c], within: 5s } ]
notify: [webhook]
fail-on: [hung]
escalate: [ {to: on-call, within: 5m}, {to: lead, within: 1m} ]
";

/// Values that parsers trip over.
const ODD: &[&str] = &[
    "",
    " ",
    "~",
    "null",
    "0",
    "-1",
    "1e999",
    "NaN",
    "18446744073709551616",
    "true",
    "[]",
    "{}",
    "[[]]",
    "{ a: b }",
    "5 apples",
    "0s",
    "99999d",
    "${x}",
    "${",
    "$${x}",
    "${none}",
    "*a",
    "&a 1",
    "&a [*a]",
    "!!binary x",
    "!t x",
    "|",
    ">-",
    "'",
    "\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "? a",
    "- - -",
    "<<: *a",
    "{ from: 1s, to: 2s, over: 1s }",
    "\u{202e}",
    "\u{feff}",
    "\t",
    "%YAML 1.1",
    "---",
    "...",
    "# x",
    "@",
    "`",
    "/bin/true",
    "[/bin/true]",
    "é: é",
];

/// One thing that goes wrong in a file.
#[derive(Clone, Debug)]
enum Change {
    Drop(Index),
    Again(Index, Index),
    Swap(Index, Index),
    Indent(Index, usize),
    /// What stands behind the `: ` of a line.
    Value(Index, &'static str),
    /// What stands before it.
    Key(Index, &'static str),
    /// A line of another file.
    Foreign(Index, Index, Index),
    Byte(Index, u8),
    Noise(Index, Vec<u8>),
    Cut(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let odd = || prop::sample::select(ODD);
    let keys = prop::sample::select(vec![
        "name",
        "gate",
        "run",
        "until",
        "duration",
        "faults",
        "steps",
        "repeat",
        "pulse",
        "pause",
        "targets",
        "rollback",
        "pick",
        "notify",
        "fail-on",
        "escalate",
        "ledgers",
        "kept",
        "rpo",
        "detect",
        "net.delay",
        "latncy",
        "target",
        "<<",
        "? ",
        "probes",
        "halt",
        "from",
        "on",
        "variables",
    ]);
    let at = any::<Index>;
    prop_oneof![
        2 => at().prop_map(Change::Drop),
        2 => (at(), at()).prop_map(|(from, to)| Change::Again(from, to)),
        1 => (at(), at()).prop_map(|(one, other)| Change::Swap(one, other)),
        1 => (at(), 0_usize..6).prop_map(|(line, by)| Change::Indent(line, by)),
        6 => (at(), odd()).prop_map(|(line, value)| Change::Value(line, value)),
        3 => (at(), keys).prop_map(|(line, key)| Change::Key(line, key)),
        2 => (at(), at(), at()).prop_map(|(file, line, to)| Change::Foreign(file, line, to)),
        1 => (at(), any::<u8>()).prop_map(|(place, byte)| Change::Byte(place, byte)),
        1 => (at(), prop::collection::vec(any::<u8>(), 1..9)).prop_map(|(place, bytes)| Change::Noise(place, bytes)),
        1 => at().prop_map(Change::Cut),
    ]
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        if let Self::Byte(..) | Self::Noise(..) | Self::Cut(_) = self {
            let place = |at: &Index| at.index(file.len().max(1)).min(file.len());
            match self {
                Self::Byte(at, byte) => {
                    let place = place(at);
                    file.splice(place..(place + 1).min(file.len()), [*byte]);
                }
                Self::Noise(at, bytes) => {
                    let place = place(at);
                    file.splice(place..place, bytes.iter().copied());
                }
                Self::Cut(at) => file.truncate(place(at)),
                _ => {}
            }
            return;
        }
        let mut lines: Vec<Vec<u8>> = file
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        let line = |at: &Index, lines: &[Vec<u8>]| at.index(lines.len());
        match self {
            Self::Drop(at) => drop(lines.remove(line(at, &lines))),
            Self::Again(from, to) => {
                let again = lines[line(from, &lines)].clone();
                lines.insert(line(to, &lines), again);
            }
            Self::Swap(one, other) => {
                let [one, other] = [one, other].map(|at| line(at, &lines));
                lines.swap(one, other);
            }
            Self::Indent(at, by) => {
                let at = line(at, &lines);
                let text = lines[at].trim_ascii_start().to_vec();
                lines[at] = [vec![b' '; *by], text].concat();
            }
            Self::Value(at, value) => {
                let at = line(at, &lines);
                let end = lines[at].windows(2).rposition(|pair| pair == b": ");
                let end = end.map_or(lines[at].len(), |end| end + 2);
                lines[at].truncate(end);
                lines[at].extend(value.as_bytes());
            }
            Self::Key(at, key) => {
                let at = line(at, &lines);
                let begin = lines[at].iter().position(|byte| !b" -".contains(byte));
                let end = lines[at].iter().position(|byte| *byte == b':');
                if let (Some(begin), Some(end)) = (begin, end)
                    && begin <= end
                {
                    lines[at].splice(begin..end, key.bytes());
                }
            }
            Self::Foreign(file, from, to) => {
                let other: Vec<&[u8]> = file.get(seeds).split(|byte| *byte == b'\n').collect();
                let foreign = from.get(&other).to_vec();
                lines.insert(line(to, &lines), foreign);
            }
            Self::Byte(..) | Self::Noise(..) | Self::Cut(_) => {}
        }
        *file = lines.join(&b'\n');
    }
}

fn read(file: &[u8]) -> Result<Experiment, FileError> {
    let reading = Reading {
        name: "random.yaml",
        ..Reading::default()
    };
    reading.bytes(file)
}

/// What is accepted holds together, and what is refused says where and what to do.
fn judge(file: &[u8]) -> Result<bool, TestCaseError> {
    match read(file) {
        Ok(experiment) => {
            prop_assert_eq!(experiment.check(), Ok(()));
            let sent = serde_json::to_string(&experiment).unwrap();
            prop_assert_eq!(
                serde_json::from_str::<Experiment>(&sent).unwrap(),
                experiment
            );
            Ok(true)
        }
        Err(error) => {
            has_a_place(&error, file)?;
            let sentence = error.sentence.to_lowercase();
            let words: Vec<&str> = sentence.split(|c: char| !c.is_alphabetic()).collect();
            let has_remedy = REMEDIES.iter().any(|remedy| {
                let is_word = words.contains(remedy);
                is_word || (remedy.contains([' ', ':']) && sentence.contains(remedy))
            });
            prop_assert!(has_remedy, "no remedy: {}", error);
            prop_assert!(!error.to_string().contains('\n'), "{}", error);
            Ok(false)
        }
    }
}

fn has_a_place(error: &FileError, file: &[u8]) -> Result<(), TestCaseError> {
    let text = String::from_utf8_lossy(file);
    let lines = text.split(['\n', '\r']).count() as u64;
    prop_assert!(
        (1..=lines + 1).contains(&error.line),
        "{} of {} lines",
        error,
        lines
    );
    let longest = text
        .lines()
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(0) as u64;
    prop_assert!(
        (1..=longest + 2).contains(&error.column),
        "{} of {} columns",
        error,
        longest
    );
    prop_assert!(error.to_string().starts_with("random.yaml:"), "{}", error);
    Ok(())
}

#[test]
fn a_thousand_random_files_are_read_or_refused_in_place() {
    let seeds = seeds();
    for seed in &seeds {
        assert_eq!(read(seed).err(), None, "{}", String::from_utf8_lossy(seed));
    }
    let changes = prop::collection::vec(change(), 1..4);
    let files = (prop::sample::select(seeds.clone()), changes);
    let accepted = Cell::new(0);
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&files, |(mut file, changes)| {
        for change in &changes {
            change.apply(&mut file, &seeds);
        }
        if judge(&file)? {
            accepted.set(accepted.get() + 1);
        }
        Ok(())
    });
    if let Err(TestError::Fail(why, (file, changes))) = &outcome {
        let file = String::from_utf8_lossy(file);
        panic!("{why}, after {changes:?} in\n{file}");
    }
    outcome.unwrap();
    // Neither side of the door is left untried.
    let accepted = accepted.get();
    assert!(
        (20..980).contains(&accepted),
        "{accepted} of 1000 files were read"
    );
}
