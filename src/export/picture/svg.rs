//! A canvas that is an SVG page: sharp at any size, with real text, and with numbers where a pointer rests.

use std::fmt::Write;

use super::{Canvas, Colour, Drawing, End, LETTER};
use crate::export::html::escaped;

/// From the upper edge of a line to the feet of its letters.
const BASELINE: usize = 12;

struct Page(String);

pub fn page(drawing: &dyn Drawing) -> String {
    let (width, height) = drawing.size();
    let mut page = Page(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"'Noto Sans Mono', 'DejaVu Sans Mono', ui-monospace, monospace\" font-size=\"{:.1}\" \
         shape-rendering=\"crispEdges\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n",
        LETTER as f64 / 0.6
    ));
    drawing.draw(&mut page);
    page.0.push_str("</svg>\n");
    page.0
}

fn rgb([r, g, b]: Colour) -> String {
    format!("rgb({r},{g},{b})")
}

impl Canvas for Page {
    fn rectangle(&mut self, (x, y): (usize, usize), (w, h): (usize, usize), colour: Colour, tip: Option<&str>) {
        _ = write!(self.0, "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"{}\"", rgb(colour));
        _ = match tip {
            Some(tip) => writeln!(self.0, "><title>{}</title></rect>", escaped(tip)),
            None => writeln!(self.0, "/>"),
        };
    }

    fn text(&mut self, (x, y): (usize, usize), end: End, text: &str, colour: Colour) {
        let anchor = if end == End::Right { " text-anchor=\"end\"" } else { "" };
        let (y, fill, text) = (y + BASELINE, rgb(colour), escaped(text));
        _ = writeln!(self.0, "<text x=\"{x}\" y=\"{y}\" fill=\"{fill}\"{anchor} xml:space=\"preserve\">{text}</text>");
    }

    fn turned(&mut self, (x, y): (usize, usize), text: &str, colour: Colour) {
        let (x, fill, text) = (x + BASELINE, rgb(colour), escaped(text));
        _ = writeln!(
            self.0,
            "<text transform=\"translate({x} {y}) rotate(-90)\" fill=\"{fill}\" text-anchor=\"end\" xml:space=\"preserve\">{text}</text>"
        );
    }

    fn line(&mut self, from: (usize, usize), to: (usize, usize), thick: f64, colour: Colour, tip: &str) {
        let ((x1, y1), (x2, y2), stroke, tip) = (from, to, rgb(colour), escaped(tip));
        _ = writeln!(
            self.0,
            "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"{stroke}\" stroke-width=\"{thick:.1}\" \
             stroke-opacity=\"0.6\" shape-rendering=\"auto\"><title>{tip}</title></line>"
        );
    }
}
