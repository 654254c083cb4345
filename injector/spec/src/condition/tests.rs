//! Every condition reads back; every mistake is told by what it is.

use proptest::prelude::*;

use super::*;

fn parse(line: &str) -> Result<Condition, ConditionError> {
    line.parse()
}

/// A line, and what it is written as.
const LINES: &[(&str, &str)] = &[
    ("host.psi.cpu.some > 40%", "host.psi.cpu.some > 40%"),
    ("host.psi.io.full>=0.5%", "host.psi.io.full >= 0.5%"),
    (
        "target.psi.memory.full > 5% over 1m 30s",
        "target.psi.memory.full > 5% over 1m 30s",
    ),
    ("host.load > 8.5", "host.load > 8.5"),
    ("target.exits >= 1", "target.exits >= 1"),
    ("target.restarts > 2", "target.restarts > 2"),
    ("hits > 500/s", "hits > 500/s over 1s"),
    ("errnos > 0/s over 5s", "errnos > 0/s over 5s"),
    ("retransmits >= 20/s", "retransmits >= 20/s over 1s"),
    ("retry-storm", "retry-storm"),
    (" duplicate-effect ", "duplicate-effect"),
    ("clock >= 18:00", "clock >= 18:00"),
    (
        "clock > 2026-11-25T18:00:00Z",
        "clock >= 2026-11-25T18:00:00Z",
    ),
    (
        "tcp 127.0.0.1:5432",
        "tcp 127.0.0.1:5432 fails 3 every 1s within 1s",
    ),
    (
        "tcp [::1]:80 within 200ms fails 3 of 5",
        "tcp [::1]:80 fails 3 of 5 every 1s within 200ms",
    ),
    (
        "http http://localhost/health?a=b status 204 fails 2 every 500ms",
        "http http://localhost/health?a=b status 204 fails 2 every 500ms within 1s",
    ),
    (
        r#"command ["/bin/check","a b","\"c"] fails 1"#,
        r#"command ["/bin/check", "a b", "\"c"] fails 1 every 1s within 1s"#,
    ),
    (
        r#"prometheus http://127.0.0.1:9090 "sum(rate(x{a=\"b\"}[1m])) > 0" < -1e3 every 10s"#,
        r#"prometheus http://127.0.0.1:9090 "sum(rate(x{a=\"b\"}[1m])) > 0" < -1000 fails 1 every 10s within 2s"#,
    ),
    (
        r#"http http://a/ json "$.queue<10" body "re.dy" within 500ms timeout 1s"#,
        r#"http http://a/ status 200 body "re.dy" json "$.queue < 10" fails 3 every 1s within 500ms timeout 1s"#,
    ),
    (
        r#"http https://a/x status 204 ca "/etc/own ca.pem""#,
        r#"http https://a/x ca "/etc/own ca.pem" status 204 fails 3 every 1s within 1s"#,
    ),
    (
        "prometheus https://a:9090 ca /etc/ca.pem up < 1 fails 1",
        r#"prometheus https://a:9090 ca "/etc/ca.pem" "up" < 1 fails 1 every 5s within 2s"#,
    ),
    (
        r#"http http://a/ json "$['a b'] == \"x\"" timeout 500ms"#,
        r#"http http://a/ status 200 json "$['a b'] == \"x\"" fails 3 every 1s within 500ms"#,
    ),
    (
        r#"command ["/bin/lag"] number <= 2.5 fails 1"#,
        r#"command ["/bin/lag"] number <= 2.5 fails 1 every 1s within 1s"#,
    ),
    (
        "file /var/log/a.log absent ERROR|panic fails 1",
        r#"file "/var/log/a.log" absent "ERROR|panic" fails 1 every 1s within 1s"#,
    ),
    (
        r#"file "/var/log/a b" present "beat" every 5s"#,
        r#"file "/var/log/a b" present "beat" fails 3 every 5s within 1s"#,
    ),
    (
        "journald my-agent@1.service absent ERROR|panic fails 1",
        r#"journald my-agent@1.service absent "ERROR|panic" fails 1 every 1s within 1s"#,
    ),
    (
        r#"journald "dev-disk\\x2da" present "beat" every 5s"#,
        r#"journald dev-disk\x2da present "beat" fails 3 every 5s within 1s"#,
    ),
    (
        "process unit my-agent alive rss < 1 GiB restarts < 2 descriptors <= 200",
        "process unit my-agent restarts < 2 descriptors <= 200 rss < 1gib fails 3 every 1s within 1s",
    ),
    (
        "process pid 7,8 tree rss < 1025",
        "process pid 7,8 tree rss < 1025b fails 3 every 1s within 1s",
    ),
    (
        r#"process process "python agent.py" tree all"#,
        r#"process process "python agent.py" all tree fails 3 every 1s within 1s"#,
    ),
    (
        r#"process cgroup "a b.slice""#,
        r#"process cgroup "a b.slice" fails 3 every 1s within 1s"#,
    ),
];

#[test]
fn a_line_is_written_as_it_was_meant() {
    for (line, written) in LINES {
        let condition = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(condition.to_string(), *written);
        assert_eq!(parse(written).as_ref(), Ok(&condition), "{written}");
        let json = serde_json::to_string(&condition).unwrap();
        assert_eq!(serde_json::from_str::<Condition>(&json).unwrap(), condition);
    }
}

/// A line that is no condition, and a part of what is said about it.
const MISTAKES: &[(&str, &str)] = &[
    ("", "empty"),
    (
        "host.psi.cpu.sone > 40%",
        "did you mean `host.psi.cpu.some`?",
    ),
    ("psi.cpu.some > 40%", "did you mean `host.psi.cpu.some`?"),
    ("target.exit >= 1", "did you mean `target.exits`?"),
    ("retry-storms", "did you mean `retry-storm`?"),
    ("false-success", "no halt condition is called"),
    ("htpp http://a/", "did you mean `http`?"),
    ("zzz > 1", "there are: host.load"),
    ("host.psi.cpu.some > 40", "a share with its sign"),
    ("host.psi.cpu.some > 140%", "never hold"),
    ("host.psi.cpu.some > 100%", "never hold"),
    ("host.psi.cpu.some < 40%", "above a bound"),
    ("host.psi.cpu.some", "one of > >= < <="),
    ("host.psi.cpu.some > 40% ovr 2s", "did you mean `over`?"),
    ("host.psi.cpu.some > 40% over 2", "`2` has no unit"),
    ("host.psi.cpu.some > 40% over 1ms", "out of range"),
    ("host.load > inf", "a number"),
    ("host.load >= 0", "hold always"),
    ("host.load > 8 over 2s", "no place"),
    ("target.exits >= 1.5", "a whole number"),
    ("hits > 500", "how many a second"),
    ("hits > 500/m", "how many a second"),
    ("clock >= 25:00", "no time on the clock"),
    ("clock < 18:00", "above a bound"),
    ("clock", "`>=` and a time"),
    ("tcp", "a host and a port"),
    ("tcp 127.0.0.1", "not a host and a port"),
    ("tcp 127.0.0.1:0", "not a host and a port"),
    ("tcp a:80 fails 0", "out of range"),
    ("tcp a:80 fails 3 of 2", "out of range"),
    ("tcp a:80 fails 65", "out of range"),
    ("tcp a:80 failing 3", "did you mean `fails`?"),
    ("tcp a:80 every 1ms", "out of range"),
    ("tcp a:80 every 1s every 2s", "no place"),
    (
        "http http://a/ ca /etc/ca.pem",
        "`ca` says who may have signed",
    ),
    ("http https://a/ ca ca.pem", "write it whole"),
    ("http https://a/ ca", "a file of certificates"),
    (
        "prometheus http://a ca /ca.pem up < 1",
        "`ca` says who may have signed",
    ),
    ("http https://u:secret@a/", "journal"),
    ("http http://u:secret@a/", "journal"),
    ("http ftp://a/", "not an address"),
    ("http http://a/ status 99", "100 to 599"),
    ("command check", "whole path"),
    (r#"command ["check"]"#, "whole path"),
    ("command []", "whole path"),
    (r#"command ["/bin/check", 7]"#, "as in JSON"),
    (r#"command ["/bin/check"#, "as in JSON"),
    ("http http://a/ body \"(\"", "a group is opened by `(`"),
    ("http http://a/ body \"\"", "matches everything"),
    ("http http://a/ json queue", "cannot be read as a JSON path"),
    ("http http://a/ json \"$.a < b\"", "is no value"),
    ("http http://a/ jsn \"$.a\"", "did you mean `json`?"),
    ("http http://a/ status 200 status 200", "no place"),
    (
        "http http://a/ within 1s timeout 500ms",
        "no answer could be late",
    ),
    ("tcp a:80 timeout 2m", "out of range"),
    ("command [\"/bin/x\"] number 5", "one of > >= < <="),
    ("command [\"/bin/x\"] number < five", "a number"),
    ("file log absent x", "write it whole"),
    ("file /log", "`absent` or `present`"),
    ("file /log absent", "a regular expression"),
    ("file /log absent x present y", "no place"),
    ("journald", "a unit"),
    ("journald my-agent", "`absent` or `present`"),
    ("journald my-* absent x", "is no unit of systemd"),
    ("journald a/b absent x", "is no unit of systemd"),
    ("journald my-agent absent", "a regular expression"),
    ("journald my-agent absent x present y", "no place"),
    ("journal my-agent absent x", "did you mean `journald`?"),
    ("process my-agent", "one of pid, cgroup, unit"),
    ("process pid x", "`x` is not a process id"),
    ("process pid 7 restarts < 1", "named by cgroup, unit"),
    ("process unit a tree", "no place"),
    ("process unit a rss < 1gb", "is not a number of bytes"),
    ("process unit a restarts < 1.5", "is no whole number"),
    ("prometheus http://u:secret@a:9090 up < 1", "journal"),
    ("prometheus http://a:9090 < 1", "a query"),
    ("prometheus http://a:9090 up", "one of > >= < <="),
    ("prometheus http://a:9090 up < one", "a number"),
];

#[test]
fn mistakes_are_told_by_what_they_are() {
    for (line, part) in MISTAKES {
        let said = parse(line).expect_err(line).to_string();
        assert!(said.contains(part), "{line}: {said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

#[test]
fn a_place_is_shown_without_what_may_be_secret() {
    let url: HttpUrl = "http://a:9/hook/T0K3N?key=abc".parse().unwrap();
    assert_eq!(url.without_secrets(), "http://a:9/...");
    assert_eq!(
        (url.host().as_str(), url.path()),
        ("a:9", "/hook/T0K3N?key=abc")
    );
    let url: HttpUrl = "HTTPS://[::1]/hook".parse().unwrap();
    assert_eq!(url.without_secrets(), "https://[::1]:443/...");
    assert_eq!((url.scheme(), url.host().name()), (Scheme::Https, "[::1]"));
}

proptest! {
    #[test]
    fn parsing_is_total(line in "\\PC*|(host|target|tcp|http|command|clock|hits|file|journald|process)[a-z. \\[\\]\"<>=0-9%/:]{0,60}") {
        let _ = parse(&line);
    }

    #[test]
    fn what_is_read_is_written_and_read_back(
        number in 0.1f64..99.0, count in 1u8..=64, more in 0u8..64, every in 100u64..100_000,
        words in prop::collection::vec("\\PC{0,12}", 0..4), query in "\\PC{1,20}",
    ) {
        let of = (count + more).min(Fails::MOST);
        let command = [vec!["/bin/x".to_owned()], words].concat();
        let pace = Pace { every: Duration::from_millis(every), within: Duration::from_millis(every / 2 + 10), timeout: None };
        let bound = Bound { comparator: Comparator::Below, number: Number::new(number).unwrap() };
        let probes = [
            Probe::Command { words: command, number: None },
            Probe::Prometheus { server: "https://a".parse().unwrap(), ca: (every % 2 == 0).then(|| "/ca".into()), query: format!("q{query}"), bound },
        ];
        for probe in probes {
            let condition = Condition::Probe(Question { probe, fails: Fails { count, of }, pace });
            prop_assert_eq!(parse(&condition.to_string()), Ok(condition));
        }
        let bound = Bound { comparator: Comparator::Above, ..bound };
        let pressure = Condition::Pressure(Pressure {
            of: Whose::Target, resource: Resource::Io, stalled: Stalled::Full, bound, over: Some(pace.every),
        });
        prop_assume!(every >= 200);
        prop_assert_eq!(parse(&pressure.to_string()), Ok(pressure));
    }

    #[test]
    fn what_is_no_number_breaks_no_bound(number in -1e9f64..1e9) {
        for comparator in Comparator::ALL {
            let bound = Bound { comparator, number: Number::new(number).unwrap() };
            prop_assert!(!bound.is_broken_by(f64::NAN));
        }
    }
}
