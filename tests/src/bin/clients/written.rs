//! What was seen, as the book has it: a table for each client.

use std::collections::BTreeMap;
use std::fmt;

use crate::client::{Came, Client};
use crate::trial::Answer;

/// The answers of the server as they are: of a model, and of a tool.
const WHOLE: [&str; 2] = ["one two three four ", "the sum is 3"];

/// What one call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    fault: String,
    requests: u64,
    came: String,
    took: String,
    version: String,
}

impl Row {
    pub(crate) fn new(fault: String, answer: Answer, requests: u64, came: &Came) -> Self {
        Self {
            fault,
            requests,
            came: words(answer, came),
            took: format!("{}.{} s", came.ms / 1000, came.ms % 1000 / 100),
            version: came.version.clone(),
        }
    }

    pub(crate) fn line(&self) -> String {
        let Self {
            fault,
            requests,
            came,
            took,
            ..
        } = self;
        format!("| `{fault}` | {requests} | {came} | {took} |")
            .replace(", a stream`", "`, a stream")
    }

    /// All but the time, which is another one each time.
    fn lasting(line: &str) -> Option<&str> {
        let line = line.strip_suffix(" |")?;
        Some(line.rsplit_once(" | ")?.0)
    }
}

fn words(answer: Answer, came: &Came) -> String {
    if let Some(class) = &came.raised {
        return format!("raised `{class}`");
    }
    let text = match came.returned.as_deref() {
        Some(text) if WHOLE.contains(&text) => "returned the whole answer".to_owned(),
        Some(text) => format!("returned `{text:?}`").replace('|', "\\|"),
        None => "returned nothing".to_owned(),
    };
    let text = match answer {
        Answer::Comes => text,
        Answer::Held => format!("waited until the fault ended, then {text}"),
    };
    match came.model.as_deref() {
        None | Some("" | "big-1") => text,
        Some(model) => format!("{text}, of model `{model}`"),
    }
}

/// The tables of all clients.
#[derive(Debug, Default)]
pub(crate) struct Tables(Vec<(Client, Vec<Row>)>);

impl Tables {
    pub(crate) fn add(&mut self, client: Client, row: Row) {
        match self.0.last_mut() {
            Some((last, rows)) if *last == client => rows.push(row),
            _ => self.0.push((client, vec![row])),
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.0.iter().map(|(_, rows)| rows.len()).sum()
    }

    /// Where this is not what a page says, a sentence each.
    pub(crate) fn contradictions(&self, page: &str) -> Vec<String> {
        let said = sections(page);
        let mut wrong = Vec::new();
        for (client, rows) in &self.0 {
            for row in rows {
                let (title, line) = (title(*client, row), row.line());
                let lines = said.get(title.as_str()).map_or(&[][..], Vec::as_slice);
                let is_said = lines.iter().any(|said| {
                    Row::lasting(said).is_some_and(|said| Some(said) == Row::lasting(&line))
                });
                if !is_said {
                    wrong.push(format!("{title}: seen {line}, and the book says otherwise"));
                }
            }
        }
        wrong
    }
}

fn title(client: Client, row: &Row) -> String {
    format!("{} {}", client.name(), row.version)
}

/// The lines of tables, by the title above them.
fn sections(page: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut sections: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut title = "";
    for line in page.lines() {
        if let Some(next) = line.strip_prefix("### ") {
            title = next;
        } else if line.starts_with('|') {
            sections.entry(title).or_default().push(line);
        }
    }
    sections
}

impl fmt::Display for Tables {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (client, rows) in &self.0 {
            let Some(first) = rows.first() else { continue };
            writeln!(out, "### {}\n", title(*client, first))?;
            writeln!(
                out,
                "| fault | requests | the call | took |\n| --- | --- | --- | --- |"
            )?;
            for row in rows {
                writeln!(out, "{}", row.line())?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Family;

    fn tables(requests: u64, ms: u64) -> Tables {
        let came = Came {
            returned: None,
            model: None,
            raised: Some("RateLimitError".into()),
            version: "3.1".into(),
            ms,
        };
        let mut tables = Tables::default();
        let row = Row::new("llm cut, a stream".into(), Answer::Comes, requests, &came);
        tables.add(Client::Python("openai", Family::Models), row);
        tables
    }

    #[test]
    fn what_is_written_is_held_to_but_for_the_time() {
        let page = tables(3, 1234).to_string();
        assert!(page.contains("### Python openai 3.1\n"), "{page}");
        assert!(
            page.contains("| `llm cut`, a stream | 3 | raised `RateLimitError` | 1.2 s |"),
            "{page}"
        );
        assert_eq!(tables(3, 99).contradictions(&page), [""; 0]);
        assert_eq!(tables(2, 1234).contradictions(&page).len(), 1);
        assert_eq!(tables(3, 1234).contradictions("").len(), 1);
    }
}
