//! Plug-ins that die, each as a whole.
//!
//! Invariants: where the agent's own child cannot be killed nothing of the plug-in is; what the plug-ins of one look have started
//! since is looked for in one look at all processes, for all of them, and no more when their time is over.

use injector_host::{
    kernel::clock::boot_ns,
    targets::{
        pidfd,
        plugins::{self, Newborn, Plugin},
        process::TaskKey,
    },
};

use super::{MOST_LOOKS, Plugger, born};
use crate::effects::processes::moment::Moment;

/// A plug-in that was killed, of which processes may live that were started since the look that found it.
#[derive(Debug)]
pub(super) struct Killed(Plugin);

fn kill(key: TaskKey) -> Result<(), rustix::io::Errno> {
    pidfd::signal(key, libc::SIGKILL)
}

impl Plugger {
    /// Kills all of it, the agent's own child first: a launcher must not see its server die and start another.
    pub(super) fn kill(&mut self, mut plugin: Plugin) -> Option<Killed> {
        // A new program had none when it was looked at.
        if plugin.line.is_empty() {
            plugin.line = plugins::command_line(plugin.root);
        }
        // Before the signal: a quick agent has another before this thread runs again.
        let at = boot_ns();
        if kill(plugin.root).is_err() {
            // It has ended by itself, or may not be signalled: then what is behind it is left alone as well.
            self.choice.counters.missed += 1;
            return None;
        }
        for key in plugin.members.iter().filter(|key| **key != plugin.root) {
            // It may have ended by itself.
            let _ = kill(*key);
        }
        self.choice.counters.hit_at(boot_ns());
        self.watch.died(&plugin, at);
        Some(Killed(plugin))
    }

    /// Kills what these have started since this time of the boot clock, and what that starts meanwhile.
    pub(super) fn kill_what_they_start(
        &mut self,
        mut dead: Vec<Killed>,
        looked: u64,
        moment: &Moment<'_>,
    ) {
        let is_over = || boot_ns() >= moment.ends_at || !moment.may_act();
        for _ in 0..MOST_LOOKS {
            if dead.is_empty() || is_over() {
                return;
            }
            let newborn = Newborn::since(looked);
            let mut go_on = Vec::new();
            for mut killed in dead {
                let born = born(&killed.0, &newborn, moment);
                if born.is_empty() {
                    continue;
                }
                for key in born {
                    // Asked before each signal: many of them take time.
                    if is_over() {
                        return;
                    }
                    // It may have ended by itself.
                    let _ = kill(key);
                    self.watch.forget(key);
                    killed.0.members.push(key);
                }
                go_on.push(killed);
            }
            dead = go_on;
        }
    }
}
