//! `configuration`: values that `${name}` stands for, as they are or from the environment.

use clap::ValueEnum;

use super::{
    Source,
    nodes::{entry, is_empty, map, text},
};
use crate::{
    experiment::file::{
        complaint::Complaint,
        fields::Fields,
        node::{Content, Node, Word},
    },
    printable,
};

/// Where a value may come from, beside the document.
#[derive(Clone, Copy, ValueEnum)]
enum Origin {
    /// The environment of the process that reads.
    Env,
}

/// The keys of a value that comes from the environment.
const FROM_ENVIRONMENT: [&str; 4] = ["type", "key", "default", "env_var_type"];

/// The variables.
pub(super) fn variables(
    fields: &Fields<'_>,
    source: Source<'_>,
) -> Result<Option<(Word, Node)>, Complaint> {
    let Some(node) = fields.get("configuration") else {
        return Ok(None);
    };
    let Content::Map(entries) = &node.content else {
        if is_empty(node) {
            return Ok(None);
        }
        let sentence =
            "`configuration` names values, as in `{port: 8080}`; write it so, or leave it out";
        return Err(Complaint::at(node.at, sentence));
    };
    let variables: Vec<_> = entries
        .iter()
        .map(|(key, node)| Ok(entry(key.at, &key.text, value(key, node, source)?)))
        .collect::<Result<_, Complaint>>()?;
    Ok((!variables.is_empty()).then(|| entry(node.at, "variables", map(node.at, variables))))
}

/// One value; none where the environment has none, so that it has to be set by `--set`.
fn value(key: &Word, node: &Node, source: Source<'_>) -> Result<Node, Complaint> {
    let name = printable::line(&key.text);
    match &node.content {
        Content::Null => Ok(node.clone()),
        Content::Scalar(value) => Ok(text(node.at, value)),
        Content::List(_) => {
            let sentence = format!(
                "the value of `{name}` is a list, and a variable has one value; write one, or put the list where it is \
                 used"
            );
            Err(Complaint::at(node.at, sentence))
        }
        Content::Map(_) => {
            let kind = node.get("type").map(|node| node.text("type")).transpose()?;
            if kind.is_none_or(|kind| Origin::from_str(kind, false).is_err()) {
                let sentence = format!(
                    "the value of `{name}` comes from {}, which injector does not ask; write the value, or take it from \
                     the environment by `{{type: env, key: NAME}}`",
                    kind.map_or_else(
                        || "a map without `type`".to_owned(),
                        |kind| format!("`{}`", printable::line(kind))
                    )
                );
                return Err(Complaint::at(node.at, sentence));
            }
            let fields = Fields::of(node, "a value from the environment", &FROM_ENVIRONMENT)?;
            let variable = fields.text("key")?.ok_or_else(|| {
                let sentence =
                    "a value from the environment needs `key`, the name of the variable; add it";
                Complaint::at(node.at, sentence)
            })?;
            if let Some(value) = (source.surroundings.variable)(&variable) {
                return Ok(text(node.at, value));
            }
            match fields.get("default") {
                Some(default) if !matches!(default.content, Content::Null) => {
                    Ok(text(default.at, default.text("default")?))
                }
                _ => Ok(Node {
                    at: node.at,
                    content: Content::Null,
                }),
            }
        }
    }
}
