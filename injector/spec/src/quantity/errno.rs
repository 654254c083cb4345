//! `ECONNREFUSED`, or its number.

use std::{fmt, io, str::FromStr};

/// An error number that a system call may return, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(i32);

macro_rules! table {
    ($($name:ident),* $(,)?) => { [$((stringify!($name), (linux_raw_sys::errno::$name).cast_signed())),*] };
}

/// The names that people write. What connect(2) returns comes first; the rest is what other calls
/// return often. A number without a name here is refused rather than passed on: a typing error should
/// not become a fault. A number with a name is read, and shown by its name.
const NAMES: [(&str, i32); 63] = table![
    ECONNREFUSED,
    ETIMEDOUT,
    EHOSTUNREACH,
    ENETUNREACH,
    ECONNRESET,
    ECONNABORTED,
    EHOSTDOWN,
    ENETDOWN,
    EADDRNOTAVAIL,
    EADDRINUSE,
    EAGAIN,
    EACCES,
    EPERM,
    EINTR,
    EINVAL,
    EIO,
    ENOENT,
    ENOMEM,
    ENOSPC,
    EMFILE,
    ENFILE,
    ENOBUFS,
    EPIPE,
    EROFS,
    EBUSY,
    EDQUOT,
    ENETRESET,
    EPROTO,
    ESTALE,
    EAFNOSUPPORT,
    EBADF,
    EDEADLK,
    EEXIST,
    EFAULT,
    EFBIG,
    EISDIR,
    ELOOP,
    EMLINK,
    ENAMETOOLONG,
    ENODEV,
    ENOLCK,
    ENOTDIR,
    ENOTEMPTY,
    ENOTTY,
    ENXIO,
    EOPNOTSUPP,
    EOVERFLOW,
    ETXTBSY,
    EXDEV,
    EALREADY,
    EDESTADDRREQ,
    EINPROGRESS,
    EISCONN,
    EMSGSIZE,
    ENOTCONN,
    ENOTSOCK,
    EPROTONOSUPPORT,
    E2BIG,
    ELIBBAD,
    ENOEXEC,
    EUSERS,
    ENOSYS,
    ENODATA,
];

/// Other names for numbers of the table (include/uapi/asm-generic/errno.h).
const ALIASES: [(&str, i32); 3] = [
    (
        "EWOULDBLOCK",
        linux_raw_sys::errno::EWOULDBLOCK.cast_signed(),
    ),
    // The C library's name; the kernel has but the other.
    ("ENOTSUP", linux_raw_sys::errno::EOPNOTSUPP.cast_signed()),
    ("EDEADLOCK", linux_raw_sys::errno::EDEADLOCK.cast_signed()),
];

/// Why a text is no errno.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrnoError {
    /// Not a name.
    #[error("`{text}` is not an errno that can be injected; {hint}")]
    Name {
        /// What was written.
        text: String,
        /// What may be meant.
        hint: String,
    },
    /// Not a number with a name.
    #[error(
        "the number {0} is not that of an errno that can be injected; write a name, as in `ECONNREFUSED` \
         (errno(3) lists them)"
    )]
    Number(String),
}

/// The names that a text may mean: one that is spelled alike, else those that contain it, by their name or by
/// what the C library calls them (`refused` is in "Connection refused").
fn hint(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let says = |code: i32| {
        io::Error::from_raw_os_error(code)
            .to_string()
            .to_lowercase()
    };
    let contains = |(name, code): &&(&'static str, i32)| {
        name.to_lowercase().contains(&lower) || says(*code).contains(&lower)
    };
    let meant: Vec<&str> = match text.len() {
        // One or two letters are in many names.
        0..=2 => Vec::new(),
        _ => NAMES
            .iter()
            .filter(contains)
            .map(|(name, _)| *name)
            .collect(),
    };
    let near = || match text.len() {
        0..=2 => None,
        _ => crate::nearest::nearest(&text.to_ascii_uppercase(), NAMES.map(|(name, _)| name)),
    };
    match meant.as_slice() {
        [] => near().map_or_else(
            || "write one as in `ECONNREFUSED` or `EIO` (errno(3) lists them)".to_owned(),
            |name| format!("did you mean {name}?"),
        ),
        [name] => format!("did you mean {name}?"),
        [names @ .., last] => format!("did you mean {} or {last}?", names.join(", ")),
    }
}

impl Errno {
    /// The number, positive, of the architecture that this runs on.
    pub const fn code(self) -> i32 {
        self.0
    }

    /// The name, as in errno(3).
    pub fn name(self) -> &'static str {
        // Errnos are made from the table only, so one of them matches.
        NAMES
            .iter()
            .find(|(_, code)| *code == self.0)
            .map_or("EINVAL", |(name, _)| name)
    }
}

impl FromStr for Errno {
    type Err = ErrnoError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let upper = text.to_ascii_uppercase();
        let mut known = NAMES.iter().chain(&ALIASES);
        if let Some((_, code)) = known.find(|(name, _)| *name == upper) {
            return Ok(Self(*code));
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let code = text.parse().ok();
            let named = NAMES.iter().find(|(_, known)| Some(*known) == code);
            return named
                .map(|(_, code)| Self(*code))
                .ok_or_else(|| ErrnoError::Number(text.to_owned()));
        }
        Err(ErrnoError::Name {
            text: text.escape_debug().to_string(),
            hint: hint(text),
        })
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

super::as_text!(Errno);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_comes_back() {
        for (name, code) in NAMES {
            let errno: Errno = name.parse().unwrap();
            assert_eq!((errno.code(), errno.to_string().as_str()), (code, name));
        }
    }

    #[test]
    fn the_nearest_name_is_told() {
        for (text, hint) in [
            ("ECONREFUSED", "did you mean ECONNREFUSED?"),
            ("refused", "did you mean ECONNREFUSED?"),
            ("timed out", "did you mean ETIMEDOUT?"),
            ("UNREACH", "did you mean EHOSTUNREACH or ENETUNREACH?"),
            ("no space", "did you mean ENOSPC?"),
            ("x", "write one as in `ECONNREFUSED`"),
            ("", "write one as in"),
            ("1000", "the number 1000 is not that of"),
            ("99999999999", "write a name"),
        ] {
            let error = text.parse::<Errno>().unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
            assert!(error.len() < 160, "a dump: {error}");
        }
    }

    #[test]
    fn numbers_and_other_names_are_read() {
        for (text, name) in [
            ("111", "ECONNREFUSED"),
            ("110", "ETIMEDOUT"),
            (" 5 ", "EIO"),
            ("EWOULDBLOCK", "EAGAIN"),
            ("enotsup", "EOPNOTSUPP"),
            ("EDEADLOCK", "EDEADLK"),
        ] {
            assert_eq!(text.parse::<Errno>().unwrap().to_string(), name, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn parsing_is_total(text in "\\PC*|[0-9]{0,12}") {
            if let Ok(errno) = text.parse::<Errno>() {
                proptest::prop_assert_eq!(errno.to_string().parse(), Ok(errno));
            }
        }
    }
}
