//! Pictures in pixels, for terminals that draw them: kitty's graphics, sixel, and the pictures of iTerm2.
//!
//! A picture lies over cells of the screen. The interface draws these cells as if there were no pictures; a [`Layer`]
//! takes the pictures of a frame that fit its budget, empties the cells below them, and says what is to be sent after
//! the frame. What is on the screen already is not sent again.

mod iterm2;
pub mod kitty;
mod layer;
mod picture;
pub mod query;
mod sixel;

pub use layer::{BUDGET, Layer};
pub use picture::{CLEAR, Picture, Raster};

/// How a terminal takes pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Kitty,
    Iterm2,
    Sixel,
}

impl Protocol {
    /// The names that the setting uses.
    const NAMES: [(&str, Protocol); 3] =
        [("kitty", Protocol::Kitty), ("iterm2", Protocol::Iterm2), ("sixel", Protocol::Sixel)];

    pub fn named(name: &str) -> Option<Protocol> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, protocol)| *protocol)
    }
}

/// A terminal that draws pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surface {
    pub protocol: Protocol,
    /// Whether tmux is between the program and the terminal.
    pub tmux: bool,
    /// Width and height of a cell in pixels.
    pub cell: (u16, u16),
}

/// `bytes` wrapped so that tmux passes them on to the terminal around it.
fn passed(bytes: &[u8], tmux: bool) -> Vec<u8> {
    if !tmux {
        return bytes.to_vec();
    }
    let mut out = b"\x1bPtmux;".to_vec();
    for byte in bytes {
        if *byte == 0x1b {
            out.push(0x1b);
        }
        out.push(*byte);
    }
    out.extend(b"\x1b\\");
    out
}
