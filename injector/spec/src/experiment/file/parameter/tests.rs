use std::time::Duration;

use super::*;
use crate::experiment::{Amount, FaultKind, file::parse};

const FILE: &str = "\
targets: { a: { pid: 7 } }
baseline: 5s
steps:
  - { name: quiet, duration: 1s }
  - name: two
    duration: 10s
    faults:
      - net.delay: { latency: 100ms, jitter: 10ms }
      - net.loss: { percent: 5%, dest-port: [80, 443] }
      - net.bandwidth: { rate: { from: 1mbit, to: 10kbit, over: 2s } }
  - name: bare
    duration: 1s
    faults: [ net.blackhole, net.delay: { latency: 1s }, dns.delay: { latency: 2s } ]
";

fn path(text: &str) -> ParameterPath {
    text.parse().unwrap()
}

fn found(text: &str) -> Result<FoundParameter, FileError> {
    let reading = Reading {
        name: "f.yaml",
        ..Reading::default()
    };
    reading.find(FILE.as_bytes(), &path(text))
}

fn with(text: &str, value: &str) -> Result<crate::experiment::Experiment, FileError> {
    let reading = Reading {
        name: "f.yaml",
        parameters: &[(path(text), value.to_owned())],
        ..Reading::default()
    };
    reading.bytes(FILE.as_bytes())
}

#[test]
fn a_path_leads_to_a_value_of_the_file() {
    for (text, fault, value, whole) in [
        (
            "steps[1].latency",
            "net.delay",
            "100ms",
            "steps[1].faults[0].latency",
        ),
        (
            "steps[1].net.delay.jitter",
            "net.delay",
            "10ms",
            "steps[1].faults[0].jitter",
        ),
        (
            "steps[1].net.loss.percent",
            "net.loss",
            "5%",
            "steps[1].faults[1].percent",
        ),
        // Of the three that could have one, this one has it in the file.
        (
            "steps[1].percent",
            "net.loss",
            "5%",
            "steps[1].faults[1].percent",
        ),
        // What is not written has its usual value.
        (
            "steps[2].faults[0].percent",
            "net.blackhole",
            "100%",
            "steps[2].faults[0].percent",
        ),
        // The ramp of another parameter does no harm.
        (
            "steps[1].faults[2].percent",
            "net.bandwidth",
            "100%",
            "steps[1].faults[2].percent",
        ),
    ] {
        let found = found(text).unwrap();
        let told = (found.fault, found.value.to_string(), found.path.to_string());
        assert_eq!(told, (fault, value.to_owned(), whole.to_owned()), "{text}");
    }
}

#[test]
fn a_value_is_put_where_the_path_leads_and_nowhere_else() {
    let experiment = with("steps[1].latency", "2s").unwrap();
    let mut expected = parse(FILE, "f.yaml", None).unwrap();
    // The quiet time in front is step 0 of the experiment, and none of the file.
    let FaultKind::Delay(delay) = &mut expected.steps[2].faults[0].kind else {
        panic!("{expected:?}")
    };
    delay.latency = Duration::from_secs(2);
    assert_eq!(experiment, expected);
    for text in [
        "steps[2].faults[0].percent",
        "steps[2].net.blackhole.percent",
    ] {
        let bare = with(text, "50%").unwrap();
        let share = "50%".parse::<Amount>().unwrap();
        let percent = crate::experiment::Parameter::Percent;
        assert_eq!(bare.steps[3].faults[0].amount(percent), Ok(share), "{text}");
    }
    let short =
        "targets: { a: { pid: 7 } }\nduration: 1s\nfaults: [ net.delay: { latency: 1s } ]\n";
    let reading = Reading {
        name: "f.yaml",
        parameters: &[(path("steps[0].latency"), "3s".into())],
        ..Reading::default()
    };
    let FaultKind::Delay(delay) = &reading.text(short).unwrap().steps[0].faults[0].kind else {
        panic!("no delay")
    };
    assert_eq!(delay.latency, Duration::from_secs(3));
}

#[test]
fn a_path_that_leads_nowhere_is_refused_with_what_was_meant() {
    for (text, part) in [
        (
            "steps[3].latency",
            ":4:3: there is no step 3: the file has 3",
        ),
        ("steps[0].latency", ":4:5: step 0 has no fault"),
        ("steps[1].faults[3].latency", "step 1 has no fault 3"),
        (
            "steps[1].net.dely.latency",
            "has no fault `net.dely`; did you mean `net.delay`?",
        ),
        (
            "steps[1].latncy",
            "no fault of step 1 has a parameter `latncy`; did you mean `latency`?",
        ),
        (
            "steps[2].latency",
            "write one of `steps[2].faults[1].latency` (net.delay), `steps[2].faults[2].latency` (dns.delay)",
        ),
        ("steps[1].rate", ":10:32: `rate` ramps here"),
        (
            "steps[1].net.loss.dest-port",
            ":9:45: `dest-port` of `net.loss` is no time, share or rate with values between two others; of this fault there are",
        ),
        (
            "steps[1].net.delay.seed",
            "`seed` of `net.delay` is no time, share or rate",
        ),
    ] {
        let said = found(text).unwrap_err().to_string();
        assert!(said.contains(part), "{text}: {said}");
    }
}

/// The value comes from outside, and the place stays that of the file.
#[test]
fn a_value_that_does_not_fit_is_complained_about_in_its_place() {
    for (text, value, part) in [
        (
            "steps[1].latency",
            "fast",
            "f.yaml:8:31: `latency`: `fast` is not a duration",
        ),
        ("steps[1].rate", "1mbit", ":10:32: `rate` ramps here"),
        (
            "steps[1].faults[1].speed",
            "1s",
            ":9:9: `net.loss` has no field `speed`",
        ),
    ] {
        let said = with(text, value).unwrap_err().to_string();
        assert!(said.contains(part), "{text}: {said}");
    }
}
