//! The screen as a picture in SVG, with real text: for documents, papers and issues.

use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::theme::rgb;

/// The size of a character cell, and the part of its height above the baseline.
const WIDTH: f64 = 8.4;
const HEIGHT: f64 = 18.0;
const BASELINE: f64 = 13.5;

/// The colours of text and ground where a style has none.
const INK: &str = "#d0d0d0";
const GROUND: &str = "#121212";

/// The sixteen colours of terminals, as xterm has them.
const NAMED: [u32; 16] = [
    0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee, 0xcd00cd, 0x00cdcd, 0xe5e5e5, 0x7f7f7f, 0xff0000, 0x00ff00,
    0xffff00, 0x5c5cff, 0xff00ff, 0x00ffff, 0xffffff,
];

/// How a run of cells looks.
#[derive(Clone, PartialEq)]
struct Look {
    ink: String,
    ground: String,
    bold: bool,
    underlined: bool,
}

/// The picture of a buffer.
pub fn svg(buffer: &Buffer) -> String {
    let (columns, rows) = (buffer.area.width, buffer.area.height);
    let (width, height) = (f64::from(columns) * WIDTH, f64::from(rows) * HEIGHT);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.1} {height:.1}\" \
         font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"{GROUND}\"/>\n"
    );
    for y in 0..rows {
        let mut x = 0;
        while x < columns {
            let look = look(&buffer[(x, y)]);
            let (start, mut text) = (x, String::new());
            while x < columns && self::look(&buffer[(x, y)]) == look {
                let symbol = buffer[(x, y)].symbol();
                text.push_str(symbol);
                x += (super::text::width(symbol).max(1) as u16).min(columns - x);
            }
            run(&mut out, (start, x, y), &look, &text);
        }
    }
    out + "</svg>\n"
}

fn run(out: &mut String, (start, end, y): (u16, u16, u16), look: &Look, text: &str) {
    let (x, top) = (f64::from(start) * WIDTH, f64::from(y) * HEIGHT);
    let width = f64::from(end - start) * WIDTH;
    if look.ground != GROUND {
        let ground = &look.ground;
        _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\" fill=\"{ground}\"/>"
        );
    }
    // Half blocks are drawn, because fonts leave gaps between them.
    for (symbol, part) in [("▀", 0.0), ("▄", HEIGHT / 2.0)] {
        if !text.is_empty() && text.replace(symbol, "").is_empty() {
            let (top, height, ink) = (top + part, HEIGHT / 2.0, &look.ink);
            _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{ink}\"/>"
            );
            return;
        }
    }
    if text.trim().is_empty() {
        return;
    }
    let weight = if look.bold { " font-weight=\"bold\"" } else { "" };
    let line = if look.underlined { " text-decoration=\"underline\"" } else { "" };
    let (y, ink, text) = (top + BASELINE, &look.ink, escaped(text));
    _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{width:.1}\" fill=\"{ink}\"{weight}{line} xml:space=\"preserve\">{text}</text>"
    );
}

fn look(cell: &Cell) -> Look {
    let (mut ink, mut ground) = (colour(cell.fg, INK), colour(cell.bg, GROUND));
    if cell.modifier.contains(Modifier::REVERSED) {
        std::mem::swap(&mut ink, &mut ground);
    }
    let (bold, underlined) = (cell.modifier.contains(Modifier::BOLD), cell.modifier.contains(Modifier::UNDERLINED));
    Look { ink, ground, bold, underlined }
}

fn colour(colour: Color, default: &str) -> String {
    let named = |index: usize| format!("#{:06x}", NAMED[index]);
    match colour {
        Color::Reset => default.to_string(),
        Color::Rgb(..) | Color::Indexed(16..) => {
            rgb(colour).map_or_else(|| default.to_string(), |[r, g, b]| format!("#{r:02x}{g:02x}{b:02x}"))
        }
        Color::Indexed(index) => named(index.into()),
        Color::Black => named(0),
        Color::Red => named(1),
        Color::Green => named(2),
        Color::Yellow => named(3),
        Color::Blue => named(4),
        Color::Magenta => named(5),
        Color::Cyan => named(6),
        Color::Gray => named(7),
        Color::DarkGray => named(8),
        Color::LightRed => named(9),
        Color::LightGreen => named(10),
        Color::LightYellow => named(11),
        Color::LightBlue => named(12),
        Color::LightMagenta => named(13),
        Color::LightCyan => named(14),
        Color::White => named(15),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn text_is_text_and_half_blocks_are_rectangles() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 2));
        buffer.set_string(0, 0, "a<b", Style::new().fg(Color::Indexed(203)));
        buffer.set_string(4, 0, "▀▀", Style::new().fg(Color::Rgb(1, 2, 3)).bg(Color::Indexed(232)));
        buffer.set_string(0, 1, "all", Style::new().add_modifier(Modifier::REVERSED));
        let picture = svg(&buffer);
        assert!(picture.contains("fill=\"#ff5f5f\" xml:space=\"preserve\">a&lt;b</text>"), "{picture}");
        assert!(picture.contains("fill=\"#010203\"") && picture.contains("fill=\"#080808\""), "{picture}");
        assert!(!picture.contains('▀'));
        assert!(picture.contains(&format!("fill=\"{GROUND}\" xml:space=\"preserve\">all</text>")), "{picture}");
    }
}
