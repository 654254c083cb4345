//! Where the programs under test are.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The `injector` binary: `INJECTOR_BIN`, else the neighbour of this program.
pub fn injector() -> Result<PathBuf> {
    let path = match env::var_os("INJECTOR_BIN") {
        Some(path) => PathBuf::from(path),
        None => profile_folder()?.join("injector"),
    };
    ensure!(
        path.is_file(),
        "there is no injector binary at {}: build it with `cargo xtask build`, or name it in \
         INJECTOR_BIN",
        path.display()
    );
    path.canonicalize()
        .with_context(|| format!("cannot resolve {}", path.display()))
}

/// The `victim` binary, a neighbour of this program.
pub fn victim() -> Result<PathBuf> {
    let path = profile_folder()?.join("victim");
    ensure!(
        path.is_file(),
        "there is no victim binary at {}: build it with `cargo build -p injector-tests`",
        path.display()
    );
    Ok(path)
}

/// The `parker` binary, likewise.
pub fn parker() -> Result<PathBuf> {
    let path = profile_folder()?.join("parker");
    ensure!(
        path.is_file(),
        "there is no parker binary at {}: build it with `cargo xtask build`",
        path.display()
    );
    Ok(path)
}

/// `target/release` or `target/debug`; test binaries live one folder deeper, in `deps`.
fn profile_folder() -> Result<PathBuf> {
    let this = env::current_exe().context("cannot find this program's own path")?;
    let folder = this.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    if folder.file_name().is_some_and(|name| name == "deps") {
        return Ok(folder.parent().map_or_else(PathBuf::new, Path::to_path_buf));
    }
    Ok(folder)
}
