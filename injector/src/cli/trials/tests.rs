use std::{ffi::OsString, fs};

use super::repeat::Times;
use crate::cli::parse;

#[test]
fn a_number_of_runs_has_bounds() {
    for (text, number) in [
        ("1", Some(1)),
        ("1000", Some(1_000)),
        ("0", None),
        ("1001", None),
        ("-1", None),
        ("two", None),
    ] {
        assert_eq!(text.parse::<Times>().ok().map(Times::get), number, "{text}");
    }
}

/// Each file of a folder is read with the values of the command line, and refused where it has none of that name.
#[test]
fn every_experiment_of_a_suite_has_the_values_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, variables: &str| {
        let text = format!(
            "targets: {{ a: {{ pid: 7 }} }}\n{variables}duration: 1s\nfaults: [net.delay: {{ latency: 1s, dest-port: ['${{port}}'] }}]\n"
        );
        fs::write(folder.path().join(name), text).unwrap();
    };
    let suite = |more: &str| {
        let line = format!("injector suite {} {more}", folder.path().display());
        parse(line.split_whitespace().map(OsString::from))
    };
    let variables = "variables: { port: }\nprofiles: { ci: { set: { port: 81 } } }\n";
    write("1.yaml", variables);
    write("2.yaml", variables);
    let said = suite("").unwrap_err().to_string();
    assert!(
        said.contains("1.yaml:2:14: the variable `port` has no value"),
        "{said}"
    );
    assert!(suite("--set port=80").is_ok() && suite("--profile ci").is_ok());
    let told = format!(
        "{:?}",
        suite("--profile ci --set steps[0].latency=7s").unwrap()
    );
    assert_eq!(told.matches("latency: 7s").count(), 2, "{told}");
    write("2.yaml", "variables: { harbour: 80 }\n");
    let said = suite("--set port=80").unwrap_err().to_string();
    assert!(
        said.contains("2.yaml:2:12: no variable is called `port`"),
        "{said}"
    );
}

/// Each file of a folder is read as the stage that the command line names, with the refusals of `run`.
#[test]
fn every_experiment_of_a_suite_is_run_as_the_stage_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, stages: &str| {
        let text = format!(
            "targets: {{ a: {{ pid: 7 }} }}\nvariables: {{ port: 80 }}\n{stages}duration: 1s\n\
             faults: [net.delay: {{ latency: 1s, dest-port: ['${{port}}'] }}]\n"
        );
        fs::write(folder.path().join(name), text).unwrap();
    };
    let suite = |more: &[&str]| {
        let folder = folder.path().display().to_string();
        let words = ["injector", "suite", &folder]
            .into_iter()
            .chain(more.iter().copied());
        parse(words.map(OsString::from))
    };
    let stages =
        "stages: { canary: { set: { port: 81 } }, all: { after: canary, approve: true } }\n";
    write("1.yaml", stages);
    write("2.yaml", stages);
    let told = format!("{:?}", suite(&[]).unwrap());
    assert_eq!(
        told.matches("name: \"canary\"").count(),
        2,
        "the first: {told}"
    );
    let said = suite(&["--stage", "all"]).unwrap_err().to_string();
    assert!(
        said.contains("1.yaml:3:42: a run of the stage `all` needs the name of a person"),
        "{said}"
    );
    let approved = ["--stage", "all", "--approved-by", "Ada Ames"];
    let told = format!("{:?}", suite(&approved).unwrap());
    assert_eq!(
        told.matches("approved_by: Some(\"Ada Ames\")").count(),
        2,
        "{told}"
    );
    let said = suite(&["--stage", "cannary"]).unwrap_err().to_string();
    assert!(
        said.contains("no stage is called `cannary`; did you mean `canary`?"),
        "{said}"
    );
    assert!(
        suite(&["--approved-by", "Ada Ames"]).is_err(),
        "of no stage"
    );
    write("2.yaml", "");
    let said = suite(&["--stage", "canary"]).unwrap_err().to_string();
    assert!(
        said.contains("2.yaml:1:1: no stage is called `canary`; the file has none"),
        "{said}"
    );
}
