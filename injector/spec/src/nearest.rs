//! The name that a person probably meant.

/// A part of a name that is shorter says too little.
const SHORTEST: usize = 3;

/// The candidate that is most like the text, where one is like it at all; else the first that has it
/// as a part.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    // 0.7 is where clap draws the line for its own suggestions.
    let alike = candidates
        .iter()
        .map(|candidate| (strsim::jaro(text, candidate), *candidate))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate);
    let has_the_text = |candidate: &&str| text.len() >= SHORTEST && candidate.contains(text);
    alike.or_else(|| candidates.into_iter().find(has_the_text))
}

/// What to try in place of a name that is none of the known ones: what was probably meant, or all there are.
pub fn hint<'a>(text: &'a str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(text, known.iter().copied()) {
        Some(like) => format!("did you mean `{like}`?"),
        None => format!("known are: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_alike_is_suggested() {
        assert_eq!(nearest("latncy", ["jitter", "latency"]), Some("latency"));
        assert_eq!(nearest("xyz", ["jitter", "latency"]), None);
        assert_eq!(
            nearest("ports", ["jitter", "exclude-ports"]),
            Some("exclude-ports")
        );
        assert_eq!(nearest("e", ["jitter", "latency"]), None);
    }
}
