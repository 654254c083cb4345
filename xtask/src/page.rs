//! A page of the book of which a part is written by a command, between two marks.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::paths::Project;

/// The page, and the marks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    /// Below the checkout.
    pub(crate) path: &'static str,
    pub(crate) begin: &'static str,
    pub(crate) end: &'static str,
}

impl Page {
    fn full_path(self, project: &Project) -> PathBuf {
        project.root().join(self.path)
    }

    fn text(self, project: &Project) -> Result<String> {
        fs::read_to_string(self.full_path(project))
            .with_context(|| format!("the page {} cannot be read", self.path))
    }

    /// What stands between the marks.
    pub(crate) fn written(self, project: &Project) -> Result<String> {
        let text = self.text(project)?;
        let (_, written, _) = self.parts(&text)?;
        Ok(written.to_owned())
    }

    /// Puts this between them.
    pub(crate) fn write(self, project: &Project, written: &str) -> Result<()> {
        let text = self.text(project)?;
        let (before, _, after) = self.parts(&text)?;
        let Self { begin, end, .. } = self;
        let text = format!("{before}{begin}{written}{end}{after}");
        fs::write(self.full_path(project), text)
            .with_context(|| format!("the page {} could not be written", self.path))
    }

    pub(crate) fn parts(self, text: &str) -> Result<(&str, &str, &str)> {
        text.split_once(self.begin)
            .and_then(|(before, rest)| {
                let (written, after) = rest.split_once(self.end)?;
                Some((before, written, after))
            })
            .with_context(|| {
                let Self { path, begin, end } = self;
                format!("{path} has lost the marks of what a command writes: {begin}...{end}")
            })
    }
}
