use proptest::prelude::*;
use unicode_width::UnicodeWidthStr as _;

use super::*;

const WIDTHS: [usize; 3] = [40, 60, 100];

/// A row as it is seen: without our own control sequences.
fn seen(row: &str) -> String {
    let mut parts = row.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |seen, part| {
        seen + part.split_once('m').map_or("", |(_, rest)| rest)
    })
}

fn words(text: &str) -> Vec<String> {
    text.split(' ')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn rows_hang_under_the_text_of_the_first() {
    let line = Line::plain("  net     works    delay, loss, corrupt, duplicate, reorder");
    let expected =
        "  net     works    delay, loss, corrupt,\n                   duplicate, reorder";
    assert_eq!(line.rows(Look::Bare(40)).join("\n"), expected);
    let line = Line::plain("    a note that is longer than the terminal is wide");
    let expected = "    a note that is longer than the\n      terminal is wide";
    assert_eq!(line.rows(Look::Bare(40)).join("\n"), expected);
}

#[test]
fn a_pipe_gets_whole_lines_and_no_control_sequence() {
    let text = "word ".repeat(60);
    let line = Line::all(Role::Bad, "injector:").and(Role::Plain, format!(" {text}end"));
    assert_eq!(line.rows(Look::Pipe), [format!("injector: {text}end")]);
    assert!(line.rows(Look::Bare(60)).len() > 4);
    for look in [Look::Pipe, Look::Bare(60)] {
        assert!(line.rows(look).iter().all(|row| !row.contains('\x1b')));
    }
    let coloured = line.rows(Look::Full(60));
    assert!(
        coloured[0].starts_with("\x1b[1m\x1b[31minjector:\x1b[0m word"),
        "{coloured:?}"
    );
}

#[test]
fn what_others_have_named_brings_no_control_sequence() {
    let name = "\x1b]0;title\x07\u{202e}";
    let page: Page = [Line::plain(name), Line::all(Role::Good, name)]
        .into_iter()
        .collect();
    let bytes = [
        page.bytes(Look::Pipe),
        Page::text(name).bytes(Look::Full(40)),
    ]
    .concat();
    assert!(!bytes.contains(&0x1b) && !bytes.contains(&7), "{bytes:?}");
}

#[test]
fn a_page_with_too_many_rows_leaves_details_out_first() {
    let mut page = Page::default();
    page.push(Line::plain("outcome"));
    for number in 0..6 {
        page.push(Line::plain(format!("row {number}")).ranked(Rank::Useful));
        page.push(Line::plain(format!("detail {number}")).ranked(Rank::Detail));
    }
    page.push(Line::plain("not restored"));
    let page = page.at_most(10, Line::plain("the rest is elsewhere"));
    let rows = page.rows(Look::Bare(40));
    assert_eq!(rows.len(), 10, "{rows:?}");
    assert_eq!(rows[0], "outcome");
    assert_eq!(rows[1..3], ["row 0", "detail 0"]);
    assert_eq!(rows[8..], ["not restored", "the rest is elsewhere"]);
    assert_eq!(page.rows(Look::Pipe).len(), 14);
}

fn any_role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![
        Role::Plain,
        Role::Strong,
        Role::Good,
        Role::Bad,
        Role::Dim,
    ])
}

fn any_line() -> impl Strategy<Value = Line> {
    prop::collection::vec(
        (any_role(), "[ a-zäß界.-]{0,70}( {0,4}[a-z]{0,9}){0,9}"),
        1..5,
    )
    .prop_map(|parts| {
        parts
            .into_iter()
            .fold(Line::new(), |line, (role, text)| line.and(role, text))
    })
}

proptest! {
    #[test]
    fn no_word_is_cut_and_no_row_is_too_wide(line in any_line()) {
        for width in WIDTHS {
            for look in [Look::Bare(width), Look::Full(width)] {
                let rows: Vec<_> = line.rows(look).iter().map(|row| seen(row)).collect();
                prop_assert_eq!(words(&rows.join(" ")), words(&line.text()));
                for row in &rows {
                    let is_one_word = words(row).len() <= 1 && row.trim().width() > width;
                    prop_assert!(row.width() <= width || is_one_word, "{:?}", row);
                }
            }
        }
    }

    #[test]
    fn a_bound_is_kept(lines in prop::collection::vec(any_line(), 1..20), details in 0usize..20) {
        let ranked = lines.into_iter().enumerate().map(|(at, line)| {
            line.ranked(if at >= details { Rank::Detail } else { Rank::Essential })
        });
        let page = ranked.collect::<Page>().at_most(12, Line::plain("the rest is elsewhere"));
        for width in WIDTHS {
            let rows = page.rows(Look::Full(width));
            prop_assert!(rows.len() <= 12, "{:?}", rows);
            for row in rows.iter().map(|row| seen(row)) {
                let is_one_word = words(&row).len() <= 1;
                prop_assert!(row.width() <= width || is_one_word || row.ends_with(" ..."), "{:?}", row);
            }
        }
    }
}
