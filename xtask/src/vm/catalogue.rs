//! Which kernels there are: Debian's, one like Ubuntu's, and the ready ones of a folder.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::{
    UBUNTU_LIKE, built_kernels,
    debian::{self, Release},
};
use crate::paths::Project;

/// Names a folder of ready kernels, `NAME.bzImage`, with no modules.
const FOLDER: &str = "INJECTOR_KERNELS";

/// Makes BPF LSM programs run where the kernel has them compiled in and leaves them out by default,
/// as Ubuntu's do.
const WITH_BPF_LSM: &str = "lsm=landlock,lockdown,yama,bpf";

/// A kernel that may be had.
pub(super) struct Candidate {
    pub(super) name: String,
    origin: Origin,
}

enum Origin {
    Debian(&'static Release),
    /// One that is named in a folder or built here, if it is.
    UbuntuLike {
        options: &'static str,
    },
    Image {
        path: PathBuf,
        options: &'static str,
    },
}

/// A kernel that can be booted.
pub(super) struct Kernel {
    pub(super) image: PathBuf,
    /// `lib/modules/VERSION` of its package; none for a kernel with all that it needs built in.
    pub(super) modules: Option<PathBuf>,
    /// Words for its command line.
    pub(super) options: &'static str,
}

impl Candidate {
    /// Fetches what is missing; an error is the reason why this kernel cannot be had.
    pub(super) fn prepare(&self, project: &Project) -> Result<Kernel> {
        match &self.origin {
            Origin::Debian(release) => debian::fetch(project, release),
            Origin::UbuntuLike { options } => Ok(Kernel {
                image: ubuntu_like(project)?,
                modules: None,
                options,
            }),
            Origin::Image { path, options } => Ok(Kernel {
                image: path.clone(),
                modules: None,
                options,
            }),
        }
    }
}

/// The kernels that the command line asks for; all without any wish.
pub(super) fn chosen(project: &Project, wanted: &[String]) -> Result<Vec<Candidate>> {
    let all = all(project)?;
    if wanted.is_empty() {
        return Ok(all);
    }
    let names: Vec<String> = all.iter().map(|it| it.name.clone()).collect();
    let mut chosen = Vec::new();
    for wish in wanted {
        let path = Path::new(wish);
        if names.iter().any(|name| is_meant(name, wish, &names)) {
            continue;
        }
        if !path.is_file() {
            let known = names.join(", ");
            bail!("there is no kernel {wish}: it is no file, and known are {known}");
        }
        chosen.push(image(path, wish.clone(), ""));
    }
    let mentioned = |name: &String| wanted.iter().any(|wish| is_meant(name, wish, &names));
    chosen.extend(all.into_iter().filter(|it| mentioned(&it.name)));
    Ok(chosen)
}

/// A wish means the kernel of just this name; only without one, all whose names begin so.
fn is_meant(name: &str, wish: &str, names: &[String]) -> bool {
    name == wish || (name.starts_with(wish) && !names.iter().any(|other| other == wish))
}

/// The kernels that are the same everywhere; the table of the book has a column for each.
pub(super) fn known() -> Vec<Candidate> {
    let debian = debian::RELEASES.iter().map(|release| Candidate {
        name: release.name.to_owned(),
        origin: Origin::Debian(release),
    });
    let ubuntu_like = [("", ""), ("+lsm", WITH_BPF_LSM)].map(|(suffix, options)| Candidate {
        name: format!("{UBUNTU_LIKE}{suffix}"),
        origin: Origin::UbuntuLike { options },
    });
    debian.chain(ubuntu_like).collect()
}

fn all(project: &Project) -> Result<Vec<Candidate>> {
    let mut all = known();
    if let Some(folder) = folder(project) {
        all.extend(ready(&folder)?);
    }
    Ok(all)
}

/// The folder that the environment names.
fn folder(project: &Project) -> Option<PathBuf> {
    // cargo may have been started elsewhere; a relative folder is one of the checkout.
    env::var_os(FOLDER).map(|folder| project.root().join(folder))
}

fn ubuntu_like(project: &Project) -> Result<PathBuf> {
    let folders = folder(project).into_iter().chain([built_kernels(project)]);
    folders
        .map(|folder| folder.join(format!("{UBUNTU_LIKE}.bzImage")))
        .find(|image| image.is_file())
        .with_context(|| {
            format!(
                "there is no {UBUNTU_LIKE}.bzImage; make one with `cargo xtask kernel build \
                 ubuntu-like`, or name a folder that has it in {FOLDER}"
            )
        })
}

/// The other kernels of a folder; one of Ubuntu's is booted with and without BPF LSM.
fn ready(folder: &Path) -> Result<Vec<Candidate>> {
    let entries = fs::read_dir(folder)
        .with_context(|| format!("{FOLDER} names {}, which cannot be read", folder.display()))?;
    let mut images: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|it| it == "bzImage"))
        .filter(|path| path.file_stem().is_some_and(|it| it != UBUNTU_LIKE))
        .collect();
    images.sort();
    let both_ways = |path: PathBuf| {
        let name = path.file_stem().unwrap_or_default().display().to_string();
        let with_lsm = name
            .starts_with("ubuntu")
            .then(|| image(&path, format!("{name}+lsm"), WITH_BPF_LSM));
        [Some(image(&path, name, "")), with_lsm]
    };
    Ok(images.into_iter().flat_map(both_ways).flatten().collect())
}

fn image(path: &Path, name: String, options: &'static str) -> Candidate {
    Candidate {
        name,
        origin: Origin::Image {
            path: path.to_owned(),
            options,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_of_ubuntu_is_booted_both_ways() {
        let folder = env::temp_dir().join(format!("xtask-kernels-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for name in [
            "ubuntu-x.bzImage",
            "own.bzImage",
            "ubuntu-like-6.12.bzImage",
            "a.md",
        ] {
            fs::write(folder.join(name), "").unwrap();
        }
        let names: Vec<String> = ready(&folder)
            .unwrap()
            .into_iter()
            .map(|it| it.name)
            .collect();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(names, ["own", "ubuntu-x", "ubuntu-x+lsm"]);
    }

    #[test]
    fn a_whole_name_means_one_kernel() {
        let names = ["debian-6.1", "debian-6.12"].map(str::to_owned);
        assert!(is_meant("debian-6.1", "debian-6.1", &names));
        assert!(!is_meant("debian-6.12", "debian-6.1", &names));
        assert!(is_meant("debian-6.12", "debian", &names));
        assert!(!is_meant("debian-6.12", "ubuntu", &names));
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        assert!(ready(Path::new("/nonexistent")).is_err());
    }
}
