//! Authorities that can be used, and some that cannot.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn files(made: &Made) -> OpensTls {
    OpensTls {
        ca: made.ca.clone(),
        ca_key: made.ca_key.clone(),
        peer_ca: None,
    }
}

#[test]
fn one_that_was_made_can_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let made = make(&folder.path().join("new")).unwrap();
    let authority = Authority::open(&files(&made)).unwrap();
    let once = authority.of_server("api.example.com").unwrap();
    let again = authority.of_server("api.example.com").unwrap();
    assert!(Arc::ptr_eq(&once, &again));
    assert!(authority.of_server("127.0.0.1").is_some());
    assert!(authority.of_server("::1").is_some());
    assert!(authority.of_server("no name\u{e9}").is_none());
    let permissions = fs::metadata(&made.ca_key).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o777, 0o600);
    // Its certificate may be in use: it is never replaced.
    let before = fs::read(&made.ca).unwrap();
    assert!(matches!(
        make(&folder.path().join("new")),
        Err(MakeError::IsThere(_))
    ));
    assert_eq!(fs::read(&made.ca).unwrap(), before);
}

#[test]
fn each_thing_that_is_wrong_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let one = make(&folder.path().join("one")).unwrap();
    let other = make(&folder.path().join("other")).unwrap();
    let said = |files: &OpensTls| Authority::open(files).err().unwrap().to_string();
    let with = |ca: &Path, ca_key: &Path| OpensTls {
        ca: ca.to_owned(),
        ca_key: ca_key.to_owned(),
        peer_ca: None,
    };
    assert!(said(&with(&one.ca, &other.ca_key)).contains("belong together"));
    assert!(said(&with(&folder.path().join("gone"), &one.ca_key)).contains("cannot be read"));
    assert!(said(&with(&one.ca_key, &one.ca_key)).contains("has no certificate"));
    let text = folder.path().join("text");
    fs::write(&text, "no key\n").unwrap();
    fs::set_permissions(&text, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(said(&with(&one.ca, &text)).contains("PKCS #8"));
    fs::set_permissions(&other.ca_key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(said(&with(&other.ca, &other.ca_key)).contains("chmod 600"));
    let leaf = folder.path().join("leaf");
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["a.example".to_owned()]).unwrap();
    fs::write(&leaf, params.self_signed(&key).unwrap().pem()).unwrap();
    assert!(said(&with(&leaf, &one.ca_key)).contains("CA:TRUE"));
    let mut params = CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.not_after = from_now(-DAY).unwrap().to_datetime();
    fs::write(&leaf, params.self_signed(&key).unwrap().pem()).unwrap();
    assert!(said(&with(&leaf, &one.ca_key)).contains("not valid now"));
}
