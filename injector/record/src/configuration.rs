//! Reads the configuration of this host from its file.

use std::{io, path::Path};

use injector_spec::config::{Config, ConfigError, ConfigFile, Source, line_and_column};

use crate::regular::{self, Access};

/// More bytes than any such file has.
const LARGEST: u64 = 1 << 20;

/// Reads the file; the defaults where the usual one is missing.
///
/// # Errors
/// A file that is missing, that another user can write, or that holds a mistake.
pub fn load(source: &Source) -> Result<Config, ConfigError> {
    let path = source.path();
    match read(path) {
        Err(ConfigError::Unreadable { error, .. })
            if *source == Source::Usual && error.kind() == io::ErrorKind::NotFound =>
        {
            Ok(Config::default())
        }
        text => {
            let text = text?;
            let config = Config::parse(&text, &path.display().to_string())?;
            Ok(Config {
                file: Some(ConfigFile::of(path, &text)),
                ..config
            })
        }
    }
}

/// Its text, from one descriptor: what is checked is what is read.
fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |error| ConfigError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let file = regular::open(path, Access::Read).map_err(|error| unreadable(error.into()))?;
    let metadata = file.metadata().map_err(unreadable)?;
    // An ordinary user may rehearse with a file of its own; it arms nothing.
    if !regular::is_ours_alone(&metadata) {
        return Err(ConfigError::Exposed(path.to_owned()));
    }
    let bytes = regular::read_from(&file, LARGEST).map_err(|error| unreadable(error.into()))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.into_bytes();
        let (before, rest) = bytes.split_at_checked(at).unwrap_or((&bytes, &[]));
        let (line, column) = line_and_column(&String::from_utf8_lossy(before), at);
        let byte = rest.first().copied().unwrap_or_default();
        ConfigError::Mistake {
            path: path.display().to_string(),
            line,
            column,
            what: format!("byte {byte:02X} is not UTF-8; save the file as UTF-8"),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_named_file_must_be_there_and_ours() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("injector.toml");
        let source = Source::Named(path.clone());
        assert!(matches!(load(&source), Err(ConfigError::Unreadable { .. })));
        fs::write(&path, "[limits]\nmax_hits = 7\n").unwrap();
        let config = load(&source).unwrap();
        assert_eq!(config.limits.max_hits, 7);
        let file = config.file.unwrap();
        assert_eq!(file.path, path.display().to_string());
        // printf '[limits]\nmax_hits = 7\n' | sha256sum
        assert_eq!(
            file.sha256,
            "11ed0502fd54ff27497aaa22b783cec94fd082916d403ffd6c06273caad429de"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(load(&source), Err(ConfigError::Exposed(_))));
    }
}
