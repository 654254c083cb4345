//! `contract SCHEMATHESIS DOCUMENT CONFIG [ARGUMENT...]`: has schemathesis try a daemon's interface against
//! its document, with requests that keep to it and requests that do not.
//!
//! The daemon is harmless meanwhile: it has a state directory, a socket and a configuration of its own, and
//! may touch one cgroup alone, which is made for this, is empty, and goes with it. The document's example is
//! about that cgroup, so that some runs do start.
//!
//! schemathesis knows TCP and no unix sockets, so a [`bridge`] stands between. Any process on this host
//! can talk to the daemon as root by that way, for as long as this runs.

mod bridge;

use std::{
    env,
    ffi::OsString,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};
use injector_tests::{cgroup::Cgroup, injector::Injector};
use serde_json::Value;

/// The cgroup of the document's example.
const CGROUP: &str = "injector-example";

fn main() -> ExitCode {
    match try_it(env::args_os().skip(1)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("contract: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether schemathesis found nothing, and the daemon was as before at the end.
fn try_it(mut arguments: impl Iterator<Item = OsString>) -> Result<bool> {
    let mut next = |what: &str| {
        arguments
            .next()
            .with_context(|| format!("{what} is missing"))
    };
    let program = next("the path of schemathesis")?;
    let document = next("the path of the document")?;
    let config = next("the path of the configuration")?;
    let _cgroup = Cgroup::named(CGROUP)?;
    let injector = Injector::configured(&format!(
        "[daemon]\nenabled = true\nallow = [\"/{CGROUP}\"]\n"
    ))?;
    let daemon = injector.start_daemon()?;
    let port = bridge::to(injector.state().join("injector.sock"))?;
    let status = Command::new(&program)
        .arg("--config-file")
        .arg(config)
        .arg("run")
        .arg(document)
        .arg(format!("--url=http://127.0.0.1:{port}"))
        .args(arguments)
        // It leaves folders behind, which go with the daemon's.
        .current_dir(injector.state())
        .status()
        .with_context(|| format!("{} could not be started", program.display()))?;
    // It may have pulled the kill switch, and it is no run's business to be stopped by name now.
    injector.once(&["stop", "--all"])?;
    let standing = injector.once(&["status", "--json"])?;
    let standing: Value = serde_json::from_str(&standing.stdout).context("no status")?;
    ensure!(
        standing["daemon"].is_object(),
        "the daemon is gone: {standing}"
    );
    ensure!(
        standing["running"] == serde_json::json!([]),
        "runs are left: {standing}"
    );
    daemon.interrupt()?;
    Ok(status.success())
}
