//! What commands mean when they do not say which row, position or head.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Focus {
    pub row: usize,
    /// Token position; none means the last real one.
    pub pos: Option<usize>,
    pub head: usize,
}
