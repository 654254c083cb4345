//! Every key: its default, and where a mistake in it is.

use proptest::prelude::*;

use super::*;

const WRITTEN: &str = include_str!("../../../../configs/injector.toml");

#[test]
fn the_written_file_is_the_defaults() {
    assert_eq!(
        Config::parse(WRITTEN, "injector.toml").unwrap(),
        Config::default()
    );
    assert_eq!(
        Config::parse("", "injector.toml").unwrap(),
        Config::default()
    );
    assert!(Config::default().faults.includes("net.delay"));
}

/// Each key with a value that it does not take, and a word of the complaint.
const MISTAKES: &[(&str, &str, &str, &str)] = &[
    ("daemon", "enabled", "1", "true or false"),
    ("daemon", "allow", r#"["agent.slice"]"#, "agent.slice"),
    ("daemon", "allow", r#"["/sys/fs/cgroup/a"]"#, "mount point"),
    ("limits", "max_processes", "0", "1 or more"),
    ("limits", "max_share", r#""101%""#, "more than everything"),
    ("limits", "max_hits", "-1", "0 or more"),
    ("limits", "max_hit_rate", r#""many""#, "many"),
    ("limits", "max_bytes", r#""1 apple""#, "1 apple"),
    ("limits", "max_experiments", "5000000000", "out of range"),
    ("limits", "max_duration", r#""1""#, "unit"),
    ("faults", "allow", r#"["net.["]"#, "net.["),
    ("socket", "group", "-1", "-1"),
    ("socket", "read_only_group", r#""""#, "group"),
    ("hours", "days", r#"["someday"]"#, "someday"),
    ("hours", "days", "[]", "no day"),
    ("hours", "from", r#""8""#, "time of day"),
    ("hours", "until", r#""25:00""#, "time of day"),
    (
        "protected",
        "processes",
        r#"["a-name-that-is-too-long"]"#,
        "15",
    ),
    ("protected", "units", r#"["a/b"]"#, "a/b"),
    ("protected", "cgroups", r#"[".."]"#, "cgroup"),
    (
        "halt",
        "conditions",
        r#"["host.laod > 8"]"#,
        "did you mean `host.load`?",
    ),
    ("escalation", "command", r#"["page"]"#, "whole path"),
    (
        "escalation",
        "webhook",
        r#""ftp://a/""#,
        "is not an address of the web",
    ),
    ("relay", "ca", r#""ca.pem""#, "whole path"),
    ("relay", "ca_key", r#""./ca.key""#, "whole path"),
    ("relay", "peer_ca", r#""peers""#, "whole path"),
    ("journal", "keep", "0", "1 or more"),
    ("journal", "max_age", r#""90""#, "unit"),
    ("escalation", "journald", r#""yes""#, "true or false"),
    (
        "escalation",
        "escalate",
        r#"[{ to = "on-call", within = "0s" }]"#,
        "between 1s and 1d",
    ),
    ("schedule", "enabled", "1", "true or false"),
    ("schedule", "suite", r#""suite""#, "whole path"),
    ("schedule", "hours", r#"{ from = "8" }"#, "time of day"),
    ("schedule", "at_most_a_day", "0", "1 to 1440"),
    ("schedule", "units", r#"["a/b"]"#, "a/b"),
    ("schedule", "cgroups", r#"["a"]"#, "no cgroup"),
    ("[notifier]", "name", r#""On Call""#, "small letters"),
    (
        "[notifier]",
        "kind",
        r#""webhok""#,
        "did you mean `webhook`?",
    ),
    (
        "[notifier]",
        "url",
        r#""ftp://a/""#,
        "is not an address of the web",
    ),
    ("[notifier]", "command", r#"["page"]"#, "whole path"),
];

#[test]
fn each_mistake_has_its_place() {
    for (section, key, value, word) in MISTAKES {
        let text = format!("# a comment\n[{section}]\n{key} = {value}\n");
        let error = Config::parse(&text, "f.toml").unwrap_err();
        let ConfigError::Mistake {
            line, column, what, ..
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!(*line, 3, "{text}{error}");
        // At the value, or in it.
        let at = key.len() + 4;
        assert!((at..at + value.len()).contains(column), "{text}{error}");
        assert!(what.contains(word), "{text}{error}");
    }
}

/// Every key of the written file is one of those that the mistakes are about: none is forgotten.
#[test]
fn every_key_is_tried() {
    let mut section = "";
    let mut keys = 0;
    for line in WRITTEN.lines() {
        let line = line.trim_start_matches("# ");
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name;
        } else if let Some((key, _)) = line.split_once(" = ")
            && !key.contains([' ', ':'])
        {
            keys += 1;
            let is_tried = MISTAKES
                .iter()
                .any(|(of, name, ..)| (*of, *name) == (section, key));
            assert!(is_tried, "{section}.{key}");
        }
    }
    assert_eq!(keys, 38);
}

/// What no section alone can know has its place, too.
#[test]
fn notifiers_and_those_who_name_them_go_together() {
    let two = "[[notifier]]\nname = \"on-call\"\nkind = \"journald\"\n[[notifier]]\n";
    let one_step = |step: &str| {
        format!("{two}name = \"lead\"\nkind = \"journald\"\n[escalation]\nescalate = [{step}]\n")
    };
    for (text, place, part) in [
        (
            format!("{two}name = \"on-call\"\nkind = \"journald\"\n"),
            (5, 8),
            "two notifiers are called `on-call`",
        ),
        (
            format!("{two}name = \"lead\"\nkind = \"webhook\"\n"),
            (6, 8),
            "needs `url`",
        ),
        (
            format!("{two}name = \"lead\"\nkind = \"command\"\nurl = \"http://a/\"\n"),
            (6, 8),
            "needs `command`",
        ),
        (
            format!("{two}name = \"lead\"\nkind = \"journald\"\nurl = \"http://a/\"\n"),
            (6, 8),
            "another kind",
        ),
        (
            one_step("{ to = \"on-cal\", within = \"5m\" }"),
            (8, 20),
            "did you mean `on-call`?",
        ),
        (
            one_step("{ to = \"on-call\" }"),
            (8, 13),
            "`within` is missing",
        ),
        (
            one_step("{ to = \"lead\", within = \"5m\" }, { to = \"lead\", within = \"5m\" }"),
            (8, 52),
            "names `lead` twice",
        ),
        (
            "[escalation]\nescalate = [{ to = \"x\", within = \"5m\" }]\n".to_owned(),
            (2, 20),
            "add it as a section",
        ),
    ] {
        match Config::parse(&text, "f.toml") {
            Err(ConfigError::Mistake {
                line, column, what, ..
            }) => {
                assert_eq!((line, column), place, "{text}{what}");
                assert!(what.contains(part), "{text}{what}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    let good = Config::parse(&one_step("{ to = \"lead\", within = \"5m\" }"), "f.toml").unwrap();
    let steps = good.escalate();
    assert_eq!(steps[0].to_string(), "lead within 5m");
    assert_eq!(
        good.notifier(&steps[0].to).unwrap().way(),
        Some(NotifierWay::Journald)
    );
}

#[test]
fn unknown_keys_and_sections_are_refused() {
    let place = |text: &str| match Config::parse(text, "f.toml") {
        Err(ConfigError::Mistake {
            line, column, what, ..
        }) => (line, column, what),
        other => panic!("{other:?}"),
    };
    let (line, column, what) = place("[limits]\nmax_hits = 5\n  max_hitz = 5\n");
    assert_eq!((line, column), (3, 3), "{what}");
    assert!(what.contains("max_hitz"), "{what}");
    let (line, _, what) = place("\n[limit]\nmax_hits = 5\n");
    assert_eq!(line, 2, "{what}");
    let (line, _, _) = place("[limits]\nmax_hits = \n");
    assert_eq!(line, 2);
    let (line, _, _) = place("[limits]\nmax_hits = 1\nmax_hits = 2\n");
    assert_eq!(line, 3);
}

#[test]
fn mistakes_are_told_in_our_words() {
    let said = |text: &str| Config::parse(text, "f\n.toml").unwrap_err().to_string();
    for (text, part) in [
        ("[limits]\nmax_hitz = 5\n", "did you mean `max_hits`?"),
        (
            "[limits]\nmax_hits = \"5\"\n",
            "`5` is a text, and a whole number belongs here",
        ),
        (
            "[limits]\nmax_hits = 1\nmax_hits = 2\n",
            "for the second time",
        ),
        ("[limits\nmax_hits = 1\n", "opened and not closed"),
        ("[faults]\nallow = \"net.*\"\n", "a list, as in"),
        ("limits = 5\n", "a section, as in"),
        ("[limits]\nmax_hits 5\n", "write `key = value`"),
        ("[limits]\nmax_duration = 1h\n", "quotation marks"),
        ("[limits]\nmax_duration = \"1h\n", "not closed"),
        ("[hours]\ndays = [\"mon\" \"tue\"]\n", "a comma is missing"),
        ("[hours]\ndays = [\"mno\"]\n", "known are: sun, mon"),
        ("[limits] [faults]\n", "no TOML"),
    ] {
        let said = said(text);
        assert!(said.contains(part), "{text:?}: {said}");
        assert!(said.starts_with("f\\n.toml:"), "{text:?}: {said}");
        assert!(!said.contains("expected"), "{text:?}: {said}");
    }
}

#[test]
fn groups_are_names_or_numbers() {
    let text = "[socket]\ngroup = \"chaos\"\nread_only_group = 990\n";
    let socket = Config::parse(text, "f.toml").unwrap().socket;
    assert_eq!(socket.group, Some(Group::Name("chaos".into())));
    assert_eq!(socket.read_only_group, Some(Group::Id(990)));
}

proptest! {
    #[test]
    fn parsing_is_total(text in "\\PC*") {
        let _ = Config::parse(&text, "f.toml");
    }

    #[test]
    fn a_place_is_within_the_text(text in "[\\[\\]a-z\"=\n é]{0,60}") {
        if let Err(ConfigError::Mistake { line, .. }) = Config::parse(&text, "f.toml") {
            prop_assert!(line >= 1 && line <= text.matches('\n').count() + 1);
        }
    }
}
