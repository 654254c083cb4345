//! The mapped files of a process that may have a TLS library's functions.

use std::{fs, io, path::PathBuf};

/// As many libraries of a process as are looked into, beside its program: one has one or two.
pub(super) const MOST: usize = 8;

/// A file that a process has mapped to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapped {
    /// The link by which the mapping is opened.
    pub(super) link: PathBuf,
    /// The file's name, without its folder.
    pub(super) name: String,
    /// Whether it is the process's own program.
    pub(super) is_program: bool,
}

/// The program itself, and libraries whose names say that they have OpenSSL's functions. Each file once.
pub(super) fn candidates(pid: u32) -> io::Result<Vec<Mapped>> {
    let maps = fs::read(format!("/proc/{pid}/maps"))?;
    let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let program = program.to_string_lossy();
    Ok(among(pid, &String::from_utf8_lossy(&maps), &program))
}

fn among(pid: u32, maps: &str, program: &str) -> Vec<Mapped> {
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for line in maps.lines() {
        let Some((range, file, path)) = executable(line) else {
            continue;
        };
        let is_program = path == program;
        let name = path.rsplit('/').next().unwrap_or(path);
        let name = name.strip_suffix(" (deleted)").unwrap_or(name);
        let is_sought = is_program || (found.len() <= MOST && has_openssl(name));
        if is_sought && !seen.contains(&file) {
            seen.push(file);
            found.push(Mapped {
                link: link(pid, range),
                name: name.to_owned(),
                is_program,
            });
        }
    }
    found
}

/// The link of a range, whose name has no zeros in front as a line of `maps` has (fs/proc/base.c, `proc_map_files_lookup`).
fn link(pid: u32, range: &str) -> PathBuf {
    let (from, to) = range.split_once('-').unwrap_or((range, ""));
    let (from, to) = (from.trim_start_matches('0'), to.trim_start_matches('0'));
    format!("/proc/{pid}/map_files/{from}-{to}").into()
}

/// A line of `/proc/PID/maps`, as in `proc_pid_maps(5)`: the range, device and inode, and the path, of a mapping that may be run.
fn executable(line: &str) -> Option<(&str, (&str, &str), &str)> {
    let mut rest = line;
    let mut word = || {
        let (word, after) = rest.split_once(' ')?;
        rest = after.trim_start();
        Some(word)
    };
    let (range, rights, _offset) = (word()?, word()?, word()?);
    let file = (word()?, word()?);
    (rights.contains('x') && rest.starts_with('/')).then_some((range, file, rest))
}

/// `libssl.so.3`, `libssl-3e69114b.so.1.1` of a Python wheel, and Node where it is a library.
fn has_openssl(name: &str) -> bool {
    let is_library = name.contains(".so");
    is_library && (name.starts_with("libssl") || name.starts_with("libnode.so"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d0c8a00000-55d0c8a6f000 r--p 00000000 fe:01 1234                       /usr/bin/python3.11
55d0c8a6f000-55d0c8d00000 r-xp 0006f000 fe:01 1234                       /usr/bin/python3.11
7f1e00000000-7f1e00021000 rw-p 00000000 00:00 0
7f1e5c000000-7f1e5c060000 r-xp 0001e000 fe:01 77                         /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)
7f1e5d000000-7f1e5d060000 r-xp 0001e000 fe:01 77                         /usr/lib/x86_64-linux-gnu/libssl.so.3
7f1e5e000000-7f1e5e060000 r-xp 00028000 fe:01 78                         /usr/lib/x86_64-linux-gnu/libc.so.6
7ffd1b000000-7ffd1b002000 r-xp 00000000 00:00 0                          [vdso]
";

    #[test]
    fn the_program_and_each_library_are_found_once() {
        let found = among(7, MAPS, "/usr/bin/python3.11");
        let told: Vec<_> = found
            .iter()
            .map(|one| {
                (
                    one.link.to_str().unwrap(),
                    one.name.as_str(),
                    one.is_program,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (
                    "/proc/7/map_files/55d0c8a6f000-55d0c8d00000",
                    "python3.11",
                    true
                ),
                (
                    "/proc/7/map_files/7f1e5c000000-7f1e5c060000",
                    "libssl.so.3",
                    false
                ),
            ]
        );
    }

    #[test]
    fn of_many_libraries_the_first_are_found_and_the_program() {
        let line = |at: usize, path: &str| format!("{at}000-{at}fff r-xp 0 fe:00 {at}  {path}\n");
        let mut maps: String = (1..100)
            .map(|at| line(at, &format!("/tmp/libssl{at}.so")))
            .collect();
        maps += &line(100, "/usr/bin/a");
        let found = among(7, &maps, "/usr/bin/a");
        assert_eq!(found.len(), MOST + 2);
        assert!(found.iter().any(|one| one.is_program));
    }

    #[test]
    fn a_low_range_is_named_without_zeros() {
        let found = among(
            7,
            "00b6f000-00b71000 r-xp 0076f000 fe:00 9  /usr/bin/node\n",
            "/usr/bin/node",
        );
        assert_eq!(
            found[0].link.to_str(),
            Some("/proc/7/map_files/b6f000-b71000")
        );
    }

    #[test]
    fn names_of_libraries() {
        assert!(has_openssl("libssl.so.1.1") && has_openssl("libssl-3e69114b.so.3"));
        assert!(has_openssl("libnode.so.108"));
        assert!(!has_openssl("libssl3.a") && !has_openssl("libcrypto.so.3"));
    }
}
