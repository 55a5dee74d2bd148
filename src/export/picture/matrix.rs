//! A map as a picture: a square for each element, blue for what is positive, orange for what is negative, white for zero;
//! labels at its sides, and a scale.

use super::{BLACK, Canvas, Colour, Drawing, End, GAP, GREY, LETTER, LINE, MARGIN, WHITE, folded, label, number, wide};
use crate::answer::text::quoted;
use crate::answer::{MapView, numbers};
use crate::export::ExportError;

/// Colours that people with colour blindness can distinguish; those of the pages.
const POSITIVE: [f64; 3] = [33.0, 102.0, 172.0];
const NEGATIVE: [f64; 3] = [230.0, 97.0, 1.0];

/// For NaN and for infinities.
const NOT_A_NUMBER: Colour = [200, 0, 200];
const INFINITE: Colour = [0, 0, 0];

/// The longer side of the squares together, in units: that of small matrices, of those whose labels all fit, and of larger ones.
const WANTED: usize = 640;
const LABELLED: usize = 128;
const LARGE: usize = 2048;
const LARGEST_SQUARE: usize = 64;

/// Squares of so many units have their number in them.
const WITH_NUMBER: usize = 52;

/// Characters of a label that are shown.
const SHOWN: usize = 24;

/// The scale next to the squares: its width, its least height, and its numbers.
const BAR: usize = 16;
const BAR_HEIGHT: usize = 120;
const TICKS: usize = 5;

/// Titles are not folded below this width.
const TITLE: usize = 480;

/// A map with its places.
pub struct Matrix<'a> {
    map: &'a MapView,
    side: usize,
    /// The largest finite magnitude, which has the full colour.
    largest: f64,
    title: Vec<String>,
    rows: Vec<String>,
    columns: Vec<String>,
    /// Whether the labels of columns are read from the bottom to the top.
    turned: bool,
    /// What the colours of elements that are no finite numbers mean.
    special: Vec<(Colour, &'static str)>,
}

impl Matrix<'_> {
    pub fn of(map: &MapView) -> Matrix<'_> {
        let longest = map.rows.max(map.columns).max(1);
        let side = match longest {
            ..=LABELLED => (WANTED / longest).clamp(LINE, LARGEST_SQUARE),
            _ => (LARGE / longest).max(1),
        };
        let short = |text: &String| {
            let text = label(text);
            match text.char_indices().nth(SHOWN) {
                Some((at, _)) => format!("{}...", &text[..at]),
                None => text,
            }
        };
        let columns: Vec<String> = map.column_labels.iter().map(short).collect();
        let found = |colour, name, is: fn(f64) -> bool| map.data.iter().any(|&x| is(x)).then_some((colour, name));
        let special = [found(NOT_A_NUMBER, "NaN", f64::is_nan), found(INFINITE, "infinite", f64::is_infinite)];
        let mut matrix = Matrix {
            map,
            side,
            largest: map.data.iter().filter(|x| x.is_finite()).fold(0.0f64, |most, x| most.max(x.abs())),
            title: Vec::new(),
            rows: map.row_labels.iter().map(short).collect(),
            turned: columns.iter().any(|text| wide(text) + GAP > side),
            columns,
            special: special.into_iter().flatten().collect(),
        };
        let width = matrix.size().0 - 2 * MARGIN;
        matrix.title = folded(&map.title, width.max(TITLE));
        if map.pool != [1, 1] {
            let pooled = format!("{}x{} elements a square, the largest magnitude shown", map.pool[0], map.pool[1]);
            matrix.title.extend(folded(&pooled, width.max(TITLE)));
        }
        matrix
    }

    pub fn largest(&self) -> f64 {
        self.largest
    }

    fn colour(&self, x: f64) -> Colour {
        if x.is_nan() {
            return NOT_A_NUMBER;
        }
        if x.is_infinite() {
            return INFINITE;
        }
        let share = if self.largest > 0.0 { x.abs() / self.largest } else { 0.0 };
        let full = if x < 0.0 { NEGATIVE } else { POSITIVE };
        full.map(|shade| (255.0 + share * (shade - 255.0)).round() as u8)
    }

    /// From where to where the scale goes.
    fn ends(&self) -> (f64, f64) {
        let some = |is: fn(f64) -> bool| self.map.data.iter().any(|&x| x.is_finite() && is(x));
        let low = if some(|x| x < 0.0) { -self.largest } else { 0.0 };
        let high = if some(|x| x > 0.0) || low == 0.0 { self.largest } else { 0.0 };
        (low, high)
    }

    fn ticks(&self) -> Vec<String> {
        let (low, high) = self.ends();
        (0..TICKS).map(|i| number(high + (low - high) * i as f64 / (TICKS - 1) as f64)).collect()
    }

    /// Where the squares begin.
    fn corner(&self) -> (usize, usize) {
        let widest = self.rows.iter().map(|text| wide(text)).max().unwrap_or(0);
        let axis = if self.map.axes[0].is_empty() { 0 } else { LINE + GAP };
        let labels = if widest > 0 { widest + GAP } else { 0 };
        (MARGIN + axis + labels, MARGIN + self.title.len() * LINE + GAP)
    }

    /// Units across and down that all squares take.
    fn squares(&self) -> (usize, usize) {
        (self.map.columns * self.side, self.map.rows * self.side)
    }

    /// How much is below the squares.
    fn below(&self) -> usize {
        let labels = match self.turned {
            true => self.columns.iter().map(|text| wide(text)).max().unwrap_or(0),
            false => LINE,
        };
        let axis = if self.map.axes[1].is_empty() { 0 } else { LINE };
        2 * GAP + labels + axis
    }

    /// A label at every so many squares fits.
    fn every(&self) -> usize {
        LINE.div_ceil(self.side)
    }

    /// `L0, pos 3 " France": 7.4e-35`.
    fn tip(&self, row: usize, column: usize) -> String {
        let map = self.map;
        let place = |axis: usize, i: usize, labels: &[String]| {
            let (name, at) = (map.axes[axis].as_str(), i * map.pool[axis]);
            match labels.get(i).map(String::as_str).filter(|text| !text.is_empty()) {
                None => format!("{name} {at}"),
                Some(text) if *text == at.to_string() => format!("{name} {at}"),
                Some(text) if matches!(name, "pos" | "q" | "k" | "generated") => {
                    format!("{name} {at} {}", quoted(text))
                }
                Some(text) if text.starts_with(' ') => quoted(text),
                Some(text) => text.to_string(),
            }
            .trim()
            .to_string()
        };
        let (down, across) = (place(0, row, &map.row_labels), place(1, column, &map.column_labels));
        let both = if down.is_empty() { across } else { format!("{down}, {across}") };
        format!("{both}: {}", numbers::short(map.data[row * map.columns + column]))
    }

    fn labels(&self, on: &mut dyn Canvas) {
        let ((left, top), (width, height)) = (self.corner(), self.squares());
        let middle = |i: usize| (i * self.side + self.side / 2).saturating_sub(LINE / 2);
        for (row, text) in self.rows.iter().enumerate().step_by(self.every()) {
            on.text((left - GAP, top + middle(row)), End::Right, text, BLACK);
        }
        for (column, text) in self.columns.iter().enumerate().step_by(self.every()) {
            match self.turned {
                true => on.turned((left + middle(column), top + height + GAP), text, BLACK),
                false => {
                    let from = (left + column * self.side + self.side / 2).saturating_sub(wide(text) / 2);
                    on.text((from, top + height + GAP), End::Left, text, BLACK);
                }
            }
        }
        let [down, across] = &self.map.axes;
        on.turned((MARGIN, top + (height / 2).saturating_sub(wide(down) / 2)), down, GREY);
        let at = (left + (width / 2).saturating_sub(wide(across) / 2), self.size().1 - MARGIN - LINE);
        on.text(at, End::Left, across, GREY);
    }

    fn scale(&self, on: &mut dyn Canvas) {
        let ((left, top), (width, height)) = (self.corner(), self.squares());
        let (x, tall) = (left + width + 2 * GAP, height.max(BAR_HEIGHT));
        let (low, high) = self.ends();
        for y in 0..tall {
            let value = high + (low - high) * y as f64 / (tall - 1) as f64;
            on.rectangle((x, top + y), (BAR, 1), self.colour(value), None);
        }
        for (i, text) in self.ticks().iter().enumerate() {
            let y = top + i * (tall - 1) / (TICKS - 1);
            on.rectangle((x + BAR, y), (GAP / 2, 1), BLACK, None);
            on.text((x + BAR + GAP, y.saturating_sub(LINE / 2)), End::Left, text, BLACK);
        }
        for (i, (colour, text)) in self.special.iter().enumerate() {
            let y = top + tall + GAP + LINE / 2 + i * LINE;
            on.rectangle((x, y), (LETTER, LETTER), *colour, None);
            on.text((x + BAR, y.saturating_sub(LINE / 4)), End::Left, text, BLACK);
        }
    }
}

impl Drawing for Matrix<'_> {
    fn size(&self) -> (usize, usize) {
        let ((left, top), (width, height)) = (self.corner(), self.squares());
        let special = self.special.iter().map(|(_, text)| wide(text));
        let scale_width = self.ticks().iter().map(|text| wide(text)).chain(special).max().unwrap_or(0);
        let scale_width = 2 * GAP + BAR + GAP + scale_width;
        let title = self.title.iter().map(|line| wide(line)).max().unwrap_or(0);
        let special = if self.special.is_empty() { 0 } else { 2 * GAP + self.special.len() * LINE };
        let scale = height.max(BAR_HEIGHT) + special + LINE / 2;
        ((left + width + scale_width).max(MARGIN + title) + MARGIN, top + scale.max(height + self.below()) + MARGIN)
    }

    fn draw(&self, on: &mut dyn Canvas) {
        for (i, line) in self.title.iter().enumerate() {
            on.text((MARGIN, MARGIN + i * LINE), End::Left, line, BLACK);
        }
        let (left, top) = self.corner();
        for (i, x) in self.map.data.iter().enumerate() {
            let (row, column) = (i / self.map.columns, i % self.map.columns);
            let at = (left + column * self.side, top + row * self.side);
            let colour = self.colour(*x);
            on.rectangle(at, (self.side, self.side), colour, Some(&self.tip(row, column)));
            let text = number(*x);
            if self.side >= WITH_NUMBER && wide(&text) < self.side {
                let dark = colour.iter().map(|shade| u32::from(*shade)).sum::<u32>() < 3 * 150;
                let from = (at.0 + (self.side - wide(&text)) / 2, at.1 + (self.side - LINE) / 2);
                on.text(from, End::Left, &text, if dark { WHITE } else { BLACK });
            }
        }
        self.labels(on);
        self.scale(on);
    }

    fn too_large(&self, most: usize) -> ExportError {
        ExportError::TooManyPixels { shape: [self.map.rows, self.map.columns], most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Answer;
    use crate::export::picture;

    fn map(rows: &[&str], columns: &[&str], data: Vec<f64>) -> MapView {
        let labels = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect();
        MapView::grid("lens of <x>", ("layer", labels(rows)), ("pos", labels(columns)), data)
    }

    #[test]
    fn elements_are_squares_of_their_colours() {
        let data = vec![1.0, -1.0, 0.0, f64::NAN, 0.5, f64::NEG_INFINITY];
        let map = map(&["L0", "L1"], &["The", " n", " and"], data);
        let (left, top, side) = {
            let matrix = Matrix::of(&map);
            (matrix.corner().0, matrix.corner().1, matrix.side)
        };
        let file = picture::png(&Answer::Map(map.clone())).unwrap().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        // Two pixels a unit; near the corner of a square, where no letter of its number is.
        let at = |row: usize, column: usize| {
            let (x, y) = (2 * (left + column * side + 3), 2 * (top + row * side + 3));
            let pixel = (y * info.width as usize + x) * 3;
            [pixels[pixel], pixels[pixel + 1], pixels[pixel + 2]]
        };
        assert_eq!([at(0, 0), at(0, 1), at(0, 2)], [[33, 102, 172], [230, 97, 1], [255, 255, 255]]);
        assert_eq!([at(1, 0), at(1, 1), at(1, 2)], [NOT_A_NUMBER, [144, 179, 214], INFINITE]);
        // Labels left dark pixels next to the squares.
        let dark = |x: usize, y: usize| pixels[(y * info.width as usize + x) * 3] < 100;
        assert!((0..2 * (left - GAP)).any(|x| (2 * top..2 * (top + side)).any(|y| dark(x, y))), "a label of a row");
    }

    #[test]
    fn f11_a_page_has_labels_axes_a_title_a_scale_and_short_numbers() {
        let map = map(&["L0", "L1"], &["The", " France"], vec![7.404415121685491e-35, 0.0, -0.25, 0.123456]);
        let page = picture::svg(&Answer::Map(map)).unwrap();
        for text in [
            "<title>L0, pos 0 &quot;The&quot;: 7.404e-35</title>",
            "<title>L1, pos 1 &quot; France&quot;: 0.1235</title>",
            ">lens of &lt;x&gt;</text>",
            ">France</text>",
            ">L1</text>",
            ">layer</text>",
            ">pos</text>",
            // The ends and the middle of the scale.
            ">0.25</text>",
            ">-0.25</text>",
            ">0.125</text>",
        ] {
            assert!(page.contains(text), "{text} is not in {page}");
        }
        assert!(!page.contains("0000000"), "{page}");
    }

    #[test]
    fn what_does_not_fit_is_refused_and_many_rows_have_fewer_labels() {
        let wide = MapView::grid("", ("", vec![String::new()]), ("", vec![String::new(); 9000]), vec![0.0; 9000]);
        let error = picture::png(&Answer::Map(wide)).unwrap().unwrap_err();
        assert_eq!(error.to_string(), "1 by 9000 elements do not fit into 8192 pixels: take a part");
        let numbers = |n: usize| (0..n).map(|i| i.to_string()).collect();
        let many = MapView::grid("", ("head", numbers(1000)), ("k", numbers(1)), vec![1.0; 1000]);
        let page = picture::svg(&Answer::Map(many)).unwrap();
        assert!(page.contains(">992</text>") && !page.contains(">993</text>"), "a label at every eighth row");
        assert!(page.contains("<title>head 993, k 0: 1</title>"), "{page}");
    }
}
