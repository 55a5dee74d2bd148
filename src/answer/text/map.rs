//! A heat map without colours: one two-character cell for each element, darker characters for larger magnitudes.
//!
//! In a sequential map both characters of a cell are the glyph. In a diverging one the first is the sign, so that a
//! negative value differs from a positive one of the same size. NaN and the infinities are letters.

use unicode_width::UnicodeWidthStr;

use super::{quoted, visible, wrapped};
use crate::answer::numbers::short;
use crate::answer::{MapView, Scale};

/// From least to most, each for a tenth of the range. None of them is a sign.
const RAMP: [char; 10] = [' ', '.', ':', ';', '~', '=', '*', '#', '%', '@'];

/// Cells that are named below the map.
const NAMED: usize = 5;

/// The lines of `map`: title, range, column numbers, one line for each row, the column labels, and the largest cells. Columns that
/// do not fit a `width` are in further parts.
pub fn lines(map: &MapView, width: Option<usize>) -> Vec<String> {
    let range = Range::of(map);
    let labels: Vec<String> = map.row_labels.iter().map(|label| visible(label)).collect();
    let margin = labels.iter().map(|label| label.width()).max().unwrap_or(0);
    let fitted = |line: String| width.map_or_else(|| vec![line.clone()], |width| wrapped(&line, width));
    let mut lines = Vec::with_capacity(map.rows + 5);
    if !map.title.is_empty() {
        lines.extend(fitted(visible(&map.title)));
    }
    lines.extend(fitted(range.legend(map)));
    let room = width.map_or(usize::MAX, |width| (width.saturating_sub(margin + 2) / 2).max(1));
    for first in (0..map.columns.max(1)).step_by(room.min(map.columns.max(1))) {
        let columns = first..map.columns.min(first.saturating_add(room));
        lines.extend(numbers(columns.clone()).into_iter().map(|line| format!("{:margin$}  {line}", "")));
        for (row, cells) in map.data.chunks(map.columns.max(1)).take(map.rows).enumerate() {
            let label = labels.get(row).map_or("", String::as_str);
            let cells: String = cells[columns.clone()].iter().flat_map(|&x| range.cell(x)).collect();
            let space = " ".repeat(margin - label.width());
            lines.push(format!("{label}{space}  {cells}").trim_end().to_string());
        }
    }
    lines.extend(column_key(map).into_iter().chain(largest(map)).flat_map(fitted));
    lines
}

/// The numbers of columns from top to bottom, a line for each digit.
fn numbers(columns: std::ops::Range<usize>) -> Vec<String> {
    let digits = columns.end.saturating_sub(1).max(1).ilog10();
    let line = |place: u32| {
        let digit = |column: usize| match (column / 10usize.pow(place), place) {
            (0, 1..) => "  ".to_string(),
            (number, _) => format!(" {}", number % 10),
        };
        columns.clone().map(digit).collect::<String>().trim_end().to_string()
    };
    (0..=digits).rev().map(line).collect()
}

/// `columns: 0 When  1 Mary`; `None` if the columns have no labels but their numbers.
fn column_key(map: &MapView) -> Option<String> {
    let says_more = |(i, label): (usize, &String)| !label.is_empty() && *label != i.to_string();
    if !map.column_labels.iter().enumerate().any(says_more) {
        return (!map.axes[1].is_empty()).then(|| format!("columns: {}", visible(&map.axes[1])));
    }
    let labels = map.column_labels.iter().enumerate().map(|(i, label)| format!("{i} {}", visible(label).trim()));
    let labels: Vec<String> = labels.collect();
    let axis = Some(map.axes[1].as_str()).filter(|axis| !axis.is_empty()).unwrap_or("columns");
    Some(format!("{}: {}", visible(axis), labels.join("  ")))
}

/// `largest: L3, head 1: 0.83; ...`; `None` if cells are not elements, or if there is nothing to tell apart.
fn largest(map: &MapView) -> Option<String> {
    if map.pool != [1, 1] || map.data.len() <= NAMED {
        return None;
    }
    let size = |i: &usize| match map.scale {
        Scale::Sequential => map.data[*i],
        Scale::Diverging => map.data[*i].abs(),
    };
    let mut order: Vec<usize> = (0..map.data.len()).filter(|i| size(i).is_finite() && size(i) > 0.0).collect();
    order.sort_by(|a, b| size(b).total_cmp(&size(a)));
    let place = |axis: &str, at: usize, labels: &[String]| match labels.get(at).map(String::as_str) {
        None | Some("") => format!("{axis} {at}"),
        Some(label) if label == at.to_string() => format!("{axis} {at}"),
        // Blocks and sites name themselves.
        Some(label) if axis.is_empty() || matches!(axis, "layer" | "at" | "block") => visible(label),
        Some(label) => format!("{axis} {at} {}", quoted(label)),
    };
    let name = |i: usize| {
        let (row, column) = (i / map.columns, i % map.columns);
        let [rows, columns] = &map.axes;
        let (row, column) = (place(rows, row, &map.row_labels), place(columns, column, &map.column_labels));
        format!("{row}, {column}: {}", short(map.data[i]))
    };
    let named: Vec<String> = order.into_iter().take(NAMED).map(name).collect();
    (!named.is_empty()).then(|| format!("largest: {}", named.join("; ")))
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
            // What is too small for a glyph needs no sign.
            (None, Scale::Diverging) => match self.glyph(x.abs()) {
                ' ' => [' '; 2],
                glyph => [if x < 0.0 { '-' } else { ' ' }, glyph],
            },
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
        insta::assert_snapshot!(lines(&map, None).join("\n"), @r#"
        L2.attn.pattern head 1
        " .:;~=*#%@" is 0 to 1
                0 1 2
        When   @@
         Mary  ;;##
         and     ..%%
        k: 0 When  1 Mary  2 and
        largest: q 0 "When", k 0 "When": 1; q 2 " and", k 2 " and": 0.8; q 1 " Mary", k 1 " Mary": 0.7; q 1 " Mary", k 0 "When": 0.3; q 2 " and", k 1 " Mary": 0.15
        "#);
    }

    #[test]
    fn signs_letters_and_pooling() {
        let mut map = map(Scale::Diverging, vec![-2.0, 2.0, f64::NAN, f64::NEG_INFINITY, 0.0, 1.0]);
        map.pool = [4, 2];
        map.column_labels = vec![];
        insta::assert_snapshot!(lines(&map, None).join("\n"), @r#"
        L2.attn.pattern head 1
        " .:;~=*#%@" is 0 to 2, with a leading - if negative; N is NaN; i is -inf; 4x2 elements per cell, the largest magnitude shown
                0 1
        When   -@ @
         Mary   N i
         and      =
        columns: k
        "#);
    }

    #[test]
    fn a_constant_map_has_a_glyph() {
        let flat = map(Scale::Sequential, vec![0.5; 3]);
        assert!(lines(&flat, None)[3].ends_with("@@"));
        let zero = map(Scale::Diverging, vec![0.0; 3]);
        assert_eq!(lines(&zero, None)[3], "When");
        let none = map(Scale::Sequential, vec![f64::NAN; 3]);
        assert_eq!(lines(&none, None)[1], "N is NaN");
    }

    #[test]
    fn columns_are_numbered_without_doubt_and_divided_where_there_is_no_room() {
        let labels = |letter: &str, count: usize| (0..count).map(|i| format!("{letter}{i}")).collect::<Vec<_>>();
        let data = (0..24).map(|i| if i == 17 { -3.0 } else { f64::from(i % 12) / 12.0 }).collect();
        let map = MapView::grid("patched", ("layer", labels("L", 2)), ("head", labels("", 12)), data);
        let map = map.scale(Scale::Diverging);
        let whole = lines(&map, None);
        assert_eq!(whole[2..4], ["                         1 1".to_string(), "     0 1 2 3 4 5 6 7 8 9 0 1".into()]);
        assert_eq!(whole[6], "columns: head");
        assert!(whole[7].starts_with("largest: L1, head 5: -3; "), "{whole:?}");
        let parts = lines(&map, Some(20));
        assert!(parts.iter().all(|line| line.width() <= 20), "{parts:?}");
        assert_eq!(parts.iter().filter(|line| line.starts_with("L1 ")).count(), 2);
    }
}
