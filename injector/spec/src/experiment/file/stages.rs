//! `stages`: the same experiment first where nothing can be lost, and then where it counts.
//!
//! ```yaml
//! stages:
//!   sandbox: { set: { agent: sandbox-agent.service }, ground: sandbox }
//!   production: { set: { agent: agent.service }, after: sandbox, approve: true }
//! ```
//! A file with stages is read as one of them (`--stage production`), and as the first where none is named. A stage sets variables, as a profile does, and over
//! it. One that comes `after` another carries the digest of what that one asks now ([`Stage`]). `stage`, in the
//! place of `stages`, is a stage as it was chosen: so it stands in the document that travels and in the journal.

use super::{
    Reading, STAGE, STAGES_STAGE,
    complaint::Complaint,
    fields::Fields,
    node::{Content, Node, Place},
};
use crate::{
    experiment::{
        Experiment,
        stage::{self, Earlier, Ground, MOST_STAGES, Stage},
    },
    nearest, printable,
};

/// The key that has all of them, and the one that has the chosen one.
pub(super) const ALL: &str = "stages";
pub(super) const CHOSEN: &str = "stage";

/// A stage that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct StageChoice<'c> {
    /// Its name.
    pub name: &'c str,
    /// Who answers for the run.
    pub approved_by: Option<&'c str>,
}

/// A stage as the file declares it.
#[derive(Clone, Copy)]
struct Declared<'n> {
    name: &'n str,
    at: Place,
    set: Option<&'n Node>,
    after: Option<(&'n str, Place)>,
    must_be_approved: bool,
    ground: Ground,
}

/// What the stage with this name sets, or the first where none is named; nothing where it sets nothing. All stages are
/// checked.
pub(super) fn sets<'n>(root: &'n Node, name: Option<&str>) -> Result<Option<&'n Node>, Complaint> {
    let all = declared(root)?;
    match name.or_else(|| Some(first(&all)?.name)) {
        Some(name) => Ok(find(&all, name, root.at)?.set),
        None => Ok(None),
    }
}

/// The first stage, which comes after none: as that a file is read where no stage is named.
fn first<'n>(all: &[Declared<'n>]) -> Option<StageChoice<'n>> {
    let name = all.first()?.name;
    Some(StageChoice {
        name,
        approved_by: None,
    })
}

/// The stage that is asked for, in the experiment that its values have made.
pub(super) fn chosen(
    root: &Node,
    text: &str,
    reading: &Reading<'_>,
    experiment: &Experiment,
) -> Result<Option<Stage>, Complaint> {
    let all = declared(root)?;
    let Some(choice) = reading.stage.or_else(|| first(&all)) else {
        return Ok(None);
    };
    let stage = find(&all, choice.name, root.at)?;
    if let Some(name) = choice.approved_by {
        stage::check_approver(name).map_err(|error| Complaint::at(stage.at, error))?;
    } else if stage.must_be_approved {
        let sentence = format!(
            "a run of the stage `{}` needs the name of a person who answers for it; add `--approved-by NAME`",
            printable::line(stage.name)
        );
        return Err(Complaint::at(stage.at, sentence));
    }
    let after = stage.after.map(|(name, _)| {
        let earlier = Reading {
            stage: Some(StageChoice {
                name,
                approved_by: None,
            }),
            ..reading.clone()
        };
        let (_, experiment) = earlier.valued(text)?;
        Ok(Earlier {
            stage: name.to_owned(),
            asks: Stage::asks(name, &experiment),
        })
    });
    Ok(Some(Stage {
        name: stage.name.to_owned(),
        asks: Stage::asks(stage.name, experiment),
        after: after.transpose()?,
        approved_by: choice.approved_by.map(str::to_owned),
        ground: stage.ground,
    }))
}

/// `stage: {name: production, asks: 0123456789abcdef}`, as a document has it.
pub(super) fn written(fields: &Fields<'_>) -> Result<Option<Stage>, Complaint> {
    let Some(node) = fields.get(CHOSEN) else {
        return Ok(None);
    };
    if let Some(at) = fields.key_place(ALL) {
        let sentence =
            "`stages` cannot stand beside `stage`, which is one that was chosen; leave one of them";
        return Err(Complaint::at(at, sentence));
    }
    let fields = Fields::of(node, "a stage that was chosen", &STAGE)?;
    let needed = |key: &str| {
        fields.text(key)?.ok_or_else(|| {
            let sentence =
                format!("a stage that was chosen needs `{key}`; add it, or write `stages`");
            Complaint::at(node.at, sentence)
        })
    };
    let after = match (fields.text("after")?, fields.get("after-asks")) {
        (None, None) => None,
        (Some(stage), Some(_)) => Some(Earlier {
            stage,
            asks: digest(&fields, "after-asks")?,
        }),
        (Some(_), None) | (None, Some(_)) => {
            let sentence =
                "`after` and `after-asks` say together which stage comes first; write both or none";
            return Err(Complaint::at(node.at, sentence));
        }
    };
    let stage = Stage {
        name: needed("name")?,
        asks: digest(&fields, "asks")?,
        after,
        approved_by: fields.text("approved-by")?,
        ground: ground(&fields)?,
    };
    stage
        .check()
        .map_err(|error| Complaint::at(node.at, error))?;
    Ok(Some(stage))
}

fn digest(fields: &Fields<'_>, key: &str) -> Result<crate::experiment::Fingerprint, Complaint> {
    let at = fields.get(key).map_or(fields.at, |node| node.at);
    let text = fields.text(key)?.unwrap_or_default();
    text.parse().map_err(|error| {
        Complaint::at(
            at,
            format!("`{key}` is no digest: {error}; write `stages` and choose one"),
        )
    })
}

fn ground(fields: &Fields<'_>) -> Result<Ground, Complaint> {
    let Some(node) = fields.get("ground") else {
        return Ok(Ground::default());
    };
    let text = node.text("ground")?;
    let found = Ground::WORDS.iter().find(|(word, _)| *word == text);
    found.map(|(_, ground)| *ground).ok_or_else(|| {
        let sentence = format!(
            "`ground` is `anywhere` or `sandbox`, and not `{}`; write one of them",
            printable::line(text)
        );
        Complaint::at(node.at, sentence)
    })
}

/// All stages in the order of the file, each of them checked.
fn declared(root: &Node) -> Result<Vec<Declared<'_>>, Complaint> {
    let Some(node) = root.get(ALL) else {
        return Ok(Vec::new());
    };
    let Content::Map(entries) = &node.content else {
        let sentence = "`stages` names each stage and what it sets, as in \
                        `production: {set: {agent: agent.service}, after: sandbox}`; write it so";
        return Err(Complaint::at(node.at, sentence));
    };
    if !(1..=MOST_STAGES).contains(&entries.len()) {
        let sentence = format!(
            "`stages` has 1 to {MOST_STAGES} stages, and not {}; correct it",
            entries.len()
        );
        return Err(Complaint::at(node.at, sentence));
    }
    let mut all: Vec<Declared<'_>> = Vec::new();
    for (word, node) in entries {
        stage::check_name(&word.text).map_err(|error| Complaint::at(word.at, error))?;
        let fields = Fields::of(node, "a stage", &STAGES_STAGE)?;
        let after = match fields.get("after") {
            None => None,
            Some(node) => Some((node.text("after")?, node.at)),
        };
        // Those in front of it alone, so that there is no circle.
        if let Some((name, at)) = after
            && all.iter().all(|stage| stage.name != name)
        {
            let known: Vec<&str> = all.iter().map(|stage| stage.name).collect();
            let hint = match known.as_slice() {
                [] => "leave `after` out of the first".to_owned(),
                known => nearest::hint(name, known.iter().copied()),
            };
            let name = printable::line(name);
            let sentence = format!("no stage in front of this one is called `{name}`; {hint}");
            return Err(Complaint::at(at, sentence));
        }
        let must_be_approved = match fields.get("approve") {
            None => false,
            Some(node) if node.text("approve")? == "true" => true,
            Some(node) => {
                let sentence = "`approve` is `true`, or not there; correct it";
                return Err(Complaint::at(node.at, sentence));
            }
        };
        all.push(Declared {
            name: &word.text,
            at: word.at,
            set: fields.get("set"),
            after,
            must_be_approved,
            ground: ground(&fields)?,
        });
    }
    Ok(all)
}

fn find<'n>(all: &[Declared<'n>], name: &str, at: Place) -> Result<Declared<'n>, Complaint> {
    let found = all.iter().find(|stage| stage.name == name);
    found.copied().ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|stage| stage.name).collect();
        let hint = match known.as_slice() {
            [] => "the file has none, so leave `--stage` out, or write `stages: {sandbox: {set: {...}}}`".to_owned(),
            known => nearest::hint(name, known.iter().copied()),
        };
        let name = printable::line(name);
        Complaint::at(at, format!("no stage is called `{name}`; {hint}"))
    })
}
