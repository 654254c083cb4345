//! Tests of the harness: a guard that leaks or a victim that lies would make the others worthless.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use injector_tests::bpf;
use injector_tests::cgroup::CgroupPair;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::netns::{self, VethPair};
use injector_tests::place::Place;
use injector_tests::snapshot::Snapshot;
use injector_tests::victim::Victim;

use crate::needs::{HARNESS, iproute2, ipv6};
use crate::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "harness::a_victim_is_born_in_its_cgroup",
            HARNESS,
            born_in_its_cgroup,
        ),
        Case::new(
            "harness::guards_clean_up_after_a_panic",
            HARNESS,
            clean_up_after_a_panic,
        )
        .also_needs(iproute2),
        Case::new(
            "harness::a_snapshot_sees_bpf_objects",
            HARNESS,
            snapshot_sees_bpf_objects,
        ),
        Case::new(
            "harness::a_snapshot_sees_devices",
            HARNESS,
            snapshot_sees_devices,
        )
        .also_needs(iproute2),
        Case::new(
            "harness::an_idle_connection_hears_its_end",
            HARNESS,
            idle_hears_its_end,
        ),
        Case::new(
            "harness::a_tree_speaks_with_every_voice",
            HARNESS,
            tree_speaks,
        ),
        Case::new(
            "harness::agent_and_model_api_get_on",
            HARNESS,
            agent_and_model_api,
        ),
        Case::new(
            "harness::a_blast_arrives_whole",
            HARNESS,
            blast_arrives_whole,
        ),
    ];
    for (wire, wire_name) in [(Wire::Loopback, "loopback"), (Wire::Veth, "veth")] {
        for (family, family_name) in [(Family::V4, "v4"), (Family::V6, "v6")] {
            let name = format!("harness::victims_get_through::{wire_name}_{family_name}");
            let case = Case::new(name, HARNESS, move || victims_get_through(wire, family));
            let case = if wire == Wire::Veth {
                case.also_needs(iproute2)
            } else {
                case
            };
            cases.push(if family == Family::V6 {
                case.also_needs(ipv6)
            } else {
                case
            });
        }
    }
    cases
}

fn born_in_its_cgroup() -> Result<()> {
    let pair = CgroupPair::create()?;
    let place = Place {
        cgroup: Some(&pair.agent),
        netns: None,
    };
    let victim = Victim::start(place, &["sleep"])?;
    let membership = std::fs::read_to_string(format!("/proc/{}/cgroup", victim.pid()))?;
    let unified = membership.lines().find_map(|line| line.strip_prefix("0::"));
    ensure!(
        unified.is_some_and(|path| pair.agent.path().ends_with(path.trim_start_matches('/'))),
        "the victim is in {membership:?}"
    );
    Ok(())
}

fn clean_up_after_a_panic() -> Result<()> {
    let namespaces = netns::named();
    let mut made = None;
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let (Ok(pair), Ok(veth)) = (CgroupPair::create(), VethPair::create()) else {
            return;
        };
        made = pair.agent.path().parent().map(ToOwned::to_owned);
        let place = Place {
            cgroup: Some(&pair.agent),
            netns: Some(&veth.client),
        };
        let victim = Victim::start(place, &["sleep"]);
        // Outlives its own guard, so that the cgroup's guard has something to kill.
        std::mem::forget(victim);
        // Not `panic!`, whose message would look like a failure in the output.
        std::panic::resume_unwind(Box::new("on purpose"));
    }));
    ensure!(outcome.is_err(), "the panic got lost");
    ensure!(
        made.is_some_and(|path| !path.exists()),
        "the cgroups stayed"
    );
    ensure!(netns::named() == namespaces, "the namespaces stayed");
    Ok(())
}

fn snapshot_sees_bpf_objects() -> Result<()> {
    let before = Snapshot::take()?;
    let map = bpf::make_array("residue")?;
    let residue = before.residue(&Snapshot::take()?);
    ensure!(
        residue.len() == 1 && residue[0].contains("(residue)"),
        "saw {residue:?}"
    );
    drop(map);
    before.assert_same()
}

fn snapshot_sees_devices() -> Result<()> {
    let veth = VethPair::create()?;
    let before = Snapshot::take()?;
    veth.client
        .batch("link add left type veth peer name over\n")?;
    let residue = before.residue(&Snapshot::take()?);
    ensure!(
        residue.len() == 2 && residue[0].contains("device"),
        "saw {residue:?}"
    );
    let setting = "net/ipv4/conf/lo/route_localnet";
    netns::inside(veth.client.name(), || {
        std::fs::write(format!("/proc/sys/{setting}"), "1")
    })??;
    ensure!(
        before.residue(&Snapshot::take()?).len() == 4,
        "a changed sysctl was not seen"
    );
    Ok(())
}

fn idle_hears_its_end() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (server, address) = lab.server("tcp-echo", SocketAddr::new(lab.address(), 0))?;
    let idle = Victim::start(
        lab.agent(),
        &["idle-tcp", "--connect", &address.to_string()],
    )?;
    ensure!(
        idle.summary_within(Duration::from_millis(200))?.is_none(),
        "it ended by itself"
    );
    drop(server);
    let Some(summary) = idle.summary_within(Duration::from_secs(5))? else {
        bail!("it did not hear the end");
    };
    ensure!(summary.error("eof") == 1, "it heard {:?}", summary.errors);
    Ok(())
}

fn tree_speaks() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let echo = lab.serve("tcp-echo")?.to_string();
    let mut tree = Victim::start(lab.agent(), &["fork-tree", "--connect", &echo])?;
    let voices = tree.chorus()?;
    let names: Vec<&str> = voices.iter().map(|voice| voice.who.as_str()).collect();
    for expected in [
        "main",
        "thread",
        "old-child/main",
        "old-child/old-child/thread",
        "new-child/main",
    ] {
        ensure!(
            names.contains(&expected),
            "{expected} is missing in {names:?}"
        );
    }
    ensure!(
        voices.iter().all(|voice| voice.ok == voice.sent),
        "some pings failed: {voices:?}"
    );
    Ok(())
}

fn agent_and_model_api() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let api = lab.serve("model-api")?.to_string();
    let agent = Victim::start(lab.agent(), &["http-agent", "--connect", &api])?;
    let mut calls = Vec::new();
    injector_tests::eventually::eventually("20 calls", Duration::from_secs(5), || {
        calls.extend(agent.calls());
        Ok((calls.len() >= 20).then_some(()))
    })?;
    ensure!(
        calls.iter().all(|call| call.ok && call.attempts == 1),
        "some failed: {calls:?}"
    );
    Ok(())
}

fn blast_arrives_whole() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (mut sink, address) = lab.server("udp-sink", SocketAddr::new(lab.address(), 0))?;
    let to = address.to_string();
    let blast = [
        "udp-blast",
        "--connect",
        &to,
        "--count",
        "50000",
        "--rate",
        "50000",
    ];
    let sent = Victim::start(lab.agent(), &blast)?.summary()?;
    let got = sink.round()?;
    ensure!(sent.sent == 50_000 && sent.failures() == 0, "sent {sent:?}");
    ensure!(got.ok == 50_000, "of 50000 datagrams {} arrived", got.ok);
    ensure!(
        got.damaged + got.duplicates + got.reordered == 0,
        "not as sent: {got:?}"
    );
    Ok(())
}

fn victims_get_through(wire: Wire, family: Family) -> Result<()> {
    let mut lab = Lab::new(wire, family)?;
    let tcp = lab.serve("tcp-echo")?.to_string();
    let udp = lab.serve("udp-echo")?.to_string();
    let bulk = lab.serve("tcp-sink")?.to_string();
    let dns = lab
        .serve_at("dns-server", SocketAddr::new(lab.address(), 53))?
        .to_string();
    let host: IpAddr = lab.address();
    let host = host.to_string();
    for arguments in [
        &["tcp-ping", "--connect", &tcp][..],
        &["tcp-ping", "--connect", &tcp, "--reconnect"],
        &["tcp-bulk", "--connect", &bulk, "--size", "65536"],
        &["udp-ping", "--connect", &udp],
        &["udp-flow", "--connect", &udp, "--count", "500"],
        &["connect", "--connect", &tcp],
        &["dns", "--server", &dns, "--name", "api.example.com"],
        &["icmp-ping", "--to", &host],
    ] {
        let summary = Victim::start(lab.agent(), arguments)?.summary()?;
        ensure!(
            summary.ok == summary.sent && summary.sent > 0 && summary.failures() == 0,
            "{arguments:?}: {summary:?}"
        );
        ensure!(
            summary.damaged + summary.duplicates + summary.reordered == 0,
            "{arguments:?}"
        );
    }
    Ok(())
}
