//! Which rows of a table are listed: the telling ones, as many as were asked for, or all; and in which order.

use super::{Cell, Layout, Listed, More, Table};

/// A list that leaves out fewer rows than this is not worth the line that says so.
const FEW: usize = 5;

/// A change is ignored compared with one that is so many times larger.
const NOISE: f64 = 1e-4;

impl Table {
    /// Text lists `count` rows of `order`, the most telling first, unless nearly all of the table would be listed.
    pub fn listing(mut self, order: Vec<usize>, count: usize) -> Table {
        let fits = self.rows.len() < count + FEW;
        self.listed = (!fits).then_some(Listed { order, count, in_place: false, sums: None });
        self
    }

    /// The rows with the largest numbers in a column come first, whatever their sign.
    pub fn by_size(self, column: usize, count: usize) -> Table {
        let size = |row: &Vec<Cell>| row.get(column).and_then(number).map_or(-1.0, f64::abs);
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by(|a, b| size(&self.rows[*b]).total_cmp(&size(&self.rows[*a])));
        let mut table = self.listing(order, count);
        table.listed.iter_mut().for_each(|listed| listed.sums = Some(column));
        table
    }

    /// The rows at which something changes come first, and the last row before all; they are listed in their places.
    pub fn by_change(self, change: &[f64], count: usize) -> Table {
        let last = self.rows.len().saturating_sub(1);
        let largest = change.iter().copied().filter(|x| x.is_finite()).fold(0.0, f64::max);
        // What is next to nothing is nothing: of such rows the later ones come first.
        let felt = |x: f64| if x < NOISE * largest { 0.0 } else { x };
        let of = |row: usize| if row == last { f64::INFINITY } else { felt(change.get(row).copied().unwrap_or(0.0)) };
        let mut order: Vec<usize> = (0..self.rows.len()).rev().collect();
        order.sort_by(|a, b| of(*b).total_cmp(&of(*a)));
        let mut table = self.listing(order, count);
        table.listed.iter_mut().for_each(|listed| listed.in_place = true);
        table
    }

    /// Every column is as telling as the others.
    pub fn alike(mut self) -> Table {
        self.layout = Layout::Alike;
        self
    }

    /// Every row is listed.
    pub fn whole(mut self) -> Table {
        self.listed = None;
        self
    }

    /// The rows that text lists.
    pub fn shown(&self) -> Vec<usize> {
        let Some(Listed { order, count, in_place, .. }) = &self.listed else { return (0..self.rows.len()).collect() };
        let mut shown: Vec<usize> = order.iter().take(*count).copied().collect();
        if *in_place {
            shown.sort_unstable();
        }
        shown
    }

    /// What text does not list.
    pub fn rest(&self) -> Option<More> {
        let Some(Listed { order, count, sums, .. }) = &self.listed else { return self.more };
        let left = order.get(*count..).filter(|left| !left.is_empty())?;
        let sum = sums.map(|column| left.iter().filter_map(|row| number(self.rows[*row].get(column)?)).sum::<f64>());
        let more = self.more.unwrap_or(More { rows: 0, sum: Some(0.0), listable: true });
        let sum = sum.zip(more.sum).map(|(left, more)| left + more);
        Some(More { rows: left.len() + more.rows, sum, listable: true })
    }

    /// The table of the first `count` rows, by what they tell or, if it is sorted, by that.
    pub fn top(mut self, count: usize) -> Table {
        let all = Listed { order: (0..self.rows.len()).collect(), count, in_place: false, sums: None };
        self.listed = Some(Listed { count, ..self.listed.take().unwrap_or(all) });
        self.more = self.rest();
        let shown = self.shown();
        self.rows = shown.into_iter().map(|row| self.rows[row].clone()).collect();
        self.listed = None;
        self
    }

    /// Numbers of a column from the largest down, text in its order; what has no number is last. As many rows are listed as
    /// before.
    pub fn sorted(mut self, column: usize) -> Table {
        let key = |row: &Vec<Cell>| row.get(column).and_then(number).filter(|x| !x.is_nan());
        let text = |row: &Vec<Cell>| match row.get(column) {
            Some(Cell::Text(text)) => text.clone(),
            _ => String::new(),
        };
        self.rows.sort_by(|a, b| {
            match (key(a), key(b)) {
                (Some(a), Some(b)) => b.total_cmp(&a),
                (a, b) => b.is_some().cmp(&a.is_some()),
            }
            .then_with(|| text(a).cmp(&text(b)))
        });
        let count = self.rows.len();
        self.listed.iter_mut().for_each(|listed| {
            (listed.order, listed.in_place) = ((0..count).collect(), false);
        });
        self
    }
}

fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Num(x) => Some(*x),
        Cell::Int(x) => Some(*x as f64),
        Cell::Bool(x) => Some(f64::from(u8::from(*x))),
        Cell::Text(_) | Cell::Empty => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(numbers: &[f64]) -> Table {
        Table::new(["Row", "Share"]).rows(numbers.iter().enumerate().map(|(i, x)| (format!("r{i}"), *x)))
    }

    fn names(table: &Table) -> Vec<String> {
        let name = |row: usize| match &table.rows[row][0] {
            Cell::Text(name) => name.clone(),
            cell => panic!("{cell:?}"),
        };
        table.shown().into_iter().map(name).collect()
    }

    const TEN: [f64; 10] = [0.5, -4.0, 1.0, 0.0, f64::NAN, 3.0, 0.25, 0.125, -0.5, 2.0];

    #[test]
    fn the_largest_are_listed_and_the_rest_is_summed() {
        let largest = table(&TEN).by_size(1, 3);
        assert_eq!(names(&largest), ["r4", "r1", "r5"]);
        let rest = largest.rest().unwrap();
        assert_eq!((rest.rows, rest.sum), (7, Some(0.5 + 1.0 + 0.0 + 0.25 + 0.125 - 0.5 + 2.0)));
        assert_eq!(largest.rows.len(), 10, "JSON and files have every row");
        assert_eq!(largest.whole().rest(), None);
        // To leave out a few rows is not worth a line.
        assert_eq!(table(&TEN).by_size(1, 6).rest(), None);
    }

    #[test]
    fn what_changes_is_listed_in_its_place() {
        let change = [0.0, 5.0, 1.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0];
        let shown = table(&TEN).by_change(&change, 3).shown();
        assert_eq!(shown, [1, 5, 9]);
    }

    #[test]
    fn a_number_of_rows_and_an_order_that_are_asked_for() {
        let top = table(&TEN).by_size(1, 5).top(2);
        assert_eq!((names(&top), top.rows.len()), (vec!["r4".to_string(), "r1".into()], 2));
        assert_eq!(top.rest().map(|more| more.rows), Some(8));
        let sorted = table(&TEN).by_size(1, 2).sorted(1);
        assert_eq!(names(&sorted), ["r5", "r9"]);
        assert_eq!(sorted.rest().map(|more| more.rows), Some(8));
        let last = sorted.whole();
        assert_eq!(names(&last)[8..], ["r1".to_string(), "r4".into()]);
    }
}
