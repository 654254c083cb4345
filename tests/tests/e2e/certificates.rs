//! Certificates of servers, made by OpenSSL.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A certificate for this host that has signed itself, `NAME.pem`, and its key, `NAME.key`.
pub(crate) fn certificate(folder: &Path, name: &str) -> Result<()> {
    let config = folder.join(format!("{name}.cnf"));
    let text = format!(
        "[req]\ndistinguished_name = dn\nx509_extensions = ext\nprompt = no\n[dn]\nCN = {name}\n\
         [ext]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = IP:127.0.0.1\n"
    );
    fs::write(&config, text)?;
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .arg("-config")
        .arg(&config)
        .arg("-keyout")
        .arg(folder.join(format!("{name}.key")))
        .arg("-out")
        .arg(folder.join(format!("{name}.pem")))
        .output()
        .context("cannot start openssl")?;
    ensure!(made.status.success(), "{made:?}");
    Ok(())
}
