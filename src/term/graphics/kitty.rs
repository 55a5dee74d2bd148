//! Kitty's graphics protocol (<https://sw.kovidgoyal.net/kitty/graphics-protocol/>).
//!
//! A picture is sent once under a number and placed at the cursor, below the text. Inside tmux, which does not know the
//! protocol, it is passed through to the terminal around it and placed by characters: each cell has a placeholder with the
//! number of the picture as its colour, and tmux moves and hides it like any other text.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

use super::{Picture, Surface, passed};
use crate::term::base64::base64;

/// The number of the picture in the question whether the terminal knows the protocol.
pub const QUESTION: u32 = 31;

/// The most base64 in one sequence.
const CHUNK: usize = 4096;

/// The character that stands for a part of a picture.
const PLACEHOLDER: char = '\u{10eeee}';

/// The characters above a placeholder that say its row, or its column, from 0 on: the beginning of the protocol's list
/// (`rowcolumn-diacritics.txt`).
const MARKS: [u32; 96] = [
    0x305, 0x30d, 0x30e, 0x310, 0x312, 0x33d, 0x33e, 0x33f, 0x346, 0x34a, 0x34b, 0x34c, 0x350, 0x351, 0x352, 0x357,
    0x35b, 0x363, 0x364, 0x365, 0x366, 0x367, 0x368, 0x369, 0x36a, 0x36b, 0x36c, 0x36d, 0x36e, 0x36f, 0x483, 0x484,
    0x485, 0x486, 0x487, 0x592, 0x593, 0x594, 0x595, 0x597, 0x598, 0x599, 0x59c, 0x59d, 0x59e, 0x59f, 0x5a0, 0x5a1,
    0x5a8, 0x5a9, 0x5ab, 0x5ac, 0x5af, 0x5c4, 0x610, 0x611, 0x612, 0x613, 0x614, 0x615, 0x616, 0x617, 0x657, 0x658,
    0x659, 0x65a, 0x65b, 0x65d, 0x65e, 0x6d6, 0x6d7, 0x6d8, 0x6d9, 0x6da, 0x6db, 0x6dc, 0x6df, 0x6e0, 0x6e1, 0x6e2,
    0x6e4, 0x6e7, 0x6e8, 0x6eb, 0x6ec, 0x730, 0x732, 0x733, 0x735, 0x736, 0x73a, 0x73d, 0x73f, 0x740, 0x741, 0x743,
];

/// The question whether the terminal knows the protocol: to check a picture of one pixel, and not to show it.
pub fn question(tmux: bool) -> Vec<u8> {
    passed(format!("\x1b_Gi={QUESTION},s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\").as_bytes(), tmux)
}

/// The picture under the number `id`, at the cursor. `None` if it cannot be shown.
pub fn shown(picture: &Picture, surface: &Surface, id: u8) -> Option<Vec<u8>> {
    let (columns, rows) = (picture.area.width, picture.area.height);
    if surface.tmux && usize::from(rows) > MARKS.len() {
        return None;
    }
    let data = base64(&picture.raster.png()?);
    let chunks: Vec<&str> = (0..data.len()).step_by(CHUNK).map(|at| &data[at..data.len().min(at + CHUNK)]).collect();
    // Placed by placeholders, or here, behind the text and without moving the cursor.
    let place = if surface.tmux { "U=1" } else { "p=1,C=1,z=-1" };
    let mut out = Vec::new();
    for (at, chunk) in chunks.iter().enumerate() {
        let more = u8::from(at + 1 < chunks.len());
        let keys = match at {
            0 => format!("a=T,q=2,f=100,i={id},{place},c={columns},r={rows},m={more}"),
            _ => format!("q=2,m={more}"),
        };
        out.extend(passed(format!("\x1b_G{keys};{chunk}\x1b\\").as_bytes(), surface.tmux));
    }
    Some(out)
}

/// Removes a picture, and frees what the terminal has kept of it.
pub fn removed(id: u8, tmux: bool) -> Vec<u8> {
    passed(format!("\x1b_Ga=d,d=I,i={id},q=2\x1b\\").as_bytes(), tmux)
}

/// Fills an area with the placeholders of a picture.
pub fn place(buffer: &mut Buffer, area: Rect, id: u8) {
    let style = Style::reset().fg(Color::Indexed(id));
    for (row, y) in (area.top()..area.bottom()).enumerate() {
        for x in area.left()..area.right() {
            let Some(cell) = buffer.cell_mut((x, y)) else { continue };
            let mut symbol = String::from(PLACEHOLDER);
            // A placeholder without marks is that of the column after the one on its left.
            if x == area.left() {
                let mark = |at: usize| MARKS.get(at).copied().and_then(char::from_u32);
                symbol.extend([mark(row), mark(0)].into_iter().flatten());
            }
            cell.reset();
            cell.set_symbol(&symbol).set_style(style);
        }
    }
}
