//! One file that is looked at again and again.

use std::{fs, io, os::unix::fs::MetadataExt, path::PathBuf, time::Duration};

use injector_spec::{
    condition::{FileProbe, Lines},
    experiment::Sign,
};

use crate::halt_monitor::Appended;

/// How long reading what is new may take at once.
const WITHIN: Duration = Duration::from_secs(1);

/// A file, and what of it was seen.
pub(super) enum Look {
    /// Whether it is another than before.
    Changed {
        path: PathBuf,
        /// Nothing before the first look.
        before: Option<State>,
    },
    /// Whether a line was appended.
    Appended { path: PathBuf, lines: Appended },
}

/// What a write changes of a file: its device, its inode, its length, and when it was written. `None` is no file.
type State = Option<(u64, u64, u64, i64, i64)>;

impl Look {
    /// At the file of a sign, where it has one.
    pub(super) fn at(sign: &Sign) -> Option<Self> {
        match sign {
            Sign::Changed(path) => Some(Self::Changed {
                path: path.clone(),
                before: None,
            }),
            Sign::Appended { file, lines } => Some(Self::Appended {
                path: file.clone(),
                lines: Appended::to(FileProbe {
                    path: file.clone(),
                    pattern: lines.clone(),
                    lines: Lines::Present,
                }),
            }),
            Sign::Connected(_) => None,
        }
    }

    /// Looks; whether the sign was seen since the last time. The first look sees what there is, and nothing in it. The error says in
    /// half a sentence why it cannot.
    pub(super) fn look(&mut self) -> Result<bool, String> {
        match self {
            Self::Changed { path, before } => {
                let now = match fs::metadata(&*path) {
                    Ok(about) => Some((
                        about.dev(),
                        about.ino(),
                        about.len(),
                        about.mtime(),
                        about.mtime_nsec(),
                    )),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                    Err(error) => return Err(error.to_string()),
                };
                let before = before.replace(now);
                // One that is gone is no effect.
                Ok(now.is_some() && before.is_some_and(|before| before != now))
            }
            Self::Appended { path, lines } => {
                let sees = lines.sees(WITHIN);
                match fs::metadata(&*path) {
                    // Nothing was written to it yet.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        Ok(sees.unwrap_or(false))
                    }
                    Ok(_) | Err(_) => sees,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, io::Write, path::Path};

    use super::*;

    fn append(path: &Path, text: &str) {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn look(text: &str) -> Look {
        Look::at(&text.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_file_that_is_made_written_or_replaced_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut look = look(&format!("file {path:?}"));
        assert_eq!(look.look(), Ok(false));
        append(&path, "");
        assert_eq!(look.look(), Ok(true), "made");
        assert_eq!(look.look(), Ok(false));
        append(&path, "more");
        assert_eq!(look.look(), Ok(true), "written");
        let other = folder.path().join("other");
        append(&other, "more");
        fs::rename(&other, &path).unwrap();
        assert_eq!(look.look(), Ok(true), "replaced");
        fs::remove_file(&path).unwrap();
        assert_eq!(look.look(), Ok(false), "gone");
    }

    #[test]
    fn what_was_there_before_is_no_sign() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        append(&path, "needs a person\n");
        let mut changed = look(&format!("file {path:?}"));
        let mut lines = look(&format!("file {path:?} lines \"person\""));
        assert_eq!((changed.look(), lines.look()), (Ok(false), Ok(false)));
        append(&path, "all is well\n");
        assert_eq!((changed.look(), lines.look()), (Ok(true), Ok(false)));
        append(&path, "needs a person\n");
        assert_eq!(lines.look(), Ok(true));
        assert_eq!(lines.look(), Ok(false));
    }

    #[test]
    fn a_log_that_is_made_later_is_read_from_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut lines = look(&format!("file {path:?} lines \"person\""));
        assert_eq!((lines.look(), lines.look()), (Ok(false), Ok(false)));
        append(&path, "needs a person\n");
        assert_eq!(lines.look(), Ok(true));
        let mut folder = look(&format!("file {:?} lines \"person\"", folder.path()));
        assert!(folder.look().is_err());
    }

    #[test]
    fn connections_are_looked_for_elsewhere() {
        assert!(Look::at(&"connect-to 127.0.0.1:1".parse().unwrap()).is_none());
    }
}
