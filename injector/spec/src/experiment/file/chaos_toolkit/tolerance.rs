//! Tolerances: which answer of a probe is right.
//!
//! What an http provider gives there is a map of `status`, `headers` and `body`, a process one of `status`, `stdout` and
//! `stderr`. A tolerance that such a map never meets, as `true`, is refused and not read as something else.

use super::{
    Source,
    nodes::{entry, text},
    provider::{Process, Provider},
};
use crate::{
    experiment::file::{
        complaint::Complaint,
        fields::Fields,
        node::{Content, Node, Place, Word},
    },
    printable,
};

const REGEX: [&str; 4] = ["type", "name", "pattern", "target"];
const JSON_PATH: [&str; 6] = ["type", "name", "path", "expect", "count", "target"];
const RANGE: [&str; 4] = ["type", "name", "range", "target"];

/// The fields of a probe of ours.
pub(super) type Asked = Vec<(Word, Node)>;

/// The probes that ask the same: one, or two where the answer has two bounds; each with what its name has more.
pub(super) fn probes(
    provider: &Provider<'_>,
    tolerance: &Node,
    source: Source<'_>,
) -> Result<Vec<(&'static str, Asked)>, Complaint> {
    match provider {
        Provider::Http { url, timeout } => {
            let mut asked = vec![entry(url.at, "http", text(url.at, url.text("url")?))];
            asked.extend(within(timeout.as_ref()));
            asked.extend(of_http(tolerance, source)?);
            Ok(vec![("", asked)])
        }
        Provider::Process(process) => of_process(process, tolerance, source),
    }
}

fn within(timeout: Option<&Node>) -> Option<(Word, Node)> {
    timeout.map(|time| entry(time.at, "within", time.clone()))
}

fn of_http(tolerance: &Node, source: Source<'_>) -> Result<Option<(Word, Node)>, Complaint> {
    let at = tolerance.at;
    match Tolerance::read(tolerance, source)? {
        Tolerance::Status(node) => Ok(Some(entry(at, "status", node))),
        Tolerance::Regex { target, pattern } => {
            wanted(target, "body", at)?;
            Ok(Some(entry(at, "body", pattern)))
        }
        Tolerance::JsonPath { target, test } => {
            wanted(target, "body", at)?;
            Ok(Some(entry(at, "json", test)))
        }
        Tolerance::Range { .. } => {
            let sentence = "an answer by http is no number that a `range` has room for; write its status, or a `jsonpath` \
                            with `expect`";
            Err(Complaint::at(at, sentence))
        }
    }
}

fn of_process(
    process: &Process<'_>,
    tolerance: &Node,
    source: Source<'_>,
) -> Result<Vec<(&'static str, Asked)>, Complaint> {
    let at = tolerance.at;
    let command = process.command(source)?;
    let mut asked = vec![entry(process.at, "command", command)];
    asked.extend(within(process.timeout.as_ref()));
    match Tolerance::read(tolerance, source)? {
        Tolerance::Status(node) if node.text("tolerance")?.trim() == "0" => Ok(vec![("", asked)]),
        Tolerance::Status(node) => {
            let sentence = "the program of a probe is right where it ends with 0; write `tolerance: 0`, and have it do so";
            Err(Complaint::at(node.at, sentence))
        }
        Tolerance::Range {
            target,
            range: [least, most],
        } => {
            wanted(target, "stdout", at)?;
            let bound = |sign: &str, number: &Node| -> Result<Asked, Complaint> {
                let number = number.text("range")?;
                let mut asked = asked.clone();
                asked.push(entry(at, "number", text(at, format!("{sign} {number}"))));
                Ok(asked)
            };
            Ok(vec![
                (" (least)", bound(">=", &least)?),
                (" (most)", bound("<=", &most)?),
            ])
        }
        Tolerance::Regex { .. } | Tolerance::JsonPath { .. } => {
            let sentence = "what a program prints is read as a number alone; have it end with 0 where it is right, as \
                            /usr/bin/grep does, and write `tolerance: 0`";
            Err(Complaint::at(at, sentence))
        }
    }
}

/// Refuses a tolerance for another part of the answer.
fn wanted(target: Option<&Node>, part: &str, at: Place) -> Result<(), Complaint> {
    match target {
        Some(node) if node.text("target")? == part => Ok(()),
        other => {
            let sentence = format!(
                "of this answer only `{part}` can be held against that; write `target: {part}`"
            );
            Err(Complaint::at(other.map_or(at, |node| node.at), sentence))
        }
    }
}

/// A tolerance that an answer may meet.
enum Tolerance<'n> {
    /// The status of an answer, or the exit code of a program.
    Status(Node),
    Regex {
        target: Option<&'n Node>,
        pattern: Node,
    },
    JsonPath {
        target: Option<&'n Node>,
        test: Node,
    },
    Range {
        target: Option<&'n Node>,
        range: [Node; 2],
    },
}

impl<'n> Tolerance<'n> {
    fn read(node: &'n Node, source: Source<'_>) -> Result<Self, Complaint> {
        match &node.content {
            Content::Scalar(written) => {
                if source.is_quoted(node.at) || matches!(written.as_str(), "true" | "false") {
                    let sentence = "that is never what an http or process provider gives there, which is a map; write the \
                                    status or the exit code that is right, as in `tolerance: 200`";
                    return Err(Complaint::at(node.at, sentence));
                }
                Ok(Self::Status(text(node.at, written)))
            }
            Content::List(items) => {
                let [one] = &items[..] else {
                    let sentence = "one status is right for a probe of injector, and not one of several; write one";
                    return Err(Complaint::at(node.at, sentence));
                };
                Ok(Self::Status(text(one.at, one.text("tolerance")?)))
            }
            Content::Map(_) => {
                let kind = node.get("type").map(|kind| kind.text("type")).transpose()?;
                match kind {
                    Some("regex") => regex(node),
                    Some("jsonpath") => json_path(node, source),
                    Some("range") => range(node),
                    other => {
                        let sentence = format!(
                            "a tolerance of type `{}` cannot be used here; known are: regex, jsonpath, range",
                            printable::line(other.unwrap_or_default())
                        );
                        Err(Complaint::at(node.at, sentence))
                    }
                }
            }
            Content::Null => {
                let sentence =
                    "`tolerance` has no value; write what is right, as in `tolerance: 200`";
                Err(Complaint::at(node.at, sentence))
            }
        }
    }
}

/// A field that has to be there.
fn field<'n>(fields: &Fields<'n>, key: &str) -> Result<&'n Node, Complaint> {
    fields.get(key).ok_or_else(|| {
        let sentence = format!("{} needs `{key}`; add it", fields.what);
        Complaint::at(fields.at, sentence)
    })
}

fn regex(node: &Node) -> Result<Tolerance<'_>, Complaint> {
    let fields = Fields::of(node, "a `regex`", &REGEX)?;
    let pattern = field(&fields, "pattern")?;
    Ok(Tolerance::Regex {
        target: fields.get("target"),
        pattern: text(pattern.at, pattern.text("pattern")?),
    })
}

fn json_path<'n>(node: &'n Node, source: Source<'_>) -> Result<Tolerance<'n>, Complaint> {
    let fields = Fields::of(node, "a `jsonpath`", &JSON_PATH)?;
    super::refuse(
        &fields,
        "count",
        "how many values a path finds is not counted here; leave `count` out, or write `expect`",
    )?;
    let path = field(&fields, "path")?;
    let at = path.at;
    let path = path.text("path")?.trim();
    let test = match fields.get("expect") {
        None => path.to_owned(),
        Some(expect) => {
            let one = match &expect.content {
                Content::List(items) => match &items[..] {
                    [one] => Some(one),
                    _ => None,
                },
                Content::Scalar(_) | Content::Null => Some(expect),
                Content::Map(_) => None,
            };
            let value = match one.map(|one| (one, &one.content)) {
                Some((one, Content::Scalar(written))) => source.json(one, written),
                Some((_, Content::Null)) => serde_json::Value::Null,
                Some((_, Content::List(_) | Content::Map(_))) | None => {
                    let sentence = "what a path finds is held against one value, a text, a number, true, false or null; \
                                    write one under `expect`";
                    return Err(Complaint::at(expect.at, sentence));
                }
            };
            format!("{path} == {}", source.escaped(&value.to_string()))
        }
    };
    Ok(Tolerance::JsonPath {
        target: fields.get("target"),
        test: text(at, test),
    })
}

/// From one number to another; where both are one, it is a status.
fn range(node: &Node) -> Result<Tolerance<'_>, Complaint> {
    let fields = Fields::of(node, "a `range`", &RANGE)?;
    let bounds = field(&fields, "range")?;
    let [least, most] = bounds.list().unwrap_or_default() else {
        let sentence = "a `range` is two numbers, as in `range: [0, 5]`; write it so";
        return Err(Complaint::at(bounds.at, sentence));
    };
    let target = fields.get("target");
    let (least, most) = (
        text(least.at, least.text("range")?),
        text(most.at, most.text("range")?),
    );
    let is_of_status = target.is_some_and(|node| matches!(node.text("target"), Ok("status")));
    if is_of_status && least.text("range")? == most.text("range")? {
        return Ok(Tolerance::Status(least));
    }
    if is_of_status {
        let sentence = "one status is right for a probe of injector, and not one of several; write the same number twice";
        return Err(Complaint::at(bounds.at, sentence));
    }
    Ok(Tolerance::Range {
        target,
        range: [least, most],
    })
}
