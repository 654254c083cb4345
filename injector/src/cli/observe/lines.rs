//! What `observe` tells, in the words of people and of programs.

use std::time::Duration;

use serde::Serialize;

use injector_engine::{
    observe::{End, Ending, Exchange, Mark, Note, Tally, Through},
    page::{Line, Page, Role},
};
use injector_host::targets::tls::Runtime;
use injector_spec::quantity::{count, duration};

/// Kinds of requests that a card has at most.
const ROWS: usize = 8;

/// A process that is there at the end and was heard in plain text alone: its id, its runtime, its name.
pub(super) type Unheard = (u32, Option<Runtime>, String);

/// A request, on one line: its verdict first.
pub(super) fn request(exchange: &Exchange, after: Duration) -> Page {
    let (role, verdict) = verdict(exchange);
    let host = exchange.host.as_deref().unwrap_or_default();
    let mut line = Line::all(Role::Dim, format!("{:>8}  ", duration::measured(after)))
        .and(role, format!("{verdict:<9}"))
        .and(
            Role::Plain,
            format!("  {} {host}{}", exchange.method, exchange.path),
        );
    if let Some(model) = &exchange.model {
        line = line.and(Role::Strong, format!("  {model}"));
    }
    line = line.and(Role::Plain, format!("  {}", facts(exchange).join(", ")));
    if let Some(retry) = exchange.retry {
        let gap = duration::measured(retry.gap);
        line = line.and(
            Role::Doubtful,
            format!("  retry {} after {gap}", retry.number),
        );
    }
    let through = match exchange.through {
        Through::Tls => "",
        Through::Plain => ", plain text",
    };
    let line = line.and(
        Role::Dim,
        format!("  ({} {}{through})", exchange.name, exchange.pid),
    );
    Page::from_iter([line])
}

/// The status, or what there is in its place; of a failure that has one, both.
fn verdict(exchange: &Exchange) -> (Role, String) {
    let role = match exchange.end {
        _ if exchange.is_failed() => Role::Bad,
        End::Clean | End::Upgraded => Role::Good,
        End::GivenUp | End::Open => Role::Doubtful,
        End::Cut | End::NoAnswer => Role::Bad,
    };
    let end = match exchange.end {
        End::Cut => Some("cut"),
        End::NoAnswer => Some("no answer"),
        End::GivenUp => Some("given up"),
        End::Open => Some("open"),
        End::Clean | End::Upgraded => None,
    };
    let words = match (exchange.status, end) {
        (Some(status), Some(end)) => format!("{status} {end}"),
        (Some(status), None) => status.to_string(),
        (None, end) => end.unwrap_or("no status").to_owned(),
    };
    (role, words)
}

fn facts(exchange: &Exchange) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(first) = exchange.first_byte {
        facts.push(format!("first byte {}", duration::measured(first)));
    }
    if let Some(first) = exchange.stream.and_then(|stream| stream.first_record) {
        facts.push(format!("first record {}", duration::measured(first)));
    }
    facts.push(format!("took {}", duration::measured(exchange.took)));
    if let Some(stream) = exchange.stream {
        let least = if stream.is_partial { "at least " } else { "" };
        facts.push(format!(
            "{least}{}",
            count(stream.records, "record", "records")
        ));
        if let Some(rate) = exchange.records_a_second() {
            facts.push(format!("{rate:.1}/s"));
        }
        facts.push(stream.mark.map_or("no end mark", Mark::words).to_owned());
    }
    if let Some(after) = &exchange.retry_after {
        facts.push(format!("Retry-After {after}"));
    }
    facts
}

/// A remark.
pub(super) fn note(note: &Note, name: impl Fn(u32) -> Option<String>) -> String {
    let process = |pid: u32| match name(pid) {
        Some(name) => format!("process {pid} ({name})"),
        None => format!("process {pid}"),
    };
    match note {
        Note::Began => "observing; the target goes on as it is, Ctrl-C ends the look".to_owned(),
        Note::Heard { pid, library } => {
            format!("{} is heard through {library}", process(*pid))
        }
        Note::NotHeard { pid, why } => {
            format!("{} is not heard through TLS: {why}", process(*pid))
        }
        Note::Http2 { pid } => format!(
            "{} speaks HTTP/2: those requests are not readable",
            process(*pid)
        ),
    }
}

fn unheard_words((pid, runtime, name): &Unheard) -> String {
    let has = runtime.map_or("it has mapped no OpenSSL", Runtime::words);
    format!("process {pid} ({name}) was heard in plain text alone: {has}")
}

/// What there was in all.
pub(super) fn card(tally: &Tally, ending: &Ending, unheard: &[Unheard], left_out: u64) -> Page {
    let lasted = duration::measured(ending.lasted);
    let (role, failures) = match tally.failures {
        0 => (Role::Good, "none failed".to_owned()),
        failures => (Role::Bad, format!("{failures} failed")),
    };
    let mut first = Line::all(Role::Strong, count(tally.requests, "request", "requests"))
        .and(Role::Plain, format!(" in {lasted}"));
    if tally.requests > 0 {
        first = first.and(Role::Plain, ", ").and(role, failures).and(
            Role::Plain,
            format!(", {}", count(tally.retries, "retry", "retries")),
        );
    }
    if let Some(why) = ending.of_target {
        first = first.and(Role::Plain, format!("; the target ended: {why}"));
    }
    let mut lines = vec![first];
    if let Some(slowest) = &tally.slowest {
        let host = slowest.host.as_deref().unwrap_or_default();
        lines.push(Line::plain(format!(
            "    slowest  {}  {} {host}{}",
            duration::measured(slowest.took),
            slowest.method,
            slowest.path
        )));
    }
    let mut kinds: Vec<_> = tally.kinds.iter().collect();
    kinds.sort_by_key(|(_, kind)| std::cmp::Reverse(kind.requests));
    for ((what, model), kind) in kinds.iter().take(ROWS) {
        let model = if model.is_empty() {
            String::new()
        } else {
            format!("  {model}")
        };
        lines.push(Line::plain(format!(
            "    {what}{model}  {}, {} failed, {}, slowest {}",
            count(kind.requests, "request", "requests"),
            kind.failures,
            count(kind.retries, "retry", "retries"),
            duration::measured(kind.slowest)
        )));
    }
    if ending.lost > 0 {
        let lost = count(ending.lost, "call was", "calls were");
        lines.push(Line::all(
            Role::Doubtful,
            format!("    {lost} not told: they came faster than they were read"),
        ));
    }
    if left_out > 0 {
        let lines_left_out = count(left_out, "line was", "lines were");
        lines.push(Line::all(
            Role::Doubtful,
            format!("    {lines_left_out} left out: the output was not read"),
        ));
    }
    let unheard = unheard.iter().take(ROWS).map(unheard_words);
    lines.extend(unheard.map(|words| Line::all(Role::Dim, format!("    {words}"))));
    lines.into_iter().collect()
}

/// A request, for programs.
#[derive(Serialize)]
pub(super) struct JsonRequest {
    /// Milliseconds from the look's beginning to the request's.
    after_ms: u64,
    pid: u32,
    process: String,
    through: Through,
    method: String,
    host: Option<String>,
    path: String,
    model: Option<String>,
    status: Option<u16>,
    end: End,
    failed: bool,
    first_byte_ms: Option<u64>,
    took_ms: u64,
    stream: Option<JsonStream>,
    retry_after: Option<String>,
    retry: Option<JsonRetry>,
}

#[derive(Serialize)]
struct JsonStream {
    records: u64,
    /// Whether there may have been more.
    partial: bool,
    first_record_ms: Option<u64>,
    records_per_second: Option<f64>,
    mark: Option<Mark>,
}

#[derive(Serialize)]
struct JsonRetry {
    number: u32,
    gap_ms: u64,
}

/// A request, for programs.
pub(super) fn json_request(exchange: &Exchange, after: Duration) -> JsonRequest {
    JsonRequest {
        after_ms: duration::millis(after),
        pid: exchange.pid,
        process: exchange.name.clone(),
        through: exchange.through,
        method: exchange.method.clone(),
        host: exchange.host.clone(),
        path: exchange.path.clone(),
        model: exchange.model.clone(),
        status: exchange.status,
        end: exchange.end,
        failed: exchange.is_failed(),
        first_byte_ms: exchange.first_byte.map(duration::millis),
        took_ms: duration::millis(exchange.took),
        stream: exchange.stream.map(|stream| JsonStream {
            records: stream.records,
            partial: stream.is_partial,
            first_record_ms: stream.first_record.map(duration::millis),
            records_per_second: exchange.records_a_second(),
            mark: stream.mark,
        }),
        retry_after: exchange.retry_after.clone(),
        retry: exchange.retry.map(|retry| JsonRetry {
            number: retry.number,
            gap_ms: duration::millis(retry.gap),
        }),
    }
}

/// The end of a look, for programs.
#[derive(Serialize)]
pub(super) struct JsonEnd {
    requests: u64,
    failures: u64,
    retries: u64,
    lasted_ms: u64,
    target_ended: Option<&'static str>,
    lost: u64,
    left_out: u64,
    unheard: Vec<String>,
}

/// The end of a look, for programs.
pub(super) fn json_end(
    tally: &Tally,
    ending: &Ending,
    unheard: &[Unheard],
    left_out: u64,
) -> JsonEnd {
    JsonEnd {
        requests: tally.requests,
        failures: tally.failures,
        retries: tally.retries,
        lasted_ms: duration::millis(ending.lasted),
        target_ended: ending.of_target,
        lost: ending.lost,
        left_out,
        unheard: unheard.iter().map(unheard_words).collect(),
    }
}

#[cfg(test)]
mod tests {
    use injector_engine::{
        observe::{Retry, Streamed},
        page::Look,
    };

    use super::*;

    fn stream() -> Exchange {
        Exchange {
            began_ns: 0,
            pid: 7,
            name: "python3".into(),
            through: Through::Tls,
            method: "POST".into(),
            host: Some("api.openai.com".into()),
            path: "/v1/chat/completions".into(),
            model: Some("gpt-4o".into()),
            status: Some(200),
            first_byte: Some(Duration::from_millis(40)),
            took: Duration::from_millis(1_040),
            stream: Some(Streamed {
                records: 11,
                is_partial: false,
                first_record: Some(Duration::from_millis(40)),
                lasted: Duration::from_secs(1),
                mark: Some(Mark::Done),
            }),
            end: End::Clean,
            retry_after: None,
            retry: None,
        }
    }

    fn shown(page: &Page) -> String {
        String::from_utf8(page.bytes(Look::Pipe)).unwrap()
    }

    #[test]
    fn a_stream_on_a_line() {
        let line = shown(&request(&stream(), Duration::from_millis(500)));
        assert_eq!(
            line,
            "   500ms  200        POST api.openai.com/v1/chat/completions  gpt-4o  first byte 40ms, first record \
             40ms, took 1.04s, 11 records, 10.0/s, [DONE]  (python3 7)\n"
        );
    }

    #[test]
    fn a_failure_and_its_repetition() {
        let exchange = Exchange {
            status: None,
            stream: None,
            first_byte: None,
            end: End::NoAnswer,
            through: Through::Plain,
            retry: Some(Retry {
                number: 2,
                gap: Duration::from_secs(3),
            }),
            ..stream()
        };
        let line = shown(&request(&exchange, Duration::ZERO));
        assert!(line.contains("  no answer  POST"), "{line}");
        assert!(
            line.ends_with("took 1.04s  retry 2 after 3s  (python3 7, plain text)\n"),
            "{line}"
        );
        let told = serde_json::to_value(json_request(&exchange, Duration::ZERO)).unwrap();
        assert_eq!(told["end"], "no_answer");
        assert_eq!(told["retry"]["gap_ms"], 3_000);
        assert_eq!(told["failed"], true);
    }
}
