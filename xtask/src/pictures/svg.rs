//! A screen as an SVG: cells of one size, words of one look as one text.

use std::fmt::Write;

use vt100::{Cell, Color, Screen};

/// Width and height of a cell, and the size of the font, in pixels.
const CELL: (f32, f32) = (8.4, 18.0);
const FONT_SIZE: f32 = 14.0;
/// Around the text.
const MARGIN: f32 = 16.0;

const BACKGROUND: &str = "#16181d";
const FOREGROUND: &str = "#d8dae0";

/// The sixteen colours of a terminal, dark ones first.
const PALETTE: [&str; 16] = [
    "#2b2f38", "#f0707a", "#8ccf7e", "#e5c76b", "#67b0e8", "#c47fd5", "#6cbfbf", "#d8dae0",
    "#6b7280", "#ff8f97", "#a5e597", "#f2dc8f", "#8cc8f5", "#d9a0e6", "#8fdada", "#ffffff",
];

/// How some cells look.
#[derive(Clone, PartialEq)]
struct Look {
    colour: String,
    is_bold: bool,
    is_dim: bool,
    is_underlined: bool,
}

/// Draws all lines of the screen up to its last one that has text; `title` is for readers who cannot see it.
pub(super) fn draw(screen: &Screen, title: &str) -> String {
    let (_, columns) = screen.size();
    let columns = columns.get();
    let lines: Vec<String> = screen.rows(0, columns).collect();
    let used = lines
        .iter()
        .rposition(|line| !line.trim().is_empty())
        .map_or(0, |last| last + 1);
    let used = u16::try_from(used).unwrap_or(u16::MAX);
    let (width, height) = (
        f32::from(columns) * CELL.0 + 2.0 * MARGIN,
        f32::from(used) * CELL.1 + 2.0 * MARGIN,
    );
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\n<title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n\
         <g font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" \
         font-size=\"{FONT_SIZE}\" xml:space=\"preserve\">\n",
        escaped(title)
    );
    for row in 0..used {
        for (column, text, look) in pieces(screen, row, columns) {
            piece(&mut svg, row, column, &text, &look);
        }
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// The texts of a row with their first columns; spaces between them are left out.
fn pieces(screen: &Screen, row: u16, columns: u16) -> Vec<(u16, String, Look)> {
    let mut pieces: Vec<(u16, String, Look)> = Vec::new();
    // Where the last piece ends, if the next cell may still join it.
    let mut open_until = None;
    for column in 0..columns {
        let Some(cell) = screen.cell(row, column).filter(|cell| cell.has_contents()) else {
            open_until = None;
            continue;
        };
        let look = look(cell);
        match pieces.last_mut() {
            Some((_, text, last)) if open_until == Some(column) && *last == look => {
                text.push_str(cell.contents());
            }
            _ if cell.contents().trim().is_empty() => {
                open_until = None;
                continue;
            }
            _ => pieces.push((column, cell.contents().to_owned(), look)),
        }
        open_until = Some(column + if cell.is_wide() { 2 } else { 1 });
    }
    for (_, text, _) in &mut pieces {
        text.truncate(text.trim_end().len());
    }
    pieces
}

/// One text; its length is given, so that columns stand below each other in any font.
fn piece(svg: &mut String, row: u16, column: u16, text: &str, look: &Look) {
    let cells = text.chars().count();
    let x = MARGIN + f32::from(column) * CELL.0;
    let y = MARGIN + f32::from(row) * CELL.1 + FONT_SIZE;
    let length = CELL.0 * f32::from(u16::try_from(cells).unwrap_or(u16::MAX));
    let mut style = String::new();
    if look.is_bold {
        style.push_str(" font-weight=\"bold\"");
    }
    if look.is_dim {
        style.push_str(" opacity=\"0.65\"");
    }
    if look.is_underlined {
        style.push_str(" text-decoration=\"underline\"");
    }
    // Writing to a string cannot fail.
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{length:.1}\" fill=\"{}\"{style}>{}</text>",
        look.colour,
        escaped(text)
    );
}

fn look(cell: &Cell) -> Look {
    let colour = if cell.inverse() {
        cell.bgcolor()
    } else {
        cell.fgcolor()
    };
    Look {
        colour: named(colour),
        is_bold: cell.bold(),
        is_dim: cell.dim(),
        is_underlined: cell.underline(),
    }
}

/// A colour as SVG has it: the sixteen of the palette, the cube of 216, greys, or as it is.
fn named(colour: Color) -> String {
    let rgb = |red: u8, green: u8, blue: u8| format!("#{red:02x}{green:02x}{blue:02x}");
    match colour {
        Color::Default => FOREGROUND.into(),
        Color::Rgb(red, green, blue) => rgb(red, green, blue),
        Color::Idx(index) => match index {
            0..16 => PALETTE[usize::from(index)].into(),
            16..232 => {
                let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
                let index = index - 16;
                rgb(level(index / 36), level(index / 6 % 6), level(index % 6))
            }
            232.. => {
                let grey = 8 + 10 * (index - 232);
                rgb(grey, grey, grey)
            }
        },
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;

    fn screen(text: &str) -> Screen {
        let size = |number| NonZeroU16::new(number).unwrap();
        let mut parser = vt100::Parser::new(size(10), size(40), 0);
        parser.process(text.as_bytes());
        parser.screen().clone()
    }

    #[test]
    fn words_of_one_look_are_one_text() {
        let drawn = draw(&screen("plain words \x1b[1;32mgood\x1b[0m  <end>"), "words");
        let texts: Vec<&str> = drawn.lines().filter(|it| it.starts_with("<text")).collect();
        assert_eq!(texts.len(), 3, "{drawn}");
        assert!(texts[0].ends_with(">plain words</text>"), "{drawn}");
        assert!(
            texts[1].contains("fill=\"#8ccf7e\" font-weight=\"bold\">good<"),
            "{drawn}"
        );
        assert!(texts[2].ends_with(">&lt;end&gt;</text>"), "{drawn}");
    }

    #[test]
    fn a_picture_ends_with_the_last_line() {
        let one = draw(&screen("one\r\n\r\n"), "lines");
        assert!(one.contains("height=\"50\""), "{one}");
    }

    #[test]
    fn colours_of_the_cube_are_those_of_xterm() {
        assert_eq!(named(Color::Idx(16)), "#000000");
        assert_eq!(named(Color::Idx(208)), "#ff8700");
        assert_eq!(named(Color::Idx(255)), "#eeeeee");
    }
}
