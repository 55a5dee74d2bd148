//! The typed results that commands give.
//!
//! A command ends in exactly one [`Answer`]. Everything a person or a program sees of it derives from here: [`text`]
//! gives the lines that batch, plain mode and the console pane show, [`json`] gives the object of `--json`. Answers
//! hold host data only, so they can cross threads.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use crate::tensor::Summary;
pub use build::Cells;

mod build;
mod error;
pub mod json;
pub mod layout;
mod listed;
pub mod numbers;
pub mod text;
pub mod view;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// Plain lines; may be empty.
    Text(String),
    /// A tensor, a number or a truth value.
    Value(ValueView),
    Table(Table),
    /// A two-dimensional value with labels, for a heat map.
    Map(MapView),
    /// Tokens with their positions and exact bytes.
    Tokens(Vec<TokenView>),
    /// Why and where the program stopped.
    Stop(StopView),
    /// The command failed.
    Error(ErrorView),
}

/// A value as it is shown: shape, statistics over all elements, and, of a small value, the elements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueView {
    /// Its number in the value history: `$7`.
    pub number: Option<usize>,
    /// Length of each axis; empty for a scalar.
    pub shape: Vec<usize>,
    /// Name of each axis, such as `head`; an empty string for an axis without a name.
    pub axes: Vec<String>,
    /// `f32`, `f64`, `i64` or `bool`.
    pub dtype: Cow<'static, str>,
    pub summary: Summary,
    /// All elements in row-major order; `None` if there are more than [`ValueView::DATA_LIMIT`].
    pub data: Option<Vec<f64>>,
    /// The notation to show it in.
    pub style: Style,
    /// Elements for the abbreviated display of large values: the first and last few along each axis, already laid out.
    pub edge: Vec<String>,
}

impl ValueView {
    /// Largest number of elements in `data`.
    pub const DATA_LIMIT: usize = 4096;
}

/// How a value is printed; chosen by the format letter of `print`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Style {
    /// One line of summary, then edge items.
    #[default]
    Summary,
    /// Every element, shaped.
    All,
    /// One element per line.
    Raw,
    Decimal,
    /// Bit patterns in hexadecimal.
    Hex,
    Fixed,
    Scientific,
}

#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Table {
    /// Printed above the table when not empty; not part of the JSON.
    pub title: String,
    /// In the order of what they tell: where there is little room, the last are left out.
    pub columns: Vec<String>,
    /// One cell for each column.
    pub rows: Vec<Vec<Cell>>,
    pub layout: Layout,
    /// Which rows text lists, where that is not all of them; JSON and files have every row.
    pub listed: Option<Listed>,
    /// Rows that were taken out, by a number that was asked for or because there are too many for any list.
    pub more: Option<More>,
}

/// How text shows a table.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub enum Layout {
    #[default]
    Columns,
    /// All columns tell the same of something, such as one for each position, so that none can be left out.
    Alike,
    /// In these words instead.
    Prose(String),
}

/// The rows of a table that answer the question, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// Rows by what they tell, the most telling first; those that are not in it tell nothing.
    pub order: Vec<usize>,
    /// How many of them are listed.
    pub count: usize,
    /// Whether they are listed in the order of the table, and not in their own.
    pub in_place: bool,
    /// A column of numbers whose sum over the other rows is reported.
    pub sums: Option<usize>,
}

/// Rows that a table has no more.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct More {
    pub rows: usize,
    /// What they add up to.
    pub sum: Option<f64>,
    /// Whether the command would list them.
    pub listable: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Cell {
    Int(i64),
    Num(f64),
    Text(String),
    Bool(bool),
    Empty,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapView {
    /// Site and slice: `L2.attn.pattern head 1`.
    pub title: String,
    /// Rows and columns are counted after pooling.
    pub rows: usize,
    pub columns: usize,
    /// Elements in row-major order.
    pub data: Vec<f64>,
    pub row_labels: Vec<String>,
    pub column_labels: Vec<String>,
    /// How many elements of the value are pooled in one cell, `[rows, columns]`, by largest magnitude.
    pub pool: [usize; 2],
    pub axes: [String; 2],
    pub scale: Scale,
    /// Shape of the value that the map is a part of.
    pub shape: Vec<usize>,
    /// Statistics over the elements of the map before pooling.
    pub summary: Summary,
}

/// How the values of a map are mapped to colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scale {
    /// From 0 (or the minimum) up: probabilities, norms.
    Sequential,
    /// Symmetric around 0: activations, gradients, differences.
    Diverging,
}

/// One token of an input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenView {
    pub pos: usize,
    pub row: usize,
    pub id: u32,
    /// Its bytes as text, with replacement characters where they are not UTF-8.
    pub text: String,
    pub bytes: Vec<u8>,
    /// Whether the model attends to it; false for padding.
    pub real: bool,
    /// Whether the tokenizer added it, or it is not ordinary text.
    pub special: bool,
    /// Its range of bytes in the text; for the second text of a pair, in that. `None` if tokens were given, generated,
    /// or changed since.
    pub offsets: Option<(usize, usize)>,
    /// Index of its piece, as the tokenizer splits the text before it looks for tokens.
    pub word: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    Breakpoint,
    Watchpoint,
    Catchpoint,
    /// A motion reached its target.
    Step,
    /// The end of the pass.
    End,
    /// The beginning of the pass.
    Start,
    /// Ctrl-C.
    Interrupt,
}

impl Reason {
    /// The word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Reason::Breakpoint => "breakpoint",
            Reason::Watchpoint => "watchpoint",
            Reason::Catchpoint => "catchpoint",
            Reason::Step => "step",
            Reason::End => "end",
            Reason::Start => "start",
            Reason::Interrupt => "interrupt",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StopView {
    pub reason: Reason,
    /// Numbers of the stop points that fired, ascending.
    pub ids: Vec<usize>,
    /// Site of the op just computed; empty at the start.
    pub site: String,
    /// Module path of the cursor.
    pub module: String,
    /// Index of the op at the cursor.
    pub op: usize,
    pub pass: u32,
    /// The text for people, without displays: `Breakpoint 2, blocks.2.attn.pattern (4x15x15) ...`.
    pub lines: Vec<String>,
    /// Conditions and watched expressions that could not be evaluated, which is why it stopped.
    pub errors: Vec<String>,
    /// Value of the site just computed, if the motion gives one (`finish`).
    pub value: Option<ValueView>,
    /// Displays that are shown at this stop: number, expression and result.
    pub displays: Vec<(usize, String, Box<Answer>)>,
}

/// A place in the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pc {
    /// Index of the op at the cursor (the next one to run).
    pub op: usize,
    /// Site of that op; empty at the end of the pass.
    pub site: String,
    pub pass: u32,
}

#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct ErrorView {
    /// What is wrong and what to do; may have several lines (a caret under the place).
    pub message: String,
    /// Column of the fault in the command, counted from 1.
    pub column: Option<usize>,
    pub file: Option<String>,
    /// Line in that file, counted from 1.
    pub line: Option<usize>,
    pub fault: Fault,
}

/// Kinds of failure, each with its exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Fault {
    /// The command was wrong or could not be done: status 1.
    #[default]
    Command,
    /// An `assert` did not hold: status 3.
    Assert,
    /// The model or the device failed: status 4.
    Model,
}
