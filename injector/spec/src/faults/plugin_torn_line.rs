//! `plugin.torn-line`: the target reads half a line.

use super::{
    OnPlugins,
    plugin_once::{self, Act, Once},
};

/// The target reads half a line, and what the plug-in says next is the rest of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornLine;

/// The fault.
pub type PluginTornLine = Once<TornLine>;

/// Its flags.
pub(crate) type Flags = plugin_once::Flags<TornLine>;

impl Act for TornLine {
    const FAULT: &'static str = "plugin.torn-line";

    fn done(moment: &str) -> String {
        format!(
            "half a message without the end of its line is put into what each says, {moment}, once"
        )
    }

    fn on(fault: &Once<Self>) -> OnPlugins<'_> {
        OnPlugins::TornLine(fault)
    }
}
