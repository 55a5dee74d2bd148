//! `print/g`: how the elements of a value are spread.

use crate::answer::Table;
use crate::tensor::{TensorError, Value};

pub const BINS: usize = 16;

/// The longest bar, in columns.
const BAR: usize = 32;

/// Elements in so many bins of one width from the smallest to the largest finite one; a bin has its lower end and not its
/// upper one, but the last has both. Elements that are not finite have rows of their own.
pub fn table(title: String, value: &Value, bins: usize) -> Result<Table, TensorError> {
    let data = value.read_f64()?;
    let (min, max, counts) = spread(&data, bins);
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let share = |count: usize| format!("{:.1}%", 100.0 * count as f64 / data.len() as f64);
    let width = (max - min) / counts.len().max(1) as f64;
    let rows = counts.iter().enumerate().map(|(i, &count)| {
        let to = if i + 1 == counts.len() { max } else { min + width * (i + 1) as f64 };
        // A bin that has anything shows something.
        let bar = (count * BAR).div_ceil(most);
        (min + width * i as f64, to, count, share(count), "█".repeat(bar))
    });
    let mut table = Table::new(["from", "to", "count", "share", ""]).title(title).rows(rows);
    let others: [(&str, fn(&f64) -> bool); 3] =
        [("-inf", |x| *x == f64::NEG_INFINITY), ("inf", |x| *x == f64::INFINITY), ("nan", |x| x.is_nan())];
    for (name, is) in others {
        let count = data.iter().filter(|x| is(x)).count();
        if count > 0 {
            table.push((name, name, count, share(count), ""));
        }
    }
    Ok(table)
}

/// Least and greatest finite element, and how many elements are in each of so many bins of one width between them.
pub fn spread(data: &[f64], bins: usize) -> (f64, f64, Vec<usize>) {
    let finite = || data.iter().copied().filter(|x| x.is_finite());
    let (min, max) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
    if min > max {
        return (0.0, 0.0, Vec::new());
    }
    // All elements the same: one bin has them.
    let bins = if min < max { bins.max(1) } else { 1 };
    let mut counts = vec![0; bins];
    for x in finite() {
        let at = if min < max { (x - min) / (max - min) * bins as f64 } else { 0.0 };
        counts[(at as usize).min(bins - 1)] += 1;
    }
    (min, max, counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Cell;
    use crate::tensor::Device;

    fn rows(data: &[f32], bins: usize) -> Vec<(String, i64)> {
        let value = Value::from_f32(data.to_vec(), &[data.len()], &Device::cpu());
        let table = table(String::new(), &value, bins).unwrap();
        let row = |row: &Vec<Cell>| match (&row[0], &row[2]) {
            (Cell::Num(from), Cell::Int(count)) => (from.to_string(), *count),
            (Cell::Text(name), Cell::Int(count)) => (name.clone(), *count),
            other => panic!("{other:?}"),
        };
        table.rows.iter().map(row).collect()
    }

    fn expected(rows: &[(&str, i64)]) -> Vec<(String, i64)> {
        rows.iter().map(|(from, count)| (from.to_string(), *count)).collect()
    }

    #[test]
    fn every_element_is_in_one_bin() {
        let inf = f32::INFINITY;
        let found = rows(&[0.0, 0.5, 1.0, 1.5, 2.0, 4.0, f32::NAN, inf, -inf, inf], 4);
        assert_eq!(found, expected(&[("0", 2), ("1", 2), ("2", 1), ("3", 1), ("-inf", 1), ("inf", 2), ("nan", 1)]));
        assert_eq!(rows(&[3.0, 3.0], 16), expected(&[("3", 2)]));
        assert_eq!(rows(&[f32::NAN], 16), expected(&[("nan", 1)]));
        let many: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.7).sin()).collect();
        assert_eq!(rows(&many, 7).iter().map(|(_, count)| count).sum::<i64>(), 1000);
    }
}
