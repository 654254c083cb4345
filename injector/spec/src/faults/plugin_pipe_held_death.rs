//! `plugin.pipe-held-death`: plug-ins die, and their pipes stay open.

use super::{
    OnPlugins,
    plugin_once::{self, Act, Once},
};

/// Plug-ins die, and their ends of the pipes stay open: the target reads no end and writes into nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PipeHeldDeath;

/// The fault.
pub type PluginPipeHeldDeath = Once<PipeHeldDeath>;

/// Its flags.
pub(crate) type Flags = plugin_once::Flags<PipeHeldDeath>;

impl Act for PipeHeldDeath {
    const FAULT: &'static str = "plugin.pipe-held-death";

    fn done(moment: &str) -> String {
        format!(
            "each gets SIGKILL {moment}, once; the injector holds its ends of the pipes open until the fault ends"
        )
    }

    fn on(fault: &Once<Self>) -> OnPlugins<'_> {
        OnPlugins::PipeHeldDeath(fault)
    }
}
