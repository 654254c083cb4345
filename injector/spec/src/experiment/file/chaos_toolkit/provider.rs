//! Providers: what carries an activity out. HTTP and processes are read, Python is refused.

use super::{
    Source, is_empty,
    nodes::{self, list, text},
};
use crate::{
    experiment::file::{
        complaint::Complaint,
        fields::Fields,
        node::{Content, Node, Place},
    },
    printable,
};

const PROCESS: [&str; 5] = ["type", "path", "arguments", "timeout", "secrets"];
const HTTP: [&str; 9] = [
    "type",
    "url",
    "method",
    "headers",
    "arguments",
    "timeout",
    "verify_tls",
    "max_retries",
    "secrets",
];

pub(super) enum Provider<'n> {
    Http {
        url: &'n Node,
        /// How long it may take.
        timeout: Option<Node>,
    },
    Process(Process<'n>),
}

/// A program with its arguments.
pub(super) struct Process<'n> {
    pub(super) at: Place,
    path: &'n Node,
    /// What stands behind it, word for word.
    pub(super) arguments: Vec<Node>,
    /// How long it may take.
    pub(super) timeout: Option<Node>,
}

impl<'n> Provider<'n> {
    pub(super) fn read(node: &'n Node) -> Result<Self, Complaint> {
        let kind = node.get("type").ok_or_else(|| {
            let sentence = "a provider has a `type`, `http` or `process`; add it";
            Complaint::at(node.at, sentence)
        })?;
        match kind.text("type")? {
            "http" => http(node),
            "process" => Ok(Self::Process(process(node)?)),
            "python" => {
                let sentence = "injector runs no Python, so a provider of this type cannot be used; have a `process` do \
                                it, as in `{type: process, path: /usr/bin/python3, arguments: [\"-c\", \"...\"]}`, or \
                                an `http` probe";
                Err(Complaint::at(kind.at, sentence))
            }
            other => {
                let other = printable::line(other);
                let sentence = format!(
                    "a provider is of type `http` or `process`, and not `{other}`; use one of them"
                );
                Err(Complaint::at(kind.at, sentence))
            }
        }
    }
}

fn http(node: &Node) -> Result<Provider<'_>, Complaint> {
    let fields = Fields::of(node, "an http provider", &HTTP)?;
    for (key, sentence) in [
        (
            "headers",
            "injector asks without `headers` of its own; leave them out, or have a `process` ask, as /usr/bin/curl",
        ),
        (
            "arguments",
            "injector sends nothing with a question, so `arguments` cannot be used; put them into the address, or \
             have a `process` ask, as /usr/bin/curl",
        ),
        ("secrets", "injector asks with no `secrets`; leave them out"),
        (
            "max_retries",
            "an answer is taken as it comes, so `max_retries` cannot be used; leave it out, and forgive single \
             failures by `probes: {NAME: {fails: 2 of 3}}` of the extension `injector`",
        ),
    ] {
        super::refuse(&fields, key, sentence)?;
    }
    if let Some(method) = fields.get("method")
        && !method.text("method")?.eq_ignore_ascii_case("get")
    {
        let sentence = "injector asks by GET alone; leave `method` out, or have a `process` ask, as /usr/bin/curl";
        return Err(Complaint::at(method.at, sentence));
    }
    let url = fields.get("url").ok_or_else(|| {
        let sentence =
            "an http provider needs `url`, as in `url: http://127.0.0.1:8080/health`; add it";
        Complaint::at(node.at, sentence)
    })?;
    // One that is asked in plain text shows no certificate.
    if let Some(check) = fields.get("verify_tls")
        && !check.text("verify_tls")?.eq_ignore_ascii_case("true")
        && !url.text("url")?.to_ascii_lowercase().starts_with("http:")
    {
        let sentence = "injector checks the certificate of every server, so `verify_tls` cannot be off; leave it out, \
                        or have a `process` ask, as /usr/bin/curl";
        return Err(Complaint::at(check.at, sentence));
    }
    Ok(Provider::Http {
        url,
        timeout: timeout(&fields)?,
    })
}

fn process(node: &Node) -> Result<Process<'_>, Complaint> {
    let fields = Fields::of(node, "a process provider", &PROCESS)?;
    super::refuse(
        &fields,
        "secrets",
        "`secrets` come from a store that injector does not ask; leave them out, and let the program get what it needs",
    )?;
    let path = fields.get("path").ok_or_else(|| {
        let sentence = "a process provider needs `path`, as in `path: /bin/true`; add it";
        Complaint::at(node.at, sentence)
    })?;
    path.text("path")?;
    let arguments = match fields.get("arguments") {
        Some(node) => arguments(node)?,
        None => Vec::new(),
    };
    Ok(Process {
        at: node.at,
        path,
        arguments,
        timeout: timeout(&fields)?,
    })
}

/// Seconds, or those for the connection and those for the answer, which are one time here.
fn timeout(fields: &Fields<'_>) -> Result<Option<Node>, Complaint> {
    let Some(node) = fields.get("timeout").filter(|node| !is_empty(node)) else {
        return Ok(None);
    };
    let Content::List(parts) = &node.content else {
        return nodes::seconds(node, "timeout");
    };
    let mut whole = 0.0;
    for part in parts {
        let number = part.text("timeout")?.trim().parse::<f64>();
        whole += number.map_err(|_| {
            let sentence =
                "a `timeout` is a number of seconds, as in `timeout: [3, 5]`; write it so";
            Complaint::at(part.at, sentence)
        })?;
    }
    nodes::seconds(&text(node.at, whole.to_string()), "timeout")
}

/// A list of words, a map of flags and their values, or one text.
fn arguments(node: &Node) -> Result<Vec<Node>, Complaint> {
    let word = |node: &Node| -> Result<Option<Node>, Complaint> {
        if is_empty(node) {
            return Ok(None);
        }
        Ok(Some(text(node.at, node.text("arguments")?)))
    };
    match &node.content {
        Content::Null => Ok(Vec::new()),
        Content::List(items) => items
            .iter()
            .filter_map(|item| word(item).transpose())
            .collect(),
        Content::Map(entries) => {
            let mut words = Vec::new();
            for (key, value) in entries {
                words.push(text(key.at, &key.text));
                words.extend(word(value)?);
            }
            Ok(words)
        }
        Content::Scalar(line) => {
            if let Some(sign) = without_variables(line)
                .chars()
                .find(|sign| !is_plain(*sign))
            {
                let sign = printable::line(&sign.to_string()).into_owned();
                let sentence = format!(
                    "`arguments` that are one text are read by a shell there, and injector starts none, so `{sign}` has \
                     no meaning; write them as a list, as in `[\"-c\", \"a b\"]`"
                );
                return Err(Complaint::at(node.at, sentence));
            }
            Ok(line
                .split_whitespace()
                .map(|word| text(node.at, word))
                .collect())
        }
    }
}

/// The text without each `${name}`, which is put in before a shell reads it.
fn without_variables(line: &str) -> String {
    let mut rest = line;
    let mut plain = String::new();
    while let Some((before, behind)) = rest.split_once("${") {
        let Some((name, after)) = behind.split_once('}') else {
            break;
        };
        if !name
            .chars()
            .all(|sign| sign.is_alphanumeric() || sign == '_')
            || name.is_empty()
        {
            break;
        }
        plain.push_str(before);
        rest = after;
    }
    plain + rest
}

/// Whether a character means itself to a shell, wherever it stands.
fn is_plain(sign: char) -> bool {
    sign.is_alphanumeric() || " \t-_./:,@+=%^".contains(sign)
}

impl Process<'_> {
    /// Whether it is this program, wherever it lies.
    pub(super) fn is_injector(&self) -> bool {
        let path = self.path.text("path").unwrap_or_default();
        path.rsplit('/').next() == Some("injector")
    }

    /// The program by its whole path, and its arguments.
    pub(super) fn command(&self, source: Source<'_>) -> Result<Node, Complaint> {
        let path = self.path.text("path")?;
        let whole = if path.contains('/') {
            Some(path.to_owned())
        } else {
            (source.surroundings.program)(path)
        };
        let whole = whole
            .filter(|whole| whole.starts_with('/'))
            .ok_or_else(|| {
                let sentence = format!(
                    "no program `{}` is found; write its whole path, as in `path: /usr/bin/{}`",
                    printable::line(path),
                    printable::line(path.rsplit('/').next().unwrap_or(path))
                );
                Complaint::at(self.path.at, sentence)
            })?;
        let program = text(self.path.at, whole);
        let words = std::iter::once(program).chain(self.arguments.iter().cloned());
        Ok(list(self.at, words.collect()))
    }
}
