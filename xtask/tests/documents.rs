//! The documents hold together: relative links and anchors lead somewhere, each page is in the book, and the README
//! stays short.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every document of the project: those at the root, those of the platform, and the book.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", ".github", ".github/ISSUE_TEMPLATE"] {
        found.extend(markdown_in(&root().join(folder)));
    }
    found.extend(pages());
    assert!(found.len() > 20, "{found:?}");
    found
}

/// The pages of the book.
fn pages() -> Vec<PathBuf> {
    ["docs/src", "docs/src/faults", "docs/src/internals"]
        .iter()
        .flat_map(|folder| markdown_in(&root().join(folder)))
        .collect()
}

fn markdown_in(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect()
}

/// The text of a document without its blocks of code.
fn prose(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let mut is_code = false;
    let kept = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    kept.collect::<Vec<_>>().join("\n")
}

/// What stands in the brackets of `](...)`.
fn links(prose: &str) -> Vec<&str> {
    let parts = prose.split("](").skip(1);
    parts
        .filter_map(|part| Some(part.split_once(')')?.0))
        .collect()
}

/// The anchors of a document's headings, as GitHub and mdBook make them.
fn anchors(path: &Path) -> BTreeSet<String> {
    let prose = prose(path);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let words = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = words.chars().filter_map(|letter| match letter {
                ' ' => Some('-'),
                letter if letter.is_alphanumeric() || letter == '-' || letter == '_' => {
                    Some(letter)
                }
                _ => None,
            });
            kept.collect()
        })
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut tried = 0;
    for document in documents() {
        let text = prose(&document);
        for link in links(&text)
            .into_iter()
            .filter(|link| !link.contains("://"))
        {
            tried += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                document.clone()
            } else {
                document.parent().unwrap().join(file)
            };
            let leads = target.exists() && (anchor.is_empty() || anchors(&target).contains(anchor));
            if !leads {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(tried > 100, "only {tried} links found");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_page_is_in_the_book() {
    let summary = root().join("docs/src/SUMMARY.md");
    let text = fs::read_to_string(&summary).unwrap();
    let listed: BTreeSet<PathBuf> = links(&text)
        .into_iter()
        .map(|link| root().join("docs/src").join(link))
        .collect();
    for page in pages().into_iter().filter(|page| *page != summary) {
        assert!(
            listed.contains(&page),
            "{} is not in SUMMARY.md",
            page.display()
        );
    }
}

/// The bounds that the README and ARCHITECTURE.md are meant to keep.
#[test]
fn the_short_documents_are_short() {
    for (name, most) in [("README.md", 150), ("ARCHITECTURE.md", 160)] {
        let lines = fs::read_to_string(root().join(name))
            .unwrap()
            .lines()
            .count();
        assert!(lines <= most, "{name} has {lines} lines");
    }
}

#[test]
fn links_and_anchors_are_read_as_they_are_written() {
    assert_eq!(links("a [b](c.md#d), [`e`](f) and [g]"), ["c.md#d", "f"]);
    let kernel_side = root().join("docs/src/internals/kernel-side.md");
    assert!(anchors(&kernel_side).contains("the-order-of-composition"));
}
