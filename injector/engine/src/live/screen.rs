//! A terminal with a live line at its bottom: what is to be written so that other texts stand above it.
//!
//! Pure: it remembers what stands there, and says which bytes come next. Where there is no live line it adds nothing.

/// To the beginning of the row, and the row away.
const AWAY: &[u8] = b"\r\x1b[K";

/// What stands on the last row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LastRow {
    /// Nothing yet.
    #[default]
    Empty,
    /// The live line.
    Live,
    /// A text that has no line feed at its end.
    Text,
}

/// A terminal.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Screen(LastRow);

impl Screen {
    /// Writes a text, with the live line below it.
    pub(crate) fn text(&mut self, text: &[u8], live: Option<&str>) -> Vec<u8> {
        let mut bytes = self.clear();
        bytes.extend_from_slice(text);
        if !text.is_empty() {
            self.0 = if text.ends_with(b"\n") {
                LastRow::Empty
            } else {
                LastRow::Text
            };
        }
        bytes.extend(self.draw(live));
        bytes
    }

    /// Puts the live line in the place of the last one, or takes it away.
    pub(crate) fn draw(&mut self, live: Option<&str>) -> Vec<u8> {
        let mut bytes = self.clear();
        if let Some(line) = live {
            if self.0 == LastRow::Text {
                bytes.push(b'\n');
            }
            bytes.extend_from_slice(line.as_bytes());
            self.0 = LastRow::Live;
        }
        bytes
    }

    /// Whether the live line stands there.
    pub(crate) fn is_live(self) -> bool {
        self.0 == LastRow::Live
    }

    fn clear(&mut self) -> Vec<u8> {
        if self.0 == LastRow::Live {
            self.0 = LastRow::Empty;
            AWAY.to_vec()
        } else {
            Vec::new()
        }
    }
}
