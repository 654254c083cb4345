//! Who may use the daemon's socket, beside root.

use std::path::PathBuf;

use serde::Deserialize;

/// `[socket]`: read when the daemon starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SocketAccess {
    /// The group that may do everything.
    pub group: Option<Group>,
    /// The group that may look and not touch.
    pub read_only_group: Option<Group>,
}

/// A group of users, as the file names it. Whether there is such a group is asked when it is used.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub enum Group {
    /// By number.
    Id(u32),
    /// By name, as in /etc/group; never empty.
    Name(String),
}

/// How a group may be written.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a group is the name or the number of one; write it so"
)]
enum Written {
    Number(i64),
    Text(String),
}

/// Why a value is no group.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// Out of range; the last number means "no group" (`-1`, chown(2)).
    #[error("{0} is not the number of a group; `getent group` lists those that there are")]
    Number(i64),
    /// No name.
    #[error("`{0}` is not the name of a group; `getent group` lists those that there are")]
    Name(String),
}

impl TryFrom<Written> for Group {
    type Error = GroupError;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written {
            Written::Number(number) => match u32::try_from(number) {
                Ok(id) if id != u32::MAX => Ok(Self::Id(id)),
                _ => Err(GroupError::Number(number)),
            },
            Written::Text(name)
                if name.is_empty() || name.contains([':', ',', '\n', '\0', ' ']) =>
            {
                Err(GroupError::Name(name))
            }
            Written::Text(name) => Ok(Self::Name(name)),
        }
    }
}

impl std::fmt::Display for Group {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => id.fmt(out),
            Self::Name(name) => name.fmt(out),
        }
    }
}

/// Where the socket is where nothing else is said.
pub const USUAL_SOCKET: &str = "/run/injector/injector.sock";

/// The variable that says something else.
pub const SOCKET_VARIABLE: &str = "INJECTOR_SOCKET";

/// The daemon's socket: `INJECTOR_SOCKET`, or `/run/injector/injector.sock`.
pub fn socket_path() -> PathBuf {
    std::env::var_os(SOCKET_VARIABLE)
        .filter(|path| !path.is_empty())
        .map_or_else(|| USUAL_SOCKET.into(), PathBuf::from)
}
