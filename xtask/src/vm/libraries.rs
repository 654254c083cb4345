//! The shared libraries that a program of this host needs in the guest.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::process;

/// The libraries and the loader of a program, as `ldd` finds them; none for a static one.
pub(super) fn of(program: &Path) -> Vec<PathBuf> {
    process::answer(Command::new("ldd").arg(program))
        .as_deref()
        .map(paths)
        .unwrap_or_default()
}

/// The paths in ldd's answer: of `name => path (address)` and of `path (address)`.
fn paths(answer: &str) -> Vec<PathBuf> {
    answer
        .lines()
        .flat_map(str::split_whitespace)
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_the_loader_are_found() {
        let answer = "linux-vdso.so.1 (0x00007ffd)\n\
                      \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f61)\n\
                      \t/lib64/ld-linux-x86-64.so.2 (0x00007f62)\n";
        assert_eq!(
            paths(answer),
            [
                Path::new("/lib/x86_64-linux-gnu/libc.so.6"),
                Path::new("/lib64/ld-linux-x86-64.so.2")
            ]
        );
        assert!(paths("\tnot a dynamic executable\n").is_empty());
    }
}
