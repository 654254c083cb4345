//! `ECONNREFUSED`.

use std::{fmt, str::FromStr};

/// An error number that a system call may return, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(i32);

macro_rules! table {
    ($($name:ident),* $(,)?) => { [$((stringify!($name), libc::$name)),*] };
}

/// The names that people write. What connect(2) returns comes first; the rest is what other calls
/// return often. A number without a name here is refused rather than passed on: a typing error should
/// not become a fault.
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

/// Why a text is no errno.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an errno that can be injected{nearest}; known are {}",
    known()
)]
pub struct ErrnoError {
    text: String,
    nearest: String,
}

fn known() -> String {
    NAMES.map(|(name, _)| name).join(", ")
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
        let upper = text.to_ascii_uppercase();
        if let Some((_, code)) = NAMES.iter().find(|(name, _)| *name == upper) {
            return Ok(Self(*code));
        }
        let nearest = super::super::experiment::nearest(&upper, NAMES.map(|(name, _)| name));
        let nearest = nearest.map_or_else(String::new, |name| format!(", did you mean {name}?"));
        Err(ErrnoError {
            text: text.to_owned(),
            nearest,
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
        let error = "ECONREFUSED".parse::<Errno>().unwrap_err().to_string();
        assert!(error.contains("did you mean ECONNREFUSED?"), "{error}");
        assert!("111".parse::<Errno>().is_err());
    }
}
