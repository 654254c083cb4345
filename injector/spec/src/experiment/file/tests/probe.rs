//! Probes as maps: the same questions as lines, and complaints with the place of the key.

use super::*;
use crate::condition::Question;

fn read(probe: &str) -> Result<Question, FileError> {
    let text = format!(
        "targets: {{ a: {{pid: 7}} }}\nprobes:\n  p: {probe}\nsteady-state: [p]\nduration: 5s\nbaseline: 10m\n\
         recovery: 10m\nobjectives: {{ rto: 10m }}\nfaults: [net.blackhole]\n"
    );
    let experiment = parse(&text, "probe.yaml", None)?;
    let steady_state = experiment.steady_state.unwrap();
    Ok(steady_state.probes[0].question.clone())
}

#[test]
fn a_map_and_a_line_are_the_same_question() {
    for (map, line) in [
        ("{ tcp: 'a:80' }", "tcp a:80"),
        (
            "{ http: 'http://a/x', status: 204, json: '$.queue < 10', body: 're.dy', within: 500ms, every: 250ms, \
             timeout: 1s, fails: 2 of 3 }",
            r#"http http://a/x status 204 body "re.dy" json "$.queue < 10" fails 2 of 3 every 250ms within 500ms timeout 1s"#,
        ),
        (
            "{ http: 'https://a/x', ca: /etc/ca.pem, status: 204 }",
            r#"http https://a/x ca "/etc/ca.pem" status 204"#,
        ),
        (
            "{ prometheus: 'https://a', ca: /etc/ca.pem, query: up, is: '< 5' }",
            r#"prometheus https://a ca "/etc/ca.pem" "up" >= 5"#,
        ),
        (
            "{ command: [/bin/lag, --seconds], number: '< 5', fails: 2 }",
            r#"command ["/bin/lag", "--seconds"] number < 5 fails 2"#,
        ),
        (
            "{ file: /var/log/agent.log, absent: 'ERROR|panic' }",
            r#"file "/var/log/agent.log" absent "ERROR|panic""#,
        ),
        (
            "{ file: /var/log/agent.log, present: beat, every: 5s }",
            r#"file "/var/log/agent.log" present "beat" every 5s"#,
        ),
        (
            "{ journald: my-agent, absent: 'ERROR|panic', within: 500ms }",
            r#"journald my-agent absent "ERROR|panic" within 500ms"#,
        ),
        (
            "{ process: { unit: my-agent }, alive: true, restarts: '< 2', descriptors: '< 200', rss: '< 1 GiB' }",
            "process unit my-agent restarts < 2 descriptors < 200 rss < 1gib",
        ),
        (
            "{ process: { process: agent.py, all: true, tree: true } }",
            "process process agent.py all tree",
        ),
        (
            "{ prometheus: 'http://a:9090', query: 'up{a=\"b\"}', is: '< 5' }",
            r#"prometheus http://a:9090 "up{a=\"b\"}" >= 5"#,
        ),
    ] {
        let question = read(map).unwrap_or_else(|error| panic!("{map}: {error}"));
        assert_eq!(question, line.parse().unwrap(), "{map}");
        assert_eq!(question.to_string().parse(), Ok(question), "{map}");
    }
}

#[test]
fn authorities_that_cannot_be_read_are_told_where_they_are_named() {
    let text = "targets: { a: {pid: 7} }\nprobes:\n  p: { http: 'https://a/', ca: /no/ca.pem }\nsteady-state: [p]\n\
                duration: 5s\nfaults: [net.blackhole]\n";
    let reading = |authorities| Reading {
        name: "probe.yaml",
        surroundings: Surroundings {
            authorities,
            ..Surroundings::default()
        },
        ..Reading::default()
    };
    let error = reading(|path| Err(format!("{} is not there", path.display())))
        .text(text)
        .unwrap_err();
    assert_eq!(
        (error.line, error.column, &error.sentence[..]),
        (3, 32, "/no/ca.pem is not there")
    );
    let line = text.replace(
        "{ http: 'https://a/', ca: /no/ca.pem }",
        "http https://a/ ca /no/ca.pem",
    );
    let error = reading(|_| Err("it is not there".into()))
        .text(&line)
        .unwrap_err();
    assert_eq!((error.line, error.column), (3, 6));
    assert!(reading(|_| Ok(())).text(text).is_ok());
}

/// What stands behind the name of the only probe, which begins in line 3, column 6.
#[rustfmt::skip]
const PROBES: &[Row] = &[
    ("{ htpp: 'http://a/' }", 3, 6, "one of http, tcp, command, file, journald, process, prometheus"),
    ("{ http: 'http://a/', tcp: 'a:80' }", 3, 6, "asks one thing"),
    ("{ http: 'http://a/', jsn: '$.a' }", 3, 27, "no field `jsn`; did you mean `json`?"),
    ("{ tcp: 'a:80', status: 200 }", 3, 21, "no field `status`"),
    ("{ http: 'http://a/', status: 99 }", 3, 35, "100 to 599"),
    ("{ http: 'http://a/', ca: /ca.pem }", 3, 31, "`ca` says who may have signed"),
    ("{ http: 'https://a/', ca: ca.pem }", 3, 32, "write it whole"),
    ("{ tcp: 'a:80', ca: /ca.pem }", 3, 21, "no field `ca`"),
    ("{ prometheus: 'http://a', ca: /ca.pem, query: up, is: '< 5' }", 3, 36, "`ca` says who may have signed"),
    ("{ http: 'http://u:secret@a/' }", 3, 14, "leave them out"),
    ("{ http: 'http://a/', body: 'a(' }", 3, 33, "a group is opened by `(` and not closed (character 2)"),
    ("{ http: 'http://a/', json: 'queue' }", 3, 33, "cannot be read as a JSON path from its character 1"),
    ("{ http: 'http://a/', json: '$.a < b' }", 3, 33, "is no value"),
    ("{ http: 'http://a/', every: 1ms }", 3, 34, "`every 1ms` is out of range"),
    ("{ http: 'http://a/', every: 5 }", 3, 34, "has no unit"),
    ("{ http: 'http://a/', within: 1s, timeout: 500ms }", 3, 48, "no answer could be late"),
    ("{ http: 'http://a/', fails: 3 of 2 }", 3, 34, "`fails 3 of 2` is out of range"),
    ("{ tcp: 'a' }", 3, 13, "not a host and a port"),
    ("{ tcp: }", 3, 11, "`tcp` has no value"),
    ("{ command: /bin/x }", 3, 17, "a list of the program"),
    ("{ command: [x] }", 3, 17, "whole path"),
    ("{ command: [/bin/x], number: '5' }", 3, 35, "says no order"),
    ("{ command: [/bin/x], number: '< five' }", 3, 35, "`five` is no number"),
    ("{ file: log, absent: x }", 3, 14, "write it whole"),
    ("{ file: /log }", 3, 6, "one of `absent` and `present`"),
    ("{ file: /log, absent: x, present: y }", 3, 6, "one of `absent` and `present`"),
    ("{ file: /log, absent: '[' }", 3, 28, "a class is opened"),
    ("{ journald: 'my-*', absent: x }", 3, 18, "is no unit of systemd"),
    ("{ journald: my-agent }", 3, 6, "a probe of the journal says by one of `absent` and `present`"),
    ("{ journald: my-agent, absent: '[' }", 3, 36, "a class is opened"),
    ("{ process: {} }", 3, 17, "`process` selects nothing"),
    ("{ process: { pidd: 7 } }", 3, 19, "did you mean `pid`?"),
    ("{ process: { pid: 7 }, alive: false }", 3, 36, "`alive` is true"),
    ("{ process: { pid: 7 }, restarts: '< 2' }", 3, 39, "named by cgroup, unit"),
    ("{ process: { unit: a }, rss: '< 1gb' }", 3, 35, "is not a number of bytes"),
    ("{ process: { unit: a }, rss: 1gib }", 3, 35, "says no order"),
    ("{ prometheus: 'http://a', query: up }", 3, 6, "the probe needs `is`"),
    ("{ prometheus: 'http://a', is: '< 5' }", 3, 6, "the probe needs `query`"),
    ("{ prometheus: 'http://u:secret@a', query: up, is: '< 5' }", 3, 20, "leave them out"),
    ("[ tcp ]", 3, 6, "one value, not a list"),
    ("tcp a", 3, 6, "not a host and a port"),
];

#[test]
fn what_is_wrong_with_a_probe_has_its_place() {
    let mut misplaced = Vec::new();
    for (probe, line, column, part) in PROBES {
        let error = read(probe).expect_err(probe);
        assert!(error.sentence.contains(part), "{probe}: {error}");
        assert!(!error.sentence.contains("secret"), "{error}");
        if (error.line, error.column) != (*line, *column) {
            misplaced.push(format!("{probe} => {error}"));
        }
    }
    assert!(misplaced.is_empty(), "{}", misplaced.join("\n"));
}

/// A halt condition names a probe of the file, and how often it may fail there.
#[test]
fn a_halt_condition_may_name_a_probe() {
    let read = |halt: &str, steady: &str| {
        let text = format!(
            "targets: {{ a: {{pid: 7}} }}\nprobes: {{ p: tcp 127.0.0.1:1 every 1s within 1s, q: tcp 127.0.0.1:2 }}\n{steady}\n\
             duration: 5s\nfaults: [net.blackhole]\nhalt: [{halt}]\n"
        );
        parse(&text, "halt.yaml", None)
    };
    let steady = "steady-state: [p]\nobjectives: { rto: 10m }\nbaseline: 1m\nrecovery: 1m";
    let experiment = read("p fails 3 of 5, q fails 2, host.load > 8", steady).unwrap();
    let lines: Vec<String> = experiment.halt.iter().map(ToString::to_string).collect();
    let line = |text: &str| {
        text.parse::<crate::condition::Condition>()
            .unwrap()
            .to_string()
    };
    assert_eq!(
        lines,
        [
            line("tcp 127.0.0.1:1 fails 3 of 5 every 1s within 1s"),
            line("tcp 127.0.0.1:2 fails 2"),
            line("host.load > 8"),
        ]
    );
    // Of the steady state it keeps its own word.
    let probes = experiment.steady_state.unwrap().probes;
    assert_eq!((probes.len(), probes[0].question.fails.count), (1, 1));
    let alone = read("p fails 3, q fails 2", "").unwrap();
    assert!(alone.steady_state.is_none() && alone.halt.len() == 2);
    for (halt, part) in [
        ("p fails 0", "fails"),
        ("p fails often", "fails"),
        ("z fails 3", "`z`"),
    ] {
        let said = read(&format!("{halt}, q fails 2"), steady).unwrap_err();
        let said = said.to_string();
        assert!(said.contains(part), "{halt}: {said}");
    }
}
