//! How the relay opens what is sealed by TLS.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de::Error};

use crate::printable;

/// `[relay]`.
///
/// In the configuration alone: who could name an authority's key in an experiment could have root read any key of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelaySettings {
    /// By what; TLS passes unread where there is nothing.
    pub opens_tls: Option<OpensTls>,
}

/// What the relay opens TLS by: it shows targets a certificate that this authority has signed, and asks their peers in their
/// place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpensTls {
    /// The certificate of an authority that the targets trust, in PEM; its path is absolute.
    pub ca: PathBuf,
    /// Its private key: PKCS #8 in PEM; its path is absolute.
    pub ca_key: PathBuf,
    /// The authorities that the peers are trusted by, in PEM, its path absolute; those of the host where it is `None`.
    pub peer_ca: Option<PathBuf>,
}

/// The keys as they stand in the file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    #[serde(deserialize_with = "whole")]
    ca: Option<PathBuf>,
    #[serde(deserialize_with = "whole")]
    ca_key: Option<PathBuf>,
    #[serde(deserialize_with = "whole")]
    peer_ca: Option<PathBuf>,
}

/// A path from the root on.
fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(from)?;
    if path.is_absolute() {
        Ok(Some(path))
    } else {
        Err(D::Error::custom(format!(
            "{} is no whole path; write it from the root on, as in \"/etc/injector/ca.pem\"",
            printable::path(&path)
        )))
    }
}

impl<'de> Deserialize<'de> for RelaySettings {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Keys {
            ca,
            ca_key,
            peer_ca,
        } = Keys::deserialize(from)?;
        let opens_tls = match (ca, ca_key) {
            (Some(ca), Some(ca_key)) => Some(OpensTls {
                ca,
                ca_key,
                peer_ca,
            }),
            (None, None) if peer_ca.is_none() => None,
            (None, None) => {
                return Err(D::Error::custom(
                    "`peer_ca` says nothing without `ca` and `ca_key`; `injector ca DIRECTORY` makes both",
                ));
            }
            (Some(_), None) | (None, Some(_)) => {
                return Err(D::Error::custom(
                    "`ca` and `ca_key` belong together: an authority's certificate and its private key; name both",
                ));
            }
        };
        Ok(Self { opens_tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn parse(text: &str) -> Result<Option<OpensTls>, String> {
        let config = Config::parse(text, "injector.toml").map_err(|error| error.to_string())?;
        Ok(config.relay.opens_tls)
    }

    #[test]
    fn an_authority_has_a_certificate_and_a_key() {
        assert_eq!(parse("").unwrap(), None);
        assert_eq!(parse("[relay]\n").unwrap(), None);
        let both = "[relay]\nca = \"/c\"\nca_key = \"/k\"\n";
        let opens = parse(both).unwrap().unwrap();
        assert_eq!(
            (opens.ca, opens.ca_key),
            (PathBuf::from("/c"), PathBuf::from("/k"))
        );
        for (text, word) in [
            ("[relay]\nca = \"/c\"\n", "belong together"),
            ("[relay]\nca_key = \"/k\"\n", "belong together"),
            ("[relay]\npeer_ca = \"/p\"\n", "without"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(
                said.contains(word) && said.starts_with("injector.toml:1:"),
                "{said}"
            );
        }
    }
}
