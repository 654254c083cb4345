//! What probes ask: hosts with a port, and addresses of the web, in plain text or over TLS.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use http::Uri;

/// A host and a port: `127.0.0.1:5432`, `[::1]:80`, `localhost:80`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    /// As the resolver of the standard library takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host without its port; an address of IPv6 keeps its brackets.
    pub fn name(&self) -> &str {
        self.0.rsplit_once(':').map_or(&self.0, |(name, _)| name)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        let port = self.0.rsplit_once(':').map(|(_, port)| port.parse());
        // Both were read when the text was.
        port.and_then(Result::ok).unwrap_or_default()
    }

    /// The address, where it says one and no name.
    pub fn address(&self) -> Option<IpAddr> {
        self.0
            .parse::<SocketAddr>()
            .ok()
            .map(|address| address.ip())
    }
}

/// Why a text is no [`Host`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a host and a port; write both, as in `127.0.0.1:5432`, `[::1]:80` or `localhost:80`"
)]
pub struct HostError(String);

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let wrong = || HostError(text.to_owned());
        if let Ok(address) = text.parse::<SocketAddr>() {
            return if address.port() == 0 {
                Err(wrong())
            } else {
                Ok(Self(text.to_owned()))
            };
        }
        let (name, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        match port.parse::<u16>() {
            Ok(1..) if is_name && port.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// An address of the web: `http://127.0.0.1:9090/path`, `https://api.example.com/health`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    text: String,
    scheme: Scheme,
    host: Host,
    /// Path and query.
    path: String,
}

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In plain text.
    Http,
    /// Over TLS, by whose certificate the server shows that it is the one which is meant.
    Https,
}

impl Scheme {
    const ALL: [Self; 2] = [Self::Http, Self::Https];

    /// As an address has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port where an address has none.
    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Why a text is no [`HttpUrl`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpUrlError {
    /// Not the form.
    #[error("`{0}` is not an address of the web; write one as in `http://127.0.0.1:8080/health`")]
    NotAUrl(String),
    /// A password in it. It is not repeated here.
    #[error(
        "the address has a user or a password in front of its host, which would stand in the journal; leave \
         them out"
    )]
    Secret,
}

impl HttpUrl {
    /// How the server is spoken to.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host and the port, that of the scheme where none is given.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The path, with the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The address without what may be a secret: no path and no query.
    pub fn without_secrets(&self) -> String {
        let more = if self.path == "/" { "" } else { "..." };
        format!("{}://{}/{more}", self.scheme.name(), self.host)
    }
}

impl FromStr for HttpUrl {
    type Err = HttpUrlError;

    fn from_str(text: &str) -> Result<Self, HttpUrlError> {
        let wrong = || HttpUrlError::NotAUrl(text.to_owned());
        if text
            .split(['/', '?'])
            .nth(2)
            .is_some_and(|authority| authority.contains('@'))
        {
            return Err(HttpUrlError::Secret);
        }
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let scheme = Scheme::ALL
            .into_iter()
            .find(|scheme| uri.scheme_str() == Some(scheme.name()))
            .filter(|_| !text.contains('#'))
            .ok_or_else(wrong)?;
        let host = uri.host().ok_or_else(wrong)?;
        let host = format!("{host}:{}", uri.port_u16().unwrap_or(scheme.port()));
        Ok(Self {
            text: text.to_owned(),
            scheme,
            host: host.parse().map_err(|_| wrong())?,
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
        })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(out)
    }
}

crate::quantity::as_text!(Host);
crate::quantity::as_text!(HttpUrl);
