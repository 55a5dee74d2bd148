//! The arithmetic of each op, written over burn tensors. Shapes are noted at the lines: `B` rows, `T` query positions,
//! `S` key positions, `d` model width, `H` heads, `K` key/value heads, `h` head width, `G = H / K`.

pub mod attention;
pub mod basic;
pub mod dictionary;
pub mod experts;
pub(super) mod gpu;
pub mod heads;
pub(super) mod host;
pub mod norm;
pub mod positions;
pub mod recurrence;
pub mod relative;
pub mod routing;
pub mod selective;
