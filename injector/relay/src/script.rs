//! Answers that are made up before there is a request, for targets that are answered in their own memory.
//!
//! They are in the same words as the relay's, by the same code. What only a request says is not in them: the model's name, and
//! an id of its own for each. Whether the answer streams is seen from the server's own, so there are two where that matters.

use std::fmt::Write as _;

use bytes::Bytes;
use http::StatusCode;
use injector_common::rewrite::{self, ANSWER, Answer, DIGITS, NO_ANSWER, PathEnd};
use injector_plan::in_place::{Extent, PATHS, PathTail};
use injector_spec::experiment::{Fault, OnRequests, Provider};

use crate::{
    act::{Act, Change, Final},
    asked::{Asked, ENDS},
    provider::{self, Failure, Made},
    repeat::Repeat,
};

/// What a rule answers to which paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// The ends of the paths, in the order in which they are compared.
    pub ends: Vec<PathEnd>,
    /// The answers, by their numbers.
    pub answers: Vec<Answer>,
}

/// An answer before it is written out.
struct Told {
    status: u16,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

/// What a fault answers that is carried out in the target's own memory; nothing where it is none of those. `number` is in what
/// the provider numbers.
pub fn script(fault: &Fault, number: u64) -> Script {
    let mut script = Script::default();
    let Some(on @ OnRequests::Models(models)) = fault.kind.on_requests() else {
        return script;
    };
    let Act::Final(act) = Act::of(on) else {
        return script;
    };
    let requests = models.requests();
    let mut before: Vec<PathTail> = Vec::new();
    let provider = requests.provider;
    for (end, dialect, call) in ENDS {
        if provider.is_some_and(|one| one.dialect() != dialect) {
            continue;
        }
        let asked = Asked {
            dialect,
            call,
            path: end.to_owned(),
            model: None,
            streams: end.ends_with(":streamGenerateContent"),
            task: 0,
            // Calls of models are by POST.
            repeat: Repeat::Anew,
        };
        let mut tails = tails(&requests.paths, end);
        // What is compared before has the others' paths already.
        tails.retain(|tail| !before.iter().any(|one: &PathTail| one.covers(tail)));
        if tails.is_empty() {
            continue;
        }
        let first = script.add(&act, &asked, provider.unwrap_or(dialect), number);
        for tail in &tails {
            let text = tail.text.as_bytes();
            script
                .ends
                .extend(PathEnd::new(text, tail.extent == Extent::Whole, first));
        }
        before.extend(tails);
    }
    script
}

/// No more than these are ever written out: a path that a person names is an end once, and so is each of the known APIs.
const _: () = assert!(ENDS.len() + PATHS <= rewrite::ENDS as usize);
/// Each end of an API has two answers at most.
const _: () = assert!(2 * ENDS.len() <= rewrite::GENERATION as usize);

/// The paths with this end that the globs mean, or all of them. None of them covers another.
fn tails(globs: &[String], end: &str) -> Vec<PathTail> {
    if globs.is_empty() {
        return vec![PathTail {
            text: end.to_owned(),
            extent: Extent::End,
        }];
    }
    let tails = globs.iter().filter_map(|glob| PathTail::of(glob));
    let tails: Vec<PathTail> = tails.filter_map(|tail| tail.and(end)).collect();
    let is_covered = |place: usize, tail: &PathTail| {
        let mut others = tails.iter().enumerate();
        others.any(|(other, one)| {
            other != place && one.covers(tail) && (!tail.covers(one) || other < place)
        })
    };
    let kept = tails.iter().enumerate();
    let kept = kept.filter(|(place, tail)| !is_covered(*place, tail));
    kept.map(|(_, tail)| tail.clone()).collect()
}

impl Script {
    /// Adds what is answered to a request, and says the number of the first.
    fn add(&mut self, act: &Final, asked: &Asked, words: Provider, number: u64) -> u32 {
        let streamed = Asked {
            streams: true,
            ..asked.clone()
        };
        // Of Gemini's the path says it.
        let both = asked.dialect != Provider::Gemini;
        let (whole, stream) = match act {
            Final::Refuse(failure) => (Some(refused(*failure, asked, words, number)), None),
            Final::Empty => {
                let whole = empty(asked, number);
                let stream = both.then(|| empty(&streamed, number)).flatten();
                (whole, stream)
            }
            Final::Change(Change::Malform) => {
                let whole = malformed(asked, number);
                let stream = both.then(|| malformed(&streamed, number));
                (Some(whole), stream)
            }
            // Their answers are the server's.
            Final::Withhold(_) | Final::Change(_) => (None, None),
        };
        let Some(whole) = whole else {
            return NO_ANSWER;
        };
        let first = u32::try_from(self.answers.len()).unwrap_or(NO_ANSWER);
        let mut whole = written(&whole);
        whole.has_stream = u32::from(stream.is_some());
        self.answers.push(whole);
        self.answers.extend(stream.as_ref().map(written));
        first
    }
}

fn refused(failure: Failure, asked: &Asked, whose: Provider, number: u64) -> Told {
    let Made {
        status,
        headers,
        body,
        wait: _,
    } = provider::refusal(failure, asked, whose, number);
    Told {
        status,
        content_type: "application/json",
        headers,
        body,
    }
}

fn empty(asked: &Asked, number: u64) -> Option<Told> {
    let empty = provider::empty(asked, number)?;
    Some(Told {
        status: 200,
        content_type: empty.content_type,
        headers: Vec::new(),
        body: empty.body,
    })
}

/// An answer whose JSON breaks off in the middle; of a stream that of its first piece does, and nothing comes behind.
fn malformed(asked: &Asked, number: u64) -> Told {
    let Some(told) = empty(asked, number) else {
        return Told {
            status: 200,
            content_type: "application/json",
            headers: Vec::new(),
            body: Bytes::from_static(
                br#"{"object":"list","data":[{"object":"embedding","index":0,"embe"#,
            ),
        };
    };
    let is_events = told.content_type == "text/event-stream";
    let first = told.body.windows(2).position(|two| two == b"\n\n");
    let first = first.filter(|_| is_events).unwrap_or(told.body.len());
    let mut body = told.body[..first].to_vec();
    // In the middle of the JSON, wherever that begins.
    let begin = body.iter().position(|byte| *byte == b'{').unwrap_or(0);
    body.truncate(begin + (first - begin) / 2);
    if is_events {
        body.extend_from_slice(b"\n\n");
    }
    Told {
        body: Bytes::from(body),
        ..told
    }
}

/// The answer as it stands in memory. One that is too long has no length: its status alone can be said.
fn written(told: &Told) -> Answer {
    let reason = StatusCode::from_u16(told.status).ok();
    let reason = reason.and_then(|status| status.canonical_reason());
    let mut head = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: {}\r\n",
        told.status,
        reason.unwrap_or("Error"),
        told.content_type
    );
    for (name, value) in &told.headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str("connection: close\r\ncontent-length: ");
    let digits_at = head.len();
    let length = told.body.len();
    let width = DIGITS;
    let _ = write!(head, "{length:>width$}\r\n\r\n");
    let mut answer = Answer {
        length: 0,
        head: u32::try_from(head.len()).unwrap_or_default(),
        digits_at: u32::try_from(digits_at).unwrap_or_default(),
        has_stream: 0,
        status: digits(told.status),
        is_exact: u32::from(told.content_type == "application/x-ndjson"),
        bytes: [0; ANSWER],
    };
    let text = [head.as_bytes(), &told.body].concat();
    if let Some(room) = answer.bytes.get_mut(..text.len()) {
        room.copy_from_slice(&text);
        answer.length = u32::try_from(text.len()).unwrap_or_default();
    }
    answer
}

/// The digits of a status that says by itself that a request has failed.
fn digits(status: u16) -> [u8; 4] {
    let mut digits = [0; 4];
    if status >= 400 {
        for (place, digit) in digits.iter_mut().zip(status.to_string().bytes()) {
            *place = digit;
        }
    }
    digits
}

#[cfg(test)]
mod tests;
