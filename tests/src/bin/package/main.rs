//! `package DEB MIRROR FOLDER`: installs the Debian package on a clean Debian, uses it, purges it, and looks for what is
//! left. `cargo xtask dist --check` starts it, as root.
//!
//! Invariants: the host's own packages and paths are not touched, which is looked at too ([`HOST`]); what the package's
//! program does to the kernel is gone at the end, as after each end-to-end test.

mod debian;

use std::{env, path::Path, process::ExitCode, time::Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::snapshot::Snapshot;

use debian::Debian;

/// Where the package would have left something of the host's, had it been installed there.
const HOST: [&str; 4] = [
    "/etc/injector",
    "/var/lib/injector",
    "/usr/bin/injector",
    "/var/lib/dpkg/info/injector.list",
];

/// What a person finds after the installation, beside the program.
const INSTALLED: [&str; 7] = [
    "etc/injector/injector.toml",
    "usr/lib/systemd/system/injector.service",
    "usr/share/man/man1/injector.1.gz",
    "usr/share/man/man1/injector-net-delay.1.gz",
    "usr/share/bash-completion/completions/injector",
    "usr/share/zsh/vendor-completions/_injector",
    "usr/share/fish/vendor_completions.d/injector.fish",
];

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let [package, mirror, folder] = words.as_slice() else {
        eprintln!("usage: package DEB MIRROR FOLDER");
        return ExitCode::from(2);
    };
    match check(package, mirror, Path::new(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAIL {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn check(package: &str, mirror: &str, folder: &Path) -> Result<()> {
    let host = HOST.map(|path| Path::new(path).exists());
    let kernel = Snapshot::take()?;
    let debian = told("debootstrap has made a clean Debian", || {
        Debian::make(mirror, folder)
    })?;
    let clean = debian.paths()?;
    debian.bring(package, "injector.deb")?;
    told("dpkg --install", || {
        debian.run(&["dpkg", "--install", "/injector.deb"])
    })?;
    told("the program, its pages and its unit are there", || {
        installed(&debian)
    })?;
    told("injector --version, doctor and a host name", || {
        answers(&debian)
    })?;
    told("injector demo: real faults on a process", || {
        let said = debian.run(&["injector", "demo"])?;
        println!("{said}");
        let listed = debian.run(&["injector", "list", "--json"])?;
        ensure!(listed.contains("net.delay"), "not on record: {listed}");
        Ok(())
    })?;
    told("dpkg --purge leaves nothing", || {
        debian.run(&["dpkg", "--purge", "injector"])?;
        debian.take_away("injector.deb")?;
        let left: Vec<_> = debian.paths()?.difference(&clean).cloned().collect();
        ensure!(left.is_empty(), "left behind: {}", left.join(", "));
        let gone: Vec<_> = clean.difference(&debian.paths()?).cloned().collect();
        ensure!(gone.is_empty(), "taken along: {}", gone.join(", "));
        Ok(())
    })?;
    told("nothing of the host has changed", || {
        kernel.assert_same()?;
        ensure!(
            host == HOST.map(|path| Path::new(path).exists()),
            "one of {HOST:?} has"
        );
        Ok(())
    })
}

/// Does it, and says that it is done and how long it took.
fn told<T>(what: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    let done = step().with_context(|| what.to_owned())?;
    println!("ok   {what} ({:.1} s)", began.elapsed().as_secs_f64());
    Ok(done)
}

fn installed(debian: &Debian) -> Result<()> {
    let paths = debian.paths()?;
    for path in INSTALLED {
        ensure!(paths.contains(path), "no {path}");
    }
    let pages = paths.iter().filter(|path| path.contains("/man1/injector-"));
    let pages = pages.count();
    ensure!(pages >= 40, "{pages} man pages");
    let completions = "/usr/share/bash-completion/completions/injector";
    debian.run(&["bash", "-n", completions])?;
    // The configuration as it is installed says what holds without it.
    let limits = debian.run(&["cat", "/etc/injector/injector.toml"])?;
    ensure!(limits.contains("enabled = false"), "{limits}");
    Ok(())
}

fn answers(debian: &Debian) -> Result<()> {
    let version = debian.run(&["injector", "--version"])?;
    ensure!(
        version.trim() == concat!("injector ", env!("CARGO_PKG_VERSION")),
        "{version}"
    );
    let survey = debian.run(&["injector", "doctor"])?;
    let works = survey
        .lines()
        .any(|line| line.starts_with("net ") && line.contains("works"));
    ensure!(works, "{survey}");
    // A static program has its own resolver.
    let dry_run = "sleep 60 & injector net blackhole --hostname localhost --pid $! --duration 1s --dry-run; kill $!";
    let plan = debian.run(&["sh", "-c", dry_run])?;
    ensure!(
        plan.contains("127.0.0.1"),
        "localhost was not looked up: {plan}"
    );
    Ok(())
}
