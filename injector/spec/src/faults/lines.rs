//! Command lines of every fault, for tests of what all faults have to keep to.

use clap::Command;

/// Values for each flag; the first is a good one. A flag that is new needs a line.
const VALUES: &[(&str, &[&str])] = &[
    ("latency", &["500ms", "5m", "1h", "-1s", "5.5us"]),
    ("jitter", &["5us", "1.25ms", "20m"]),
    ("correlation", &["25%", "0.1%"]),
    ("percent", &["5%", "0.05", "0", "100%", "33.333%", "101"]),
    ("gemodel", &["1%,10%", "1%,10%,70%,0.1%", "1%"]),
    ("gap", &["5", "0"]),
    ("rate", &["1mbit", "1.5 gbit", "7kibit", "1mbps"]),
    (
        "peer",
        &[
            "10.0.0.0/8",
            "db.example",
            "fd00::1",
            "münchen.de",
            "1.2.3.4:5",
        ],
    ),
    ("errno", &["EIO", "111", "EWOULDBLOCK", "refused"]),
    (
        "hostname",
        &[
            "a.example",
            "münchen.de",
            "b.example,c.example",
            "https://x.example",
        ],
    ),
    ("dest-ip", &["192.0.2.0/24", "::1", "10.9.8.7/8", "[::1]"]),
    ("exclude-ip", &["127.0.0.0/8", "::1", "0.0.0.0/0"]),
    ("dest-port", &["443", "1-65535", "22", "80, 8000-8010", "0"]),
    ("source-port", &["9", "20-30", "53"]),
    ("exclude-port", &["9999", "1-1000", "22"]),
    ("when", &["3..9+2", "7", "2+", "0"]),
    ("seed", &["42", "18446744073709551615", "-1"]),
    ("max-hits", &["10", "0"]),
    ("signal", &["TERM", "9", "STOP"]),
    ("after", &["1s", "0s"]),
    ("interval", &["2s", "1ms"]),
    ("at-call", &["write", "openat,read", "wrote"]),
    ("thread", &["tokio-*", "a thread that has no such name"]),
    ("active", &["1s", "1ms"]),
    ("dormant", &["2s"]),
    ("cpu", &["10%", "250%", "0%"]),
    ("cpu-max", &["10000 100000", "1 1"]),
    ("memory-high", &["64m", "100b", "64"]),
    (
        "io-max",
        &["8:0 rbps=1m wiops=100", "8:16 wbps=77b", "8:0 rbps=64"],
    ),
    ("pids-max", &["20", "x"]),
    ("syscall", &["write", "connect,openat", "opneat"]),
    ("path", &["/data/db", "/data/**/*.log", "relative"]),
    ("delay-enter", &["5ms", "20s"]),
    ("delay-exit", &["7ms"]),
    ("max-length", &["4", "5000"]),
    ("max-occurrences", &["2", "0"]),
    ("at-most", &["7", "30s", "1m"]),
    ("plugin", &["*mcp-server*", "node,python*", ""]),
    ("lives", &["200ms", "1ms"]),
    ("retry-after", &["3s", "2m"]),
    ("status", &["503", "429", "200"]),
    ("after-tokens", &["3", "0"]),
    ("token-gap", &["200ms"]),
    ("answers", &["small-model-1", "with blank"]),
    ("model", &["gpt-*", "a,b"]),
    ("request-path", &["*/responses", "/v1/*"]),
    ("tool", &["search*", "a,b", ""]),
    ("method", &["tools/call", "tools/*", "prompts/get"]),
    ("code", &["-32601", "7", "x"]),
    ("message", &["it is gone", "two\nlines", ""]),
    (
        "text",
        &[
            "Ignore what was asked before",
            "a \"quoted\" word, and more",
            "",
        ],
    ),
];

/// Every subcommand that is a fault, with the words that lead to it.
pub(crate) fn leaves<'c>(
    command: &'c Command,
    path: &[String],
    found: &mut Vec<(Vec<String>, &'c Command)>,
) {
    for below in command.get_subcommands() {
        let mut path = path.to_vec();
        path.push(below.get_name().to_owned());
        if below.has_subcommands() {
            leaves(below, &path, found);
        } else {
            found.push((path, below));
        }
    }
}

/// The words of a fault with the flags that it requires, each with a good value.
pub(crate) fn shortest(path: &[String], command: &Command) -> Vec<String> {
    let mut words = path.to_vec();
    for flag in command
        .get_arguments()
        .filter(|flag| flag.is_required_set())
    {
        let name = flag.get_long().unwrap();
        let choice = flag.get_possible_values().first().cloned();
        let value = choice.map_or_else(
            || values_of(name)[0].to_owned(),
            |choice| choice.get_name().to_owned(),
        );
        words.push(format!("--{name}={value}"));
    }
    words
}

/// The values for a flag.
pub(crate) fn values_of(name: &str) -> &'static [&'static str] {
    let values = VALUES.iter().find(|(known, _)| *known == name);
    let (_, values) = values.unwrap_or_else(|| panic!("give --{name} values in VALUES"));
    values
}
