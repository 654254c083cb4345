//! What a run says of its hypothesis is what happened: against services whose recovery is known.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use injector_tests::injector::{Finished, Injector, Running};
use injector_tests::journalctl;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::lack::Lack;
use injector_tests::observation::Op;
use injector_tests::place::Place;
use injector_tests::victim::Victim;
use serde_json::Value;

mod modes;

use crate::needs::INJECTOR;
use crate::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("judged::{name}"), INJECTOR, run);
    vec![
        case("five_services_whose_recovery_is_known", five_services).beside_others(),
        case("each_verdict_has_its_exit_code", verdicts).beside_others(),
        case("probes_of_every_kind_see_what_happens", kinds).beside_others(),
        case("a_probe_that_cannot_judge_is_refused", refusals),
        case(
            "probes_are_asked_in_their_time",
            modes::each_is_asked_in_its_time,
        )
        .beside_others(),
    ]
}

/// Longer than any of these runs.
const END: Duration = Duration::from_mins(1);
/// How far a time that a run tells may be from the truth: one interval of its probes, and what an emulated machine
/// takes to ask and to answer.
pub(crate) const NEAR_MS: u64 = 150;

/// A service, and the service that it needs, which is not a target.
pub(crate) struct Service {
    victim: Victim,
    address: SocketAddr,
}

impl Service {
    pub(crate) fn start(
        lab: &Lab,
        place: Place<'_>,
        needs: SocketAddr,
        character: &str,
    ) -> Result<Self> {
        Self::start_with(lab, place, needs, character, &[])
    }

    pub(crate) fn start_with(
        lab: &Lab,
        place: Place<'_>,
        needs: SocketAddr,
        character: &str,
        more: &[&str],
    ) -> Result<Self> {
        let listen = SocketAddr::new(lab.address(), 0);
        let (victim, address) = Victim::start_dependent(place, listen, needs, character, more)?;
        Ok(Self { victim, address })
    }

    pub(crate) fn probe(&self, name: &str) -> String {
        format!(
            "  {name}: http http://{}/ every 100ms within 100ms\n",
            self.address
        )
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.victim.pid()
    }

    /// How long it was bad, in milliseconds, as it says itself.
    pub(crate) fn outage_ms(&mut self) -> Result<Option<u64>> {
        self.victim.ask()?;
        let (outages, _summary) = self.victim.operations()?;
        ensure!(outages.len() <= 1, "more than one outage: {outages:?}");
        Ok(outages.first().map(|outage| outage.took_ns / 1_000_000))
    }

    /// When it was bad for the longest time, as it says itself: on a busy machine a call may be late without a fault.
    pub(crate) fn longest_outage(&mut self) -> Result<Option<Op>> {
        self.victim.ask()?;
        let (outages, _summary) = self.victim.operations()?;
        Ok(outages.into_iter().max_by_key(|outage| outage.took_ns))
    }
}

/// What stands in front of the probes: `target` is a cgroup.
pub(crate) fn head(lab: &Lab) -> String {
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    format!("name: judged\nhypothesis: It holds.\ntargets:\n  agent: {{ cgroup: {cgroup} }}\n")
}

/// Nothing gets through to the service that others need.
pub(crate) fn cut(port: u16) -> String {
    format!(
        "steps:\n  - name: cut\n    duration: 3s\n    faults:\n      \
         - net.blackhole: {{ target: agent, protocol: udp, dest-port: [{port}] }}\n"
    )
}

pub(crate) fn run(injector: &Injector, name: &str, text: &str, flags: &[&str]) -> Result<Finished> {
    let file = injector.state().join(format!("{name}.yaml"));
    fs::write(&file, text)?;
    let path = file.to_string_lossy();
    let arguments = [&["run", &path, "--json"], flags].concat();
    injector.start_here(&arguments)?.wait_within(END)
}

pub(crate) fn judgement(finished: &Finished) -> Result<Value> {
    let report: Value = serde_json::from_str(&finished.stdout)
        .with_context(|| format!("no report: {finished:?}"))?;
    Ok(report["judgement"].clone())
}

fn five_services() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let needs = lab.serve("udp-echo")?;
    let kinds = [
        ("absorbs", "absorbed"),
        ("adapts", "adapted"),
        ("comes-back", "recovered"),
        ("comes-back-late", "late"),
        ("never-comes-back", "never"),
    ];
    let mut services = kinds
        .iter()
        .map(|(character, _)| Service::start(&lab, lab.agent(), needs, character))
        .collect::<Result<Vec<_>>>()?;
    // The same as the one that suffers most, and no target.
    let bystander = Service::start(&lab, lab.bystander(), needs, "never-comes-back")?;
    let mut text = head(&lab) + "probes:\n";
    for (service, (character, _)) in services.iter().zip(kinds) {
        text += &service.probe(character);
    }
    text += &bystander.probe("bystander");
    let names: Vec<&str> = kinds.iter().map(|(character, _)| *character).collect();
    let names = names.join(", ");
    text += &["steady-state: [", &names, "]\n"].concat();
    text += "controls: [bystander]\nobjectives: { rto: 5s }\nbaseline: 6s\nrecovery: 13s\n";
    text += &cut(needs.port());
    let injector = Injector::new()?;
    let finished = run(&injector, "five", &text, &[])?;
    ensure!(finished.code == Some(1), "{finished:?}");
    let judgement = judgement(&finished)?;
    ensure!(judgement["verdict"] == "deviated", "{judgement:#}");
    for (index, (character, fate)) in kinds.into_iter().enumerate() {
        let probe = &judgement["probes"][index];
        ensure!(probe["fate"] == fate, "{character}: {probe:#}");
        let truth = services[index].outage_ms()?;
        let told = match fate {
            "absorbed" => None,
            "never" => probe["at_least_ms"].as_u64(),
            _ => probe["rta_ms"].as_u64(),
        };
        match (truth, told) {
            (None, None) => {}
            // The service is asked after the run.
            (Some(truth), Some(told)) if fate == "never" => {
                ensure!(
                    told > 5_000 && told <= truth + NEAR_MS,
                    "{truth} ms: {probe:#}"
                );
            }
            (Some(truth), Some(told)) => {
                ensure!(told.abs_diff(truth) <= NEAR_MS, "{truth} ms: {probe:#}");
                let bound = |name: &str| probe[name].as_u64().unwrap_or_default();
                let (least, most) = (bound("least_ms"), bound("most_ms"));
                ensure!(
                    least <= truth + 20 && truth <= most + 20,
                    "{truth} ms is out of bounds: {probe:#}"
                );
            }
            other => ensure!(false, "{character}: {other:?}, {probe:#}"),
        }
    }
    let control = &judgement["probes"][kinds.len()];
    ensure!(control["fate"] == "absorbed", "the bystander: {control:#}");
    Ok(())
}

/// One service, asked in every way that a file has a map for. Its status is 200 all the time.
fn kinds() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let needs = lab.serve("udp-echo")?;
    let injector = Injector::new()?;
    let log = injector.state().join("service.log");
    // What was written before the run says nothing about it.
    fs::write(&log, "ERROR of yesterday\n")?;
    let log = log.to_string_lossy();
    let agent = lab.agent();
    let mut service = Service::start_with(&lab, agent, needs, "comes-back", &["--log", &log])?;
    let bystander = Service::start(&lab, lab.bystander(), needs, "never-comes-back")?;
    let pace = "every: 100ms, within: 100ms";
    let (told, pid) = (
        format!("http://{}/told", service.address),
        service.victim.pid(),
    );
    let probes = [
        ("status", "absorbed", format!("http: \"{told}\"")),
        (
            "json",
            "recovered",
            format!("http: \"{told}\", json: \"$.waiting < ${{most}}\""),
        ),
        (
            "body",
            "recovered",
            format!("http: \"{told}\", body: '\"state\":\"good\"'"),
        ),
        (
            "log",
            "recovered",
            format!("file: \"{log}\", absent: ^ERROR"),
        ),
        (
            "journal",
            "recovered",
            "journald: agent, absent: ^ERROR".to_owned(),
        ),
        (
            "process",
            "absorbed",
            format!("process: {{ pid: {pid} }}, descriptors: < 100, rss: < 1 GiB"),
        ),
        // The size of the file, which never is what it was again.
        (
            "number",
            "never",
            format!("command: [/bin/stat, -c, \"%s\", \"{log}\"], number: < 20"),
        ),
    ];
    let mut text = head(&lab) + "apiVersion: injector/v1\nvariables: { most: 3 }\nprobes:\n";
    for (name, _, asks) in &probes {
        text.extend([format!("  {name}: {{ {asks}, {pace} }}\n")]);
    }
    let (address, names) = (bystander.address, probes.each_ref().map(|(name, ..)| *name));
    text.extend([format!(
        "  bystander: {{ http: \"http://{address}/told\", json: '$.state == \"good\"', {pace} }}\n\
         steady-state: [{}]\ncontrols: [bystander]\nobjectives: {{ rto: 5s }}\nbaseline: 5s\nrecovery: 8s\n",
        names.join(", ")
    )]);
    text += &cut(needs.port());
    let file = injector.state().join("kinds.yaml");
    fs::write(&file, text)?;
    let programs = tempfile::tempdir()?;
    let arguments = ["run", &file.to_string_lossy(), "--json", "--set", "most=1"];
    let mut command = injector.command(&arguments);
    journalctl::stand_in(&mut command, programs.path(), Path::new(&*log))?;
    let finished = Running::spawn(command)?.wait_within(END)?;
    ensure!(finished.code == Some(1), "{finished:?}");
    let judgement = judgement(&finished)?;
    ensure!(judgement["verdict"] == "deviated", "{judgement:#}");
    let truth = service.outage_ms()?.context("the service was never bad")?;
    for (index, (name, fate, _)) in probes.iter().enumerate() {
        let probe = &judgement["probes"][index];
        ensure!(
            probe["name"] == *name && probe["fate"] == *fate,
            "{name}: {probe:#}"
        );
        if *fate == "recovered" {
            let told = probe["rta_ms"].as_u64().unwrap_or_default();
            ensure!(told.abs_diff(truth) <= NEAR_MS, "{truth} ms: {probe:#}");
        }
    }
    let control = &judgement["probes"][probes.len()];
    ensure!(control["fate"] == "absorbed", "the bystander: {control:#}");
    let report = injector.once(&["report", "last", "--format", "md"])?;
    ensure!(report.stdout.contains("Variables: most=1."), "{report:?}");
    let follows = format!("tail\0-n\00\0-F\0{log}\0");
    let left = fs::read_dir("/proc")?.flatten().find(|process| {
        fs::read(process.path().join("cmdline")).is_ok_and(|line| line == follows.as_bytes())
    });
    ensure!(left.is_none(), "what follows the journal is left: {left:?}");
    Ok(())
}

/// A verdict that is not `deviated`, and what makes it.
struct Scene {
    name: &'static str,
    verdict: &'static str,
    code: i32,
    /// What is asked, and which of it is about the target.
    asks: Asks,
    /// The port to which nothing gets through; that of the service that the target needs where none is said.
    port: Option<u16>,
    flags: &'static [&'static str],
}

#[derive(Clone, Copy)]
enum Asks {
    /// The target's service, and the bystander's as a control.
    Both,
    /// The roles are exchanged: what is hit is called a bystander.
    Exchanged,
    /// What was never there.
    Dead,
}

const SCENES: [Scene; 5] = [
    Scene {
        name: "held",
        verdict: "held",
        code: 0,
        asks: Asks::Both,
        port: None,
        flags: &[],
    },
    Scene {
        name: "not met",
        verdict: "inconclusive",
        code: 4,
        asks: Asks::Both,
        // Nothing of the target goes there.
        port: Some(9),
        flags: &[],
    },
    Scene {
        name: "unsteady",
        verdict: "inconclusive",
        code: 4,
        asks: Asks::Dead,
        port: None,
        flags: &[],
    },
    Scene {
        name: "harm",
        verdict: "unsafe",
        code: 1,
        asks: Asks::Exchanged,
        port: None,
        flags: &[],
    },
    Scene {
        name: "halted",
        verdict: "halted",
        code: 1,
        asks: Asks::Both,
        port: None,
        flags: &["--halt-if", "hits > 1/s over 200ms"],
    },
];

fn verdicts() -> Result<()> {
    at_once(&SCENES, |scene| scene.play().context(scene.name))
}

/// Plays all scenes at once, each with a target of its own: they wait more than they work.
pub(crate) fn at_once<S: Sync>(
    scenes: &'static [S],
    play: impl Fn(&S) -> Result<()> + Copy + Send,
) -> Result<()> {
    thread::scope(|scope| {
        let played: Vec<_> = scenes
            .iter()
            .map(|scene| scope.spawn(move || play(scene).map_err(Lack::in_place_of)))
            .collect();
        played.into_iter().try_for_each(|played| {
            let broke = |_| Err(anyhow!("a scene broke off"));
            played.join().unwrap_or_else(broke)
        })
    })
}

impl Scene {
    fn play(&self) -> Result<()> {
        let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
        let needs = lab.serve("udp-echo")?;
        let target = Service::start(&lab, lab.agent(), needs, "comes-back")?;
        let bystander = Service::start(&lab, lab.bystander(), needs, "never-comes-back")?;
        let both = target.probe("target") + &bystander.probe("bystander");
        let dead = "  dead: tcp 127.0.0.1:1 every 100ms within 100ms\n".to_owned();
        let (probes, roles) = match self.asks {
            Asks::Both => (both, "steady-state: [target]\ncontrols: [bystander]\n"),
            Asks::Exchanged => (both, "steady-state: [bystander]\ncontrols: [target]\n"),
            Asks::Dead => (dead, "steady-state: [dead]\n"),
        };
        let text = format!(
            "{}probes:\n{probes}{roles}objectives: {{ rto: 10s }}\nbaseline: 5s\nrecovery: 6s\n{}",
            head(&lab),
            cut(self.port.unwrap_or_else(|| needs.port()))
        );
        let finished = run(&Injector::new()?, "judged", &text, self.flags)?;
        let judgement = judgement(&finished)?;
        ensure!(
            judgement["verdict"] == self.verdict && finished.code == Some(self.code),
            "exit code {:?}, {judgement:#}",
            finished.code
        );
        if matches!(self.asks, Asks::Dead) {
            let report = finished.report()?;
            ensure!(
                report.outcome == "unsteady" && report.faults.iter().all(|fault| fault.hit == 0),
                "a fault acted although the steady state did not hold: {finished:?}"
            );
        }
        Ok(())
    }
}

/// Nothing is armed, and the sentence says where and what to do.
fn refusals() -> Result<()> {
    let injector = Injector::new()?;
    let file = |probes: &str| {
        format!(
            "name: x\ntargets: {{ a: {{ pid: 1 }} }}\n{probes}\nsteps:\n  - {{ name: s, duration: 1s, \
             faults: [net.blackhole] }}\n"
        )
    };
    let probe = "probes: { web: 'tcp 127.0.0.1:80 every 1s' }";
    let cases = [
        (
            file(&format!("{probe}\nsteady-state: [wep]")),
            ":4:16: no probe is called `wep`; did you mean `web`?",
        ),
        (file(probe), "probe `web` is used nowhere"),
        (
            file("steady-state: [web]"),
            ":3:1: `steady-state` needs `probes`",
        ),
        (
            file(&format!(
                "{probe}\nsteady-state: [web]\nobjectives: {{ rto: 2s }}"
            )),
            "Lower its `every` and `within` to 200ms, or raise `rto`",
        ),
        (
            file(&format!("{probe}\nsteady-state: [web]\nrecovery: 2s")),
            "the quiet time behind the last fault is 2s",
        ),
        (
            file("probes: { web: 'host.load > 8' }\nsteady-state: [web]"),
            "`host.load > 8` asks nothing",
        ),
        (
            file(&format!("{probe}\nsteady-state: [web]\ncontrols: [web]")),
            "probe `web` is named twice",
        ),
    ];
    for (text, part) in cases {
        let finished = run(&injector, "refused", &text, &[])?;
        ensure!(finished.code == Some(2), "{text}: {finished:?}");
        ensure!(
            finished.stderr.contains(part),
            "{part:?} is not in {finished:?}, for {text}"
        );
    }
    Ok(())
}
