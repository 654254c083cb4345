use injector_spec::experiment::file;
use serde_json::Value;

use super::*;

fn fault(fault: &str) -> Fault {
    let text =
        format!("targets: {{ agent: {{ cgroup: /a }} }}\nduration: 1s\nfaults:\n  - llm.{fault}\n");
    let experiment = file::parse(&text, "script.yaml", None).unwrap();
    experiment.steps[0].faults[0].clone()
}

fn text(answer: &Answer) -> &str {
    std::str::from_utf8(&answer.bytes[..answer.length as usize]).unwrap()
}

/// What a client reads: the status, a header, the body.
fn read(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let (head, body) = text(answer).split_once("\r\n\r\n").unwrap();
    assert_eq!(head.len() + 4, answer.head as usize);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_owned(), value.trim().to_owned())
    });
    (status.parse().unwrap(), headers.collect(), body.to_owned())
}

fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    let found = headers.iter().find(|(own, _)| own == name);
    found.map(|(_, value)| value.as_str())
}

/// Faults that are answered as a whole.
const WHOLE: [&str; 6] = [
    "rate-limit: { target: agent, retry-after: 7s }",
    "rate-limit: { target: agent, limit: quota }",
    "error: { target: agent, status: 404 }",
    "overload: { target: agent }",
    "empty: { target: agent }",
    "malformed: { target: agent }",
];

#[test]
fn every_answer_fits_and_is_well_formed() {
    for provider in Provider::ALL {
        let name = serde_json::to_value(provider).unwrap();
        let name = name.as_str().unwrap();
        for asked in WHOLE {
            let asked = asked.replace(" }", &format!(", provider: {name} }}"));
            let script = script(&fault(&asked), 3);
            assert!(!script.ends.is_empty(), "{asked}");
            for answer in &script.answers {
                assert!(answer.length > 0, "{asked}: too long");
                let (status, headers, body) = read(answer);
                let length = header(&headers, "content-length").unwrap();
                assert_eq!(length.parse(), Ok(body.len()), "{asked}");
                assert_eq!(header(&headers, "connection"), Some("close"));
                let digits = &text(answer)[answer.digits_at as usize..][..DIGITS];
                assert_eq!(digits.trim(), length);
                assert_eq!(status >= 400, answer.status[0] != 0, "{asked}");
            }
        }
    }
}

#[test]
fn a_refusal_is_what_the_relay_says() {
    let script = script(&fault(WHOLE[0]), 3);
    let number = script.ends[0].answer as usize;
    let (status, headers, body) = read(&script.answers[number]);
    assert_eq!((status, header(&headers, "retry-after")), (429, Some("7")));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["error"]["code"], "rate_limit_exceeded");
    assert_eq!(&script.answers[number].status, b"429\0");
}

#[test]
fn only_the_paths_of_a_provider_are_meant() {
    let of = |words: &str| {
        let script = script(&fault(&format!("overload: {{ target: agent{words} }}")), 1);
        script.ends.len()
    };
    assert_eq!(of(""), ENDS.len());
    assert_eq!(of(", provider: anthropic"), 1);
    // Both ends of `OpenAI` are ends of it, and the first is compared.
    assert_eq!(of(", request-path: '*/v1/chat/completions'"), 1);
    assert_eq!(of(", request-path: '*/completions'"), 2);
    assert_eq!(of(", request-path: '*/messages', provider: openai"), 0);
}

/// Of ends of which one has all paths of another, the one is compared; with it no rule has more than there is room for.
#[test]
fn no_end_is_compared_behind_one_that_covers_it() {
    let of = |paths: &[String]| {
        let asked = format!("overload: {{ target: agent, request-path: {paths:?} }}");
        script(&fault(&asked), 1)
    };
    let many: Vec<String> = (0..PATHS - 1)
        .map(|path| format!("/{path}/chat/completions"))
        .collect();
    // Each is an end of `/chat/completions` and of `/completions`, and is compared once.
    assert_eq!(of(&many).ends.len(), many.len());
    let with = |glob: &str| [&many[..], &[glob.to_owned()]].concat();
    assert_eq!(of(&with("*")).ends.len(), ENDS.len());
    assert_eq!(of(&with("*/chat/completions")).ends.len(), 1);
    let most = of(&with("*t"));
    assert!(most.ends.len() > many.len() && most.ends.len() <= rewrite::ENDS as usize);
    let last = most.ends.last().map(|end| end.answer as usize);
    assert!(last.is_some_and(|last| last < most.answers.len()));
}

#[test]
fn an_empty_line_is_put_behind_no_lines_of_json() {
    let script = script(&fault("empty: { target: agent, provider: ollama }"), 1);
    for answer in &script.answers {
        let (_, headers, _) = read(answer);
        let is_lines = header(&headers, "content-type") == Some("application/x-ndjson");
        assert_eq!(answer.is_exact != 0, is_lines, "{headers:?}");
    }
    assert!(script.answers.iter().any(|answer| answer.is_exact != 0));
}

#[test]
fn nothing_is_answered_in_the_place_of_a_server() {
    for other in [
        "slow: { target: agent, latency: 1s }",
        "timeout: { target: agent }",
        "wrong-model: { target: agent, answers: m }",
    ] {
        assert!(script(&fault(other), 1).answers.is_empty(), "{other}");
    }
}

#[test]
fn what_cannot_be_read_is_no_json_in_either_form() {
    let script = script(&fault("malformed: { target: agent, provider: openai }"), 1);
    let first = &script.answers[0];
    assert_eq!(first.has_stream, 1);
    let (_, _, whole) = read(first);
    assert!(whole.starts_with('{') && serde_json::from_str::<Value>(&whole).is_err());
    let (_, headers, stream) = read(&script.answers[1]);
    assert_eq!(header(&headers, "content-type"), Some("text/event-stream"));
    let data = stream.strip_prefix("data: ").unwrap();
    assert!(data.starts_with('{') && data.ends_with("\n\n"));
    assert!(serde_json::from_str::<Value>(data).is_err());
}

#[test]
fn embeddings_have_no_text_to_leave_out() {
    let script = script(
        &fault("empty: { target: agent, request-path: '*/embeddings' }"),
        1,
    );
    let answers: Vec<u32> = script.ends.iter().map(|end| end.answer).collect();
    assert_eq!(answers, [NO_ANSWER]);
}
