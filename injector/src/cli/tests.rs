use clap::CommandFactory;

mod mistakes;

use super::*;
use injector_spec::grammar::{FaultInFile, TargetInFile};
use injector_spec::{
    error::{Exit, Refusal},
    experiment::{Direction, Experiment, FaultKind, Follow, Many, Selector, SysDelay},
};

fn parsed(line: &str) -> Result<Action, Refusal> {
    parse(
        ["injector"]
            .into_iter()
            .chain(line.split_whitespace())
            .map(Into::into),
    )
}

fn armed(line: &str) -> Experiment {
    match parsed(line) {
        Ok(Action::Arm(arming)) => arming.experiment,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
    FaultInFile::command().debug_assert();
    TargetInFile::command().debug_assert();
}

#[test]
fn manuals_have_every_command_for_people_and_no_other() {
    let command = command();
    command.clone().debug_assert();
    let of_manuals: Vec<_> = command
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    assert!(of_manuals.contains(&"net") && of_manuals.contains(&"demo"));
    assert!(!of_manuals.contains(&"worker"), "{of_manuals:?}");
    let delay = command
        .find_subcommand("net")
        .and_then(|net| net.find_subcommand("delay"));
    let help = delay.unwrap().get_after_help().unwrap().to_string();
    assert!(help.contains("Examples:"), "{help}");
}

#[test]
fn a_look_names_a_target_and_perhaps_a_time() {
    match parsed("observe --pid 7 --tree --for 3s --json") {
        Ok(Action::Observe(observing)) => {
            assert_eq!(observing.time, Some(Duration::from_secs(3)));
            assert_eq!(observing.target.selector.to_string(), "pid 7 and its tree");
        }
        other => panic!("{other:?}"),
    }
    for line in ["observe", "observe --pid 7 --for soon", "observe --pid 0"] {
        assert_eq!(parsed(line).unwrap_err().exit, Exit::Usage, "{line}");
    }
}

#[test]
fn one_command_is_an_experiment_of_one_step() {
    let experiment = armed("net delay --latency 500ms --pid 7 --pid 8 --tree --duration 30s");
    assert_eq!(
        (experiment.name.as_str(), experiment.duration().as_secs()),
        ("net.delay", 30)
    );
    let target = &experiment.targets[0];
    let pids = Selector::Pids {
        pids: vec![7, 8],
        follow: Follow::Tree,
        pick: None,
    };
    assert_eq!((target.name.as_str(), &target.selector), ("target", &pids));
    let fault = &experiment.steps[0].faults[0];
    assert_eq!(
        (fault.kind.name(), fault.direction),
        ("net.delay", Direction::Egress)
    );
    let guarded: Vec<_> = fault
        .traffic
        .exclude_ports
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(guarded, ["22", "53"]);
}

#[test]
fn every_fault_has_its_command_and_its_name() {
    for (line, name) in [
        ("noop", "noop"),
        (
            "net delay --latency 1ms --jitter 1ms --correlation 25% --distribution pareto",
            "net.delay",
        ),
        ("net loss --percent 0%", "net.loss"),
        (
            "proc kill --signal TERM --after 100ms --interval 2s --percent 50%",
            "proc.kill",
        ),
        ("proc pause --active 1s --dormant 1s", "proc.pause"),
        ("plugin kill --plugin *mcp* --after 100ms", "plugin.kill"),
        ("plugin hang", "plugin.hang"),
        ("plugin pipe-held-death", "plugin.pipe-held-death"),
        ("plugin crash-loop --lives 200ms", "plugin.crash-loop"),
        ("plugin slow-start --latency 1s", "plugin.slow-start"),
        ("plugin torn-line", "plugin.torn-line"),
        ("net loss --gemodel 1%,10%,70%,0.1%", "net.loss"),
        ("net corrupt --percent 1% --mode wire", "net.corrupt"),
        ("net duplicate --percent 1%", "net.duplicate"),
        ("net reorder --percent 25% --gap 5", "net.reorder"),
        (
            "net bandwidth --rate 1mbit --dest-port 80,443 --dest-port 8000-8010",
            "net.bandwidth",
        ),
        (
            "net blackhole --direction both --protocol tcp --connection new",
            "net.blackhole",
        ),
        (
            "net partition --peer 10.0.0.0/8 --peer fd00::1 --peer db.example.com",
            "net.partition",
        ),
        (
            "net reset --dest-ip 127.0.0.1 --exclude-ip ::1",
            "net.reset",
        ),
        (
            "net connect --errno econnrefused --when 3..9+2 --max-hits 5 --seed 1",
            "net.connect",
        ),
        (
            "dns error --type nxdomain --hostname *.example.com",
            "dns.error",
        ),
    ] {
        let experiment = armed(&format!("{line} --cgroup x --duration 1s"));
        let kind = &experiment.steps[0].faults[0].kind;
        assert_eq!(kind.name(), name, "{line}");
        // The worker and the API get the same experiment as JSON.
        let json = serde_json::to_string(&experiment).unwrap();
        assert!(json.contains(&format!(r#""fault":"{name}""#)), "{json}");
        assert_eq!(
            serde_json::from_str::<Experiment>(&json).unwrap(),
            experiment,
            "{json}"
        );
    }
}

#[test]
fn dns_names_its_own_port() {
    let experiment = armed("dns error --type timeout --unit a.service --duration 1s");
    let traffic = &experiment.steps[0].faults[0].traffic;
    assert_eq!(traffic.dest_ports[0].first(), 53);
    assert_eq!(
        traffic
            .exclude_ports
            .iter()
            .map(|ports| ports.first())
            .collect::<Vec<_>>(),
        [22]
    );
    let FaultKind::DnsError(error) = &experiment.steps[0].faults[0].kind else {
        panic!()
    };
    assert!(error.hostnames.is_empty());
}

#[test]
fn a_pattern_means_one_process_unless_said() {
    let selector = |line: &str| {
        armed(&format!("net blackhole --duration 1s {line}"))
            .targets
            .remove(0)
            .selector
    };
    let process = |many, follow| Selector::Process {
        pattern: "agent".into(),
        many,
        follow,
        pick: None,
    };
    assert_eq!(
        selector("--process agent"),
        process(Many::ExactlyOne, Follow::Process)
    );
    assert_eq!(
        selector("--process agent --all --tree"),
        process(Many::All, Follow::Tree)
    );
    let picked = selector("--process agent --all --pick 25% --pick-seed 7");
    let pick = picked.pick().unwrap();
    assert_eq!(
        (pick.portion.to_string().as_str(), pick.seed),
        ("25%", Some(7))
    );
}

#[test]
fn flags_of_a_file_replace_its_only_selector() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("short.yaml");
    let text = "targets: { a: { cgroup: x } }\nduration: 1s\nfaults: [net.blackhole]\n";
    std::fs::write(&file, text).unwrap();
    let experiment = armed(&format!(
        "run {} --unit b.service --dry-run --strict",
        file.display()
    ));
    assert_eq!(
        experiment.targets[0].selector,
        Selector::Unit("b.service".into())
    );
    assert_eq!(
        (
            experiment.name.as_str(),
            experiment.targets[0].name.as_str()
        ),
        ("short", "a")
    );
}

#[test]
fn values_are_read_as_people_write_them() {
    let fault = |line: &str| {
        let words = line.split('|').map(str::trim);
        let rest = ["--pid", "7", "--duration", "1s"];
        match parse(
            ["injector"]
                .into_iter()
                .chain(words)
                .chain(rest)
                .map(Into::into),
        ) {
            Ok(Action::Arm(mut arming)) => arming.experiment.steps[0].faults.remove(0),
            other => panic!("{line}: {other:?}"),
        }
    };
    let ports = fault("net|blackhole|--dest-port|80, 443 ")
        .traffic
        .dest_ports;
    assert_eq!(ports.len(), 2);
    assert!(matches!(
        fault("net|bandwidth|--rate|1 mbit").kind,
        FaultKind::Bandwidth(_)
    ));
    let FaultKind::Connect(connect) = fault("net|connect|--errno|111").kind else {
        panic!()
    };
    assert_eq!(connect.errno.to_string(), "ECONNREFUSED");
    let named = fault("net|blackhole|--hostname|münchen.de, a.example")
        .traffic
        .hostnames;
    assert_eq!(named, ["xn--mnchen-3ya.de", "a.example"]);
    let FaultKind::DnsError(error) =
        fault("dns|error|--type|timeout|--hostname|a.example,*.b.example").kind
    else {
        panic!()
    };
    assert_eq!(error.hostnames, ["a.example", "*.b.example"]);
}

#[test]
fn the_program_alone_shows_what_help_shows() {
    let page = |line| match parsed(line) {
        Ok(Action::Print(page)) => page,
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(page(""), page("--help"));
    assert_eq!(page("help"), page("--help"));
    assert!(parsed("--json").is_err());
}

/// The first page that a person sees is worth a look when it changes.
#[test]
fn help_is_what_it_was() {
    let Ok(Action::Print(help)) = parsed("--help") else {
        panic!("no help")
    };
    assert_eq!(help, include_str!("help.txt"));
    let Ok(Action::Print(help)) = parsed("net --help") else {
        panic!("no help")
    };
    assert!(
        help.contains("TCP retransmits") && !help.contains("noop"),
        "{help}"
    );
    let Ok(Action::Print(help)) = parsed("net delay --help") else {
        panic!("no help")
    };
    for heading in ["Target (one of them):", "Traffic:", "Chance:", "Run:"] {
        assert!(help.contains(heading), "{heading} is not in\n{help}");
    }
    assert!(
        help.lines().all(|line| line.chars().count() <= 100),
        "{help}"
    );
}

#[test]
fn a_limit_is_for_a_cgroup_and_has_one_spelling_at_a_time() {
    let line = "--duration 1s --cgroup a/b";
    let experiment = armed(&format!(
        "proc starve --cpu 10% --memory-high 64m --pids-max 5 {line}"
    ));
    let FaultKind::Starve(starve) = &experiment.steps[0].faults[0].kind else {
        panic!("{experiment:?}");
    };
    assert_eq!(starve.cpu_max.unwrap().to_string(), "10000 100000");
    assert!(parsed(&format!("proc starve {line}")).is_err());
    assert!(parsed("proc starve --cpu 10% --duration 1s --pid 7").is_err());
    assert!(parsed(&format!("proc pause --active 1s {line}")).is_err());
    assert!(parsed(&format!("proc kill --respawn never {line}")).is_err());
    assert!(parsed(&format!("proc kill --at-call write --after 1s {line}")).is_err());
    assert!(parsed(&format!("proc kill --thread a {line}")).is_err());
}

#[test]
fn a_call_is_named_and_sleeps_at_one_end() {
    let line = "--duration 1s --pid 7";
    let experiment = armed(&format!(
        "sys delay --syscall openat,read --delay-enter 5ms --jitter 1ms --thread a-* {line}"
    ));
    let FaultKind::SysDelay(SysDelay(delay)) = &experiment.steps[0].faults[0].kind else {
        panic!("{experiment:?}");
    };
    assert_eq!(delay.calls.syscalls.len(), 2);
    assert!(
        parsed(&format!(
            "sys error --syscall-class file --errno EIO {line}"
        ))
        .is_ok()
    );
    for words in [
        "sys error --errno EIO",
        "sys error --thread a --errno EIO",
        "sys delay --syscall openat",
        "sys delay --syscall openat --delay-enter 1ms --delay-exit 1ms",
    ] {
        assert!(parsed(&format!("{words} {line}")).is_err(), "{words}");
    }
}

/// The commands of faults, `net delay`, as the command line and files know them.
fn fault_commands(command: &clap::Command, before: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for subcommand in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        let name = format!("{before}{}", subcommand.get_name());
        let mut below = fault_commands(subcommand, &format!("{name} "));
        if below.is_empty() {
            below.push(name);
        }
        faults.append(&mut below);
    }
    faults
}

/// The columns are checked by xtask's own tests, which know the kernels.
#[test]
fn every_fault_has_a_row_in_the_table_of_kernels() {
    let page = include_str!("../../../docs/src/kernels.md");
    let (_, table) = page
        .split_once("<!-- faults by kernel: ")
        .expect("the table's first mark");
    let (table, _) = table
        .split_once("<!-- end of faults by kernel -->")
        .expect("the table's last mark");
    let faults = fault_commands(&FaultInFile::command(), "");
    assert!(faults.contains(&"net delay".to_owned()), "{faults:?}");
    for fault in faults {
        let has_row = table.lines().any(|line| {
            let row = line
                .strip_prefix("| `")
                .and_then(|row| row.strip_prefix(&fault));
            row.is_some_and(|rest| rest.starts_with(['`', ' ']))
        });
        assert!(
            has_row,
            "{fault} has no row; add a test that shows it and run `cargo xtask vm table --write`"
        );
    }
}
