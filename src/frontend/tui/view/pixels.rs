//! Heat maps in pixels: the same cells in the same colours as with half blocks, and the marks of special values drawn in
//! each cell.

use super::heat::{BEYOND, Cell, Heat, LABELS, Plan, cell};
use super::{Canvas, Rect, Role};
use crate::answer::MapView;
use crate::frontend::tui::scales::Measure;
use crate::frontend::tui::theme::Theme;
use crate::term::graphics::{Picture, Raster};

/// The marks as pixels, each row from its highest bit.
const MARKS: [(char, [u8; SIDE]); 5] = [
    ('N', [0b10001, 0b11001, 0b10101, 0b10011, 0b10001]),
    ('+', [0b00100, 0b00100, 0b11111, 0b00100, 0b00100]),
    ('-', [0b00000, 0b00000, 0b11111, 0b00000, 0b00000]),
    ('^', [0b00100, 0b01010, 0b10001, 0b00000, 0b00000]),
    (MASKED, [0b00000, 0b00000, 0b00100, 0b00000, 0b00000]),
];

/// Rows and columns of a mark.
const SIDE: usize = 5;

const MASKED: char = '.';

/// The colours of NaN and infinities, which are those of text in reverse video.
const PAPER: [u8; 3] = [0xf0; 3];
const INK: [u8; 3] = [0; 3];

/// A picture while it is drawn.
struct Drawing {
    raster: Raster,
    /// Width and height of a cell of the screen, in pixels.
    cell: (usize, usize),
}

/// A rectangle: its corner, and width and height.
type Place = ((usize, usize), (usize, usize));

impl Drawing {
    /// The pixels of `columns` columns of text from `x` on, and of half rows of text in `halves`.
    fn place(&self, x: usize, columns: usize, halves: (usize, usize)) -> Place {
        let (width, height) = self.cell;
        let line = |half: usize| half / 2 * height + half % 2 * (height / 2);
        let (top, bottom) = (line(halves.0), line(halves.1));
        ((x * width, top), (columns * width, bottom - top))
    }

    fn fill(&mut self, place: Place, colour: [u8; 3]) {
        let number = self.raster.number(colour);
        self.raster.fill(place.0, place.1, number);
    }

    /// Draws a mark in the middle, as large as it fits. Where there is no room for it, every second pixel is drawn.
    fn mark(&mut self, ((x, y), (width, height)): Place, mark: char, colour: [u8; 3]) {
        let number = self.raster.number(colour);
        let scale = width.min(height) / (SIDE + 1);
        let Some((_, rows)) = MARKS.iter().find(|(known, _)| *known == mark).filter(|_| scale > 0) else {
            for at in (0..width * height).filter(|at| (at / width + at % width).is_multiple_of(2)) {
                self.raster.fill((x + at % width, y + at / width), (1, 1), number);
            }
            return;
        };
        let corner = (x + (width - SIDE * scale) / 2, y + (height - SIDE * scale) / 2);
        for (row, bits) in rows.iter().enumerate() {
            for column in (0..SIDE).filter(|column| bits >> (SIDE - 1 - column) & 1 == 1) {
                let at = (corner.0 + column * scale, corner.1 + row * scale);
                self.raster.fill(at, (scale, scale), number);
            }
        }
    }
}

/// Adds a picture over `columns` by `rows` cells at `(x, y)` of the canvas, if the terminal draws pictures and nothing of
/// it would be cut off.
fn add(canvas: &mut Canvas, (x, y): (usize, usize), (columns, rows): (usize, usize), draw: impl FnOnce(&mut Drawing)) {
    let Some(surface) = canvas.state.pixels.surface() else { return };
    let corner = (usize::from(canvas.area.x) + x, usize::from(canvas.area.y) + y);
    let area = Rect::new(corner.0 as u16, corner.1 as u16, columns as u16, rows as u16);
    if area.is_empty() || area.intersection(canvas.area) != area {
        return;
    }
    let cell = (usize::from(surface.cell.0), usize::from(surface.cell.1));
    let mut drawing = Drawing { raster: Raster::new(columns * cell.0, rows * cell.1), cell };
    draw(&mut drawing);
    canvas.pictures.push(Picture { area, raster: drawing.raster });
}

/// Adds the picture of the cells of a map that is laid out by `plan`.
pub(super) fn map(canvas: &mut Canvas, heat: &Heat<'_>, measure: &Measure, plan: &Plan) {
    let state = canvas.state;
    let theme = &state.theme;
    // The half rows of text of one value.
    let halves = if plan.half { 1 } else { 2 };
    let rows = (plan.shown.0 * halves).div_ceil(2);
    add(canvas, (LABELS, 1), (plan.shown.1 * plan.cell, rows), |drawing| {
        for (row, column) in (0..plan.shown.0).flat_map(|row| (0..plan.shown.1).map(move |column| (row, column))) {
            let value = cell(heat, measure, plan.first.0 + row, plan.first.1 + column);
            let place = drawing.place(column * plan.cell, plan.cell, (row * halves, (row + 1) * halves));
            draw_cell(drawing, theme, (heat.map, value), place, plan.half);
        }
    });
}

fn draw_cell(drawing: &mut Drawing, theme: &Theme, (map, value): (&MapView, Cell), place: Place, half: bool) {
    let grey = [0x80; 3];
    match value {
        Cell::Absent => {}
        Cell::Masked => drawing.mark(place, MASKED, theme.role_rgb(Role::Masked).unwrap_or(grey)),
        Cell::Special(letter) => {
            drawing.fill(place, PAPER);
            drawing.mark(place, letter, INK);
        }
        Cell::Level(t, beyond) => {
            let Some(colour) = theme.heat_rgb(map.scale, t) else { return };
            if beyond && half {
                return drawing.fill(place, theme.role_rgb(Role::Beyond).unwrap_or(grey));
            }
            drawing.fill(place, colour);
            if let (true, Some(mark)) = (beyond, BEYOND.chars().next()) {
                let ink = theme.ink_rgb(map.scale, t).unwrap_or(INK);
                drawing.mark(place, mark, ink);
            }
        }
    }
}

/// Adds the picture of a small map, in which a value has so many columns and half rows of text; `level` says the part of
/// the scale of a row and column, if it has one.
pub(super) fn small(
    canvas: &mut Canvas,
    map: &MapView,
    (wide, halves): (usize, usize),
    level: impl Fn(usize, usize) -> Option<f64>,
) {
    let state = canvas.state;
    let theme = &state.theme;
    let columns = (map.columns * wide).min(canvas.width());
    let rows = (map.rows * halves).div_ceil(2).min(canvas.height());
    add(canvas, (0, 0), (columns, rows), |drawing| {
        for (row, column) in (0..map.rows).flat_map(|row| (0..map.columns).map(move |column| (row, column))) {
            let place = drawing.place(column * wide, wide, (row * halves, (row + 1) * halves));
            if let Some(colour) = level(row, column).and_then(|t| theme.heat_rgb(map.scale, t)) {
                drawing.fill(place, colour);
            }
        }
    });
}
