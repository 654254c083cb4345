//! The name of the model that a request is for: in its body (`OpenAI`, Anthropic, Ollama and what is like them), or in its
//! path (Gemini, Azure, Bedrock). The name is all that is taken.

/// Longest name that is taken for one.
const LONGEST: usize = 96;

const KEY: &[u8] = b"\"model\"";

/// From a part of a JSON document: the value of the first member `model`.
pub(super) fn in_body(bytes: &[u8]) -> Option<String> {
    let mut from = 0;
    while let Some(at) = find(&bytes[from..], KEY).map(|at| at + from) {
        from = at + KEY.len();
        // A name of a member stands behind a brace or a comma; within a string the quotes would be escaped.
        let before = bytes[..at].trim_ascii_end().last();
        if !matches!(before, Some(b'{' | b',')) {
            continue;
        }
        let name = bytes[from..]
            .trim_ascii_start()
            .strip_prefix(b":")
            .and_then(|rest| rest.trim_ascii_start().strip_prefix(b"\""))
            .and_then(|rest| {
                rest.split(|byte| *byte == b'"')
                    .next()
                    .filter(|name| name.len() < rest.len())
            });
        if let Some(name) = name.and_then(name_of) {
            return Some(name);
        }
    }
    None
}

/// From a path: what stands behind `/models/`, `/deployments/` or `/model/`, up to a slash or a colon.
pub(super) fn in_path(path: &str) -> Option<String> {
    ["/models/", "/deployments/", "/model/"]
        .iter()
        .find_map(|before| {
            let (_, rest) = path.split_once(before)?;
            let name = rest.split(['/', ':']).next()?;
            name_of(name.as_bytes())
        })
}

fn name_of(bytes: &[u8]) -> Option<String> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/@+".contains(byte);
    let fits = !bytes.is_empty() && bytes.len() <= LONGEST && bytes.iter().all(is_name);
    fits.then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bodies() {
        let of = |text: &str| in_body(text.as_bytes());
        assert_eq!(of(r#"{"model":"gpt-4o","m":1}"#).as_deref(), Some("gpt-4o"));
        assert_eq!(
            of(r#"...hello"}], "model" : "claude-sonnet-4-5"}"#).as_deref(),
            Some("claude-sonnet-4-5")
        );
        // Within a string, of another kind, cut off, or no name.
        assert_eq!(of(r#"{"content":"say \"model\": \"secret\""}"#), None);
        assert_eq!(of(r#"{"model":7}"#), None);
        assert_eq!(of(r#"{"model":"gpt-4"#), None);
        assert_eq!(of(r#"{"model":"a secret of two words"}"#), None);
        assert_eq!(
            of(r#"{"model":{"model":"inner"}}"#).as_deref(),
            Some("inner")
        );
    }

    #[test]
    fn paths() {
        assert_eq!(
            in_path("/v1beta/models/gemini-2.5-pro:streamGenerateContent").as_deref(),
            Some("gemini-2.5-pro")
        );
        assert_eq!(
            in_path("/openai/deployments/gpt4/chat/completions").as_deref(),
            Some("gpt4")
        );
        assert_eq!(in_path("/v1/models"), None);
    }

    proptest! {
        #[test]
        fn total_and_short(bytes in prop::collection::vec(any::<u8>(), 0..300), name in "[a-z0-9.-]{1,40}") {
            let _ = in_body(&bytes);
            let whole = format!("{{\"x\": [1, 2], \"model\": \"{name}\"}}");
            prop_assert_eq!(in_body(whole.as_bytes()), Some(name));
        }
    }
}
