//! Payloads that show any damage: a number, a digest, and filler.

/// Number and digest.
pub(crate) const HEADER: usize = 16;

/// Writes the message with this number over all of `buffer` (at least [`HEADER`] bytes).
pub(crate) fn fill(buffer: &mut [u8], number: u64) {
    for (filler, byte) in (0u8..=255).cycle().zip(&mut buffer[HEADER..]) {
        *byte = filler;
    }
    buffer[..8].copy_from_slice(&number.to_le_bytes());
    let digest = digest_of(buffer);
    buffer[8..HEADER].copy_from_slice(&digest.to_le_bytes());
}

/// The number of a message, unless it was damaged.
pub(crate) fn number(message: &[u8]) -> Option<u64> {
    let number = u64::from_le_bytes(message.get(..8)?.try_into().ok()?);
    let digest = u64::from_le_bytes(message.get(8..HEADER)?.try_into().ok()?);
    (digest == digest_of(message)).then_some(number)
}

fn digest_of(message: &[u8]) -> u64 {
    digest([&message[..8], &message[HEADER..]])
}

/// FNV-1a: small, and any single changed byte changes it.
pub(crate) fn digest<const N: usize>(parts: [&[u8]; N]) -> u64 {
    parts
        .into_iter()
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_byte_shows() {
        let mut message = [0; 64];
        fill(&mut message, 7);
        assert_eq!(number(&message), Some(7));
        for at in 0..message.len() {
            message[at] ^= 0x10;
            assert_eq!(number(&message), None, "byte {at}");
            message[at] ^= 0x10;
        }
    }
}
