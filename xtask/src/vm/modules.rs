//! Modules of a packaged kernel, in the order in which they must be loaded.
//!
//! A package carries no `modules.dep`, which is made at installation, so each module is asked for its
//! own dependencies: they stand in its `.modinfo` section as `depends=a,b`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// A module, ready to be loaded.
pub(super) struct Module {
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

/// The modules of these names and all that they need, those needed first. A name that no file has is
/// that of a driver which is built in, or absent, which the guest will notice.
///
/// `busybox` unpacks compressed ones: the host may lack the tool.
pub(super) fn in_order(folder: &Path, names: &[&str], busybox: &Path) -> Result<Vec<Module>> {
    let mut files = BTreeMap::new();
    index(&folder.join("kernel"), &mut files)?;
    let mut ordered = Vec::new();
    for name in names {
        add(name, &files, busybox, &mut ordered)?;
    }
    Ok(ordered)
}

fn add(
    name: &str,
    files: &BTreeMap<String, PathBuf>,
    busybox: &Path,
    ordered: &mut Vec<Module>,
) -> Result<()> {
    let name = normal(name);
    let Some(path) = files.get(&name) else {
        return Ok(());
    };
    if ordered.iter().any(|module| module.name == name) {
        return Ok(());
    }
    let content = content(path, busybox)?;
    for needed in depends(&content) {
        add(&needed, files, busybox, ordered)?;
    }
    ordered.push(Module { name, content });
    Ok(())
}

/// All files below a folder by the name of their module.
fn index(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            index(&path, files)?;
        } else if let Some((name, "" | ".xz")) = entry
            .file_name()
            .to_str()
            .and_then(|file| file.split_once(".ko"))
        {
            files.insert(normal(name), path);
        }
    }
    Ok(())
}

/// File names have dashes where the kernel has underscores.
fn normal(name: &str) -> String {
    name.replace('-', "_")
}

fn content(path: &Path, busybox: &Path) -> Result<Vec<u8>> {
    if path.extension().is_some_and(|extension| extension == "ko") {
        return fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
    }
    let output = Command::new(busybox)
        .arg("xzcat")
        .arg(path)
        .output()
        .context("busybox could not be started")?;
    ensure!(
        output.status.success(),
        "{} cannot be unpacked: {}",
        path.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(output.stdout)
}

fn depends(module: &[u8]) -> Vec<String> {
    // Each entry of the section ends with a zero byte, and so does whatever stands before it.
    module
        .split(|byte| *byte == 0)
        .filter_map(|entry| entry.strip_prefix(b"depends="))
        .flat_map(|list| list.split(|byte| *byte == b','))
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_first_and_once() {
        let folder = std::env::temp_dir().join(format!("xtask-modules-{}", std::process::id()));
        let kernel = folder.join("kernel/net");
        fs::create_dir_all(&kernel).unwrap();
        for (name, needs) in [("top-most", "mid,base"), ("mid", "base"), ("base", "")] {
            let text = format!("\u{7f}ELF\0license=GPL\0depends={needs}\0");
            fs::write(kernel.join(format!("{name}.ko")), text).unwrap();
        }
        let found = in_order(
            &folder,
            &["top_most", "built_in", "base"],
            Path::new("/none"),
        );
        fs::remove_dir_all(&folder).unwrap();
        let names: Vec<String> = found.unwrap().into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["base", "mid", "top_most"]);
    }
}
