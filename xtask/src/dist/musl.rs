//! What it takes to build a static program: Rust's target for musl, rustup's or one of our own.
//!
//! rustup's has the standard library, musl and an unwinder, built. Where rustup cannot fetch it, cargo builds the
//! standard library from its source, as for the BPF programs, on musl and LLVM's unwinder from Debian's packages.
//!
//! Rejected:
//! - glibc, linked statically: its `getaddrinfo` loads NSS modules of the very same glibc from the host at run time
//!   (nss/nsswitch.c), so that host names would not resolve on hosts with another one;
//! - gcc's unwinder, which every host with a C compiler has (`libgcc_eh.a`): built for glibc, it asks
//!   `_dl_find_object`, which musl has not, so that no panic would be caught.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow, ensure};

use crate::{
    apt::Apt,
    paths::Project,
    process,
    rust_src::{self, RustSource},
    toolchain::sysroot,
};

/// The suite whose musl and unwinder are taken.
const SUITE: &str = "stable";

/// What the linker asks for by these names, where rustup's target is not there (rustc,
/// `compiler/rustc_target/src/spec/crt_objects.rs`, and `library/unwind`).
const OF_MUSL: [&str; 5] = ["crti.o", "crtn.o", "crt1.o", "rcrt1.o", "libc.a"];
const OF_GCC: [&str; 5] = [
    "crtbegin.o",
    "crtbeginS.o",
    "crtbeginT.o",
    "crtend.o",
    "crtendS.o",
];
const UNWINDER: &str = "libunwind.a";

/// Functions of glibc's that the unwinder calls and musl has not, and their object.
const CHECKED: &str = include_str!("checked.c");
const CHECKED_OBJECT: &str = "checked.o";

/// A program that may be loaded anywhere relocates itself when it starts: packed, its list of 16 600 places takes some
/// kilobytes in place of 400. musl reads it from 1.2.4 on (ldso/dlstart.c); Rust's has 1.2.5, and so has Debian's.
const PACKED_RELOCATIONS: &str = "-C link-arg=-Wl,-z,pack-relative-relocs";

/// What compiles `ring`'s functions in C. They call no function of a C library (`nm -u` of its archive), so that a compiler
/// for musl is not needed, as long as glibc's checked functions are not put in place of what the compiler does itself.
const HOSTS_COMPILER: &str = "cc";
const OF_NO_LIBRARY: &str = "-U_FORTIFY_SOURCE";

/// The target's name.
pub(crate) fn triple() -> String {
    format!("{}-unknown-linux-musl", env::consts::ARCH)
}

/// A way to build for it.
pub(crate) enum Musl {
    /// rustup's, in the toolchain.
    Rustup,
    /// The standard library's source, and the folder with what it is linked to.
    Source(RustSource, PathBuf),
}

impl Musl {
    /// Finds it, or fetches what it takes, and says which.
    pub(crate) fn ensure(project: &Project) -> Result<Self> {
        let target = triple();
        if is_in_toolchain()? {
            return Ok(Self::Rustup);
        }
        process::announce(&format!(
            "fetching {target} by `rustup target add {target}`"
        ));
        let mut rustup = Command::new("rustup");
        rustup
            .args(["target", "add", &target])
            .current_dir(project.root());
        let refused = match process::run(&mut rustup, "rustup") {
            Ok(()) if is_in_toolchain()? => return Ok(Self::Rustup),
            Ok(()) => anyhow!("rustup added it to another toolchain"),
            Err(error) => error,
        };
        process::announce(&format!(
            "rustup did not provide it ({refused:#}); building the standard library for it instead"
        ));
        let missing = || {
            format!(
                "a static program needs Rust's target {target}: run `rustup target add {target}` once with network \
                 access and try again"
            )
        };
        let source = rust_src::ensure(project).with_context(missing)?;
        let libraries = libraries(project).with_context(missing)?;
        Ok(Self::Source(source, libraries))
    }

    /// `cargo WORDS` for the target.
    pub(crate) fn cargo(&self, project: &Project, words: &str) -> Command {
        let target = triple();
        let mut cargo = project.cargo(&format!("{words} --target {target}"));
        let mut flags = PACKED_RELOCATIONS.to_owned();
        if let Self::Source(source, libraries) = self {
            flags = format!(
                "{flags} -L native={} -C link-arg={}",
                libraries.display(),
                libraries.join(CHECKED_OBJECT).display()
            );
            cargo
                .args(["-Z", "build-std=std,panic_unwind"])
                .env("RUSTC_BOOTSTRAP", "1");
            source.hand_to(&mut cargo);
        }
        let name = target.replace('-', "_");
        for (variable, value) in [("CC", HOSTS_COMPILER), ("CFLAGS", OF_NO_LIBRARY)] {
            let variable = format!("{variable}_{name}");
            if env::var_os(&variable).is_none() {
                cargo.env(variable, value);
            }
        }
        let variable = name.to_uppercase();
        cargo.env(format!("CARGO_TARGET_{variable}_RUSTFLAGS"), flags);
        cargo
    }
}

fn is_in_toolchain() -> Result<bool> {
    let libraries = sysroot()?.join("lib/rustlib").join(triple()).join("lib");
    Ok(libraries.join("self-contained/libc.a").exists())
}

/// Gathers what the linker needs in one folder, and returns it.
fn libraries(project: &Project) -> Result<PathBuf> {
    let folder = project.tools().join("musl");
    let gathered = folder.join("libraries");
    if gathered.join(UNWINDER).exists() {
        return Ok(gathered);
    }
    process::announce("fetching musl and an unwinder of Debian's");
    let apt = Apt::new(folder.join("apt"), &[SUITE])?;
    let mut unwinders = apt.names("^libunwind-[0-9]+-dev$");
    unwinders.sort();
    let unwinder = unwinders
        .first()
        .context("Debian has no package libunwind-*-dev within reach")?;
    let (musl, llvm) = (folder.join("musl-dev"), folder.join(unwinder));
    apt.unpack("musl-dev", &musl)?;
    apt.unpack(unwinder, &llvm)?;
    fs::create_dir_all(&gathered).context("the folder of libraries could not be made")?;
    let of_musl = musl.join(format!("usr/lib/{}-linux-musl", env::consts::ARCH));
    for name in OF_MUSL {
        copy(&of_musl.join(name), &gathered)?;
    }
    for name in OF_GCC {
        copy(&of_gcc(name)?, &gathered)?;
    }
    compile_checked(&gathered)?;
    let version = unwinder
        .trim_start_matches("libunwind-")
        .trim_end_matches("-dev");
    let unwinder = llvm.join(format!("usr/lib/llvm-{version}/lib/{UNWINDER}"));
    // Last: it says that all are there.
    copy(&unwinder, &gathered)?;
    Ok(gathered)
}

fn of_gcc(name: &str) -> Result<PathBuf> {
    let said = process::answer(Command::new("cc").arg(format!("-print-file-name={name}")));
    let path = said.map(PathBuf::from).context("there is no C compiler")?;
    ensure!(path.is_absolute(), "the C compiler has no {name}");
    Ok(path)
}

fn compile_checked(folder: &Path) -> Result<()> {
    let source = folder.join("checked.c");
    fs::write(&source, CHECKED).context("a source file could not be written")?;
    let mut compile = Command::new("cc");
    compile
        .args(["-O2", "-fPIC", "-U_FORTIFY_SOURCE", "-c", "-o"])
        .arg(folder.join(CHECKED_OBJECT))
        .arg(source);
    process::run(&mut compile, "the C compiler")
}

fn copy(from: &Path, into: &Path) -> Result<()> {
    let name = from.file_name().unwrap_or_default();
    fs::copy(from, into.join(name))
        .map(drop)
        .with_context(|| format!("{} could not be copied", from.display()))
}
