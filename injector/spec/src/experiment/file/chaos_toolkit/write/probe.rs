//! Probes with their providers and tolerances.

use super::{ChaosToolkitError, Document, Fields, put, seconds, step, text};
use crate::{
    condition::{HttpProbe, Probe},
    experiment::{NamedProbe, SteadyState},
    printable,
    quantity::duration,
};

/// One probe.
pub(super) fn activity(probe: &NamedProbe) -> Result<Document, ChaosToolkitError> {
    let cannot = |what: &str, remedy| {
        let what = format!("{what} (`{}`)", printable::line(&probe.name));
        Err(ChaosToolkitError::new(what, remedy))
    };
    let within = probe.question.pace.within;
    let (tolerance, provider) = match &probe.question.probe {
        Probe::Http(http) if http.ca.is_some() => {
            return cannot(
                "an http probe with authorities of its own",
                "have the host trust them, or ask by a `command`",
            );
        }
        Probe::Http(http) => match tolerance(http) {
            Some(tolerance) => {
                let mut provider = Fields::new();
                put(&mut provider, "type", text("http"));
                put(&mut provider, "url", text(http.url.to_string()));
                put(&mut provider, "timeout", seconds(within));
                (tolerance, Document::Object(provider))
            }
            None => {
                return cannot(
                    "an http probe that looks at several things at once, or at an order",
                    "ask for one status, one regular expression, or one value with `==`",
                );
            }
        },
        Probe::Command {
            words,
            number: None,
        } => (Document::Unsigned(0), step::process(words, Some(within))?),
        Probe::Command {
            number: Some(_), ..
        } => {
            return cannot(
                "a number that a program prints",
                "have the program end with 0 where it is right",
            );
        }
        Probe::Tcp(_) => return cannot("a probe by tcp", "ask by `http`, or by a `command`"),
        Probe::Prometheus { .. } => {
            return cannot("a probe of Prometheus", "ask by a `command`");
        }
        Probe::Journald(_) => return cannot("lines of the journal", "ask by a `command`"),
        Probe::File(_) => return cannot("lines of a file", "ask by a `command`"),
        Probe::Process(_) => return cannot("a probe of processes", "ask by a `command`"),
    };
    let mut fields = Fields::new();
    put(&mut fields, "type", text("probe"));
    put(&mut fields, "name", text(&probe.name));
    put(&mut fields, "tolerance", tolerance);
    put(&mut fields, "provider", provider);
    Ok(Document::Object(fields))
}

/// What is right; `None` where they have no word for it.
fn tolerance(http: &HttpProbe) -> Option<Document> {
    let of_body = |kind: &str, more: Fields| {
        let mut fields = Fields::new();
        put(&mut fields, "type", text(kind));
        fields.extend(more);
        put(&mut fields, "target", text("body"));
        Document::Object(fields)
    };
    match (http.status, &http.body, &http.json) {
        (status, None, None) => Some(Document::Unsigned(status.into())),
        (200, Some(pattern), None) => {
            let pattern = ("pattern".to_owned(), text(pattern.to_string()));
            Some(of_body("regex", vec![pattern]))
        }
        (200, None, Some(test)) => {
            let (path, value) = test.same()?;
            let mut more = vec![("path".to_owned(), text(path))];
            if let Some(value) = value {
                // One value, where theirs is a list of all that the path finds.
                let value = Document::of(value);
                put(&mut more, "expect", Document::List(vec![value]));
            }
            Some(of_body("jsonpath", more))
        }
        (_, Some(_), _) | (_, None, Some(_)) => None,
    }
}

/// When each is asked, for the extension.
pub(super) fn paces(steady: &SteadyState) -> Document {
    let pace = |probe: &NamedProbe| {
        let question = &probe.question;
        let mut fields = Fields::new();
        put(
            &mut fields,
            "every",
            text(duration::format(question.pace.every)),
        );
        if let Some(timeout) = question.pace.timeout {
            put(&mut fields, "timeout", text(duration::format(timeout)));
        }
        if question.fails.of > 1 {
            let fails = format!("{} of {}", question.fails.count, question.fails.of);
            put(&mut fields, "fails", text(fails));
        }
        (probe.name.clone(), Document::Object(fields))
    };
    Document::Object(steady.probes.iter().map(pace).collect())
}
