//! `halt: [host.load > 8, tasks fails 10]`.
//!
//! A probe of the file is named with how often it may fail here; it is asked as the line says that it stands for, on a thread of
//! its own, so that a halt waits for nothing that is measured.

use super::{
    complaint::Complaint,
    fields::Fields,
    node::{Content, Node},
    probe,
};
use crate::condition::{Condition, Question};

/// The conditions of a file.
pub(super) fn halt(fields: &Fields<'_>) -> Result<Vec<Condition>, Complaint> {
    let Some(node) = fields.get("halt") else {
        return Ok(Vec::new());
    };
    let items = node.list().filter(|items| !items.is_empty());
    let items = items.ok_or_else(|| {
        let sentence = "`halt` is a list of at least one condition, as in `- host.load > 8`; write one, or \
                        leave `halt` out";
        Complaint::at(node.at, sentence)
    })?;
    let condition = |node: &Node| {
        let line = node.text("halt")?;
        match of_probe(fields, line)? {
            Some((question, fails)) => Ok(Condition::Probe(Question {
                fails: fails
                    .parse()
                    .map_err(|error| Complaint::at(node.at, error))?,
                ..question
            })),
            None => line.parse().map_err(|error| Complaint::at(node.at, error)),
        }
    };
    items.iter().map(condition).collect()
}

/// The names of probes that conditions name.
pub(super) fn named<'n>(fields: &Fields<'n>) -> Vec<&'n str> {
    let lines = fields.get("halt").and_then(Node::list);
    let lines = lines
        .into_iter()
        .flatten()
        .filter_map(|node| node.text("halt").ok());
    lines.filter_map(|line| Some(cut(line)?.0)).collect()
}

/// A name in front of `fails`, and what stands behind that.
fn cut(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.trim().split_once(" fails ")?;
    (!name.contains(char::is_whitespace)).then_some((name, rest.trim()))
}

/// The probe that a line names, with how often it may fail.
fn of_probe<'l>(
    fields: &Fields<'_>,
    line: &'l str,
) -> Result<Option<(Question, &'l str)>, Complaint> {
    let probes = fields.get("probes").map(|node| &node.content);
    let (Some((name, fails)), Some(Content::Map(probes))) = (cut(line), probes) else {
        return Ok(None);
    };
    let named = probes.iter().find(|(word, _)| word.text == name);
    let question = named.map(|(word, node)| probe::question(&word.text, node));
    Ok(question.transpose()?.map(|question| (question, fails)))
}
