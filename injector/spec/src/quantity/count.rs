//! Numbers of things, as people say them.

use std::fmt::Display;

/// `1 line`, `2 lines`: the number with the word that fits it.
pub fn count<N: Copy + Display + PartialEq + From<u8>>(
    number: N,
    one: impl Display,
    many: impl Display,
) -> String {
    if number == N::from(1) {
        format!("1 {one}")
    } else {
        format!("{number} {many}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one() {
        let said = [0, 1, 2].map(|number| count(number, "damaged line", "damaged lines"));
        assert_eq!(
            said,
            ["0 damaged lines", "1 damaged line", "2 damaged lines"]
        );
    }
}
