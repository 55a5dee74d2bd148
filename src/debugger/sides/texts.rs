//! Whether two sides read the same text: reported before anything is compared, since all else follows from it.

use super::{Has, Session, Side};
use crate::debugger::Result;
use crate::tensor::Axis;

/// Token ids that are listed.
const LISTED: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherText {
    pub words: String,
    /// Whether one goes on where the other ends, and is the same up to there.
    pub starts_alike: bool,
}

impl Session {
    /// How the texts that two sides read differ; `None` if they do not, or nothing is known of one.
    pub fn texts_differ(&mut self, a: &Side, b: &Side) -> Result<Option<OtherText>> {
        let names = [self.side_name(a), self.side_name(b)];
        let (Some(ours), Some(theirs)) = (self.tokens_of(a)?, self.tokens_of(b)?) else {
            let lengths = [self.positions_of_side(a)?, self.positions_of_side(b)?];
            let [Some(ours), Some(theirs)] = lengths else { return Ok(None) };
            let [left, right] = names;
            let words = format!(
                "{left} has {ours} positions and {right} {theirs}, and no tokens say which of them are the same"
            );
            return Ok((ours != theirs).then_some(OtherText { words, starts_alike: true }));
        };
        Ok(self.difference_of_texts(&ours, &theirs, &names))
    }

    fn difference_of_texts(&self, ours: &[u32], theirs: &[u32], names: &[String; 2]) -> Option<OtherText> {
        let listed = |ids: &[u32]| {
            let more = if ids.len() > LISTED { ", ..." } else { "" };
            let shown: Vec<String> = ids.iter().take(LISTED).map(|id| self.token_in_words(*id)).collect();
            shown.join(", ") + more
        };
        let (long, short, name) = match ours.len() > theirs.len() {
            true => (ours, theirs, &names[0]),
            false => (theirs, ours, &names[1]),
        };
        let more = long.len() - short.len();
        if more > 0 && long.starts_with(short) {
            let words =
                format!("the tokens differ: {name} has {more} more at the end ({})", listed(&long[short.len()..]));
            return Some(OtherText { words, starts_alike: true });
        }
        if more > 0 && long.ends_with(short) {
            let words = format!("the tokens differ: {name} has {more} more at the start ({})", listed(&long[..more]));
            return Some(OtherText { words, starts_alike: false });
        }
        let at = ours.iter().zip(theirs).position(|(x, y)| x != y)?;
        let lengths =
            if more > 0 { format!(", {} tokens against {}", ours.len(), theirs.len()) } else { String::new() };
        let (x, y) = (self.token_in_words(ours[at]), self.token_in_words(theirs[at]));
        let words = format!("the tokens differ from position {at} on ({x} against {y}{lengths})");
        Some(OtherText { words, starts_alike: false })
    }

    /// `17 " Mary"`.
    fn token_in_words(&self, id: u32) -> String {
        match &self.run.model.tokenizer {
            Some(tokenizer) => format!("{id} {:?}", tokenizer.token_text(id)),
            None => id.to_string(),
        }
    }

    fn tokens_of(&mut self, side: &Side) -> Result<Option<Vec<u32>>> {
        Ok(match self.value_of_side(side, "tokens")? {
            Has::Value(value) => Some(value.elements.double().iter().map(|id| *id as u32).collect()),
            Has::Other(_) | Has::Nothing => None,
        })
    }

    /// How many positions the first value of a side has that counts them.
    fn positions_of_side(&mut self, side: &Side) -> Result<Option<usize>> {
        let program = self.run.program.clone();
        let of_positions = program.ops.iter().filter(|op| op.axes.get(1) == Some(&Axis::Pos));
        for op in of_positions {
            if let Has::Value(value) = self.value_of_side(side, &op.site)? {
                return Ok(value.shape.first().copied());
            }
        }
        Ok(None)
    }
}
