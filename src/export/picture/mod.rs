//! Answers as pictures for papers and issues: matrices with their labels and a scale, and tables. A picture is drawn
//! once, on a canvas that is an SVG page or the pixels of a PNG file.

mod matrix;
pub mod network;
mod png;
mod svg;
mod table;

use unicode_width::UnicodeWidthStr;

use super::ExportError;
use crate::answer::text::visible;
use crate::answer::{Answer, numbers};

pub use matrix::Matrix;

/// Width and height of a character, in units: those of the pixel font, whose size the letters of an SVG page have too.
const LETTER: usize = 7;
const LINE: usize = 16;

/// Units around a picture, and between its parts.
const MARGIN: usize = 10;
const GAP: usize = 6;

type Colour = [u8; 3];

const BLACK: Colour = [32, 32, 32];
const GREY: Colour = [150, 150, 150];
const WHITE: Colour = [255, 255, 255];

/// Which end of a text is at the place that it is drawn at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Left,
    Right,
}

/// What a picture is drawn on, in units from the upper left corner.
trait Canvas {
    /// A rectangle of so many units, with what is said of it where a pointer rests on it.
    fn rectangle(&mut self, at: (usize, usize), size: (usize, usize), colour: Colour, tip: Option<&str>);

    /// A line of text in a box of the height of a line, whose upper corner at one end is given.
    fn text(&mut self, at: (usize, usize), end: End, text: &str, colour: Colour);

    /// The same, read from the bottom to the top: its end is at `at`, the upper left corner of the box.
    fn turned(&mut self, at: (usize, usize), text: &str, colour: Colour);

    /// A line so many units thick, with what is said of it where a pointer rests on it.
    fn line(&mut self, from: (usize, usize), to: (usize, usize), thick: f64, colour: Colour, tip: &str);
}

/// What can be drawn.
trait Drawing {
    /// Units across and down.
    fn size(&self) -> (usize, usize);

    fn draw(&self, on: &mut dyn Canvas);

    /// What is said where it is too large.
    fn too_large(&self, most: usize) -> ExportError;
}

/// A table or a map as an SVG page; none of other answers.
pub fn svg(answer: &Answer) -> Option<String> {
    Some(svg::page(drawing(answer)?.as_ref()))
}

/// The same as a PNG file.
pub fn png(answer: &Answer) -> Option<Result<Vec<u8>, ExportError>> {
    Some(png::file(drawing(answer)?.as_ref()))
}

/// A graph as an SVG page.
pub fn network_svg(network: &network::Network) -> String {
    svg::page(network)
}

/// The same as a PNG file.
///
/// # Errors
/// If it is too large for one.
pub fn network_png(network: &network::Network) -> Result<Vec<u8>, ExportError> {
    png::file(network)
}

fn drawing(answer: &Answer) -> Option<Box<dyn Drawing + '_>> {
    match answer {
        Answer::Map(map) => Some(Box::new(Matrix::of(map))),
        Answer::Table(table) => Some(Box::new(table::Sheet::of(table))),
        _ => None,
    }
}

/// How many units a text is wide.
fn wide(text: &str) -> usize {
    LETTER * text.width()
}

/// A label without the space that tokens begin with; what is only spaces is quoted.
fn label(text: &str) -> String {
    let shown = visible(text);
    match shown.trim() {
        "" if !text.is_empty() => format!("\"{shown}\""),
        trimmed => trimmed.to_string(),
    }
}

/// The lines of a text, none of which is wider than so many units.
fn folded(text: &str, units: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut current = String::new();
        for word in visible(line).split(' ') {
            if !current.is_empty() && wide(&current) + LETTER + wide(word) > units {
                lines.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(word);
        }
        lines.push(current);
    }
    lines
}

/// A number as it is written beside or in what it is the number of.
fn number(x: f64) -> String {
    numbers::significant(x, 3)
}
