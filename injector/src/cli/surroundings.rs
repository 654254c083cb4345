//! What the file of an experiment may ask of this process: its environment, its search path, and whether a file of
//! authorities can be read.

use std::{env, os::unix::fs::PermissionsExt, path::Path};

use injector_spec::experiment::file::Surroundings;

/// Those of this process.
pub(super) const HERE: Surroundings = Surroundings {
    variable: |name| env::var(name).ok(),
    program: found,
    authorities: injector_engine::halt_monitor::check_authorities,
};

/// The whole path of a program in `PATH`.
fn found(name: &str) -> Option<String> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .filter(|path| path.is_absolute() && is_program(path))
        .find_map(|path| path.to_str().map(str::to_owned))
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_its_name() {
        let found = found("true").unwrap();
        assert!(
            found.starts_with('/') && found.ends_with("/true"),
            "{found}"
        );
        assert_eq!(super::found("no-such-program"), None);
        assert_eq!((HERE.variable)("PATH"), env::var("PATH").ok());
    }
}
