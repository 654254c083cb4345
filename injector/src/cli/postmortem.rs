//! `injector postmortem`: the page that a team writes after an impact, with the facts of a run filled in.

use std::path::PathBuf;

use clap::Args;

use super::stored::{self, Which};
use injector_record::postmortem;
use injector_spec::error::{Exit, Refusal};

/// `injector postmortem`.
#[derive(Args, Debug)]
pub(crate) struct PostmortemFlags {
    /// The run, as `injector list` shows it, or `last` for the newest
    #[arg(value_name = "RUN")]
    run: String,
    /// Where it is written to, in place of standard output; a file that is there is replaced
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Which run a page is about, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    which: Which,
    to: Option<PathBuf>,
}

impl TryFrom<PostmortemFlags> for Page {
    type Error = Refusal;

    fn try_from(flags: PostmortemFlags) -> Result<Self, Refusal> {
        Ok(Self {
            which: Which::parse(&flags.run)?,
            to: flags.output,
        })
    }
}

/// Reads the journal, and writes the page.
pub fn postmortem(page: &Page) -> Result<Exit, Refusal> {
    let account = page.which.account()?;
    let text = postmortem::postmortem(&account);
    let what = format!("postmortem of {}", account.run);
    stored::put(&what, &text, page.to.as_deref())
}
