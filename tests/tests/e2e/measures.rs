//! What is measured beside recoveries is what happened: ledgers whose differences are known, a chain of services that
//! break one after the other, an alarm whose moment is known.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use injector_tests::boot_clock;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::victim::Victim;
use serde_json::Value;

use crate::judged::{NEAR_MS, Service, at_once, head, judgement, run};
use crate::needs::INJECTOR;
use crate::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("measures::{name}"), INJECTOR, run);
    vec![
        // They wait more than they work, and no fault of theirs switches a setting of the host.
        case("a_ledger_says_what_is_lost_torn_and_double", ledgers).beside_others(),
        case("a_cascade_and_an_alarm_are_told_as_they_were", chain).beside_others(),
        case("what_cannot_be_measured_is_refused", refusals),
    ]
}

/// Shorter than that of other tests, for four runs and a chain wait for it.
fn cut(port: u16) -> String {
    crate::judged::cut(port).replace("3s", "2s")
}

/// The same mistakes, held against an objective each.
struct Scene {
    verdict: &'static str,
    code: i32,
    rpo: &'static str,
    /// How the kept list is read; `{path}` is its file.
    kept: &'static str,
    /// What the verdict says.
    why: &'static str,
}

const LOST: u32 = 3;
const TORN: u32 = 1;
const DOUBLE: u32 = 2;

const SCENES: [Scene; 4] = [
    Scene {
        verdict: "held",
        code: 0,
        rpo: "lost: 3, torn: 1, double: 2, age: 5s",
        kept: "file: \"{path}\"",
        why: "",
    },
    Scene {
        verdict: "deviated",
        code: 1,
        rpo: "lost: 2, torn: 1, double: 2",
        kept: "command: [/bin/cat, \"{path}\"]",
        why: "the ledger `orders` has 3 lost, where 2 may be",
    },
    Scene {
        verdict: "unsafe",
        code: 1,
        rpo: "lost: 3, torn: 1, double: 1",
        kept: "file: \"{path}\"",
        why: "the ledger `orders` has 2 double, where 1 may be",
    },
    Scene {
        verdict: "inconclusive",
        code: 4,
        rpo: "lost: 3",
        kept: "file: \"{path}.gone\"",
        why: "the ledger `orders` is not measurable: the kept list cannot be read: No such file",
    },
];

/// All at once, each with a target of its own: they wait more than they work.
fn ledgers() -> Result<()> {
    at_once(&SCENES, |scene| scene.play().context(scene.verdict))
}

impl Scene {
    fn play(&self) -> Result<()> {
        let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
        let needs = lab.serve("udp-echo")?;
        let injector = Injector::new()?;
        let path = |name: &str| injector.state().join(name).to_string_lossy().into_owned();
        let (acknowledged, kept) = (path("acknowledged"), path("kept"));
        let listen = format!("{}:0", lab.address());
        let (needed, [lost, torn, double]) = (
            needs.to_string(),
            [LOST, TORN, DOUBLE].map(|number| number.to_string()),
        );
        let arguments = [
            ["ledger", "--listen", &listen],
            ["--needs", &needed, "--acknowledged"],
            [&acknowledged, "--kept", &kept],
        ];
        let mistakes = ["--lost", &lost, "--torn", &torn, "--double", &double];
        let arguments = [&arguments.concat()[..], &mistakes].concat();
        let (_victim, address) = Victim::start_server(lab.agent(), &arguments)?;
        let address = address.context("the service did not say where it listens")?;
        let text = format!(
            "{}probes:\n  health: http http://{address}/ every 100ms within 100ms\nsteady-state: [health]\nledgers:\n  \
             orders: {{ acknowledged: {{ file: \"{acknowledged}\" }}, kept: {{ {} }} }}\nobjectives: {{ rto: 10s, rpo: {{ \
             ledger: orders, {} }} }}\nbaseline: 5s\nrecovery: 6s\n{}",
            head(&lab),
            self.kept.replace("{path}", &kept),
            self.rpo,
            cut(needs.port())
        );
        let finished = run(&injector, "ledger", &text, &[])?;
        let judgement = judgement(&finished)?;
        ensure!(
            judgement["verdict"] == self.verdict && finished.code == Some(self.code),
            "exit code {:?}, {judgement:#}",
            finished.code
        );
        let why = judgement["why"].as_str().unwrap_or_default();
        ensure!(why.contains(self.why), "{why}");
        let ledger = &judgement["ledgers"][0];
        if self.verdict == "inconclusive" {
            ensure!(ledger["rpa"] == "not-measurable", "{ledger:#}");
            ensure!(ledger["lost"].is_null(), "a number of nothing: {ledger:#}");
            return Ok(());
        }
        // The service goes on while its lists are read, so that some items are kept and not acknowledged yet.
        let counts = ["lost", "torn", "double"].map(|name| &ledger[name]);
        ensure!(counts == [LOST, TORN, DOUBLE], "{ledger:#}");
        age_is_true(&judgement, Path::new(&acknowledged), Path::new(&kept))?;
        if self.verdict == "held" {
            let said = format!("{LOST} lost, {TORN} torn, {DOUBLE} double, age ");
            everywhere(&injector, &[&said, "orders"], "orders (ledger)")?;
        }
        Ok(())
    }
}

/// The age is that of the last item that is kept in front of the first that is not: the times are in the list.
fn age_is_true(judgement: &Value, acknowledged: &Path, kept: &Path) -> Result<()> {
    let ledger = &judgement["ledgers"][0];
    let (acknowledged, kept) = (fs::read_to_string(acknowledged)?, fs::read_to_string(kept)?);
    let kept: HashSet<&str> = kept.lines().collect();
    let items = acknowledged.lines().filter_map(|line| line.split_once(' '));
    let newest = items.take_while(|(id, _)| kept.contains(id)).last();
    let (_, newest) = newest.context("nothing was acknowledged before that")?;
    let impact_ns = judgement["impact"]["at_ns"].as_u64().context("no impact")?;
    // Of several looks at both clocks the one with the least time between them.
    let look = |_| -> Result<(u64, Duration, u64)> {
        let before = boot_clock::now_ns();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH)?;
        Ok((boot_clock::now_ns() - before, wall, before))
    };
    let looks = (0..9).map(look).collect::<Result<Vec<_>>>()?;
    let (_, wall, now_ns) = looks.into_iter().min().context("no look")?;
    let wall = wall.as_secs_f64();
    let since = u32::try_from((now_ns - impact_ns) / 1_000_000)?;
    let truth = (wall - f64::from(since) / 1e3 - newest.parse::<f64>()?) * 1e3;
    let told = ledger["age"]["ms"].as_f64().context("no age")?;
    // Nothing that is kept is younger until the calls that fail have each taken their time, and the probe asks sooner.
    ensure!(
        (told - truth).abs() <= 20.0 && truth > 0.0,
        "{truth} ms: {ledger:#}"
    );
    Ok(())
}

/// Each form of the report has these words, and the case of JUnit.
fn everywhere(injector: &Injector, words: &[&str], case: &str) -> Result<()> {
    let told = |arguments: &[&str]| -> Result<String> {
        let told = injector.once(arguments)?;
        ensure!(told.code == Some(0), "{told:?}");
        // Markdown breaks lines and escapes; HTML escapes.
        Ok(told.stdout.replace('\n', " ").replace('\\', ""))
    };
    for arguments in [
        &["report", "last"][..],
        &["report", "last", "--format", "md"],
        &["report", "last", "--format", "html"],
        &["postmortem", "last"],
        &["compare", "last", "last"],
    ] {
        let text = told(arguments)?;
        let text = text.to_lowercase();
        for word in words {
            let word = word.to_lowercase();
            ensure!(text.contains(&word), "no {word:?} in {arguments:?}: {text}");
        }
    }
    let junit = told(&["report", "last", "--format", "junit"])?;
    ensure!(
        junit.contains(&format!("testcase name=\"{case}\"")),
        "{junit}"
    );
    Ok(())
}

/// The third needs the second, the second the first, and the first what is cut off; beside them stands a bystander.
fn chain() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let needs = lab.serve("udp-echo")?;
    let injector = Injector::new()?;
    let alarm = injector.state().join("alarm");
    let alarm_path = alarm.to_string_lossy().into_owned();
    let raises = ["--echoes", "--patience", "150ms", "--alarm", &alarm_path];
    let patient = ["--echoes", "--patience", "400ms"];
    let start = |needs, habits: &[&str]| {
        Service::start_with(&lab, lab.agent(), needs, "comes-back", habits)
    };
    let first = start(needs, &raises)?;
    let second = start(first.address(), &patient)?;
    let third = start(second.address(), &patient)?;
    let bystander = Service::start(&lab, lab.bystander(), needs, "comes-back")?;
    // On a busy machine a single answer may be late without a fault.
    let forgiving = bystander
        .probe("bystander")
        .replace(" every", " fails 2 of 3 every");
    let text = format!(
        "{}probes:\n{}{}{}{}  alarm: command [\"/bin/cat\", \"{alarm_path}\"] every 200ms within \
         200ms\nsteady-state: [third, first, second]\ncontrols: [bystander]\ndetect: alarm\nobjectives: {{ rto: 10s, \
         detect: 5s }}\nbaseline: 5s\nrecovery: 7s\n{}",
        head(&lab),
        third.probe("third"),
        first.probe("first"),
        second.probe("second"),
        forgiving,
        cut(needs.port())
    );
    let finished = run(&injector, "chain", &text, &[])?;
    let judgement = judgement(&finished)?;
    ensure!(
        judgement["verdict"] == "held" && finished.code == Some(0),
        "{judgement:#}"
    );
    let impact = &judgement["impact"];
    let at_ns = impact["at_ns"].as_u64().context("no impact")?;
    let mut began = Vec::new();
    for mut service in [first, second, third] {
        let outage = service.longest_outage()?;
        let outage = outage.context("a service was never bad")?;
        began.push(outage.start_ns);
    }
    for (place, name) in ["first", "second", "third"].into_iter().enumerate() {
        let left = &impact["spread"][place];
        ensure!(left["probe"] == name, "{impact:#}");
        let told = left["after_ms"].as_u64().context("no time")?;
        let truth = began[place].saturating_sub(began[0]) / 1_000_000;
        ensure!(told.abs_diff(truth) <= NEAR_MS, "{truth} ms: {impact:#}");
    }
    let bystander = &impact["spread"][3];
    ensure!(
        bystander["probe"] == "bystander" && bystander["after_ms"].is_null(),
        "{impact:#}"
    );
    let detection = &judgement["detection"];
    ensure!(detection["detection"] == "detected", "{detection:#}");
    let was_on: u64 = fs::read_to_string(&alarm)?.parse()?;
    let truth = was_on.saturating_sub(at_ns) / 1_000_000;
    let [after, least, most] = ["after_ms", "least_ms", "most_ms"]
        .map(|name| detection[name].as_u64().unwrap_or_default());
    // A question is on its way for a while before the program looks.
    ensure!(
        least <= truth && truth <= most && after.abs_diff(truth) <= 200 + NEAR_MS,
        "{truth} ms: {detection:#}"
    );
    let said = ["detection: `alarm` ", " after the impact ("];
    everywhere(&injector, &said, "alarm (detection)")?;
    let report = injector
        .once(&["report", "last"])?
        .stdout
        .replace('\n', " ");
    for part in [
        "spread from the impact on, ",
        "`first` at +0s (±100ms), then `second` at +",
        "never",
    ] {
        ensure!(report.contains(part), "no {part:?} in {report}");
    }
    Ok(())
}

/// Nothing is armed, and the sentence says where and what to do.
fn refusals() -> Result<()> {
    let injector = Injector::new()?;
    let head = "name: x\ntargets: { a: { pid: 1 } }\nprobes: { web: 'tcp 127.0.0.1:80 every 1s', alarm: 'tcp \
                127.0.0.1:81 every 1s' }\nsteady-state: [web]\ndetect: alarm\n";
    let tail = "\nsteps:\n  - { name: s, duration: 1s, faults: [net.blackhole] }\n";
    let cases = [
        (
            "ledgers: { l: { acknowledged: { file: ids }, kept: { file: /b } } }",
            ":6:39: `ids` is no path of a file; write it whole",
        ),
        (
            "ledgers: { l: { acknowledged: { file: /a }, kept: { file: /b } } }\nobjectives: { rpo: { ledger: m } }",
            ":7:30: no ledger is called `m`",
        ),
        (
            "objectives: { detect: 5s }",
            "Lower its `every` and `within` to 500ms, or raise the objective `detect`",
        ),
    ];
    for (more, part) in cases {
        let finished = run(&injector, "refused", &format!("{head}{more}{tail}"), &[])?;
        ensure!(finished.code == Some(2), "{more}: {finished:?}");
        ensure!(
            finished.stderr.contains(part),
            "{part:?} is not in {finished:?}, for {more}"
        );
    }
    Ok(())
}
