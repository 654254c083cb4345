//! `TERM`: a signal that a fault may send.

use std::{fmt, str::FromStr};

/// A signal by its name, with or without `SIG`.
///
/// Those that stop a process have no name here: a stopped process is a state that somebody has to undo,
/// and `proc pause` is the fault that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(i32);

macro_rules! table {
    ($($name:ident = $signal:ident),* $(,)?) => { [$((stringify!($name), libc::$signal)),*] };
}

/// The names of signal(7) that end a process or tell it something.
const NAMES: [(&str, i32); 24] = table![
    KILL = SIGKILL,
    TERM = SIGTERM,
    INT = SIGINT,
    HUP = SIGHUP,
    QUIT = SIGQUIT,
    ABRT = SIGABRT,
    SEGV = SIGSEGV,
    BUS = SIGBUS,
    FPE = SIGFPE,
    ILL = SIGILL,
    TRAP = SIGTRAP,
    SYS = SIGSYS,
    PIPE = SIGPIPE,
    ALRM = SIGALRM,
    VTALRM = SIGVTALRM,
    PROF = SIGPROF,
    USR1 = SIGUSR1,
    USR2 = SIGUSR2,
    CHLD = SIGCHLD,
    URG = SIGURG,
    XCPU = SIGXCPU,
    XFSZ = SIGXFSZ,
    WINCH = SIGWINCH,
    PWR = SIGPWR,
];

/// What stops a process.
const STOPPING: [&str; 4] = ["STOP", "TSTP", "TTIN", "TTOU"];

/// Why a text is no such signal.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignalError {
    /// It would leave a stopped process behind.
    #[error("SIG{0} stops a process, which somebody has to undo; use `injector proc pause`")]
    Stopping(String),
    /// No such name.
    #[error(
        "`{text}` is not a signal that can be sent{nearest}; known are {}",
        known()
    )]
    Unknown {
        /// What was written.
        text: String,
        /// A hint, or nothing.
        nearest: String,
    },
}

fn known() -> String {
    NAMES.map(|(name, _)| name).join(", ")
}

impl Signal {
    /// SIGKILL.
    pub const KILL: Self = Self(libc::SIGKILL);

    /// The number on the architecture that this runs on.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The name without `SIG`.
    pub fn name(self) -> &'static str {
        // Signals are made from the table only, so one of them matches.
        NAMES
            .iter()
            .find(|(_, number)| *number == self.0)
            .map_or("KILL", |(name, _)| name)
    }
}

impl FromStr for Signal {
    type Err = SignalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Ok(Self(*number));
        }
        if STOPPING.contains(&name) {
            return Err(SignalError::Stopping(name.to_owned()));
        }
        let nearest = crate::experiment::nearest(name, NAMES.map(|(name, _)| name));
        Err(SignalError::Unknown {
            text: text.to_owned(),
            nearest: nearest.map_or_else(String::new, |name| format!(", did you mean {name}?")),
        })
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

super::as_text!(Signal);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_comes_back() {
        for (name, number) in NAMES {
            let signal: Signal = format!("sig{name}").parse().unwrap();
            assert_eq!(
                (signal.number(), signal.to_string().as_str()),
                (number, name)
            );
        }
        assert_eq!("KILL".parse(), Ok(Signal::KILL));
    }

    #[test]
    fn what_stops_is_refused_by_name_and_the_nearest_is_told() {
        let stop = "SIGSTOP".parse::<Signal>().unwrap_err().to_string();
        assert!(stop.contains("proc pause"), "{stop}");
        let near = "TREM".parse::<Signal>().unwrap_err().to_string();
        assert!(near.contains("did you mean TERM?"), "{near}");
        assert!("9".parse::<Signal>().is_err());
    }
}
