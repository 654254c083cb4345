//! Which files a fault is about, as a person writes it.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use injector_common::call::NAME;

/// A path, a folder with all below it, or a pattern for the names in a folder.
///
/// `/data/db` is that file, or everything below that folder; `/data/*.log` is by name directly in `/data`;
/// `/data/**/*.log` is by name anywhere below it. Patterns are in the last component and know `*` and `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePattern {
    text: String,
    folder: PathBuf,
    name: Option<String>,
    depth: Depth,
}

/// How far below its folder a pattern reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Directly in it.
    Folder,
    /// Anywhere below it.
    Tree,
}

/// Whether a path has to exist when the fault is armed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// It has to.
    #[default]
    Now,
    /// It may come later; its folder is there.
    Future,
}

/// Why a text is no pattern of files.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` says no path: {why}; write one as in `/data/db`, `/data/*.log` or `/data/**/*.log`"
)]
pub struct FilePatternError {
    text: String,
    why: &'static str,
}

/// `PATH_MAX` (include/uapi/linux/limits.h), with its final zero.
const LONGEST: usize = 4096;

impl FilePattern {
    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The path itself; `None` where it is a pattern.
    pub fn exact(&self) -> Option<&Path> {
        self.name.is_none().then_some(Path::new(&self.text))
    }

    /// The folder of a pattern, the pattern of the name, and how far it reaches; `None` where it is a path.
    pub fn named(&self) -> Option<(&Path, &str, Depth)> {
        let name = self.name.as_deref()?;
        Some((&self.folder, name, self.depth))
    }
}

impl FromStr for FilePattern {
    type Err = FilePatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let problem = |why| FilePatternError {
            text: text.escape_debug().to_string(),
            why,
        };
        if !text.starts_with('/') {
            return Err(problem(
                "it has to start at the root; the target may stand elsewhere than you",
            ));
        }
        if text.len() >= LONGEST || text.contains('\0') {
            return Err(problem("no path is like that"));
        }
        if text.split('/').any(|part| part == "..") {
            return Err(problem("`..` could leave what you mean"));
        }
        let (folder, last) = text.rsplit_once('/').unwrap_or(("", text));
        if !is_pattern(last) {
            if is_pattern(folder) {
                return Err(problem("only the last part may have `*` and `?`"));
            }
            return Ok(Self {
                text: text.to_owned(),
                folder: root_or(folder),
                name: None,
                depth: Depth::Folder,
            });
        }
        let (folder, depth) = match folder.strip_suffix("/**") {
            Some(folder) => (folder, Depth::Tree),
            None => (folder, Depth::Folder),
        };
        if is_pattern(folder) || last == "**" {
            return Err(problem("only the last part may have `*` and `?`"));
        }
        if last.len() > NAME {
            return Err(problem("the pattern is longer than 64 bytes"));
        }
        Ok(Self {
            text: text.to_owned(),
            folder: root_or(folder),
            name: Some(last.to_owned()),
            depth,
        })
    }
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

fn root_or(folder: &str) -> PathBuf {
    PathBuf::from(if folder.is_empty() { "/" } else { folder })
}

/// Escaped: it may come to a terminal.
impl fmt::Display for FilePattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.text.escape_debug())
    }
}

impl serde::Serialize for FilePattern {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for FilePattern {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(text: &str) -> (String, String, Depth) {
        let pattern: FilePattern = text.parse().unwrap();
        let (folder, name, depth) = pattern.named().unwrap();
        (folder.display().to_string(), name.to_owned(), depth)
    }

    #[test]
    fn patterns_are_taken_apart() {
        let exact: FilePattern = "/data/db".parse().unwrap();
        assert_eq!(exact.exact(), Some(Path::new("/data/db")));
        assert_eq!(
            named("/data/*.log"),
            ("/data".into(), "*.log".into(), Depth::Folder)
        );
        assert_eq!(
            named("/d/**/?.log"),
            ("/d".into(), "?.log".into(), Depth::Tree)
        );
        assert_eq!(named("/**/x*"), ("/".into(), "x*".into(), Depth::Tree));
        assert_eq!(named("/*"), ("/".into(), "*".into(), Depth::Folder));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let long = format!("/{}*", "a".repeat(NAME));
        for text in [
            "data", "", "/a/../b", "/a/*/b", "/a/**", "/*/b*", "/a\0b", &long,
        ] {
            let error = text.parse::<FilePattern>().unwrap_err().to_string();
            assert!(!error.contains('\0'), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_pattern_or_an_error(text in "/?[a*?./]{0,12}") {
            if let Ok(pattern) = text.parse::<FilePattern>() {
                prop_assert_eq!(pattern.exact().is_some(), pattern.named().is_none());
                let sent = serde_json::to_string(&pattern).unwrap();
                prop_assert_eq!(serde_json::from_str::<FilePattern>(&sent).unwrap(), pattern);
            }
        }
    }
}
