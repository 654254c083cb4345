//! Whether a run's conditions can be looked at on this host, before anything is touched.

use std::{
    os::unix::fs::PermissionsExt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{journald, pressure, sensors, tls};
use crate::surroundings;
use injector_host::{
    kernel::{self, clock::boot_ns},
    targets::ResolvedTarget,
};
use injector_spec::{
    condition::{Condition, Lives, Probe, Question, Until, Whose},
    error::Refusal,
    experiment::{RollbackCommand, Sign, Source},
    printable,
    quantity::duration::nanos,
};

/// Who wants to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhoAsks {
    /// The configuration of the host, or root.
    Owner,
    /// A caller that the socket lets in.
    Guest,
}

/// Refuses what this host, these targets or this person's rights do not allow.
pub fn check(
    conditions: &[Condition],
    targets: &[ResolvedTarget],
    by: WhoAsks,
) -> Result<(), Refusal> {
    for condition in conditions {
        let cannot = |why: String| {
            Refusal::usage(format!(
                "the halt condition `{condition}` cannot be looked at: {why}."
            ))
        };
        match condition {
            Condition::Pressure(wanted) => {
                let files = pressure::files(wanted, targets).map_err(cannot)?;
                for file in files {
                    pressure::read(&file, wanted.stalled).map_err(|why| {
                        let remedy = match wanted.of {
                            Whose::Host => "boot with `psi=1`, or leave the condition out",
                            Whose::Target => "boot with `psi=1`, or use `host.psi...`",
                        };
                        cannot(format!("{why}; {remedy}"))
                    })?;
                }
            }
            Condition::Load(_) => drop(sensors::load().map_err(cannot)?),
            Condition::Lives {
                of: Lives::Restarts,
                ..
            } if targets.iter().any(|target| target.cgroup.is_none()) => {
                return Err(cannot(
                    "what comes back has another process id; choose the target by --cgroup, --unit or \
                     --container"
                        .into(),
                ));
            }
            Condition::Clock(until) => {
                boot_deadline(*until).map_err(|error| cannot(error.to_string()))?;
            }
            Condition::Probe(question) => {
                check_question(&format!("the halt condition `{condition}`"), question, by)?;
            }
            Condition::Lives { .. } | Condition::Rate { .. } | Condition::Shows(_) => {}
        }
    }
    Ok(())
}

/// Refuses a probe that cannot be asked here, or that this caller may not ask. A program runs as root, and a file or
/// another user's descriptors are read as root, so only root may name one. `what` is the probe in a sentence.
pub fn check_question(what: &str, question: &Question, by: WhoAsks) -> Result<(), Refusal> {
    let roots_alone = |does: &str| match by {
        WhoAsks::Owner => Ok(()),
        WhoAsks::Guest => Err(Refusal::endangers(format!(
            "{what} {does}, and you are not root; use another probe, or ask the host's owner to put a halt condition \
             into the configuration under [halt]."
        ))),
    };
    let cannot = |why: String| {
        Err(Refusal::usage(format!(
            "{what} cannot be looked at: {why}."
        )))
    };
    match &question.probe {
        Probe::Command { words, .. } => {
            roots_alone("runs a program as root")?;
            find_program(words).or_else(cannot)
        }
        Probe::File(file) => {
            roots_alone("reads a file as root")?;
            let path = printable::path(&file.path);
            match std::fs::metadata(&file.path) {
                Ok(about) if about.is_file() => Ok(()),
                Ok(_) => cannot(format!("{path} is no regular file; name one")),
                Err(error) => cannot(format!(
                    "{path}: {error}; correct the path, or make the file"
                )),
            }
        }
        Probe::Journald(_) => {
            roots_alone("reads the journal as root")?;
            journald::find().map(drop).or_else(cannot)
        }
        Probe::Process(process) if process.descriptors.is_some() => {
            roots_alone("counts the descriptors of processes as root")
        }
        Probe::Http(_) | Probe::Prometheus { .. } => match question.probe.ca() {
            Some(ca) => {
                roots_alone("reads a file as root")?;
                tls::check_authorities(ca).or_else(cannot)
            }
            None => Ok(()),
        },
        Probe::Process(_) | Probe::Tcp(_) => Ok(()),
    }
}

/// Refuses a command of a rollback that cannot be run here, or that this caller may not name: as one of a probe, it runs as
/// root.
pub fn check_program(command: &RollbackCommand, by: WhoAsks) -> Result<(), Refusal> {
    let what = format!("the rollback {}", RollbackCommand::words(&command.command));
    match by {
        WhoAsks::Owner => {}
        WhoAsks::Guest => {
            return Err(Refusal::endangers(format!(
                "{what} runs a program as root, and you are not root; leave `rollback` out, or ask root to start the \
                 run."
            )));
        }
    }
    find_program(&command.command)
        .map_err(|why| Refusal::usage(format!("{what} cannot be run: {why}.")))
}

/// Refuses a list of a ledger that cannot be read here, or that this caller may not name: a program is run, and a file is
/// read, as root. A file need not be there before the run. `what` is the list in a sentence.
pub fn check_list(what: &str, source: &Source, by: WhoAsks) -> Result<(), Refusal> {
    let does = match source {
        Source::Command(_) => "runs a program as root",
        Source::File(_) => "reads a file as root",
        Source::Http(_) => return Ok(()),
    };
    match by {
        WhoAsks::Owner => {}
        WhoAsks::Guest => {
            return Err(Refusal::endangers(format!(
                "{what} {does}, and you are not root; have a server on this host give the list by `http`, or ask root to \
                 start the run."
            )));
        }
    }
    let cannot = |why: String| Refusal::usage(format!("{what} cannot be read: {why}."));
    match source {
        Source::Command(words) => find_program(words).map_err(cannot),
        Source::File(path) => match std::fs::metadata(path) {
            Ok(about) if !about.is_file() => {
                let path = printable::path(path);
                Err(cannot(format!("{path} is no regular file; name one")))
            }
            Ok(_) | Err(_) => Ok(()),
        },
        Source::Http(_) => Ok(()),
    }
}

/// Refuses a sign that this caller may not have looked for: files are looked at as root. One need not be there before the run.
pub fn check_sign(sign: &Sign, by: WhoAsks) -> Result<(), Refusal> {
    let Some(file) = sign.file() else {
        return Ok(());
    };
    let what = sign.in_words();
    match by {
        WhoAsks::Owner => {}
        WhoAsks::Guest => {
            return Err(Refusal::endangers(format!(
                "to look for {what} reads a file as root, and you are not root; name a host by `connect-to`, or ask root to start \
                 the run."
            )));
        }
    }
    match std::fs::metadata(file) {
        Ok(about) if !about.is_file() => Err(Refusal::usage(format!(
            "{what} cannot be looked for: it is no regular file; name one."
        ))),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Refuses the command of a step that cannot be run here, or that this caller may not name: it is run as root. `what` is the
/// step in a sentence.
pub fn check_step(what: &str, command: &[String], by: WhoAsks) -> Result<(), Refusal> {
    match by {
        WhoAsks::Owner => {}
        WhoAsks::Guest => {
            return Err(Refusal::endangers(format!(
                "{what} runs a program as root, and you are not root; wait for a probe by `gate` in its place, or ask root \
                 to start the run."
            )));
        }
    }
    find_program(command).map_err(|why| Refusal::usage(format!("{what} cannot be run: {why}.")))
}

/// Whether the first of these words is a program; the error says why not, and what to do.
fn find_program(words: &[String]) -> Result<(), String> {
    let program = words.first().map(String::as_str).unwrap_or_default();
    let is_program = std::fs::metadata(program)
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    let why = || {
        let program = printable::line(program);
        format!("{program} is no program; correct the path, or its mode")
    };
    is_program.then_some(()).ok_or_else(why)
}

/// A time of the wall clock on the boot clock, as both are now: a person who sets the wall clock later
/// changes nothing.
pub(super) fn boot_deadline(until: Until) -> Result<u64, kernel::Error> {
    let cannot = |why: &str| {
        kernel::Error::system(
            "tell how long it is until then",
            std::io::Error::other(why.to_owned()),
        )
    };
    let left = match until {
        Until::Unix(seconds) => {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            // One that is over holds now.
            time.duration_since(SystemTime::now()).unwrap_or_default()
        }
        Until::TimeOfDay(time) => {
            let now = surroundings::now().map_err(|refusal| cannot(&refusal.message))?;
            let minutes = minutes_until(now.time.minutes(), time.minutes());
            // To the minute's beginning: the run ends early rather than late.
            let into_minute = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(Duration::ZERO, |since| {
                    Duration::from_secs(since.as_secs() % 60)
                });
            Duration::from_secs(u64::from(minutes) * 60).saturating_sub(into_minute)
        }
    };
    Ok(boot_ns().saturating_add(nanos(left)))
}

/// Minutes until the next time that it is so late; a whole day where it is so late now.
const fn minutes_until(now: u16, then: u16) -> u16 {
    const DAY: u16 = 24 * 60;
    let left = (then % DAY + DAY - now % DAY) % DAY;
    if left == 0 { DAY } else { left }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_next_time_is_within_a_day(now in 0u16..1440, then in 0u16..=1440) {
            let left = minutes_until(now, then);
            prop_assert!((1..=1440).contains(&left));
            prop_assert_eq!((now + left) % 1440, then % 1440);
        }
    }

    #[test]
    fn the_command_of_a_step_is_roots_to_name_and_has_to_be_there() {
        let check = |program: &str, by| check_step("the step `s`", &[program.to_owned()], by);
        assert!(check("/proc/self/exe", WhoAsks::Owner).is_ok());
        let refusal = check("/proc/self/exe", WhoAsks::Guest).unwrap_err();
        assert!(refusal.message.contains("you are not root"), "{refusal:?}");
        for gone in ["/nowhere/program", "/proc", "/proc/self/status"] {
            let refusal = check(gone, WhoAsks::Owner).unwrap_err();
            assert!(refusal.message.contains("no program"), "{refusal:?}");
        }
    }

    #[test]
    fn lists_that_are_read_as_root_are_roots_to_name() {
        let check = |source: &Source, by| check_list("the list", source, by);
        let here = Source::File("/proc/self/status".into());
        let gone = Source::File("/nowhere/ids".into());
        let program = Source::Command(vec!["/proc/self/exe".into()]);
        let served = Source::Http("http://127.0.0.1/ids".parse().unwrap());
        for source in [&here, &gone, &program] {
            assert!(check(source, WhoAsks::Owner).is_ok(), "{source}");
            let refusal = check(source, WhoAsks::Guest).unwrap_err();
            assert!(refusal.message.contains("you are not root"), "{refusal:?}");
        }
        assert!(check(&served, WhoAsks::Guest).is_ok());
        for (source, part) in [
            (Source::File("/proc".into()), "no regular file"),
            (Source::Command(vec!["/nowhere/ids".into()]), "no program"),
        ] {
            let refusal = check(&source, WhoAsks::Owner).unwrap_err();
            assert!(refusal.message.contains(part), "{refusal:?}");
        }
    }

    #[test]
    fn a_date_becomes_a_time_of_the_boot_clock() {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let deadline = boot_deadline(Until::Unix(now + 100)).unwrap();
        let left = deadline - boot_ns();
        assert!((95_000_000_000..=100_000_000_000).contains(&left), "{left}");
        let over = boot_deadline(Until::Unix(now - 100)).unwrap();
        assert!(over <= boot_ns(), "{over}");
    }

    #[test]
    fn only_root_may_have_the_journal_read_and_only_where_there_is_one() {
        let question = "journald my-agent absent ERROR".parse().unwrap();
        let check = |by| check_question("the probe `calm`", &question, by);
        let refusal = check(WhoAsks::Guest).unwrap_err();
        assert!(refusal.message.contains("you are not root"), "{refusal:?}");
        match (journald::find(), check(WhoAsks::Owner)) {
            (Ok(_), answer) => assert!(answer.is_ok(), "{answer:?}"),
            (Err(_), answer) => {
                let refusal = answer.unwrap_err();
                assert_eq!(refusal.exit, injector_spec::error::Exit::Usage);
                assert!(refusal.message.contains("no journalctl"), "{refusal:?}");
            }
        }
    }

    #[test]
    fn only_root_may_name_a_file_of_authorities_and_it_has_to_have_some() {
        let check = |ca: &str, by| {
            let line = format!("http https://a/ ca \"{ca}\"");
            check_question("the probe `api`", &line.parse().unwrap(), by)
        };
        let refusal = check("/proc/self/status", WhoAsks::Guest).unwrap_err();
        assert!(refusal.message.contains("you are not root"), "{refusal:?}");
        for (ca, part) in [
            ("/no/ca.pem", "cannot be read"),
            ("/proc", "a directory"),
            ("/proc/self/status", "has no certificate"),
        ] {
            let refusal = check(ca, WhoAsks::Owner).unwrap_err();
            assert_eq!(refusal.exit, injector_spec::error::Exit::Usage);
            assert!(refusal.message.contains(part), "{refusal:?}");
        }
        let plain = "http https://a/".parse().unwrap();
        assert!(check_question("the probe `api`", &plain, WhoAsks::Guest).is_ok());
    }

    #[test]
    fn only_root_may_name_a_program() {
        let condition: Condition = "command [\"/proc/self/exe\"] fails 1".parse().unwrap();
        let check_for = |by| check(std::slice::from_ref(&condition), &[], by);
        assert!(check_for(WhoAsks::Owner).is_ok());
        let refusal = check_for(WhoAsks::Guest).unwrap_err();
        assert_eq!(refusal.exit, injector_spec::error::Exit::Unsafe);
        let missing: Condition = "command [\"/no/such/program\"] fails 1".parse().unwrap();
        assert!(check(&[missing], &[], WhoAsks::Owner).is_err());
        let mut command = RollbackCommand {
            command: vec!["/proc/self/exe".into()],
            within: Duration::from_secs(1),
        };
        assert!(check_program(&command, WhoAsks::Owner).is_ok());
        let refusal = check_program(&command, WhoAsks::Guest).unwrap_err();
        assert_eq!(refusal.exit, injector_spec::error::Exit::Unsafe);
        command.command[0] = "/no/such\nprogram".into();
        let refusal = check_program(&command, WhoAsks::Owner).unwrap_err();
        assert_eq!(refusal.exit, injector_spec::error::Exit::Usage);
        assert!(!refusal.message.contains('\n'), "{refusal}");
    }
}
