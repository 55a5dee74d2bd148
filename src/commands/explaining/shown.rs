//! What several analyses do with what they found.

use crate::commands::frame::Options;
use crate::commands::state::{Console, bar};
use crate::debugger::Result;
use crate::lang::words::Word;
use crate::tensor::{Axis, Value};

/// Draws bars of numbers.
pub struct Bars {
    largest: f64,
}

impl Bars {
    /// The largest of `all` has the longest bar; without any, all bars are empty.
    pub fn of(all: impl IntoIterator<Item = f64>) -> Bars {
        Bars { largest: all.into_iter().fold(0.0f64, |largest, x| largest.max(x.abs())) }
    }

    pub fn bar(&self, x: f64) -> String {
        bar(x, self.largest)
    }
}

/// The layer and the index in `L2H3`, `L1N37`.
pub fn indexed(text: &str, letter: char) -> Option<(usize, usize)> {
    let (layer, index) = text.strip_prefix('L')?.split_once(letter)?;
    Some((layer.parse().ok()?, index.parse().ok()?))
}

impl Console {
    /// Numbers as a value on the device of the run.
    pub(super) fn value_of(&self, numbers: &[f64], shape: &[usize], axes: &[Axis]) -> Value {
        let data = numbers.iter().map(|x| *x as f32).collect();
        Value::from_f32(data, shape, self.session.run.device()).with_axes(axes)
    }

    /// The position that a word names; without one, the focused one.
    pub(super) fn position_or_focus(&self, word: Option<&Word>) -> Result<usize> {
        word.map_or_else(|| Ok(self.session.focus_pos()), |word| self.position(word))
    }

    /// The token that the value of an option names.
    pub(super) fn token_of(&mut self, given: &Options, option: &str) -> Result<Option<usize>> {
        given.value(option).map(|word| self.token(word)).transpose()
    }
}
