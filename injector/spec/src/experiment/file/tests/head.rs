//! The head of a file: its version, labels and owner, and variables.

use proptest::prelude::*;

use super::*;

const HEAD: &str = "\
apiVersion: injector/v1
name: ${who} slow
owner: payments team
labels: { team: payments, tier: '${tier}' }
variables:
  latency: 500ms
  port: 443
  who: agent
  tier:
profiles:
  ci: { set: { latency: 100ms, tier: silver } }
  night: { set: { tier: gold } }
targets: { agent: { pid: 7 } }
duration: 5s
faults:
  - net.delay: { latency: '${latency}', dest-port: ['${port}', 80] }
halt: [ 'command [\"/bin/echo\", \"-n\", \"echo $${HOME} ${port}\"]' ]
";

fn read(text: &str, sets: &[&str], profile: Option<&str>) -> Result<Experiment, FileError> {
    let sets: Vec<Assignment> = sets.iter().map(|set| set.parse().unwrap()).collect();
    let reading = Reading {
        stage: None,
        name: "head.yaml",
        selector: None,
        sets: &sets,
        profile,
        parameters: &[],
        ..Reading::default()
    };
    reading.text(text)
}

fn latency(experiment: &Experiment) -> u128 {
    match &experiment.steps[0].faults[0].kind {
        FaultKind::Delay(Delay { latency, .. }) => latency.as_millis(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_come_from_the_file_the_profile_and_the_command_in_this_order() {
    let of = |sets: &[&str], profile| {
        let experiment = read(HEAD, sets, profile).unwrap();
        let variables = experiment.variables.clone().unwrap();
        (latency(&experiment), variables.values["tier"].clone())
    };
    assert_eq!(of(&[], Some("ci")), (100, "silver".into()));
    assert_eq!(of(&[], Some("night")), (500, "gold".into()));
    assert_eq!(
        of(&["tier=x", "latency=1s"], Some("ci")),
        (1000, "x".into())
    );
    assert_eq!(of(&["tier=x", "tier=y"], None), (500, "y".into()));
}

#[test]
fn a_head_is_read_and_kept() {
    let experiment = read(HEAD, &["tier=a b", "port=8443"], Some("ci")).unwrap();
    assert_eq!(experiment.name, "agent slow");
    assert_eq!(experiment.owner.as_deref(), Some("payments team"));
    assert_eq!(experiment.labels["tier"], "a b");
    let ports = &experiment.steps[0].faults[0].traffic.dest_ports;
    assert_eq!(format!("{} {}", ports[0], ports[1]), "8443 80");
    let line = experiment.halt[0].to_string();
    assert!(line.contains("echo ${HOME} 8443"), "{line}");
    let variables = experiment.variables.as_deref().unwrap();
    assert_eq!(variables.profile.as_deref(), Some("ci"));
    let json = serde_json::to_string(&experiment).unwrap();
    assert_eq!(
        serde_json::from_str::<Experiment>(&json).unwrap(),
        experiment
    );
}

/// A value is a value, whatever it looks like.
#[test]
fn a_value_adds_no_structure() {
    let text = "variables: { name: x }\nname: ${name}\ntargets: { a: {pid: 7} }\nduration: 5s\n\
                faults: [net.blackhole]\n";
    for value in [
        "{a: b}",
        "x\nfaults: []",
        "[1, 2]",
        "*alias",
        "${name}",
        "# no",
    ] {
        let experiment = read(text, &[&format!("name={value}")], None).unwrap();
        assert_eq!(experiment.name, value);
        assert_eq!(experiment.steps[0].faults.len(), 1);
    }
}

#[test]
fn a_file_from_before_means_what_it_meant() {
    let text =
        "name: '${x} $${y}'\ntargets: { a: {pid: 7} }\nduration: 5s\nfaults: [net.blackhole]\n";
    let experiment = read(text, &[], None).unwrap();
    assert_eq!(experiment.name, "${x} $${y}");
    assert_eq!(experiment.variables, None);
    let text = format!("apiVersion: injector/v1\n{}", text.replace("${x}", "x"));
    let experiment = read(&text, &[], None).unwrap();
    assert_eq!(
        (experiment.name.as_str(), experiment.variables),
        ("x ${y}", None)
    );
}

type Edit = (&'static str, &'static str);
type Beside = (&'static [&'static str], Option<&'static str>);
type Wrong = (Edit, Beside, u64, u64, &'static str);

/// What is exchanged in [`HEAD`] for what, what is asked beside it, and what is said.
#[rustfmt::skip]
const WRONG: &[Wrong] = &[
    (("injector/v1", "injector/v2"), (&[], None), 1, 13, "reads `apiVersion: injector/v1`, and not `injector/v2`"),
    (("injector/v1", "[1]"), (&[], None), 1, 13, "one value, not a list"),
    (("owner: payments team", "owner: ''"), (&["tier=x"], None), 3, 8, "the owner has 1 to 128"),
    (("labels: { team", "labels: { -team"), (&["tier=x"], None), 4, 11, "`-team` is no key of a label"),
    (("team: payments,", "team: '',"), (&["tier=x"], None), 4, 17, "the value of the label `team`"),
    (("labels: { team: payments, tier: '${tier}' }", "labels: [x, '${tier}']"), (&["tier=x"], None), 4, 9, "`labels` is a map"),
    (("'${latency}'", "'${latncy}'"), (&["tier=x"], None), 16, 27, "no variable is called `latncy`; did you mean `latency`?"),
    (("'${latency}'", "'${latency'"), (&["tier=x"], None), 16, 27, "no `}` ends it"),
    (("'${latency}'", "'5 ${who}s'"), (&["tier=x"], None), 16, 27, "`latency`: `5 agents` is not a duration"),
    (("dest-port: [", "'${port}': ["), (&["tier=x"], None), 16, 41, "this is a key"),
    (("", ""), (&[], None), 9, 3, "the variable `tier` has no value; run with `--set tier=...`"),
    (("", ""), (&["latncy=1s"], None), 6, 3, "no variable is called `latncy`; did you mean `latency`?"),
    (("'${latency}'", "1s"), (&["tier=x", "latency=2s"], None), 6, 3, "`--set latency=...` changes nothing"),
    (("", ""), (&[], Some("nigth")), 11, 3, "no profile is called `nigth`; did you mean `night`?"),
    (("set: { latency: 100ms", "set: { latncy: 100ms"), (&[], None), 11, 16, "no variable is called `latncy`"),
    (("night: { set: { tier: gold } }", "night: { sett: {} }"), (&[], None), 12, 12, "no field `sett`; did you mean `set`?"),
    (("night: { set: { tier: gold } }", "night: {}"), (&[], None), 12, 10, "a profile needs `set`"),
    (("who: agent", "who: ${port}"), (&[], None), 8, 8, "values are plain"),
    (("who: agent", "2who: agent"), (&[], None), 8, 3, "`2who` is no name of a variable"),
    (("who: agent", "who: [agent]"), (&[], None), 8, 8, "one value, not a list"),
];

#[test]
fn what_is_wrong_with_a_head_has_its_place() {
    for ((what, by), (sets, profile), line, column, part) in WRONG {
        let text = HEAD.replacen(what, by, 1);
        let error = read(&text, sets, *profile).unwrap_err();
        assert!(error.sentence.contains(part), "{part}: {error}");
        assert_eq!((error.line, error.column), (*line, *column), "{error}");
    }
    let plain = "targets: { a: {pid: 7} }\nduration: 5s\nfaults: [net.blackhole]\n";
    for (sets, profile, part) in [
        (
            &["a=b"][..],
            None,
            "no variable is called `a`; the file has none",
        ),
        (
            &[],
            Some("ci"),
            "no profile is called `ci`; the file has none",
        ),
    ] {
        let error = read(plain, sets, profile).unwrap_err();
        assert!(error.sentence.contains(part), "{error}");
    }
}

#[test]
fn a_long_value_is_not_multiplied_without_end() {
    let value = "x".repeat(4000);
    let names = "${a}".repeat(400);
    let text = format!(
        "variables: {{ a: {value} }}\nhypothesis: {names}\ntargets: {{ a: {{pid: 7}} }}\nduration: 5s\n\
         faults: [net.blackhole]\n"
    );
    let error = read(&text, &[], None).unwrap_err();
    assert!(
        error.sentence.contains("make their values shorter"),
        "{error}"
    );
}

proptest! {
    /// What stands for itself reads back, and every text either does or is complained about at its place.
    #[test]
    fn filling_in_is_total(text in "[a$ {}]{0,24}") {
        let quoted = serde_json::to_string(&text).unwrap();
        let file = format!(
            "variables: {{ a: b }}\nhypothesis: {quoted}\ntargets: {{ a: {{pid: 7}} }}\nduration: 5s\n\
             faults: [net.blackhole]\n"
        );
        match read(&file, &[], None) {
            Ok(experiment) => {
                let is_same = experiment.hypothesis.as_deref() == Some(&text);
                prop_assert!(is_same || text.contains("${"), "{:?}", experiment.hypothesis);
            }
            Err(error) => prop_assert_eq!((error.line, error.column), (2, 13)),
        }
    }

    #[test]
    fn an_escaped_text_means_itself(text in "[a${}]{0,24}") {
        let quoted = serde_json::to_string(&text.replace("${", "$${")).unwrap();
        let file = format!(
            "variables: {{ a: b }}\nhypothesis: {quoted}\ntargets: {{ a: {{pid: 7}} }}\nduration: 5s\n\
             faults: [net.blackhole]\n"
        );
        prop_assert_eq!(read(&file, &[], None).unwrap().hypothesis, Some(text));
    }
}
