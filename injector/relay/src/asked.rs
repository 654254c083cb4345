//! What a request asks: whether of a model, by whose API, which model, and whether the answer is to stream.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use http::{HeaderMap, Method, request::Parts};
use injector_spec::experiment::Provider;
use serde::Deserialize;

use crate::{
    reactions::Task,
    repeat::{Content, Repeat},
};

/// A request to a model's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Whose paths these are; of those that share them, the first.
    pub(crate) dialect: Provider,
    /// Which of its calls.
    pub(crate) call: Call,
    /// The path, without what is behind a question mark.
    pub(crate) path: String,
    /// The model, where it is known.
    pub(crate) model: Option<String>,
    /// Whether the answer is to come in pieces.
    pub(crate) streams: bool,
    /// What tells it from requests for something else.
    pub(crate) task: Task,
    /// What it is to its server when it comes again.
    pub(crate) repeat: Repeat,
}

/// Calls whose answers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// A conversation: the answer is a message.
    Chat,
    /// The newer call of `OpenAI`: the answer is a list of items.
    Responses,
    /// A text that is continued.
    Text,
    /// Numbers for a text.
    Embeddings,
}

/// The longest body of a request that is read before it is passed on, in bytes. Of a longer one only the path is known.
pub(crate) const MOST: usize = 8 << 20;

/// What the body of a request says, in all dialects but one.
#[derive(Deserialize)]
struct Said {
    model: Option<String>,
    stream: Option<bool>,
}

impl Asked {
    /// What the head of a request says of it; `None` where it is to no model's API.
    pub(crate) fn of(head: &Parts) -> Option<Self> {
        if head.method != Method::POST {
            return None;
        }
        let path = head.uri.path();
        let (dialect, call) = recognise(path)?;
        let mut asked = Self {
            dialect,
            call,
            path: path.to_owned(),
            model: None,
            streams: false,
            task: 0,
            repeat: Repeat::Anew,
        };
        match dialect {
            Provider::Gemini => {
                asked.streams = path.ends_with(":streamGenerateContent");
                asked.model = of_gemini(path);
            }
            // A chat of Ollama's streams where nothing is said.
            Provider::Ollama => asked.streams = call != Call::Embeddings,
            Provider::OpenAi | Provider::Anthropic | Provider::Vllm | Provider::LiteLlm => {}
        }
        Some(asked)
    }

    /// The same, with what its body says. A body that is not JSON says nothing.
    pub(crate) fn with_body(mut self, scope: u32, headers: &HeaderMap, body: &Bytes) -> Self {
        let Content { key, rest } = Content::of(body);
        self.repeat = Repeat::of(&Method::POST, headers, key).of_a_model();
        let mut task = DefaultHasher::new();
        (scope, &self.path, rest).hash(&mut task);
        self.task = task.finish();
        if self.dialect == Provider::Gemini {
            return self;
        }
        if let Ok(said) = serde_json::from_slice::<Said>(body) {
            self.model = said.model;
            self.streams = said.stream.unwrap_or(self.streams);
        }
        self
    }
}

/// What the paths of known APIs end in, in the order in which they are compared.
pub(crate) const ENDS: [(&str, Provider, Call); 12] = [
    ("/chat/completions", Provider::OpenAi, Call::Chat),
    ("/responses", Provider::OpenAi, Call::Responses),
    ("/completions", Provider::OpenAi, Call::Text),
    ("/embeddings", Provider::OpenAi, Call::Embeddings),
    ("/v1/messages", Provider::Anthropic, Call::Chat),
    ("/api/chat", Provider::Ollama, Call::Chat),
    ("/api/generate", Provider::Ollama, Call::Text),
    ("/api/embed", Provider::Ollama, Call::Embeddings),
    (":generateContent", Provider::Gemini, Call::Chat),
    (":streamGenerateContent", Provider::Gemini, Call::Chat),
    (":embedContent", Provider::Gemini, Call::Embeddings),
    (":batchEmbedContents", Provider::Gemini, Call::Embeddings),
];

fn recognise(path: &str) -> Option<(Provider, Call)> {
    let known = ENDS.into_iter().find(|(end, ..)| path.ends_with(end));
    known.map(|(_, dialect, call)| (dialect, call))
}

/// The model in `/v1beta/models/MODEL:generateContent`.
fn of_gemini(path: &str) -> Option<String> {
    let (before, _) = path.rsplit_once(':')?;
    let (_, model) = before.rsplit_once("models/")?;
    Some(model.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, path: &str) -> Option<Asked> {
        let request = http::Request::builder().method(method).uri(path).body(());
        Asked::of(&request.unwrap().into_parts().0)
    }

    #[test]
    fn a_request_is_known_by_its_path() {
        let seen = |path| asked("POST", path).map(|asked| (asked.dialect, asked.call));
        for (path, wanted) in [
            ("/v1/chat/completions", (Provider::OpenAi, Call::Chat)),
            (
                "/openai/v1/responses?x=1",
                (Provider::OpenAi, Call::Responses),
            ),
            ("/v1/completions", (Provider::OpenAi, Call::Text)),
            ("/v1/messages?beta=true", (Provider::Anthropic, Call::Chat)),
            (
                "/v1beta/models/g-1:streamGenerateContent?alt=sse",
                (Provider::Gemini, Call::Chat),
            ),
            ("/api/chat", (Provider::Ollama, Call::Chat)),
        ] {
            assert_eq!(seen(path), Some(wanted), "{path}");
        }
        for other in ["/", "/v1/models", "/v1/messages/count_tokens", "/x:y"] {
            assert_eq!(seen(other), None, "{other}");
        }
        assert_eq!(asked("GET", "/v1/chat/completions"), None);
    }

    #[test]
    fn model_and_stream_are_where_each_dialect_has_them() {
        let body = Bytes::from_static(br#"{"stream":true,"messages":[{"a":1}],"model":"m-1"}"#);
        let openai = asked("POST", "/v1/chat/completions").unwrap();
        assert!(!openai.streams);
        let openai = openai.with_body(0, &HeaderMap::new(), &body);
        assert_eq!(
            (openai.model.as_deref(), openai.streams),
            (Some("m-1"), true)
        );
        let gemini = asked("POST", "/v1beta/models/g-1:streamGenerateContent").unwrap();
        let gemini = gemini.with_body(0, &HeaderMap::new(), &body);
        assert_eq!(
            (gemini.model.as_deref(), gemini.streams),
            (Some("g-1"), true)
        );
        let ollama = asked("POST", "/api/chat").unwrap();
        assert!(ollama.streams);
        let ollama = ollama.with_body(
            0,
            &HeaderMap::new(),
            &Bytes::from_static(br#"{"stream":false}"#),
        );
        assert!(!ollama.streams);
        let broken = asked("POST", "/v1/messages").unwrap();
        let read = broken
            .clone()
            .with_body(0, &HeaderMap::new(), &Bytes::from_static(b"{"));
        assert_eq!((read.model, read.streams), (broken.model, broken.streams));
    }
}
