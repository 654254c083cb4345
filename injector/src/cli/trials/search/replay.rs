//! The command that runs one value of a search again: the search's own words, without those that only a search has.

use std::ffi::OsString;

use injector_record::account::quoted;
use injector_spec::experiment::Setting;

/// Flags of a search, each with a value.
const WITH_VALUE: [&str; 6] = [
    "--parameter",
    "--from",
    "--to",
    "--within",
    "--repeat",
    "--max-runs",
];

/// Flags that say how a search is told or rehearsed.
const ALONE: [&str; 3] = ["--json", "--dry-run", "--strict"];

/// The words of the command, each as a shell takes it.
pub(super) fn words(search: &[OsString], setting: &Setting) -> Vec<String> {
    let mut words = vec!["sudo".to_owned(), "injector".to_owned()];
    let mut asked = search.iter().skip(1).map(|word| word.to_string_lossy());
    let mut is_command = true;
    while let Some(word) = asked.next() {
        let word = word.as_ref();
        if WITH_VALUE.contains(&word) {
            asked.next();
            continue;
        }
        let name = word.split('=').next().unwrap_or(word);
        if WITH_VALUE.contains(&name) || ALONE.contains(&word) {
            continue;
        }
        if is_command && word == "search" {
            is_command = false;
            words.push("run".to_owned());
        } else {
            words.push(quoted(word));
        }
    }
    // A flag and its value stay on one line.
    words.push(format!("--set {}", quoted(&setting.to_string())));
    words
}

/// The words in lines of at most so many columns, where no word is longer; each but the last ends with a backslash.
pub(super) fn lines(words: &[String], columns: usize) -> Vec<String> {
    const GOES_ON: &str = " \\";
    const INDENT: &str = "  ";
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in words {
        let width = |text: &str| text.chars().count();
        if !line.trim().is_empty() && width(&line) + 1 + width(word) + width(GOES_ON) > columns {
            lines.push(line + GOES_ON);
            line = String::from(INDENT);
        }
        if !line.trim().is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}
