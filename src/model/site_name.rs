//! Names of what is in a block: `blocks.5.attn.z`, and in an encoder besides a decoder `encoder.blocks.5.attn.z`. Sites,
//! modules and weights are all named so; this is the one place that spells such a name and takes it apart.

use std::fmt;

use super::role::{ENCODER, Stack};

/// What the name of a block begins with, before its number.
pub const BLOCKS: &str = "blocks.";

/// A name in a block, taken apart. Displayed it is the canonical name again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InBlock<'n> {
    pub stack: Stack,
    pub layer: usize,
    /// What it is in the block: `attn.z`; empty for the block itself.
    pub part: &'n str,
}

impl<'n> InBlock<'n> {
    /// `None` if `name` is not in a block.
    pub fn parse(name: &'n str) -> Option<Self> {
        let (stack, name) = match name.strip_prefix(ENCODER) {
            Some(rest) => (Stack::Encoder, rest),
            None => (Stack::Main, name),
        };
        InBlock::numbered(stack, name.strip_prefix(BLOCKS)?)
    }

    /// The same for `L5.attn.z`, and of an encoder `E5.attn.z`.
    pub fn parse_short(name: &'n str) -> Option<Self> {
        match name.strip_prefix('E') {
            Some(rest) => InBlock::numbered(Stack::Encoder, rest),
            None => InBlock::numbered(Stack::Main, name.strip_prefix('L')?),
        }
    }

    fn numbered(stack: Stack, rest: &'n str) -> Option<Self> {
        let (number, part) = rest.split_once('.').unwrap_or((rest, ""));
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        Some(InBlock { stack, layer: number.parse().ok().filter(|_| digits)?, part })
    }
}

impl fmt::Display for InBlock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stack = if self.stack == Stack::Encoder { ENCODER } else { "" };
        let dot = if self.part.is_empty() { "" } else { "." };
        write!(f, "{stack}{BLOCKS}{}{dot}{}", self.layer, self.part)
    }
}

/// The name of a block: `blocks.5`.
pub fn block(layer: usize) -> String {
    in_block(layer, "")
}

/// The name of what is in a block: `blocks.5.attn.z`.
pub fn in_block(layer: usize, part: &str) -> String {
    InBlock { stack: Stack::Main, layer, part }.to_string()
}

/// `L5.attn.z` for `blocks.5.attn.z`, `E5.attn.z` for that of an encoder; another name as it is.
pub fn short(name: &str) -> String {
    let Some(InBlock { stack, layer, part }) = InBlock::parse(name) else { return name.to_owned() };
    let letter = if stack == Stack::Encoder { 'E' } else { 'L' };
    let dot = if part.is_empty() { "" } else { "." };
    format!("{letter}{layer}{dot}{part}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_block_is_taken_apart_and_put_together() {
        for (name, stack, layer, part, brief) in [
            ("blocks.12.attn.z", Stack::Main, 12, "attn.z", "L12.attn.z"),
            ("blocks.0", Stack::Main, 0, "", "L0"),
            ("encoder.blocks.3.resid_pre", Stack::Encoder, 3, "resid_pre", "E3.resid_pre"),
        ] {
            let found = InBlock::parse(name).expect(name);
            assert_eq!(found, InBlock { stack, layer, part });
            assert_eq!(found.to_string(), name);
            assert_eq!(short(name), brief);
            assert_eq!(InBlock::parse_short(brief), Some(found));
        }
        for other in [
            "ln_final.out",
            "encoder.embed",
            "blocks",
            "blocks.",
            "blocks.x.attn.z",
            "blocks.-1",
            "blocks.+1",
            "L",
            "L1H2",
            "Ex",
        ] {
            assert_eq!(InBlock::parse(other).or_else(|| InBlock::parse_short(other)), None, "{other}");
            assert_eq!(short(other), other);
        }
        assert_eq!((block(5), in_block(5, "attn")), ("blocks.5".into(), "blocks.5.attn".into()));
    }
}
