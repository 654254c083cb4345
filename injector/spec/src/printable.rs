//! Other people's names as they may be shown.
//!
//! A process chooses its name, a container engine its cgroup's, and the author of an experiment that
//! experiment's. On a terminal their bytes could move the cursor, change the title, or write a line that
//! looks like one of ours; in a log they could forge an entry. So what is shown to people has its control
//! characters escaped, and the characters that turn the direction of text around or cannot be seen. What
//! is compared, matched or sent is left as it is.
//!
//! Names are escaped to [`line`] where they become part of a sentence, since a line feed is one of the
//! control characters; what is printed passes [`lines`] once more.

use std::{borrow::Cow, fmt::Write, os::unix::ffi::OsStrExt, path::Path};

/// A text of one line: line feeds and tabs are escaped, too.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_unseen)
}

/// A text of several lines.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| {
        is_unseen(character) && !matches!(character, '\n' | '\t')
    })
}

/// A path on one line, with what is no UTF-8 byte by byte.
pub fn path(path: &Path) -> String {
    let mut shown = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        shown.push_str(&line(chunk.valid()));
        for byte in chunk.invalid() {
            shown.extend(byte.escape_ascii().map(char::from));
        }
    }
    shown
}

/// JSON for a terminal. JSON itself escapes only the controls of ASCII, and DEL not even; strings are the
/// only place in it where the others can stand, and there `\u` and four digits mean the same.
pub fn json(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unseen) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unseen(character) && character > '\u{7e}' {
            // Writing to a string does not fail.
            let _ = write!(shown, "\\u{:04x}", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    shown.into()
}

fn escaped(text: &str, hides: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&hides) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if hides(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown.into()
}

/// Controls, line and paragraph separators, and the format characters that hide or turn text around (UAX
/// 9 and general category Cf). All are below U+10000, as [`json`] needs.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
        )
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_moves_the_cursor_is_seen_instead() {
        assert_eq!(line("agent\n\x1b[2Jarmed"), "agent\\n\\u{1b}[2Jarmed");
        assert_eq!(lines("two\nlines\r\u{9b}"), "two\nlines\\r\\u{9b}");
        assert_eq!(line("\u{202e}txt.exe"), "\\u{202e}txt.exe");
        assert!(matches!(line("Agent Schröder 東京 \\n"), Cow::Borrowed(_)));
        assert_eq!(
            path(Path::new(OsStr::from_bytes(b"/a\xff\n/b"))),
            "/a\\xff\\n/b"
        );
    }

    proptest! {
        #[test]
        fn nothing_unseen_is_left(text: String, bytes: Vec<u8>) {
            prop_assert!(!line(&text).chars().any(is_unseen));
            prop_assert!(!lines(&text).chars().any(|c| is_unseen(c) && c != '\n' && c != '\t'));
            prop_assert!(!path(Path::new(OsStr::from_bytes(&bytes))).chars().any(is_unseen));
        }

        #[test]
        fn json_keeps_its_meaning(text: String) {
            let written = serde_json::to_string(&text).unwrap();
            let shown = json(&written);
            prop_assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
            prop_assert!(!shown.chars().any(is_unseen));
        }
    }
}
