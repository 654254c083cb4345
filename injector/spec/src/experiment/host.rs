//! Names of hosts and patterns for them, as people write them and as the Domain Name System has them.
//!
//! A person may write `münchen.de`; what is looked up, and what a query carries, is `xn--mnchen-3ya.de`. The
//! command line and files are turned into that form where they are read ([`ascii`], [`ascii_pattern`]), and an
//! experiment holds that form alone ([`check`], [`check_pattern`]), so that a filter never says a name that
//! nothing can ever match. Whether a name resolves is for the planner to find out.

use std::net::{IpAddr, Ipv6Addr};

use crate::printable;

/// Why a text is no host name or pattern for one, and what may be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing.
    #[error(
        "an empty host name is that of no host; write one as in `api.example.com`, or leave it out"
    )]
    Empty,
    /// A URL, or a part of one.
    #[error("`{text}` is not a host name but (part of) a URL; write the host alone: `{host}`")]
    Url {
        /// What was written.
        text: String,
        /// The host in it.
        host: String,
    },
    /// A port behind it.
    #[error(
        "`{text}` is a host and a port; write the host alone, `{host}`, and the port under `dest-port`"
    )]
    Port {
        /// What was written.
        text: String,
        /// The host in it.
        host: String,
    },
    /// Several in one.
    #[error("`{0}` is several names; give each as an item of its own")]
    Several(String),
    /// Brackets, as in URLs.
    #[error("`{0}` is an address in brackets; write it without them")]
    Brackets(String),
    /// A zone behind an address.
    #[error("`{text}` has a zone; filters are about addresses alone, so write `{address}`")]
    Zone {
        /// What was written.
        text: String,
        /// The address in it.
        address: String,
    },
    /// An address, where names are looked up.
    #[error(
        "`{0}` is an address, and no program looks an address up; write a name as in `*.example.com`"
    )]
    Address(String),
    /// It has letters beyond ASCII, and no ASCII form that the Domain Name System would take.
    #[error("`{0}` has no form that the Domain Name System knows (IDNA); correct it")]
    NoAscii(String),
    /// It has letters beyond ASCII, where its ASCII form is needed.
    #[error("`{text}` is looked up as `{ascii}`; write that")]
    International {
        /// What was written.
        text: String,
        /// Its ASCII form.
        ascii: String,
    },
    /// Anything else.
    #[error(
        "`{0}` is not a host name or an address: a name has letters, digits, hyphens and dots, at most 63 \
         between two dots and 253 in all; correct it"
    )]
    NotAName(String),
    /// Not a glob.
    #[error("`{text}` is not a pattern for host names: {why}; use * and ? as in `*.example.com`")]
    NotAPattern {
        /// What was written.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// The host that a text names, in its ASCII form: a name or an address.
pub(crate) fn ascii(text: &str) -> Result<String, HostError> {
    let text = text.trim();
    if text.parse::<IpAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    no_url(text)?;
    let name = to_ascii(text)?;
    // `1.2.3` and `1.2.3.4` look like names to the rule below; only one of them is an address.
    let looks_numeric = name
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_name(&name) && !looks_numeric {
        Ok(name)
    } else {
        Err(HostError::NotAName(shown(text)))
    }
}

/// The pattern for names that are looked up, in its ASCII form. A label with letters beyond ASCII is turned over
/// whole, so it cannot have `*` or `?`.
pub(crate) fn ascii_pattern(text: &str) -> Result<String, HostError> {
    let text = text.trim();
    if text.parse::<IpAddr>().is_ok() {
        return Err(HostError::Address(text.to_owned()));
    }
    // A bracket may begin a set of letters here, and a brace a choice.
    if !text.contains(['[', '{']) {
        no_url(text)?;
    }
    if text.is_empty() {
        return Err(HostError::Empty);
    }
    let labels = text.split('.').map(|label| {
        if label.is_ascii() {
            Ok(label.to_owned())
        } else if label.contains(['*', '?', '[', ']', '{', '}']) {
            Err(HostError::NotAPattern {
                text: shown(text),
                why: "a part with letters beyond ASCII is looked up in another form as a whole",
            })
        } else {
            to_ascii(label)
        }
    });
    let pattern = labels.collect::<Result<Vec<_>, _>>()?.join(".");
    check_pattern(&pattern)?;
    Ok(pattern)
}

/// Checks that an experiment names a host in the form that is looked up.
pub(super) fn check(text: &str) -> Result<(), HostError> {
    let ascii = ascii(text)?;
    if text.is_ascii() && text.trim() == text {
        return Ok(());
    }
    let text = shown(text);
    Err(HostError::International { text, ascii })
}

/// Checks that a pattern is one, in the form that queries have.
pub(super) fn check_pattern(text: &str) -> Result<(), HostError> {
    if text.is_empty() {
        return Err(HostError::Empty);
    }
    if !text.is_ascii() {
        let ascii = ascii_pattern(text)?;
        let text = shown(text);
        return Err(HostError::International { text, ascii });
    }
    let not = |why| HostError::NotAPattern {
        text: shown(text),
        why,
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.*?[]{}!,^\\".contains(&byte);
    if text.contains("://") || text.contains('/') || text.contains(':') {
        no_url(text)?;
        return Err(not("no name has such a letter in it"));
    }
    if text.contains(',') && !text.contains('{') {
        return Err(HostError::Several(shown(text)));
    }
    if !text.bytes().all(fits) {
        return Err(not("no name has such a letter in it"));
    }
    globset::Glob::new(text).map_err(|error| not(glob_error(error.kind())))?;
    let is_plain = !text.contains(['*', '?', '[', '{']);
    if is_plain && !is_name(text) {
        return Err(HostError::NotAName(shown(text)));
    }
    // What a set or a choice puts there is left to them.
    let says_all = !text.contains(['[', '{', '\\']);
    let bare = text.strip_suffix('.').unwrap_or(text);
    if says_all && bare.split('.').any(str::is_empty) {
        return Err(not(
            "no name has nothing between two dots, or before the first",
        ));
    }
    Ok(())
}

/// In our own words what is wrong with a glob.
fn glob_error(kind: &globset::ErrorKind) -> &'static str {
    use globset::ErrorKind;
    match kind {
        ErrorKind::UnclosedClass => "`[` has no `]`",
        ErrorKind::InvalidRange(..) => "a range in `[]` ends before it begins",
        ErrorKind::UnopenedAlternates => "`}` has no `{`",
        ErrorKind::UnclosedAlternates => "`{` has no `}`",
        ErrorKind::DanglingEscape => "a backslash stands at its end",
        _ => "it cannot be read",
    }
}

/// Takes a URL, a port, brackets, a zone or a list for what it is.
fn no_url(text: &str) -> Result<(), HostError> {
    if text.is_empty() {
        return Err(HostError::Empty);
    }
    let text_shown = shown(text);
    if let Some((_, rest)) = text.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let host = shown(without_port(host));
        return Err(HostError::Url {
            text: text_shown,
            host,
        });
    }
    if text.contains(',') || text.contains(char::is_whitespace) {
        return Err(HostError::Several(text_shown));
    }
    if let Some((host, _)) = text.split_once('/') {
        let host = shown(without_port(host));
        return Err(HostError::Url {
            text: text_shown,
            host,
        });
    }
    if let Some((address, _)) = text.split_once('%')
        && address.parse::<Ipv6Addr>().is_ok()
    {
        let address = address.to_owned();
        return Err(HostError::Zone {
            text: text_shown,
            address,
        });
    }
    if text.starts_with('[') && text.ends_with(']') {
        return Err(HostError::Brackets(text_shown));
    }
    if without_port(text) != text {
        let host = shown(without_port(text));
        return Err(HostError::Port {
            text: text_shown,
            host,
        });
    }
    Ok(())
}

/// A host without the port behind it, and without the brackets that an address needs before one.
pub(crate) fn without_port(text: &str) -> &str {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match text.rsplit_once(':') {
        Some((host, port)) if is_port(port) && !host.contains(':') => host,
        Some((host, port)) if is_port(port) && host.starts_with('[') => {
            host.trim_start_matches('[').trim_end_matches(']')
        }
        _ => text,
    }
}

/// Letters, digits, hyphens, dots and underscores.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && !label.starts_with('-')
    };
    let bare = name.strip_suffix('.').unwrap_or(name);
    bare.len() <= 253 && bare.split('.').all(is_label)
}

fn to_ascii(text: &str) -> Result<String, HostError> {
    if text.is_ascii() {
        return Ok(text.to_owned());
    }
    idna::domain_to_ascii(text).map_err(|_| HostError::NoAscii(shown(text)))
}

/// Escaped, and cut where it is longer than any name.
fn shown(text: &str) -> String {
    const MOST: usize = 300;
    let cut: String = text.chars().take(MOST).collect();
    let dots = if cut.len() < text.len() { "..." } else { "" };
    format!("{}{dots}", printable::line(&cut))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_taken_in_the_form_that_is_looked_up() {
        for (text, ascii_form) in [
            ("api.example.com", "api.example.com"),
            ("API.example.com.", "API.example.com."),
            (" a_b.example ", "a_b.example"),
            ("münchen.de", "xn--mnchen-3ya.de"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("日本語.jp", "xn--wgv71a119e.jp"),
            ("::1", "::1"),
            ("10.0.0.7", "10.0.0.7"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(ascii(text).as_deref(), Ok(ascii_form), "{text}");
            assert_eq!(check(ascii_form), Ok(()));
        }
        let international = check("münchen.de").unwrap_err().to_string();
        assert!(
            international.contains("xn--mnchen-3ya.de"),
            "{international}"
        );
    }

    #[test]
    fn what_is_not_a_name_is_told_what_it_is() {
        for (text, part) in [
            ("", "empty host name"),
            (
                "https://api.example.com",
                "write the host alone: `api.example.com`",
            ),
            (
                "https://me@api.example.com:8443/v1?x",
                "write the host alone: `api.example.com`",
            ),
            (
                "api.example.com/v1",
                "write the host alone: `api.example.com`",
            ),
            ("api.example.com:443", "the port under `dest-port`"),
            ("[::1]:443", "write the host alone, `::1`"),
            ("[::1]", "without them"),
            ("fe80::1%eth0", "write `fe80::1`"),
            ("a.example,b.example", "several names"),
            ("a b", "several names"),
            ("1.2.3", "is not a host name"),
            ("-a.example", "is not a host name"),
            ("a..b", "is not a host name"),
            ("x\u{7}y", "is not a host name"),
        ] {
            let error = ascii(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains('\u{7}'));
        }
        let long = "a".repeat(100_000);
        assert!(ascii(&long).unwrap_err().to_string().len() < 600);
    }

    #[test]
    fn a_pattern_is_about_names_that_are_looked_up() {
        for (text, ascii_form) in [
            ("*.example.com", "*.example.com"),
            ("api?.example.com", "api?.example.com"),
            ("*.münchen.de", "*.xn--mnchen-3ya.de"),
            ("münchen.de", "xn--mnchen-3ya.de"),
            ("*", "*"),
            ("[ab].example", "[ab].example"),
            ("a.example.", "a.example."),
        ] {
            assert_eq!(ascii_pattern(text).as_deref(), Ok(ascii_form), "{text}");
            assert_eq!(check_pattern(ascii_form), Ok(()), "{text}");
        }
        for (text, part) in [
            ("", "empty host name"),
            (
                "https://api.example.com",
                "write the host alone: `api.example.com`",
            ),
            ("api.example.com:443", "the port under `dest-port`"),
            ("10.0.0.7", "no program looks an address up"),
            ("a.example,b.example", "several names"),
            ("*..example.com", "nothing between two dots"),
            (".example.*", "nothing between two dots"),
            ("[", "`[` has no `]`"),
            ("{a,b", "`{` has no `}`"),
            ("m*nü.de", "beyond ASCII"),
            ("a..b", "is not a host name"),
            ("a b.example", "several names"),
        ] {
            let error = ascii_pattern(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(matches!(
            check_pattern("*.münchen.de"),
            Err(HostError::International { .. })
        ));
    }

    proptest! {
        #[test]
        fn what_is_taken_holds_together(text in "\\PC{0,40}|[a-zü.*?:/\\[\\]%@]{0,20}") {
            if let Ok(name) = ascii(&text) {
                prop_assert_eq!(check(&name), Ok(()));
                prop_assert_eq!(ascii(&name), Ok(name));
            }
            if let Ok(pattern) = ascii_pattern(&text) {
                prop_assert_eq!(check_pattern(&pattern), Ok(()));
            }
        }
    }
}
