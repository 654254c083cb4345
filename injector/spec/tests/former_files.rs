//! Experiments and a configuration of an earlier version (November 2026, before the crates were split) mean what they
//! meant.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fs, path::Path, time::Duration};

use injector_spec::{
    config::Config,
    experiment::{Experiment, file::parse},
};

fn text(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/former");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn experiment(name: &str) -> Experiment {
    parse(&text(name), name, None).unwrap()
}

#[test]
fn experiments_are_read() {
    let kinds = |experiment: &Experiment| -> Vec<&'static str> {
        let steps = experiment.steps.iter();
        steps
            .flat_map(|step| &step.faults)
            .map(|fault| fault.kind.name())
            .collect()
    };
    assert_eq!(kinds(&experiment("sys-delay.yaml")), ["sys.delay"]);
    assert!(kinds(&experiment("bad-day.yaml")).len() > 2);
    let halt = experiment("halt-conditions.yaml");
    assert!(halt.halt.len() > 1, "{:?}", halt.halt);
    let spike = experiment("model-latency-spike.yaml");
    assert!(spike.duration() > Duration::from_secs(1));
}

#[test]
fn a_configuration_with_every_key_is_read() {
    let config = Config::parse(&text("injector.toml"), "injector.toml").unwrap();
    assert_eq!(config.limits.max_bytes, 4 << 30);
    assert!(config.socket.group.is_some() && config.socket.read_only_group.is_some());
    assert!(config.escalation.webhook.is_some());
    assert!(!config.daemon.enabled);
}
