use super::*;
use crate::{asked::Call, repeat::Repeat};

fn asked(dialect: Provider, streams: bool) -> Asked {
    Asked {
        dialect,
        call: Call::Chat,
        path: "/x".into(),
        model: Some("m-1".into()),
        streams,
        task: 0,
        repeat: Repeat::Anew,
    }
}

fn made(provider: Provider, failure: Failure) -> (u16, Value, Vec<(&'static str, String)>) {
    let asked = asked(provider.dialect(), false);
    let made = refusal(failure, &asked, provider, 7);
    let body = serde_json::from_slice(&made.body).unwrap();
    (made.status, body, made.headers)
}

/// What each provider's clients choose by.
#[test]
fn a_limit_is_said_in_the_words_of_each_provider() {
    let wait = Some(Duration::from_millis(2_500));
    let limited = Failure::Limited(Limit::Rate, wait);
    let (status, body, headers) = made(Provider::OpenAi, limited);
    assert_eq!(
        (status, &body["error"]["code"]),
        (429, &Value::from("rate_limit_exceeded"))
    );
    assert!(headers.contains(&("retry-after", "3".into())));
    assert!(headers.contains(&("retry-after-ms", "2500".into())));
    let (status, body, headers) = made(Provider::Anthropic, limited);
    assert_eq!(
        (status, &body["error"]["type"]),
        (429, &Value::from("rate_limit_error"))
    );
    assert!(headers.contains(&("retry-after", "3".into())));
    let (_, body, headers) = made(Provider::Gemini, limited);
    assert_eq!(body["error"]["status"], "RESOURCE_EXHAUSTED");
    assert_eq!(body["error"]["details"][1]["retryDelay"], "3s");
    assert!(headers.is_empty());
    let (_, body, headers) = made(Provider::Ollama, limited);
    assert!(body["error"].is_string() && headers.is_empty());
    let (_, body, _) = made(Provider::Vllm, limited);
    assert_eq!(body["error"]["code"], 429);
    let (_, body, _) = made(Provider::LiteLlm, limited);
    assert_eq!(body["error"]["code"], "429");
}

#[test]
fn a_spent_quota_names_no_time_to_wait() {
    let quota = Failure::Limited(Limit::Quota, None);
    let (_, body, headers) = made(Provider::OpenAi, quota);
    assert_eq!(body["error"]["type"], "insufficient_quota");
    assert!(
        !headers
            .iter()
            .any(|(name, _)| name.starts_with("retry-after"))
    );
    let (_, body, _) = made(Provider::Anthropic, quota);
    assert_eq!(
        body["error"]["details"]["error_code"],
        "enforced_spend_limit_reached"
    );
}

#[test]
fn overload_has_a_status_of_its_own() {
    for (provider, status) in [
        (Provider::OpenAi, 503),
        (Provider::Anthropic, 529),
        (Provider::Gemini, 503),
        (Provider::Ollama, 503),
        (Provider::Vllm, 503),
        (Provider::LiteLlm, 503),
    ] {
        assert_eq!(
            made(provider, Failure::Overloaded).0,
            status,
            "{provider:?}"
        );
    }
}

#[test]
fn every_status_has_a_body_of_its_provider() {
    for provider in Provider::ALL {
        for status in 400..600 {
            let (said, body, _) = made(provider, Failure::Status(status));
            assert_eq!(said, status, "{provider:?}");
            assert!(!body["error"].is_null(), "{provider:?}: {body}");
        }
    }
}

#[test]
fn an_empty_answer_is_complete_and_has_no_token() {
    for provider in [
        Provider::OpenAi,
        Provider::Anthropic,
        Provider::Gemini,
        Provider::Ollama,
    ] {
        let whole = empty(&asked(provider, false), 1).unwrap();
        let mut whole: Value = serde_json::from_slice(&whole.body).unwrap();
        assert!(rename(&mut whole, "other"), "{provider:?}: {whole}");
        let stream = empty(&asked(provider, true), 1).unwrap();
        let framing = crate::pieces::Framing::of(stream.content_type).unwrap();
        let mut pieces = crate::pieces::Pieces::new(framing);
        pieces.push(&stream.body);
        let mut count = 0;
        while let Some(piece) = pieces.next() {
            count += 1;
            if let Some((value, _)) = piece.json() {
                assert!(!is_token(provider, &value), "{provider:?}: {value}");
            }
        }
        assert!(count > 0 && pieces.rest().is_none(), "{provider:?}");
    }
}
