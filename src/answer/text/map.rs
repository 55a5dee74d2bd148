//! A heat map without colours: one two-character cell for each element, darker characters for larger magnitudes.
//!
//! In a sequential map both characters of a cell are the glyph. In a diverging one the first is the sign, so that a
//! negative value differs from a positive one of the same size. NaN and the infinities are letters.

use super::visible;
use crate::answer::numbers::short;
use crate::answer::{MapView, Scale};

/// From least to most, each for a tenth of the range.
const RAMP: [char; 10] = [' ', '.', ':', '-', '=', '+', '*', '#', '%', '@'];

/// The lines of `map`: title, range, column numbers, one line for each row, the legend, and the column labels.
pub fn lines(map: &MapView) -> Vec<String> {
    let range = Range::of(map);
    let labels: Vec<String> = map.row_labels.iter().map(|label| visible(label)).collect();
    let margin = labels.iter().map(|label| width(label)).max().unwrap_or(0);
    let mut lines = Vec::with_capacity(map.rows + 5);
    if !map.title.is_empty() {
        lines.push(visible(&map.title));
    }
    lines.push(range.legend(map));
    let numbers: String = (0..map.columns).map(|column| format!(" {}", column % 10)).collect();
    lines.push(format!("{:margin$}  {numbers}", ""));
    for (row, cells) in map.data.chunks(map.columns.max(1)).take(map.rows).enumerate() {
        let label = labels.get(row).map_or("", String::as_str);
        let cells: String = cells.iter().flat_map(|&x| range.cell(x)).collect();
        let space = " ".repeat(margin - width(label));
        lines.push(format!("{label}{space}  {cells}").trim_end().to_string());
    }
    lines.extend(column_key(map));
    lines
}

/// `columns: 0 When  1 Mary`; `None` if the columns have no labels.
fn column_key(map: &MapView) -> Option<String> {
    if map.column_labels.iter().all(String::is_empty) {
        return None;
    }
    let labels = map.column_labels.iter().enumerate().map(|(i, label)| format!("{i} {}", visible(label).trim()));
    let labels: Vec<String> = labels.collect();
    let axis = Some(map.axes[1].as_str()).filter(|axis| !axis.is_empty()).unwrap_or("columns");
    Some(format!("{}: {}", visible(axis), labels.join("  ")))
}

fn width(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// What the ramp spans: from `low` to `high` (sequential), or magnitudes from 0 to `high` (diverging).
struct Range {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Range {
    fn of(map: &MapView) -> Range {
        let finite = || map.data.iter().copied().filter(|x| x.is_finite());
        let highest = |all: &mut dyn Iterator<Item = f64>| all.fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = match map.scale {
            Scale::Sequential => (finite().fold(f64::INFINITY, f64::min), highest(&mut finite())),
            Scale::Diverging => (0.0, highest(&mut finite().map(f64::abs))),
        };
        // Probabilities and norms are shown relative to 0, not to their smallest.
        Range { scale: map.scale, low: if low >= 0.0 { 0.0 } else { low }, high }
    }

    /// The two characters of one element.
    fn cell(&self, x: f64) -> [char; 2] {
        match (SPECIAL.iter().find(|(.., is)| is(x)), self.scale) {
            (Some((letter, ..)), _) => [' ', *letter],
            (None, Scale::Sequential) => [self.glyph(x); 2],
            (None, Scale::Diverging) => [if x < 0.0 { '-' } else { ' ' }, self.glyph(x.abs())],
        }
    }

    fn glyph(&self, x: f64) -> char {
        let span = self.high - self.low;
        let part = if span > 0.0 { (x - self.low) / span } else { f64::from(u8::from(x != 0.0)) };
        RAMP[((part * RAMP.len() as f64) as usize).min(RAMP.len() - 1)]
    }

    /// The meaning of the characters, and how many elements are in one cell.
    fn legend(&self, map: &MapView) -> String {
        let ramp: String = RAMP.iter().collect();
        let mut parts = Vec::new();
        if self.high.is_finite() {
            parts.push(match self.scale {
                Scale::Sequential => format!("\"{ramp}\" is {} to {}", short(self.low), short(self.high)),
                Scale::Diverging => format!("\"{ramp}\" is 0 to {}, with a leading - if negative", short(self.high)),
            });
        }
        let found = SPECIAL.iter().filter(|(.., is)| map.data.iter().any(|&x| is(x)));
        parts.extend(found.map(|(letter, meaning, _)| format!("{letter} is {meaning}")));
        if map.pool != [1, 1] {
            parts.push(format!("{}x{} elements per cell, the largest magnitude shown", map.pool[0], map.pool[1]));
        }
        parts.join("; ")
    }
}

/// Letters for what the ramp cannot show, and whether an element is that.
const SPECIAL: [(char, &str, fn(f64) -> bool); 3] =
    [('N', "NaN", f64::is_nan), ('I', "inf", |x| x == f64::INFINITY), ('i', "-inf", |x| x == f64::NEG_INFINITY)];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Summary;

    fn map(scale: Scale, data: Vec<f64>) -> MapView {
        let labels = ["When", " Mary", " and"].map(String::from).to_vec();
        MapView {
            title: "L2.attn.pattern head 1".into(),
            rows: 3,
            columns: data.len() / 3,
            data,
            row_labels: labels.clone(),
            column_labels: labels,
            pool: [1, 1],
            axes: ["q".into(), "k".into()],
            scale,
            shape: vec![3, 3],
            summary: Summary::default(),
        }
    }

    #[test]
    fn attention() {
        let map = map(Scale::Sequential, vec![1.0, 0.0, 0.0, 0.3, 0.7, 0.0, 0.05, 0.15, 0.8]);
        insta::assert_snapshot!(lines(&map).join("\n"), @r#"
        L2.attn.pattern head 1
        " .:-=+*#%@" is 0 to 1
                0 1 2
        When   @@
         Mary  --##
         and     ..%%
        k: 0 When  1 Mary  2 and
        "#);
    }

    #[test]
    fn signs_letters_and_pooling() {
        let mut map = map(Scale::Diverging, vec![-2.0, 2.0, f64::NAN, f64::NEG_INFINITY, 0.0, 1.0]);
        map.pool = [4, 2];
        map.column_labels = vec![];
        insta::assert_snapshot!(lines(&map).join("\n"), @r#"
        L2.attn.pattern head 1
        " .:-=+*#%@" is 0 to 2, with a leading - if negative; N is NaN; i is -inf; 4x2 elements per cell, the largest magnitude shown
                0 1
        When   -@ @
         Mary   N i
         and      +
        "#);
    }

    #[test]
    fn a_constant_map_has_a_glyph() {
        let flat = map(Scale::Sequential, vec![0.5; 3]);
        assert!(lines(&flat)[3].ends_with("@@"));
        let zero = map(Scale::Diverging, vec![0.0; 3]);
        assert_eq!(lines(&zero)[3], "When");
        let none = map(Scale::Sequential, vec![f64::NAN; 3]);
        assert_eq!(lines(&none)[1], "N is NaN");
    }
}
