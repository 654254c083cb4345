//! SHA-256 of what was asked, to tell whether two texts are one.

use sha2::{Digest as _, Sha256};

/// The digest of several parts. The length of each part counts, so that no two lists of parts are taken for one.
#[derive(Clone, Debug, Default)]
pub struct Digest(Sha256);

impl Digest {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part.
    pub fn add(&mut self, part: &[u8]) {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        self.0.update(length.to_le_bytes());
        self.0.update(part);
    }

    /// In hexadecimal digits.
    pub fn hex(self) -> String {
        digits(&self.0.finalize())
    }
}

/// SHA-256 of one text in hexadecimal digits, as `sha256sum` prints it.
pub fn of(text: &[u8]) -> String {
    digits(&Sha256::digest(text))
}

fn digits(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_from_their_sum() {
        let hex = |parts: &[&str]| {
            let mut digest = Digest::new();
            for part in parts {
                digest.add(part.as_bytes());
            }
            digest.hex()
        };
        assert_ne!(hex(&["ab", "c"]), hex(&["a", "bc"]));
        assert_eq!(hex(&["ab", "c"]), hex(&["ab", "c"]));
        // printf abc | sha256sum
        assert!(of(b"abc").starts_with("ba7816bf8f01cfea"));
    }
}
