//! What faults on plug-ins share: the `plugin` family.
//!
//! A plug-in is a process that a target has started and speaks to over its standard input and output, as MCP servers over
//! stdio and language servers are. Which processes these are is found out while the fault is on, by their pipes; here is
//! only which of them are meant.
//!
//! Rejected: faults of `proc` on the plug-in's own process. The agent starts another one under another id, and what is
//! asked of it (whether it notices) is not about the process that died.

use std::time::Duration;

use clap::Args;
use globset::{Glob, GlobMatcher};
use serde::{Deserialize, Serialize};

use crate::{
    experiment::{Chance, Settings, TimingError},
    grammar::{ChanceFlags, values, values::ValueError},
};

/// Which plug-ins of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Plugins(Vec<String>);

/// A name of plug-ins that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct PluginNameError(ValueError);

/// The same, to ask of one process after the other.
#[derive(Clone, Debug)]
pub enum PluginNames {
    /// Every plug-in.
    Every,
    /// Those that are called like one of these.
    Like(Vec<GlobMatcher>),
}

#[derive(Args, Debug)]
pub(super) struct PluginFlags {
    /// Only plug-ins with such a name: of the process, of its program, or its whole command line, as in `*mcp-server*`; repeatable
    #[arg(
        long,
        value_name = "GLOB",
        value_parser = values::name_pattern,
        value_delimiter = ',',
        help_heading = "Plug-ins"
    )]
    plugin: Vec<String>,
    #[command(flatten)]
    chance: ChanceFlags,
}

impl PluginFlags {
    /// Which are meant, and how many of them.
    pub(super) fn split(self) -> (Plugins, Chance) {
        (Plugins(self.plugin), self.chance.chance())
    }
}

impl Plugins {
    /// Whether it means every plug-in.
    pub(crate) const fn is_every(&self) -> bool {
        self.0.is_empty()
    }

    /// Its names, to ask of processes.
    pub fn names(&self) -> PluginNames {
        if self.is_every() {
            return PluginNames::Every;
        }
        // None was let in that is no glob; one that were means no plug-in, and never every one.
        let globs = self.0.iter().filter_map(|glob| Glob::new(glob).ok());
        PluginNames::Like(globs.map(|glob| glob.compile_matcher()).collect())
    }

    /// Says them, by the name of the flag.
    pub(super) fn describe(&self, filters: &mut Settings) {
        filters.list("plugin", &self.0);
    }

    /// What a plan says of a fault that does this to them, a line each.
    pub(super) fn details(&self, done: String) -> Vec<String> {
        let which = match self.0.as_slice() {
            [] => "every plug-in of the target".to_owned(),
            globs => format!("plug-ins of the target like `{}`", globs.join("`, `")),
        };
        vec![
            done,
            format!(
                "{which}: child processes that it speaks to over their standard input and output, looked for every 50 ms"
            ),
        ]
    }
}

impl TryFrom<Vec<String>> for Plugins {
    type Error = PluginNameError;

    /// Those with such names, globs; every one where there is none.
    fn try_from(globs: Vec<String>) -> Result<Self, PluginNameError> {
        let globs = globs.iter().map(|glob| values::name_pattern(glob));
        let globs: Result<_, _> = globs.collect();
        globs.map(Self).map_err(PluginNameError)
    }
}

impl From<Plugins> for Vec<String> {
    fn from(plugins: Plugins) -> Self {
        plugins.0
    }
}

impl PluginNames {
    /// Whether a process is meant that is called any of these: its name, the file of its program, its command line.
    pub fn mean(&self, names: &[&str]) -> bool {
        let is_called = |glob: &GlobMatcher| names.iter().any(|name| glob.is_match(name));
        match self {
            Self::Every => true,
            Self::Like(globs) => globs.iter().any(is_called),
        }
    }

    /// Whether every process is meant, whatever it is called.
    pub const fn are_every(&self) -> bool {
        matches!(self, Self::Every)
    }
}

/// Refuses an act that would come after the end of its step.
pub(super) fn in_time(fault: &'static str, after: Duration, on: Duration) -> Option<TimingError> {
    (after >= on).then_some(TimingError::NeverDue { fault, after, on })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plug_in_is_known_by_any_of_its_names() {
        let those = |globs: &[&str]| {
            let globs: Vec<_> = globs.iter().map(|&glob| glob.to_owned()).collect();
            Plugins::try_from(globs).unwrap().names()
        };
        let line = "python3 /opt/mcp/server_files.py --root /srv";
        let names = ["python3", "python3.11", line];
        assert!(those(&[]).mean(&names));
        assert!(those(&["*server_files*"]).mean(&names));
        assert!(those(&["node", "python3"]).mean(&names));
        assert!(!those(&["server_files*"]).mean(&names));
        assert!(!those(&["python"]).mean(&names));
    }

    #[test]
    fn what_is_no_glob_is_let_in_by_no_way() {
        let refused = Plugins::try_from(vec!["python3".to_owned(), "{".to_owned()]).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("`{` is not a pattern of names"), "{said}");
        assert!(serde_json::from_str::<Plugins>(r#"["{"]"#).is_err());
        let some: Plugins = serde_json::from_str(r#"["python*"]"#).unwrap();
        assert_eq!(serde_json::to_string(&some).unwrap(), r#"["python*"]"#);
        assert!(serde_json::from_str::<Plugins>("[]").unwrap().is_every());
    }
}
