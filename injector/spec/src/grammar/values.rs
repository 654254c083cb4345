//! Values that have no type of their own: counts, process ids, addresses, hosts, patterns.
//!
//! Each is read here and not by clap's own parsers, so that a complaint is a sentence of this program: what was
//! written, what it is not, and what to write.

use std::{net::IpAddr, path::PathBuf, str::FromStr};

use ipnet::IpNet;

use crate::{
    experiment::{Peer, host, host::HostError},
    pattern::why_not,
};

/// Why a text is no value of a flag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ValueError {
    #[error(
        "`{0}` is not a process id; write a number from 1 to 4194304, as `pgrep NAME` shows it"
    )]
    Pid(String),
    #[error("`{text}` is not a whole number {}; write one", bounds(*least, *most))]
    Count { text: String, least: u64, most: u64 },
    #[error(
        "`{0}` is not an address or a network; write one as in `10.0.0.7`, `10.0.0.0/8` or `fd00::/8`"
    )]
    Net(String),
    #[error("`{text}` has {is} bits at most, so no prefix of that length; write one as in `10.0.0.0/8` or `fd00::/8`", is = most)]
    Prefix { text: String, most: u8 },
    #[error("`{0}` is a host name, and its addresses are looked up for `hostname`; write it there")]
    Name(String),
    #[error(
        "`{text}` is an address and a port; write the address alone, `{address}`, and the port under `dest-port`"
    )]
    Port { text: String, address: String },
    #[error("`{text}` has a zone; filters are about addresses alone, so write `{address}`")]
    Zone { text: String, address: String },
    #[error("`{0}` is an address in brackets; write it without them")]
    Brackets(String),
    #[error("`{0}` is not a peer; write an address, a network as in `10.0.0.0/8`, or a host name")]
    Peer(String),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("`{0}` is not a regular expression: {1}; correct it, or escape it with a backslash")]
    Pattern(String, String),
    #[error("an empty regular expression matches every process; write what the command line holds")]
    EmptyPattern,
    #[error("`{file}` is a file of the cgroup `{folder}`; name the cgroup: `{folder}`")]
    FileOfCgroup { file: String, folder: String },
    #[error(
        "`{0}` is not a pattern of names; `*` stands for anything, `?` for one character, as in `gpt-*`"
    )]
    NamePattern(String),
    #[error("`{0}` is not the name of a model; write 1 to 128 characters without blanks or quotes")]
    Model(String),
    #[error("`{0}` is not a text for an answer; write 1 to {LONGEST_TEXT} characters in one line")]
    Text(String),
    #[error(
        "MCP over stdio is not reached by the relay; use `pipe` faults (`pipe delay`, `stall`, `corrupt`, `error`), or serve the tool over HTTP"
    )]
    Stdio,
    #[error(
        "`{0}` is not the id of a container, which has the digits 0 to 9 and a to f; write it, or the beginning of it, as `docker ps` shows it (`docker inspect -f '{{{{.Id}}}}' NAME` says that of a name)"
    )]
    Container(String),
}

fn bounds(least: u64, most: u64) -> String {
    match most {
        u64::MAX => format!("of {least} or more"),
        most => format!("from {least} to {most}"),
    }
}

/// As it may stand in a sentence.
fn shown(text: &str) -> String {
    crate::printable::line(text).into_owned()
}

/// A process id.
pub(crate) fn pid(text: &str) -> Result<u32, ValueError> {
    let wrong = |_| ValueError::Pid(shown(text));
    counted(text, 1, 4_194_304).map_err(wrong)
}

/// A number from `LEAST` to what its type holds.
pub(crate) fn count<const LEAST: u64, N: Number>(text: &str) -> Result<N, ValueError> {
    counted(text, LEAST, N::MOST)
}

/// The longest name or pattern of one, in characters.
const LONGEST_MODEL: usize = 128;

/// A pattern of names of models, or of paths.
pub(crate) fn name_pattern(text: &str) -> Result<String, ValueError> {
    let wrong = || ValueError::NamePattern(shown(text));
    let bare = text.trim();
    if bare.is_empty() || bare.len() > LONGEST_MODEL {
        return Err(wrong());
    }
    globset::Glob::new(bare).map_err(|_| wrong())?;
    Ok(bare.to_owned())
}

/// The name of a model.
pub(crate) fn model_name(text: &str) -> Result<String, ValueError> {
    let fits = |sign: char| sign.is_ascii_graphic() && sign != '"' && sign != '\\';
    if text.is_empty() || text.len() > LONGEST_MODEL || !text.chars().all(fits) {
        return Err(ValueError::Model(shown(text)));
    }
    Ok(text.to_owned())
}

/// The longest text for an answer, in characters.
const LONGEST_TEXT: usize = 4096;

/// A text that an answer is given.
pub(crate) fn answer_text(text: &str) -> Result<String, ValueError> {
    let is_line = !text.chars().any(char::is_control);
    if text.trim().is_empty() || text.chars().count() > LONGEST_TEXT || !is_line {
        return Err(ValueError::Text(shown(text)));
    }
    Ok(text.to_owned())
}

/// A number that flags take.
pub(crate) trait Number: FromStr {
    /// The largest.
    const MOST: u64;
}

impl Number for u32 {
    const MOST: u64 = Self::MAX as u64;
}

impl Number for u64 {
    const MOST: u64 = Self::MAX;
}

fn counted<N: FromStr>(text: &str, least: u64, most: u64) -> Result<N, ValueError> {
    let bare = text.trim();
    let plain = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
    let number: Option<u64> = bare.parse().ok().filter(|_| plain);
    number
        .filter(|number| (least..=most).contains(number))
        .and_then(|_| bare.parse().ok())
        .ok_or_else(|| ValueError::Count {
            text: shown(text),
            least,
            most,
        })
}

/// An address, or a network with its prefix length; bits behind the prefix are cut off.
pub(crate) fn net(text: &str) -> Result<IpNet, ValueError> {
    let bare = text.trim();
    let address = || bare.parse::<IpAddr>().map(IpNet::from);
    let parsed = bare.parse::<IpNet>().or_else(|_| address());
    parsed.map(|net| net.trunc()).map_err(|_| no_net(bare))
}

/// What a text is that is no address.
fn no_net(text: &str) -> ValueError {
    let text_shown = shown(text);
    if let Some((address, length)) = text.split_once('/')
        && let Ok(address) = address.parse::<IpAddr>()
        && length.bytes().all(|byte| byte.is_ascii_digit())
    {
        let most = if address.is_ipv4() { 32 } else { 128 };
        return ValueError::Prefix {
            text: text_shown,
            most,
        };
    }
    if let Some((address, _)) = text.split_once('%')
        && address.parse::<IpAddr>().is_ok()
    {
        let address = address.to_owned();
        return ValueError::Zone {
            text: text_shown,
            address,
        };
    }
    if text.starts_with('[') && text.ends_with(']') {
        return ValueError::Brackets(text_shown);
    }
    let bare = host::without_port(text);
    if bare != text && bare.parse::<IpAddr>().is_ok() {
        let address = bare.to_owned();
        return ValueError::Port {
            text: text_shown,
            address,
        };
    }
    match host::ascii(text) {
        Ok(name) => ValueError::Name(name),
        Err(error @ (HostError::Url { .. } | HostError::Port { .. })) => error.into(),
        Err(_) => ValueError::Net(text_shown),
    }
}

/// A host name in the form that is looked up, or an address.
pub(crate) fn host_name(text: &str) -> Result<String, ValueError> {
    Ok(host::ascii(text)?)
}

/// Patterns for names that are looked up.
#[derive(Clone, Debug)]
pub(crate) struct HostPatterns(pub(crate) Vec<String>);

/// Patterns for names that are looked up, with commas between them; those in braces and brackets belong to a pattern.
pub(crate) fn host_patterns(text: &str) -> Result<HostPatterns, ValueError> {
    let mut depth = 0_u32;
    let patterns = text.split(|letter| {
        match letter {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    });
    let patterns: Result<_, _> = patterns.map(host::ascii_pattern).collect();
    Ok(HostPatterns(patterns?))
}

/// An address, a network, or a host name.
pub(crate) fn peer(text: &str) -> Result<Peer, ValueError> {
    match net(text) {
        Ok(net) => Ok(Peer::Net(net)),
        Err(ValueError::Name(name)) => Ok(Peer::Host(name)),
        Err(ValueError::Net(text)) => Err(ValueError::Peer(text)),
        Err(error) => Err(error),
    }
}

/// A regular expression that compiles and does not match every process.
pub(crate) fn pattern(text: &str) -> Result<String, ValueError> {
    if text.is_empty() {
        return Err(ValueError::EmptyPattern);
    }
    match why_not(text) {
        None => Ok(text.to_owned()),
        Some(why) => Err(ValueError::Pattern(shown(text), why)),
    }
}

/// A cgroup by its path; none is named like the files in one (kernel/cgroup/cgroup.c, `cgroup_base_files`).
pub(crate) fn cgroup(text: &str) -> Result<PathBuf, ValueError> {
    let path = PathBuf::from(text);
    let name = path.file_name().and_then(|name| name.to_str());
    if name.is_some_and(|name| name.starts_with("cgroup.")) {
        let folder = path.parent().map(|folder| folder.display().to_string());
        return Err(ValueError::FileOfCgroup {
            file: shown(text),
            folder: shown(&folder.unwrap_or_default()),
        });
    }
    Ok(path)
}

/// The id of a container, or the beginning of it.
pub(crate) fn container(text: &str) -> Result<String, ValueError> {
    let id = text.trim();
    let is_id = (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id {
        Ok(id.to_ascii_lowercase())
    } else {
        Err(ValueError::Container(shown(text)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_that_is_none_is_told_what_it_is() {
        for (text, part) in [
            (
                "fe80::1%eth0",
                "has a zone; filters are about addresses alone, so write `fe80::1`",
            ),
            ("[::1]", "in brackets"),
            (
                "1.1.1.1:443",
                "write the address alone, `1.1.1.1`, and the port under `dest-port`",
            ),
            ("[::1]:443", "write the address alone, `::1`"),
            ("localhost", "looked up for `hostname`"),
            ("api.example.com", "looked up for `hostname`"),
            ("https://1.1.1.1/", "write the host alone: `1.1.1.1`"),
            (
                "api.example.com:443",
                "write the host alone, `api.example.com`",
            ),
            ("10.0.0.0/99", "has 32 bits at most"),
            ("::/129", "has 128 bits at most"),
            ("10.0.0", "is not an address"),
            ("", "is not an address"),
            ("10.0.0.0/x", "`10.0.0.0/x`"),
        ] {
            let error = net(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert_eq!(net(" 10.0.0.7/8 ").unwrap().to_string(), "10.0.0.0/8");
    }

    #[test]
    fn numbers_say_their_bounds() {
        assert_eq!(pid("7"), Ok(7));
        for text in ["abc", "0", "4194305", "-1", "", "+7", "7.0"] {
            let error = pid(text).unwrap_err().to_string();
            assert!(error.contains("is not a process id"), "{error}");
        }
        assert_eq!(count::<1, u32>(" 3 "), Ok(3));
        let error = count::<1, u32>("0").unwrap_err().to_string();
        assert!(error.contains("from 1 to 4294967295"), "{error}");
        assert_eq!(count::<0, u64>("18446744073709551615"), Ok(u64::MAX));
        assert!(count::<0, u64>("18446744073709551616").is_err());
    }

    #[test]
    fn cgroups_and_containers_are_named_as_they_are() {
        let file = cgroup("T/cgroup.procs").unwrap_err().to_string();
        assert!(file.ends_with("name the cgroup: `T`"), "{file}");
        assert!(cgroup("a/b.slice").is_ok());
        let name = container("my_name").unwrap_err().to_string();
        assert!(name.contains("is not the id of a container"), "{name}");
        assert!(name.contains("{{.Id}}"), "{name}");
        assert_eq!(container("3F4E").as_deref(), Ok("3f4e"));
    }

    proptest! {
        #[test]
        fn an_address_comes_back(v4: bool, bits: u128, low: u32, length: u8) {
            let text = if v4 {
                format!("{}/{}", std::net::Ipv4Addr::from(low), length % 33)
            } else {
                format!("{}/{}", std::net::Ipv6Addr::from(bits), length % 129)
            };
            let read = net(&text).unwrap();
            prop_assert_eq!(net(&read.to_string()), Ok(read));
        }

        #[test]
        fn parsing_is_total(text in "\\PC*|[0-9a-f.:/%\\[\\]]{0,24}") {
            let _ = (net(&text), pid(&text), peer(&text), host_name(&text), cgroup(&text), container(&text));
            let _ = (count::<0, u64>(&text), host_patterns(&text), pattern(&text));
        }
    }
}
