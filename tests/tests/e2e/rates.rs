//! How often a fault strikes: over 10^5 datagrams within four sigma of what was asked, never at 0 %,
//! always at 100 %, and on exactly those that `--when` and `--max-hits` name.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use injector_tests::injector::{FaultReport, Injector};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::observation::Summary;
use injector_tests::victim::Victim;

use crate::effects::first_fault;
use crate::needs::INJECTOR;
use crate::suite::Case;

const MANY: u64 = 100_000;
const FEW: u64 = 2_000;

/// What the sink made of a blast, and what the injector counted.
struct Outcome {
    sent: u64,
    got: Summary,
    counted: FaultReport,
}

pub(crate) fn cases() -> Vec<Case> {
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("rate::{name}"), INJECTOR, run);
    vec![
        case("loss_20_percent", || {
            let outcome = blast(MANY, &["net", "loss", "--percent", "20%"])?;
            outcome.hits_are(0.20)?;
            outcome.missing_are_hits()
        }),
        case("loss_gemodel_15_percent", || {
            // A share of 1/(1+3) of the time in the bad state, where 60 % get lost.
            let outcome = blast(MANY, &["net", "loss", "--gemodel", "10%,30%,60%,0%"])?;
            // Losses cluster: their count spreads wider than independent ones by about this.
            outcome.hits_are_within(0.15, 8.0)?;
            outcome.missing_are_hits()
        }),
        case("duplicate_10_percent", || {
            let outcome = blast(MANY, &["net", "duplicate", "--percent", "10%"])?;
            outcome.hits_are(0.10)?;
            ensure!(
                outcome.got.ok == MANY,
                "{} of {MANY} arrived",
                outcome.got.ok
            );
            ensure!(
                outcome.got.duplicates == outcome.counted.hit,
                "{} came twice, {} were counted",
                outcome.got.duplicates,
                outcome.counted.hit
            );
            Ok(())
        }),
        case("corrupt_payload_5_percent", || {
            let ask = ["net", "corrupt", "--mode", "payload", "--percent", "5%"];
            let outcome = blast(MANY, &ask)?;
            outcome.hits_are(0.05)?;
            ensure!(
                outcome.got.damaged == outcome.counted.hit
                    && outcome.got.ok + outcome.got.damaged == MANY,
                "damaged {}, counted {}, sound {}",
                outcome.got.damaged,
                outcome.counted.hit,
                outcome.got.ok
            );
            Ok(())
        }),
        case("corrupt_wire_5_percent", || {
            let ask = ["net", "corrupt", "--mode", "wire", "--percent", "5%"];
            let outcome = blast(MANY, &ask)?;
            outcome.hits_are(0.05)?;
            ensure!(
                outcome.got.damaged == 0,
                "the application read damage: {:?}",
                outcome.got
            );
            outcome.missing_are_hits()
        }),
        case("zero_percent_never_fires", zero_never_fires),
        case("hundred_percent_always_fires", hundred_always_fires),
        case("when_names_the_packets", || {
            let ask = ["net", "loss", "--percent", "100%", "--when", "3..7+2"];
            let outcome = blast(FEW, &ask)?;
            ensure!(
                outcome.counted.hit == 3,
                "3..7+2 are three, hit {}",
                outcome.counted.hit
            );
            outcome.missing_are_hits()
        }),
        case("max_hits_is_a_budget", || {
            let ask = ["net", "loss", "--percent", "50%", "--max-hits", "25"];
            let outcome = blast(FEW, &ask)?;
            ensure!(
                outcome.counted.hit == 25,
                "hit {} of a budget of 25",
                outcome.counted.hit
            );
            outcome.missing_are_hits()
        }),
        case("a_seed_repeats_a_run", || {
            let ask = ["net", "loss", "--percent", "30%", "--seed", "42"];
            let (first, again) = (blast(FEW, &ask)?, blast(FEW, &ask)?);
            ensure!(
                first.counted.hit == again.counted.hit,
                "two runs of one seed differ"
            );
            let other = blast(FEW, &["net", "loss", "--percent", "30%", "--seed", "43"])?;
            let third = blast(FEW, &["net", "loss", "--percent", "30%", "--seed", "44"])?;
            ensure!(
                first.counted.hit != other.counted.hit || first.counted.hit != third.counted.hit,
                "three seeds, one run"
            );
            Ok(())
        }),
    ]
}

const CHANCES: [&[&str]; 4] = [
    &["net", "loss"],
    &["net", "duplicate"],
    &["net", "corrupt", "--mode", "payload"],
    &["net", "corrupt", "--mode", "wire"],
];

fn zero_never_fires() -> Result<()> {
    for ask in CHANCES {
        let outcome = blast(FEW, &[ask, &["--percent", "0%"]].concat())?;
        ensure!(
            outcome.counted.hit == 0,
            "{ask:?} fired at 0 %: {:?}",
            outcome.counted
        );
        ensure!(
            outcome.counted.matched >= FEW,
            "{ask:?} matched {:?}",
            outcome.counted
        );
        ensure!(
            outcome.got.ok == FEW && outcome.got.duplicates == 0,
            "{ask:?}: {:?}",
            outcome.got
        );
    }
    Ok(())
}

fn hundred_always_fires() -> Result<()> {
    for ask in CHANCES {
        let outcome = blast(FEW, &[ask, &["--percent", "100%"]].concat())?;
        ensure!(
            outcome.counted.hit == outcome.counted.matched,
            "{ask:?}: {:?}",
            outcome.counted
        );
        ensure!(outcome.counted.hit >= FEW, "{ask:?}: {:?}", outcome.counted);
    }
    Ok(())
}

/// Sends datagrams through a fault to a sink that has room for all of them.
fn blast(count: u64, ask: &[&str]) -> Result<Outcome> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (mut sink, address) = lab.server("udp-sink", SocketAddr::new(lab.address(), 0))?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, ask)?;
    let (to, number) = (address.to_string(), count.to_string());
    // Slow enough for the delay line on a busy machine: what it cannot hold would look like loss.
    let arguments = [
        "udp-blast",
        "--connect",
        &to,
        "--count",
        &number,
        "--rate",
        "20000",
    ];
    let sent = Victim::start(lab.agent(), &arguments)?.summary()?;
    ensure!(sent.failures() == 0, "the sender saw {:?}", sent.errors);
    let got = sink.round()?;
    let counted = first_fault(&armed.report()?)?.clone();
    Ok(Outcome {
        sent: sent.sent,
        got,
        counted,
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts up to 10^5")]
impl Outcome {
    fn hits_are(&self, share: f64) -> Result<()> {
        self.hits_are_within(share, 4.0)
    }

    fn hits_are_within(&self, share: f64, sigmas: f64) -> Result<()> {
        let trials = self.counted.matched as f64;
        ensure!(
            self.counted.matched >= self.sent,
            "not all matched: {:?}",
            self.counted
        );
        let (mean, sigma) = (trials * share, (trials * share * (1.0 - share)).sqrt());
        let off = (self.counted.hit as f64 - mean) / sigma;
        ensure!(
            off.abs() <= sigmas,
            "{} hits of {trials}: {off:.1} sigma off",
            self.counted.hit
        );
        Ok(())
    }

    fn missing_are_hits(&self) -> Result<()> {
        let missing = self.sent - self.got.ok;
        ensure!(
            missing == self.counted.hit && self.got.duplicates == 0,
            "{missing} are missing, {} were counted: {:?}",
            self.counted.hit,
            self.got
        );
        Ok(())
    }
}
