//! Builders for tables and maps: [`Table::new`] and [`MapView::grid`].

use super::{Answer, Cell, MapView, Scale, Summary, Table};

impl Table {
    /// A table without rows and title.
    ///
    /// ```
    /// # use llmdbg::answer::{Cell, Table};
    /// let heads = [("L0H1", 3, 0.25), ("L2H0", 1, f64::NAN)];
    /// let known = |x: f64| (!x.is_nan()).then_some(x);
    /// let table = Table::new(["Head", "Texts", "Share"])
    ///     .title("heads by share")
    ///     .rows(heads.map(|(name, texts, share)| (name, texts, known(share))))
    ///     .row(("all", 4, Cell::Empty));
    /// assert_eq!(table.rows[1], [Cell::Text("L2H0".into()), Cell::Int(1), Cell::Empty]);
    /// ```
    pub fn new(columns: impl IntoIterator<Item = impl Into<String>>) -> Table {
        Table { columns: columns.into_iter().map(Into::into).collect(), ..Table::default() }
    }

    /// The title may have several lines.
    pub fn title(mut self, title: impl Into<String>) -> Table {
        self.title = title.into();
        self
    }

    pub fn row(mut self, row: impl Cells) -> Table {
        self.push(row);
        self
    }

    pub fn rows(mut self, rows: impl IntoIterator<Item = impl Cells>) -> Table {
        rows.into_iter().for_each(|row| self.push(row));
        self
    }

    /// Adds a row at the end. It has a cell for each column.
    pub fn push(&mut self, row: impl Cells) {
        let cells = row.into_cells();
        debug_assert_eq!(cells.len(), self.columns.len(), "a row of {:?} has {cells:?}", self.columns);
        self.rows.push(cells);
    }
}

/// The cells of a row of a [`Table`]: a tuple of up to ten values that convert to cells, or an array or `Vec` of one
/// such type.
pub trait Cells {
    fn into_cells(self) -> Vec<Cell>;
}

impl<C: Into<Cell>> Cells for Vec<C> {
    fn into_cells(self) -> Vec<Cell> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<C: Into<Cell>, const N: usize> Cells for [C; N] {
    fn into_cells(self) -> Vec<Cell> {
        Vec::from(self).into_cells()
    }
}

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<$($name: Into<Cell>),+> Cells for ($($name,)+) {
            #[allow(non_snake_case, reason = "the names of the types name the elements too")]
            fn into_cells(self) -> Vec<Cell> {
                let ($($name,)+) = self;
                vec![$($name.into()),+]
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);
tuples!(A B C D E F G H I);
tuples!(A B C D E F G H I J);

macro_rules! cells {
    ($(|$from:ident: $kind:ty| $cell:expr;)+) => {
        $(impl From<$kind> for Cell {
            fn from($from: $kind) -> Cell {
                $cell
            }
        })+
    };
}

cells! {
    |text: &str| Cell::Text(text.to_string());
    |text: &String| Cell::Text(text.clone());
    |text: String| Cell::Text(text);
    |x: f64| Cell::Num(x);
    |x: f32| Cell::Num(x.into());
    |yes: bool| Cell::Bool(yes);
    |number: i32| Cell::Int(number.into());
    |number: i64| Cell::Int(number);
    |number: u32| Cell::Int(number.into());
    |number: u64| Cell::Int(number as i64);
    |number: usize| Cell::Int(number as i64);
}

/// `None` is an empty cell.
impl<C: Into<Cell>> From<Option<C>> for Cell {
    fn from(cell: Option<C>) -> Cell {
        cell.map_or(Cell::Empty, Into::into)
    }
}

impl MapView {
    /// A map of `data` in row-major order, with the name of each axis and a label for each of its entries. Every
    /// element has a cell; the colours are sequential.
    ///
    /// ```
    /// # use llmdbg::answer::MapView;
    /// let labels = |letter, count| (0..count).map(|i| format!("{letter}{i}")).collect();
    /// let map = MapView::grid("scores", ("layer", labels('L', 2)), ("head", labels('H', 3)), vec![0.0; 6]);
    /// assert_eq!((map.rows, map.columns, map.shape), (2, 3, vec![2, 3]));
    /// ```
    pub fn grid(
        title: impl Into<String>,
        (row_axis, row_labels): (impl Into<String>, Vec<String>),
        (column_axis, column_labels): (impl Into<String>, Vec<String>),
        data: Vec<f64>,
    ) -> MapView {
        let (rows, columns) = (row_labels.len(), column_labels.len());
        debug_assert_eq!(data.len(), rows * columns, "a map has an element for each row and column");
        MapView {
            title: title.into(),
            rows,
            columns,
            summary: Summary::of_host(data.iter().copied(), &[rows, columns]),
            shape: vec![rows, columns],
            data,
            row_labels,
            column_labels,
            pool: [1, 1],
            axes: [row_axis.into(), column_axis.into()],
            scale: Scale::Sequential,
        }
    }

    pub fn scale(mut self, scale: Scale) -> MapView {
        self.scale = scale;
        self
    }

    /// The same map as one of a larger value: each cell is the largest of `pool` rows by columns of it. `shape` and
    /// `summary` are those of the value before pooling.
    pub fn pooled(mut self, pool: [usize; 2], shape: &[usize], summary: Summary) -> MapView {
        (self.pool, self.shape, self.summary) = (pool, shape.to_vec(), summary);
        self
    }
}

impl From<Table> for Answer {
    fn from(table: Table) -> Answer {
        Answer::Table(table)
    }
}

impl From<MapView> for Answer {
    fn from(map: MapView) -> Answer {
        Answer::Map(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_tuples_arrays_and_cells() {
        let name = String::from("b");
        let mut table = Table::new(["Name", "Count", "Share"])
            .title("all")
            .row(("a", 3usize, 0.5))
            .rows([(&name, 4, Some(1.5)), (&name, -1, None)])
            .row(["c", "", ""]);
        table.push(vec![Cell::Bool(true), Cell::Empty, 2.5f32.into()]);
        let text = |text: &str| Cell::Text(text.into());
        let by_hand = Table {
            title: "all".into(),
            columns: vec!["Name".into(), "Count".into(), "Share".into()],
            rows: vec![
                vec![text("a"), Cell::Int(3), Cell::Num(0.5)],
                vec![text("b"), Cell::Int(4), Cell::Num(1.5)],
                vec![text("b"), Cell::Int(-1), Cell::Empty],
                vec![text("c"), text(""), text("")],
                vec![Cell::Bool(true), Cell::Empty, Cell::Num(2.5)],
            ],
            ..Table::default()
        };
        assert_eq!(table, by_hand);
        assert_eq!(Answer::from(table), Answer::Table(by_hand));
    }

    #[test]
    fn columns_counted_at_run_time() {
        let mut columns = vec!["rank".to_string()];
        columns.extend(["axis 0"].map(String::from));
        let table = Table::new(columns).rows((0..2usize).map(|i| vec![i, 10 * i]));
        assert_eq!(table.columns, ["rank", "axis 0"]);
        assert_eq!(table.rows, [[Cell::Int(0), Cell::Int(0)], [Cell::Int(1), Cell::Int(10)]]);
    }

    #[test]
    fn maps_are_summed_up_and_labelled() {
        let labels = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        let axes = || (("layer", labels(&["L0", "L1"])), ("head", labels(&["0", "1", "2"])));
        let (rows, columns) = axes();
        let map = MapView::grid("scores", rows, columns, vec![1.0, -4.0, 0.0, 2.0, f64::NAN, 3.0]);
        assert_eq!((map.rows, map.columns, map.shape.as_slice(), map.pool), (2, 3, &[2, 3][..], [1, 1]));
        assert_eq!((map.axes.each_ref().map(String::as_str), map.scale), (["layer", "head"], Scale::Sequential));
        assert_eq!((map.summary.min, map.summary.max, map.summary.nan), (-4.0, 3.0, 1));
        assert_eq!(map.summary.absmax_index, [0, 1]);

        let (rows, columns) = axes();
        let whole = Summary { max: 9.0, ..Summary::default() };
        let map = MapView::grid("scores", rows, columns, vec![0.0; 6]).pooled([4, 2], &[8, 6], whole.clone());
        let map = map.scale(Scale::Diverging);
        assert_eq!((map.pool, map.shape, map.summary), ([4, 2], vec![8, 6], whole));
        assert_eq!((map.rows, map.columns, map.scale), (2, 3, Scale::Diverging));
    }
}
