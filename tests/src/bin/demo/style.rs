//! Colour and weight, only where a person looks at a terminal.

use std::io::{IsTerminal, stdout};

use injector_engine::page::{self, Line, Page};

/// How a word is to look.
#[derive(Clone, Copy)]
pub(crate) enum Look {
    /// A heading.
    Strong,
    /// Of less interest.
    Faint,
}

/// Whether standard output is a terminal that wants colour (see no-color.org).
pub(crate) fn is_live() -> bool {
    stdout().is_terminal()
}

/// `text` with that look, or plain. Pad before: the codes have no width.
pub(crate) fn paint(look: Look, text: &str) -> String {
    if !is_live() || std::env::var_os("NO_COLOR").is_some() {
        return text.to_owned();
    }
    let code = match look {
        Look::Strong => "1",
        Look::Faint => "2",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Prints lines as the injector prints its own: wrapped to the terminal, no word cut.
pub(crate) fn say(text: &str) {
    println!(
        "{}",
        Page::text(text).rows(page::Look::of(stdout())).join("\n")
    );
}

/// The same for one line with colours.
pub(crate) fn say_line(line: Line) {
    let page: Page = [line].into_iter().collect();
    println!("{}", page.rows(page::Look::of(stdout())).join("\n"));
}

/// Nanoseconds as `7.4 ms` or `2.31 s`.
pub(crate) fn time(nanos: u64) -> String {
    let millis = injector_tests::measure::millis(nanos);
    if millis < 1000.0 {
        format!("{millis:.1} ms")
    } else {
        format!("{:.2} s", millis / 1000.0)
    }
}
