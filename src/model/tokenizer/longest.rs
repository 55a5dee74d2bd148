//! Texts that are cut off, as sentence-transformers does it.

use super::Token;

/// Where a text is cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Longest {
    /// The most tokens of a text, including those around it.
    pub tokens: usize,
    /// Whether what is too much is taken away at the front.
    pub front: bool,
}

impl Longest {
    /// Takes away tokens of the text, and none of those around it.
    pub(super) fn cut(&self, tokens: &mut Vec<Token>, around: &[bool]) {
        let of_text: Vec<usize> = (0..tokens.len()).filter(|at| around.get(*at) != Some(&true)).collect();
        let most = self.tokens.saturating_sub(tokens.len() - of_text.len());
        let beyond = of_text.len().saturating_sub(most);
        let dropped = if self.front { 0..beyond } else { of_text.len() - beyond..of_text.len() };
        let dropped = &of_text[dropped];
        let mut at = 0..;
        tokens.retain(|_| at.next().is_none_or(|at| dropped.binary_search(&at).is_err()));
    }
}
