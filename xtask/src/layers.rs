//! The layers of user space: each crate under `injector/` sees only those before it.
//!
//! Cargo refuses cycles by itself; the tests here refuse an arrow that points upward, and what a layer
//! promises of itself: no aya above or below the host layer, no runtime and no system calls in what is pure.

/// The layers from the ground up, and what a layer never depends on, directly or through others.
#[cfg(test)]
const LAYERS: [(&str, &[&str]); 9] = [
    ("injector-common", &["aya", "tokio", "libc", "rustix"]),
    ("injector-spec", PURE),
    ("injector-plan", PURE),
    ("injector-host", &[]),
    ("injector-record", &["aya", "tokio"]),
    ("injector-relay", &[]),
    ("injector-engine", &[]),
    ("injector-api", &[]),
    ("injector", &[]),
];

/// What touches a host, or needs Linux.
#[cfg(test)]
const PURE: &[&str] = &["aya", "aya-obj", "tokio", "rustix", "procfs"];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path, process::Command};

    use super::*;
    use crate::paths::cargo_program;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    /// All packages that a package is built from, itself left out.
    fn built_from(package: &str) -> BTreeSet<String> {
        let tree = "tree --offline --locked --edges normal --prefix none --format {p}";
        let output = Command::new(cargo_program())
            .args(tree.split(' '))
            .args(["--package", package])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let names = String::from_utf8(output.stdout).unwrap();
        names
            .lines()
            .filter_map(|line| line.split(' ').next())
            .filter(|name| *name != package)
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn no_layer_sees_one_above_it() {
        for (at, (layer, _)) in LAYERS.iter().enumerate() {
            let found = built_from(layer);
            assert!(
                at == 0 || !found.is_empty(),
                "{layer} is built from nothing"
            );
            for (above, _) in &LAYERS[at..] {
                assert!(!found.contains(*above), "{layer} depends on {above}");
            }
        }
    }

    #[test]
    fn every_crate_of_user_space_is_a_layer() {
        let folders = fs::read_dir(root().join("injector")).unwrap();
        let manifests = folders.filter_map(|folder| {
            fs::read_to_string(folder.unwrap().path().join("Cargo.toml")).ok()
        });
        let mut count = 0;
        for manifest in manifests {
            let is_listed = LAYERS
                .iter()
                .any(|(layer, _)| manifest.contains(&format!("name = \"{layer}\"")));
            assert!(is_listed, "not a layer: {manifest}");
            count += 1;
        }
        assert_eq!(
            count,
            LAYERS.len() - 2,
            "injector-common and the binary lie elsewhere"
        );
    }

    #[test]
    fn a_layer_keeps_what_it_promises() {
        for (layer, never) in LAYERS {
            let found = built_from(layer);
            for package in never {
                assert!(!found.contains(*package), "{layer} is built from {package}");
            }
        }
    }

    #[test]
    fn aya_has_one_user() {
        for entry in fs::read_dir(root().join("injector")).unwrap() {
            let path = entry.unwrap().path();
            let Ok(manifest) = fs::read_to_string(path.join("Cargo.toml")) else {
                continue;
            };
            let uses = manifest.lines().any(|line| line.starts_with("aya"));
            assert_eq!(uses, path.ends_with("host"), "{}", path.display());
        }
    }

    #[test]
    fn what_is_pure_has_no_unsafe_code() {
        for layer in ["spec", "plan", "record", "api"] {
            let lib = root().join("injector").join(layer).join("src/lib.rs");
            let text = fs::read_to_string(&lib).unwrap();
            // A test may change its own user id, which needs it.
            let forbids = [
                "#![forbid(unsafe_code)]",
                "#![cfg_attr(not(test), forbid(unsafe_code))]",
            ];
            assert!(
                forbids.iter().any(|line| text.contains(line)),
                "{}",
                lib.display()
            );
        }
    }
}
