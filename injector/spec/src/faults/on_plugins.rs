//! What faults do to plug-ins of a target.

use super::{
    plugin_crash_loop::PluginCrashLoop, plugin_hang::PluginHang, plugin_kill::PluginKill,
    plugin_pipe_held_death::PluginPipeHeldDeath, plugin_slow_start::PluginSlowStart,
    plugin_torn_line::PluginTornLine, plugins::Plugins,
};
use crate::experiment::Flaw;

/// What happens to plug-ins of a target.
#[derive(Clone, Copy, Debug)]
pub enum OnPlugins<'f> {
    /// They die.
    Kill(&'f PluginKill),
    /// They die, and their ends of the pipes stay open.
    PipeHeldDeath(&'f PluginPipeHeldDeath),
    /// They die shortly after each start.
    CrashLoop(&'f PluginCrashLoop),
    /// They stand still.
    Hang(&'f PluginHang),
    /// They stand still behind each start.
    SlowStart(&'f PluginSlowStart),
    /// Half a line is put into what they say.
    TornLine(&'f PluginTornLine),
}

impl<'f> OnPlugins<'f> {
    /// Which.
    pub const fn plugins(self) -> &'f Plugins {
        match self {
            Self::Kill(fault) => &fault.plugins,
            Self::PipeHeldDeath(fault) => &fault.plugins,
            Self::CrashLoop(fault) => &fault.plugins,
            Self::Hang(fault) => &fault.plugins,
            Self::SlowStart(fault) => &fault.plugins,
            Self::TornLine(fault) => &fault.plugins,
        }
    }

    /// The flaws that a target can show by it. Orphans are counted where the target ends meanwhile, whatever ended it.
    pub(super) const fn shows(self) -> &'static [Flaw] {
        match self {
            Self::Kill(_) | Self::PipeHeldDeath(_) | Self::CrashLoop(_) => {
                &[Flaw::DeathUnnoticed, Flaw::Orphans]
            }
            Self::Hang(_) | Self::SlowStart(_) | Self::TornLine(_) => &[Flaw::Orphans],
        }
    }

    /// Whether they stand still by it.
    pub const fn stops(self) -> bool {
        match self {
            Self::Hang(_) | Self::SlowStart(_) => true,
            Self::Kill(_) | Self::PipeHeldDeath(_) | Self::CrashLoop(_) | Self::TornLine(_) => {
                false
            }
        }
    }
}
