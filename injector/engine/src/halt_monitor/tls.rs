//! TLS of clients: whom a server is trusted by, and what is wrong where it is not.
//!
//! It is rustls with `ring`. A server's certificate is checked in each exchange, against the authorities that the host trusts
//! or those of a file that the probe names; nothing turns the check off. No session is resumed, for a resumed one shows no
//! certificate: one that runs out, or is replaced by a wrong one, is seen by the next question.
//!
//! The authorities are read once for each probe, when its thread begins, so that no answer is late for it.
//!
//! Rejected:
//! - OpenSSL, of which a static program would carry its own copy, twice the size;
//! - a way not to check, as curl's `-k`: a probe that takes any server for the right one tells nothing of the right one.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use injector_relay::authorities::{self, AuthoritiesError};
use injector_spec::{
    condition::{Host, Scheme},
    printable,
};
use rustls::{
    CertificateError, ClientConfig, client::Resumption, crypto::ring, pki_types::ServerName,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Whom a server is trusted by.
pub(super) struct Trust {
    ca: Option<PathBuf>,
    /// Nothing where no server is asked over TLS, or where the authorities could not be read.
    config: Option<Arc<ClientConfig>>,
}

/// Why a server is not spoken to. None of rustls' words.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
    #[error("the server's certificate has expired")]
    Expired,
    #[error("the server's certificate is not valid yet")]
    NotYet,
    #[error("the server's certificate is for another name than {0}")]
    WrongName(String),
    #[error("the server's certificate is not signed by an authority that {0}")]
    Unknown(String),
    #[error("the server's certificate has been revoked")]
    Revoked,
    #[error(
        "the server's certificate is damaged, or signed by another authority of the same name as one that is trusted"
    )]
    BadSignature,
    #[error("the server's certificate is not for a server")]
    Purpose,
    #[error("the server's certificate cannot be checked")]
    Unchecked,
    #[error(
        "the server speaks no version of TLS, or no cipher, that injector speaks (TLS 1.2 and 1.3)"
    )]
    Incompatible,
    #[error("what answers speaks no TLS; ask it by `http:`")]
    NoTls,
    #[error(
        "the server has ended the exchange, as one does that wants a certificate of its caller"
    )]
    Refused,
    #[error("the connection was closed before the server had shown its certificate")]
    Closed,
    #[error("TLS could not be begun: {0}")]
    System(io::Error),
    #[error("TLS could not be begun on this host")]
    Other,
}

impl Trust {
    /// By the authorities of this file, or by those of the host.
    pub(super) fn of(scheme: Scheme, ca: Option<&Path>) -> Self {
        let ca = ca.map(Path::to_owned);
        let config = match scheme {
            Scheme::Http => None,
            // Why not is told by the question.
            Scheme::Https => config(ca.as_deref()).ok(),
        };
        Self { ca, config }
    }

    fn config(&mut self) -> Result<Arc<ClientConfig>, TlsError> {
        let config = match self.config.take() {
            Some(config) => config,
            None => config(self.ca.as_deref())?,
        };
        Ok(Arc::clone(self.config.insert(config)))
    }

    /// What an authority is that counts, as the end of a sentence.
    fn whom(&self) -> String {
        match &self.ca {
            Some(ca) => format!("{} has", printable::path(ca)),
            None => "this host trusts".to_owned(),
        }
    }
}

/// Whether a file has the certificates of authorities; the error says why not, and what to do.
pub fn check_authorities(path: &Path) -> Result<(), String> {
    let read = authorities::read(Some(path));
    read.map(drop).map_err(|error| error.to_string())
}

/// Speaks TLS to a server that shows that it is this host.
pub(super) async fn shake_hands(
    stream: TcpStream,
    host: &Host,
    trust: &mut Trust,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let name = host.name();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let server = ServerName::try_from(bare.to_owned());
    let server = server.map_err(|_| TlsError::WrongName(name.to_owned()))?;
    let connector = TlsConnector::from(trust.config()?);
    let shaken = connector.connect(server, stream).await;
    shaken.map_err(|error| match TlsError::within(&error) {
        Some(TlsError::WrongName(_)) => TlsError::WrongName(name.to_owned()),
        Some(TlsError::Unknown(_)) => TlsError::Unknown(trust.whom()),
        Some(other) => other,
        None if error.kind() == io::ErrorKind::UnexpectedEof => TlsError::Closed,
        None => TlsError::System(error),
    })
}

fn config(ca: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let authorities = authorities::read(ca)?;
    let provider = Arc::new(ring::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = versions
        .map_err(|_| TlsError::Other)?
        .with_root_certificates(authorities)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

impl TlsError {
    /// What rustls says somewhere in an error, in our words.
    pub(super) fn within(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<rustls::Error>() {
                return Some(found.into());
            }
            // An error of input and output shows as its cause the cause of what it carries.
            let carried = error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref);
            if let Some(found) = carried.and_then(|carried| carried.downcast_ref::<rustls::Error>())
            {
                return Some(found.into());
            }
            next = error.source();
        }
        None
    }
}

impl From<&rustls::Error> for TlsError {
    fn from(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(why) => why.into(),
            rustls::Error::InvalidMessage(_) => Self::NoTls,
            rustls::Error::PeerIncompatible(_)
            | rustls::Error::AlertReceived(
                rustls::AlertDescription::ProtocolVersion
                | rustls::AlertDescription::HandshakeFailure,
            ) => Self::Incompatible,
            rustls::Error::AlertReceived(_) => Self::Refused,
            rustls::Error::NoCertificatesPresented => Self::Unchecked,
            // Theirs, which may come to have more.
            _ => Self::Other,
        }
    }
}

impl From<&CertificateError> for TlsError {
    fn from(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYet
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::WrongName(String::new())
            }
            CertificateError::UnknownIssuer => Self::Unknown(String::new()),
            CertificateError::Revoked => Self::Revoked,
            CertificateError::BadSignature | CertificateError::BadEncoding => Self::BadSignature,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::Purpose
            }
            // Theirs, which may come to have more.
            _ => Self::Unchecked,
        }
    }
}

#[cfg(test)]
mod tests;
