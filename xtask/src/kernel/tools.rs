//! What the build of a kernel takes from the machine.

use std::{env, path::Path};

use anyhow::{Result, ensure};

/// A program or a header, and the Debian package that has it.
type Tool = (&'static str, &'static str);

const PROGRAMS: [Tool; 12] = [
    ("gcc", "gcc"),
    ("ld", "binutils"),
    ("make", "make"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
    ("perl", "perl"),
    ("tar", "tar"),
    ("xz", "xz-utils"),
    ("lz4", "lz4"),
    ("cpio", "cpio"),
    // Writes the type information that BPF needs.
    ("pahole", "dwarves"),
];

/// Below `/usr/include`, or below the folder of the architecture there.
const HEADERS: [Tool; 3] = [
    ("stdio.h", "libc6-dev"),
    ("libelf.h", "libelf-dev"),
    ("openssl/opensslv.h", "libssl-dev"),
];

/// An error names all that is missing and how to get it.
pub(super) fn ensure() -> Result<()> {
    let packages = missing(is_program, is_header);
    let list = packages.join(" ");
    ensure!(
        packages.is_empty(),
        "building a kernel needs what this machine lacks: run `apt-get install {list}`"
    );
    Ok(())
}

fn missing(has_program: fn(&str) -> bool, has_header: fn(&str) -> bool) -> Vec<&'static str> {
    let programs = PROGRAMS.iter().filter(|(name, _)| !has_program(name));
    let headers = HEADERS.iter().filter(|(name, _)| !has_header(name));
    programs
        .chain(headers)
        .map(|(_, package)| *package)
        .collect()
}

fn is_program(name: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(name).is_file()))
}

fn is_header(name: &str) -> bool {
    ["/usr/include", "/usr/include/x86_64-linux-gnu"]
        .iter()
        .any(|folder| Path::new(folder).join(name).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_by_its_package() {
        assert!(missing(|_| true, |_| true).is_empty());
        assert_eq!(missing(|name| name != "pahole", |_| true), ["dwarves"]);
        assert_eq!(missing(|_| true, |_| false).len(), HEADERS.len());
    }
}
