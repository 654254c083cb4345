//! What stands behind the `?` of a request.

use axum::{
    extract::{FromRequestParts, Query},
    http::{StatusCode, request::Parts},
};

use super::{Lifetime, reply::Failure};
use injector_record::journal::RunId;
use injector_spec::{
    error::Refusal,
    experiment::{Setting, Values},
};

/// Names and values, as they came.
type Pairs = Vec<(String, String)>;

/// How a run is started.
pub(super) struct Starting {
    pub(super) lifetime: Lifetime,
    /// Values that an experiment file is read with.
    pub(super) values: Values,
}

/// Which events are wanted.
pub(super) struct Wanted {
    /// Only those of this run.
    pub(super) run: Option<RunId>,
    /// Hits too; they may be many.
    pub(super) hits: bool,
    /// How runs stand, some times a second.
    pub(super) progress: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Starting {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let mut query = pairs(parts)?;
        let lifetime = match take(&mut query, "lifetime")?.as_deref() {
            None | Some("detached") => Lifetime::Detached,
            Some("client") => Lifetime::Client,
            Some(_) => return Err(wrong("`lifetime` is `detached` or `client`")),
        };
        let profile = take(&mut query, "profile")?;
        let stage = take(&mut query, "stage")?;
        let approved_by = take(&mut query, "approved-by")?;
        if approved_by.is_some() && stage.is_none() {
            return Err(wrong(
                "`approved-by` says who answers for a `stage`, which is not named",
            ));
        }
        let sets = query.extract_if(.., |(name, _)| name == "set");
        let settings = sets.map(|(_, text)| text.parse::<Setting>());
        let settings = settings
            .collect::<Result<_, _>>()
            .map_err(|error| Refusal::usage(error.to_string()))?;
        nothing_else(
            &query,
            "`lifetime`, `profile`, `stage`, `approved-by` and `set`",
        )?;
        Ok(Self {
            lifetime,
            values: Values {
                profile,
                stage,
                approved_by,
                settings,
            },
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let mut query = pairs(parts)?;
        let run = match take(&mut query, "run")? {
            None => None,
            Some(run) => Some(
                run.parse()
                    .map_err(|_| wrong("`run` is the name of a run, as `GET /v1/runs` shows it"))?,
            ),
        };
        let hits = switch(&mut query, "hits")?.unwrap_or(true);
        let progress = switch(&mut query, "progress")?.unwrap_or(false);
        nothing_else(&query, "`run`, `hits` and `progress`")?;
        Ok(Self {
            run,
            hits,
            progress,
        })
    }
}

fn pairs(parts: &Parts) -> Result<Pairs, Failure> {
    Query::try_from_uri(&parts.uri)
        .map(|Query(pairs)| pairs)
        .map_err(|_| wrong("names and values are written `name=value`, with `&` between them"))
}

/// The value of a parameter, which may be there once.
fn take(query: &mut Pairs, name: &str) -> Result<Option<String>, Failure> {
    let mut found = query.extract_if(.., |(theirs, _)| theirs == name);
    let value = found.next().map(|(_, value)| value);
    if found.next().is_some() {
        return Err(wrong(&format!("`{name}` may be there once")));
    }
    Ok(value)
}

/// The value of a parameter that is on or off.
fn switch(query: &mut Pairs, name: &str) -> Result<Option<bool>, Failure> {
    match take(query, name)?.as_deref() {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(wrong(&format!("`{name}` is `true` or `false`"))),
    }
}

fn nothing_else(query: &Pairs, known: &str) -> Result<(), Failure> {
    match query.first() {
        None => Ok(()),
        Some(_) => Err(wrong(&format!(
            "this request knows no parameter but {known}"
        ))),
    }
}

fn wrong(rule: &str) -> Failure {
    let sentence = format!("the part of the path behind `?` cannot be: {rule}");
    Failure::new(StatusCode::BAD_REQUEST, sentence)
}
