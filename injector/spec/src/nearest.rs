//! The name that a person probably meant.

/// The candidate that is most like the text, where one is like it at all.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // 0.7 is where clap draws the line for its own suggestions.
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro(text, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_alike_is_suggested() {
        assert_eq!(nearest("latncy", ["jitter", "latency"]), Some("latency"));
        assert_eq!(nearest("xyz", ["jitter", "latency"]), None);
    }
}
