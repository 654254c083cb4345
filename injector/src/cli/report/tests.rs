//! What a report says of doing it again is understood, and is the same.

use std::ffi::OsString;

use super::*;
use crate::cli::{Action, examples::EXAMPLES, parse};
use injector_record::journal::{self, Journal, Record, RunId};
use injector_spec::experiment::{Experiment, file};

fn run() -> RunId {
    "r000000010001".parse().unwrap()
}

/// The words of a line, as a shell takes them.
fn words(line: &str) -> Vec<OsString> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for character in line.chars() {
        match character {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    words.into_iter().map(OsString::from).collect()
}

fn asked(line: &str) -> Experiment {
    match parse(words(line)) {
        Ok(Action::Arm(arming)) => arming.experiment,
        other => panic!("{line}: {other:?}"),
    }
}

fn account_of(experiment: &Experiment) -> Account {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::create_in(folder.path(), &run()).unwrap();
    let started = Record::Started {
        run: run(),
        name: experiment.name.clone(),
        by_uid: 0,
        by_pid: 1,
        login_uid: None,
        config: None,
        supervisor: None,
        platform: None,
        experiment: Box::new(experiment.clone()),
    };
    journal.append(&started).unwrap();
    let (listed, replay) = journal::read(journal.path(), run()).unwrap();
    Account::of(listed, &replay)
}

#[test]
fn each_fault_is_asked_for_again_as_a_command_and_as_a_file() {
    for (family, fault, lines) in EXAMPLES {
        for line in lines {
            let line = format!("injector {family} {fault} {line} --halt-if 'host.load > 8'");
            let experiment = asked(&line);
            let again = account_of(&experiment).again().unwrap();
            assert_eq!(again.file, None, "{line}");
            let command = again.command.strip_prefix("sudo ").unwrap();
            assert_eq!(asked(command), experiment, "{line}: {command}");
            let supposed = Experiment {
                hypothesis: Some("It's \"fine\": yes".to_owned()),
                ..experiment
            };
            let text = account_of(&supposed).again().unwrap().file.unwrap();
            assert_eq!(file::parse(&text, "x", None).unwrap(), supposed, "{text}");
        }
    }
}

#[test]
fn a_report_names_its_run_and_its_format() {
    let reporting = |line: &str| match parse(words(line)) {
        Ok(Action::Report(reporting)) => reporting,
        other => panic!("{line}: {other:?}"),
    };
    let usual = reporting("injector report last");
    assert_eq!(
        (usual.which, usual.format, usual.to),
        (Which::Last, Format::Text, None)
    );
    let page = reporting("injector report r000000010001 --format html --output x.html");
    assert_eq!((page.which, page.format), (Which::Run(run()), Format::Html));
    for line in [
        "injector report",
        "injector report lost",
        "injector report last --format pdf",
    ] {
        let refusal = parse(words(line)).unwrap_err();
        assert_eq!(refusal.exit, Exit::Usage, "{refusal}");
    }
}
