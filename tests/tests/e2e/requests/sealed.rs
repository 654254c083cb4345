//! Requests inside TLS, of a client and a server that are Python's and so OpenSSL's: opened by an authority that the client
//! trusts, and let through unread where that cannot be.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Injector, Report};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::place::Place;
use serde::Deserialize;

use super::{INJECTOR, arm, first_fault};
use crate::certificates::certificate;
use crate::needs::python_and_openssl;
use crate::script::Script;
use crate::suite::Case;

const SCRIPT: &str = include_str!("sealed.py");

/// What certificates of the authority name as their issuer.
const OURS: &str = "injector test authority";

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("requests::sealed::{name}"), INJECTOR, run)
            .also_needs(python_and_openssl)
            .beside_others()
    };
    vec![
        case("a_rate_limit_is_met_inside_tls", opened),
        case("a_target_that_distrusts_the_authority", distrusted),
        case("a_server_that_is_not_trusted", unopened),
        case("a_server_that_wants_a_certificate", asked_back),
        case("an_authority_that_cannot_be_used_arms_nothing", refused),
    ]
}

/// What came of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Came {
    status: u16,
    issuer: String,
    retry_after: Option<String>,
    kind: Option<String>,
    peer: u16,
    error: Option<String>,
}

/// A server with the certificate `right.pem` of a folder, and the paths of an authority.
struct Stage {
    folder: tempfile::TempDir,
    injector: Injector,
    _server: Script,
    port: u16,
}

impl Stage {
    /// A server that takes all clients.
    fn new(lab: &Lab) -> Result<Self> {
        Self::with(lab, None)
    }

    /// One that takes clients with the certificate of this file alone, where one is named.
    fn with(lab: &Lab, clients: Option<&str>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        certificate(folder.path(), "right")?;
        certificate(folder.path(), "other")?;
        let injector = Injector::new()?;
        let made = injector.once(&["ca", &folder.path().to_string_lossy()])?;
        ensure!(
            made.code == Some(0) && made.stdout.contains("[relay]"),
            "{made:?}"
        );
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut words = vec!["server".to_owned(), at("right.pem"), at("right.key")];
        words.extend(clients.map(at));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut server = Script::start(lab.far_side(), SCRIPT, &words)?;
        let port = server.line()?.parse().context("the server says no port")?;
        Ok(Self {
            folder,
            injector,
            _server: server,
            port,
        })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Has the relay open TLS, and trust the servers that this file names.
    fn opens(&self, peer_ca: &str) -> Result<()> {
        self.configure(["ca.pem", "ca.key", peer_ca])
    }

    fn configure(&self, files: [&str; 3]) -> Result<()> {
        let [ca, key, peers] = files.map(|name| self.at(name).display().to_string());
        self.injector.configure(&format!(
            "[relay]\nca = \"{ca}\"\nca_key = \"{key}\"\npeer_ca = \"{peers}\"\n"
        ))
    }

    /// A client that trusts the certificates of these files.
    fn client(&self, place: Place<'_>, trusted: &[&str]) -> Result<Script> {
        self.client_with(place, trusted, &[])
    }

    /// The same, with a certificate and a key of its own.
    fn client_with(&self, place: Place<'_>, trusted: &[&str], own: &[&str]) -> Result<Script> {
        let texts = trusted
            .iter()
            .map(|name| fs::read_to_string(self.at(name)))
            .collect::<std::io::Result<Vec<_>>>()?;
        let bundle = self.at(&format!("{}.bundle", trusted.join("+")));
        fs::write(&bundle, texts.concat())?;
        let mut words = vec![
            "client".to_owned(),
            self.port.to_string(),
            bundle.display().to_string(),
        ];
        words.extend(own.iter().map(|name| self.at(name).display().to_string()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut client = Script::start(place, SCRIPT, &words)?;
        ensure!(client.line()? == "ready", "the client is not ready");
        Ok(client)
    }
}

/// Has a client make a request.
fn ask(client: &mut Script) -> Result<Came> {
    client.ask("")
}

fn of_server_itself(came: &Came) -> bool {
    came.status == 200 && came.issuer == "right"
}

fn remarks(report: &Report, part: &str) -> Result<()> {
    let has = report.remarks.iter().any(|remark| remark.contains(part));
    ensure!(has, "no remark has {part:?}: {:?}", report.remarks);
    Ok(())
}

fn opened() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let stage = Stage::new(&lab)?;
    stage.opens("right.pem")?;
    let mut agent = stage.client(lab.agent(), &["ca.pem", "right.pem"])?;
    let mut bystander = stage.client(lab.bystander(), &["ca.pem", "right.pem"])?;
    let before = ask(&mut agent)?;
    ensure!(of_server_itself(&before), "before: {before:?}");
    let armed = arm(
        &lab,
        &stage.injector,
        "rate-limit --retry-after 7s --max-hits 1",
    )?;
    let limited = ask(&mut agent)?;
    ensure!(
        limited.status == 429
            && limited.retry_after.as_deref() == Some("7")
            && limited.kind.is_some()
            && limited.issuer == OURS
            && limited.peer == stage.port,
        "{limited:?}"
    );
    let beside = ask(&mut bystander)?;
    ensure!(of_server_itself(&beside), "a bystander: {beside:?}");
    // The budget is used up: the request goes on, and the server answers it.
    let passed = ask(&mut agent)?;
    ensure!(passed.status == 200 && passed.issuer == OURS, "{passed:?}");
    let report = armed.report()?;
    let counted = first_fault(&report)?;
    super::are(counted, [2, 2, 1])?;
    let after = ask(&mut agent)?;
    ensure!(of_server_itself(&after), "afterwards: {after:?}");
    Ok(())
}

fn distrusted() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let stage = Stage::new(&lab)?;
    stage.opens("right.pem")?;
    let mut agent = stage.client(lab.agent(), &["right.pem"])?;
    let armed = arm(&lab, &stage.injector, "rate-limit")?;
    let first = ask(&mut agent)?;
    ensure!(
        first.error.as_deref() == Some("SSLCertVerificationError"),
        "{first:?}"
    );
    // The relay hears of it a moment later.
    eventually("the relay to withdraw", Duration::from_secs(5), || {
        let came = ask(&mut agent)?;
        Ok(of_server_itself(&came).then_some(()))
    })?;
    let report = armed.report()?;
    super::are(first_fault(&report)?, [0, 0, 0])?;
    remarks(&report, "does not trust the authority")
}

fn unopened() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let stage = Stage::new(&lab)?;
    stage.opens("other.pem")?;
    let mut agent = stage.client(lab.agent(), &["ca.pem", "right.pem"])?;
    let armed = arm(&lab, &stage.injector, "rate-limit")?;
    // From the first request on: the target sees what the server shows, and judges it.
    for _ in 0..2 {
        let came = ask(&mut agent)?;
        ensure!(of_server_itself(&came), "{came:?}");
    }
    let report = armed.report()?;
    super::are(first_fault(&report)?, [0, 0, 0])?;
    remarks(&report, "1 of 2 connections were not opened")
}

/// The relay has no certificate of a client, and does not come between.
fn asked_back() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let stage = Stage::with(&lab, Some("other.pem"))?;
    stage.opens("right.pem")?;
    let own = ["other.pem", "other.key"];
    let mut agent = stage.client_with(lab.agent(), &["ca.pem", "right.pem"], &own)?;
    let armed = arm(&lab, &stage.injector, "rate-limit")?;
    for _ in 0..2 {
        let came = ask(&mut agent)?;
        ensure!(of_server_itself(&came), "{came:?}");
    }
    let report = armed.report()?;
    super::are(first_fault(&report)?, [0, 0, 0])?;
    remarks(&report, "1 of 2 connections were not opened")
}

fn refused() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let stage = Stage::new(&lab)?;
    let cgroup = lab.cgroups.agent.path().display().to_string();
    let words = ["llm", "rate-limit", "--cgroup", &cgroup, "--duration", "5s"];
    for (ca, key, peers, part) in [
        ("gone.pem", "ca.key", "right.pem", "cannot be read"),
        ("ca.pem", "right.key", "right.pem", "belong together"),
        ("right.pem", "right.key", "right.pem", "CA:TRUE"),
        ("ca.pem", "ca.key", "right.key", "has no certificate in PEM"),
    ] {
        stage.configure([ca, key, peers])?;
        let finished = stage.injector.once(&words)?;
        ensure!(
            finished.code == Some(2) && finished.stderr.contains(part),
            "{part}: {finished:?}"
        );
    }
    // Other faults have no need of it.
    let other = ["net", "connect", "--errno", "ECONNREFUSED", "--dry-run"];
    let more = ["--cgroup", &cgroup, "--duration", "5s"];
    let finished = stage.injector.once(&[&other[..], &more].concat())?;
    ensure!(finished.code == Some(0), "{finished:?}");
    // An authority is never replaced.
    let folder = stage.folder.path().to_string_lossy().into_owned();
    let again = stage.injector.once(&["ca", &folder])?;
    ensure!(
        again.code == Some(2) && again.stderr.contains("is there already"),
        "{again:?}"
    );
    Ok(())
}
