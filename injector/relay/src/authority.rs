//! An authority of the user's, which the targets trust: the relay shows them certificates that it has signed.
//!
//! Its key is in this process's memory and nowhere else. Certificates are made when a name is met for the first time, all
//! with one key that lives as long as the relay, and are good for a day around the time at which they were made.
//!
//! Rejected: an authority that the program makes and installs by itself. Whom a host trusts is its owner's to say, and what
//! was installed would be left behind by a death.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs, io,
    net::IpAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use injector_record::regular::{self, OpenError};
use injector_spec::{config::OpensTls, printable};
use rcgen::{
    CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, Issuer, KeyPair, PublicKeyData,
    SerialNumber,
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    server::NoServerSessionStorage,
    sign::CertifiedKey,
};
use x509_parser::{parse_x509_certificate, time::ASN1Time};

/// The longest file with one certificate or key.
const LONGEST: u64 = 1 << 20;

/// How long one is shown before the next is made; it is good for a day.
const KEPT: std::time::Duration = std::time::Duration::from_hours(6);

/// Names whose certificates are kept; more of them begin anew.
const MOST_NAMES: usize = 1024;

/// Why an authority cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum AuthorityError {
    #[error("{} cannot be read: {why}; correct `{key}` under [relay], or make an authority with `injector ca DIRECTORY`", printable::path(.path))]
    Unreadable {
        key: &'static str,
        path: PathBuf,
        why: OpenError,
    },
    #[error(
        "{} has no certificate in PEM, as `-----BEGIN CERTIFICATE-----` begins one; name the authority's certificate by `ca`",
        printable::path(.0)
    )]
    NoCertificate(PathBuf),
    #[error(
        "{} is the certificate of no authority: it may sign no others; name one that `openssl x509 -text` shows as CA:TRUE",
        printable::path(.0)
    )]
    NoAuthority(PathBuf),
    #[error("the certificate {} is not valid now; check the clock, or make a new authority with `injector ca DIRECTORY`", printable::path(.0))]
    NotNow(PathBuf),
    #[error(
        "{} has no private key in PKCS #8, as `-----BEGIN PRIVATE KEY-----` begins one; `openssl pkcs8 -topk8 -nodes` writes it so",
        printable::path(.0)
    )]
    NoKey(PathBuf),
    #[error(
        "{} can be read by others than root, and a program that has the key can pass for any server to programs that trust its \
         authority; correct it with `chown root` and `chmod 600`",
        printable::path(.0)
    )]
    Exposed(PathBuf),
    #[error(
        "the key {} is not that of the certificate {}; name two that belong together",
        printable::path(.key),
        printable::path(.ca)
    )]
    Apart { ca: PathBuf, key: PathBuf },
    #[error("the authority {} cannot sign: its key is of a kind that injector does not know (ECDSA, RSA or Ed25519)", printable::path(.0))]
    CannotSign(PathBuf),
}

/// An authority that can sign.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, which goes with those that it signs.
    certificate: CertificateDer<'static>,
    /// The key of all certificates that it signs here.
    key: KeyPair,
    /// What servers of these names show.
    known: RefCell<HashMap<String, (Arc<ServerConfig>, Instant)>>,
}

impl Authority {
    /// Reads an authority and has it sign once.
    pub(crate) fn open(files: &OpensTls) -> Result<Self, AuthorityError> {
        let OpensTls { ca, ca_key, .. } = files;
        let bytes = read("ca", ca)?;
        let no_certificate = || AuthorityError::NoCertificate(ca.clone());
        let certificate = CertificateDer::from_pem_slice(&bytes).map_err(|_| no_certificate())?;
        let (_, parsed) = parse_x509_certificate(&certificate).map_err(|_| no_certificate())?;
        let usage = parsed.key_usage();
        let may_sign =
            usage.is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
        if !parsed.is_ca() || !may_sign {
            return Err(AuthorityError::NoAuthority(ca.clone()));
        }
        if !parsed.validity().is_valid() {
            return Err(AuthorityError::NotNow(ca.clone()));
        }
        let bytes = read("ca_key", ca_key)?;
        if is_exposed(ca_key) {
            return Err(AuthorityError::Exposed(ca_key.clone()));
        }
        let no_key = || AuthorityError::NoKey(ca_key.clone());
        let text = str::from_utf8(&bytes).map_err(|_| no_key())?;
        let signing = KeyPair::from_pem(text).map_err(|_| no_key())?;
        if parsed.public_key().raw != signing.subject_public_key_info() {
            return Err(AuthorityError::Apart {
                ca: ca.clone(),
                key: ca_key.clone(),
            });
        }
        let cannot_sign = || AuthorityError::CannotSign(ca.clone());
        let issuer = Issuer::from_ca_cert_der(&certificate, signing).map_err(|_| cannot_sign())?;
        let key = KeyPair::generate().map_err(|_| cannot_sign())?;
        let authority = Self {
            issuer,
            certificate,
            key,
            known: RefCell::default(),
        };
        authority
            .of_server("injector.invalid")
            .ok_or_else(cannot_sign)?;
        Ok(authority)
    }

    /// What the server of this name or address shows; nothing where no certificate can have that name.
    pub(crate) fn of_server(&self, name: &str) -> Option<Arc<ServerConfig>> {
        if let Some((config, made_at)) = self.known.borrow().get(name)
            && made_at.elapsed() < KEPT
        {
            return Some(Arc::clone(config));
        }
        let config = Arc::new(self.make(name)?);
        let mut known = self.known.borrow_mut();
        if known.len() >= MOST_NAMES {
            known.clear();
        }
        known.insert(name.to_owned(), (Arc::clone(&config), Instant::now()));
        Some(config)
    }

    fn make(&self, name: &str) -> Option<ServerConfig> {
        let mut params = CertificateParams::new([name.to_owned()]).ok()?;
        params.serial_number = Some(serial()?);
        params.not_before = from_now(-DAY)?.to_datetime();
        params.not_after = from_now(DAY)?.to_datetime();
        params.distinguished_name = DistinguishedName::new();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&self.key, &self.issuer).ok()?;
        let chain = vec![certificate.der().clone(), self.certificate.clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let provider = Arc::new(ring::default_provider());
        let key = CertifiedKey::from_der(chain, key, &provider).ok()?;
        let versions = ServerConfig::builder_with_provider(provider);
        let mut config = versions
            .with_safe_default_protocol_versions()
            .ok()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key)));
        config.alpn_protocols = vec![HTTP1.to_vec()];
        // A client that came back with a ticket of ours would meet the peer that cannot read it.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Some(config)
    }
}

/// A number that no other certificate of the authority has (RFC 5280, section 4.1.2.2): clients refuse a second one of the same.
fn serial() -> Option<SerialNumber> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).ok()?;
    // Positive, and of one length.
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Some(SerialNumber::from_slice(&bytes))
}

/// HTTP/1.1, as a client and a server agree on it (RFC 7301).
pub(crate) const HTTP1: &[u8] = b"http/1.1";

/// The name by which a server is asked for where the client says none.
pub(crate) fn of_address(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, AuthorityError> {
    regular::read(path, LONGEST).map_err(|why| AuthorityError::Unreadable {
        key,
        path: path.to_owned(),
        why,
    })
}

/// What a mode lets users other than the owner do.
const OTHERS: u32 = 0o077;

/// Whether users other than root and the one that this process is can read it, or put another in its place.
fn is_exposed(path: &Path) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    let is_safe = |metadata: fs::Metadata| {
        (metadata.uid() == 0 || metadata.uid() == ours) && metadata.mode() & OTHERS == 0
    };
    !fs::metadata(path).is_ok_and(is_safe)
}

/// The files that [`make`] has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The certificate.
    pub ca: PathBuf,
    /// The private key, for its owner alone.
    pub ca_key: PathBuf,
}

/// Why no authority was made.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum MakeError {
    #[error("{} is there already; name another directory, or remove it", printable::path(.0))]
    IsThere(PathBuf),
    #[error("{} cannot be written: {why}; name a directory that can be", printable::path(.path))]
    Unwritable { path: PathBuf, why: io::Error },
    #[error(
        "the path {} has quotes, backslashes or characters that cannot be shown, and a configuration could not name it; name \
         another directory",
        printable::path(.0)
    )]
    Odd(PathBuf),
    #[error("no key could be made on this host; try again")]
    NoKey,
    #[error("the clock of this host shows a time that no certificate can have; set it")]
    NoTime,
}

/// How long an authority that [`make`] makes is good, in days.
pub const GOOD_FOR_DAYS: u16 = 90;

/// Makes an authority for tests, of ECDSA on P-256: `ca.pem` and `ca.key` in this directory, which is made where it is missing.
pub fn make(directory: &Path) -> Result<Made, MakeError> {
    use rcgen::{BasicConstraints, DnType, IsCa, KeyUsagePurpose};
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        move |why: io::Error| match why.kind() {
            io::ErrorKind::AlreadyExists => MakeError::IsThere(path),
            _ => MakeError::Unwritable { path, why },
        }
    };
    let key = KeyPair::generate().map_err(|_| MakeError::NoKey)?;
    let mut params = CertificateParams::default();
    let [from, until] = [-1, i64::from(GOOD_FOR_DAYS)].map(|days| from_now(days * DAY));
    let (Some(from), Some(until)) = (from, until) else {
        return Err(MakeError::NoTime);
    };
    params.not_before = from.to_datetime();
    params.not_after = until.to_datetime();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "injector test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).map_err(|_| MakeError::NoKey)?;
    fs::create_dir_all(directory).map_err(unwritable(directory))?;
    let directory = directory.canonicalize().map_err(unwritable(directory))?;
    let is_odd = |text: &str| text.contains(['"', '\\']) || text.chars().any(char::is_control);
    if directory.to_str().is_none_or(is_odd) {
        return Err(MakeError::Odd(directory));
    }
    let (ca, ca_key) = (directory.join("ca.pem"), directory.join("ca.key"));
    if ca.exists() {
        return Err(MakeError::IsThere(ca));
    }
    write(&ca_key, &key.serialize_pem(), 0o600).map_err(unwritable(&ca_key))?;
    write(&ca, &certificate.pem(), 0o644)
        .inspect_err(|_| drop(fs::remove_file(&ca_key)))
        .map_err(unwritable(&ca))?;
    Ok(Made { ca, ca_key })
}

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// The time in so many seconds, or so many seconds ago; nothing where no certificate can have it.
fn from_now(seconds: i64) -> Option<ASN1Time> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let now = i64::try_from(now.as_secs()).ok()?;
    ASN1Time::from_timestamp(now.checked_add(seconds)?).ok()
}

/// Writes a file that is not there yet.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    file?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests;
