//! `TERM`, or its number: a signal that a fault may send.

use std::{fmt, str::FromStr};

/// A signal by its name, with or without `SIG`.
///
/// Those that stop a process have no name here: a stopped process is a state that another process has to
/// undo, and `proc pause` is the fault that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(i32);

macro_rules! table {
    ($($name:ident = $signal:ident),* $(,)?) => { [$((stringify!($name), (linux_raw_sys::general::$signal).cast_signed())),*] };
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
const STOPPING: [(&str, i32); 4] = table![
    STOP = SIGSTOP,
    TSTP = SIGTSTP,
    TTIN = SIGTTIN,
    TTOU = SIGTTOU,
];

/// Why a text is no such signal.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignalError {
    /// It would leave a stopped process behind.
    #[error("SIG{0} stops a process until another signal lets it go on; use `injector proc pause`")]
    Stopping(&'static str),
    /// No such name or number.
    #[error("`{text}` is not a signal that can be sent; {hint}")]
    Unknown {
        /// What was written.
        text: String,
        /// What may be meant.
        hint: String,
    },
}

impl Signal {
    /// SIGKILL.
    pub const KILL: Self = Self(linux_raw_sys::general::SIGKILL.cast_signed());

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
        let text = text.trim();
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let number: Option<i32> = text.parse().ok().filter(|_| plain);
        let is_it = |(known, code): &&(&str, i32)| *known == name || Some(*code) == number;
        if let Some((_, number)) = NAMES.iter().find(is_it) {
            return Ok(Self(*number));
        }
        if let Some((name, _)) = STOPPING.iter().find(is_it) {
            return Err(SignalError::Stopping(name));
        }
        let nearest = crate::nearest::nearest(name, NAMES.map(|(name, _)| name));
        Err(SignalError::Unknown {
            text: text.escape_debug().to_string(),
            hint: nearest.map_or_else(
                || "write one as in `KILL`, `TERM` or `9` (signal(7) lists them)".to_owned(),
                |name| format!("did you mean {name}?"),
            ),
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
        for text in ["19", "SIGSTOP", " stop "] {
            let stop = text.parse::<Signal>();
            assert_eq!(stop, Err(SignalError::Stopping("STOP")), "{text}");
        }
        for text in ["0", "99", "-9", "+9", "", "SIG"] {
            let error = text.parse::<Signal>().unwrap_err().to_string();
            assert!(error.contains("is not a signal"), "{error}");
        }
    }

    #[test]
    fn a_number_is_read() {
        assert_eq!("9".parse(), Ok(Signal::KILL));
        assert_eq!("15".parse::<Signal>().unwrap().to_string(), "TERM");
    }
}
