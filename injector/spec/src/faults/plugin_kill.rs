//! `plugin.kill`: plug-ins die.

use super::{
    OnPlugins,
    plugin_once::{self, Act, Once},
};

/// Plug-ins die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill;

/// The fault.
pub type PluginKill = Once<Kill>;

/// Its flags.
pub(crate) type Flags = plugin_once::Flags<Kill>;

impl Act for Kill {
    const FAULT: &'static str = "plugin.kill";

    fn done(moment: &str) -> String {
        format!("each gets SIGKILL {moment}, once; one that is started afterwards lives")
    }

    fn on(fault: &Once<Self>) -> OnPlugins<'_> {
        OnPlugins::Kill(fault)
    }
}
