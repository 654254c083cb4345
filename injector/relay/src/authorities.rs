//! Whom a server is trusted by: the authorities of the host, or those of a file.
//!
//! Rejected: `webpki-roots`, authorities that stand in the program: they age with it, and no company's own is among them.

use std::path::{Path, PathBuf};

use injector_record::regular::{self, OpenError};
use injector_spec::printable;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// The longest file of authorities; that of a whole host has a quarter of a megabyte.
const LONGEST: u64 = 4 << 20;

/// Why there are no authorities.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum AuthoritiesError {
    #[error("the file of authorities {} cannot be read: {why}; correct the path, or make the file", printable::path(.path))]
    Unreadable { path: PathBuf, why: OpenError },
    #[error(
        "the file of authorities {} has no certificate in PEM, as `-----BEGIN CERTIFICATE-----` begins one; name another",
        printable::path(.0)
    )]
    NoCertificate(PathBuf),
    #[error(
        "a certificate in the file of authorities {} is damaged; replace it",
        printable::path(.0)
    )]
    Damaged(PathBuf),
    #[error(
        "this host has no authorities that could have signed a server's certificate; install them (Debian package \
         ca-certificates), or name a file (`ca` of a probe, `peer_ca` of [relay])"
    )]
    None,
}

/// The authorities of this file, or those of the host.
pub fn read(file: Option<&Path>) -> Result<RootCertStore, AuthoritiesError> {
    match file {
        Some(file) => of_file(file),
        None => of_host(),
    }
}

/// As the host's distribution lays them down, or as root's `SSL_CERT_FILE` and `SSL_CERT_DIR` say.
fn of_host() -> Result<RootCertStore, AuthoritiesError> {
    let mut authorities = RootCertStore::empty();
    // One that cannot be read is one less; a server that it has signed is told as such.
    let found = rustls_native_certs::load_native_certs().certs;
    authorities.add_parsable_certificates(found);
    if authorities.is_empty() {
        Err(AuthoritiesError::None)
    } else {
        Ok(authorities)
    }
}

fn of_file(path: &Path) -> Result<RootCertStore, AuthoritiesError> {
    let own = || path.to_owned();
    let bytes = regular::read(path, LONGEST)
        .map_err(|why| AuthoritiesError::Unreadable { path: own(), why })?;
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|_| AuthoritiesError::Damaged(own()))?;
        authorities
            .add(certificate)
            .map_err(|_| AuthoritiesError::Damaged(own()))?;
    }
    if authorities.is_empty() {
        Err(AuthoritiesError::NoCertificate(own()))
    } else {
        Ok(authorities)
    }
}
