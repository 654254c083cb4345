//! Servers of this process, with certificates of authorities of its own.

use std::{fs, net::SocketAddr, thread, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    runtime::Builder,
};
use tokio_rustls::TlsAcceptor;

use super::{super::http_client::get, *};
use injector_spec::condition::HttpUrl;

const WITHIN: Duration = Duration::from_secs(20);

/// An authority, and its certificate as a file has it.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn called(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// A server with a certificate of this authority, whose port is returned.
    fn serve(&self, change: impl FnOnce(&mut CertificateParams)) -> u16 {
        let key = KeyPair::generate().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        serve(Some(TlsAcceptor::from(Arc::new(config))))
    }
}

/// A server that answers `ok` to whatever is asked, over TLS or not; a thread that outlives the test.
fn serve(acceptor: Option<TlsAcceptor>) -> u16 {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let anywhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = runtime.block_on(TcpListener::bind(anywhere)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        runtime.block_on(async {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 4096];
                let Some(acceptor) = &acceptor else {
                    let _ = stream.read(&mut asked).await;
                    let _ = stream.write_all(ANSWER).await;
                    continue;
                };
                // A client that does not trust it says so and leaves.
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let _ = stream.read(&mut asked).await;
                    let _ = stream.write_all(ANSWER).await;
                    let _ = stream.shutdown().await;
                }
            }
        });
    });
    port
}

/// The status, or what is wrong.
fn ask(url: &str, ca: &Path) -> Result<u16, String> {
    let url: HttpUrl = url.parse().unwrap();
    let mut trust = Trust::of(url.scheme(), Some(ca));
    let answer = get(&url, url.path(), &mut trust, WITHIN);
    answer
        .map(|answer| answer.status)
        .map_err(|error| error.to_string())
}

#[test]
fn a_server_is_known_by_its_certificate_and_a_wrong_one_is_told_by_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let [authority, other, double] = ["own", "other", "own"].map(Authority::called);
    let own = write("own.pem", &authority.pem);
    let same = write("same.pem", &double.pem);
    let foreign = write("foreign.pem", &other.pem);
    let both = write(
        "both.pem",
        &format!("# two of them\n{}{}", other.pem, authority.pem),
    );
    let right = authority.serve(|_| {});
    let expired = authority.serve(|params| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    let early = authority.serve(|params| params.not_before = date_time_ymd(3000, 1, 1));
    let renamed = authority.serve(|params| {
        *params = CertificateParams::new(["elsewhere.example".to_owned()]).unwrap();
    });
    let at = |port: u16| format!("https://127.0.0.1:{port}/health?token=1");
    for ca in [&own, &both] {
        assert_eq!(ask(&at(right), ca), Ok(200));
    }
    assert_eq!(ask(&format!("https://localhost:{right}/"), &own), Ok(200));
    let signed = format!("not signed by an authority that {} has", foreign.display());
    for (url, ca, part) in [
        (at(right), &foreign, signed.as_str()),
        (
            at(right),
            &same,
            "signed by another authority of the same name",
        ),
        (at(expired), &own, "has expired"),
        (at(early), &own, "is not valid yet"),
        (at(renamed), &own, "is for another name than 127.0.0.1"),
        (at(serve(None)), &own, "speaks no TLS"),
    ] {
        let said = ask(&url, ca).unwrap_err();
        assert!(said.contains(part), "{url}: {said}");
        assert!(!said.contains("token"), "{said}");
    }
}

#[test]
fn what_the_host_does_not_trust_is_told_without_a_file() {
    let port = Authority::called("own").serve(|_| {});
    let url: HttpUrl = format!("https://127.0.0.1:{port}/").parse().unwrap();
    let mut trust = Trust::of(Scheme::Https, None);
    let said = get(&url, url.path(), &mut trust, WITHIN)
        .err()
        .unwrap()
        .to_string();
    // A host that has none at all says that.
    let words = [
        "an authority that this host trusts",
        "this host has no authorities",
    ];
    assert!(words.iter().any(|part| said.contains(part)), "{said}");
}

#[test]
fn a_file_of_authorities_has_to_have_some() {
    let folder = tempfile::tempdir().unwrap();
    let pem = Authority::called("own").pem;
    let is_body = |line: &&str| !line.starts_with('-');
    let damaged = pem.replacen(pem.lines().find(is_body).unwrap(), "AAAA", 1);
    for (text, part) in [
        ("", "has no certificate in PEM"),
        ("no certificate", "has no certificate in PEM"),
        (damaged.as_str(), "is damaged"),
        (
            "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n",
            "is damaged",
        ),
    ] {
        let path = folder.path().join("ca.pem");
        fs::write(&path, text).unwrap();
        let said = check_authorities(&path).unwrap_err();
        assert!(said.contains(part), "{text}: {said}");
        let said = ask("https://127.0.0.1:1/", &path).unwrap_err();
        assert!(!said.is_empty());
    }
    let said = check_authorities(folder.path()).unwrap_err();
    assert!(said.contains("cannot be read: it is a directory"), "{said}");
    assert!(check_authorities(&folder.path().join("gone")).is_err());
}

#[test]
fn authorities_that_come_later_are_read_then() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::called("own");
    let port = authority.serve(|_| {});
    let path = folder.path().join("ca.pem");
    let url: HttpUrl = format!("https://127.0.0.1:{port}/").parse().unwrap();
    let mut trust = Trust::of(Scheme::Https, Some(&path));
    let said = get(&url, url.path(), &mut trust, WITHIN)
        .err()
        .unwrap()
        .to_string();
    assert!(said.contains("cannot be read"), "{said}");
    fs::write(&path, &authority.pem).unwrap();
    assert_eq!(
        get(&url, url.path(), &mut trust, WITHIN).unwrap().status,
        200
    );
}
