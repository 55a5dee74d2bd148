//! The pictures that are on the screen.

use std::io::Write;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

use super::{Picture, Protocol, Surface, iterm2, kitty, sixel};

/// The most bytes that the pictures of a frame may take. What does not fit is sent with fewer pixels if the terminal scales
/// pictures, and stays as it is without pictures if it does not.
pub const BUDGET: usize = 256 * 1024;

/// The most pictures at a time.
const MOST: u8 = 64;

/// The number of the first picture. Kitty's placeholders leave 8 bits for it, and small ones are used by others.
const FIRST: u8 = 120;

/// The fewest pixels of a picture for each of its cells, on each side.
const COARSEST: usize = 2;

#[derive(Debug, Default)]
pub struct Layer {
    surface: Option<Surface>,
    shown: Vec<Shown>,
}

/// A picture on the screen.
#[derive(Debug)]
struct Shown {
    picture: Picture,
    id: u8,
}

impl Layer {
    /// Takes the pictures of a frame: empties their cells in `buffer`, and returns what is to be sent after these cells.
    /// `cleared` says that the terminal has forgotten what it showed.
    pub fn show(
        &mut self,
        surface: Option<Surface>,
        pictures: Vec<Picture>,
        buffer: &mut Buffer,
        cleared: bool,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        if cleared || self.surface != surface {
            out.extend(self.removed());
            self.shown.clear();
            self.surface = surface;
        }
        let Some(surface) = surface else { return out };
        let mut budget = BUDGET;
        let mut kept: Vec<Shown> = Vec::new();
        for picture in pictures.into_iter().take(MOST.into()) {
            if picture.area.intersection(buffer.area) != picture.area || picture.area.is_empty() {
                continue;
            }
            if let Some(at) = self.shown.iter().position(|shown| shown.picture == picture) {
                kept.push(self.shown.swap_remove(at));
            } else {
                let taken = |id: u8| kept.iter().chain(&self.shown).any(|shown| shown.id == id);
                let same = self.shown.iter().position(|shown| shown.picture.area == picture.area);
                // A picture in the place of another one takes its number, and so replaces it.
                let id = same.map(|at| self.shown[at].id).or_else(|| (FIRST..=FIRST + MOST).find(|id| !taken(*id)));
                let Some((id, bytes)) = id.and_then(|id| Some((id, encoded(&picture, &surface, id, budget)?))) else {
                    continue;
                };
                budget -= bytes.len();
                out.extend(bytes);
                if let Some(at) = same {
                    self.shown.swap_remove(at);
                }
                kept.push(Shown { picture, id });
            }
            if let Some(shown) = kept.last() {
                empty(buffer, shown, &surface);
            }
        }
        out.extend(self.removed());
        self.shown = kept;
        out
    }

    /// Removes the pictures that are shown. Those of sixel and iTerm2 vanish with the next text in their place.
    fn removed(&self) -> Vec<u8> {
        match self.surface {
            Some(Surface { protocol: Protocol::Kitty, tmux, .. }) => {
                self.shown.iter().flat_map(|shown| kitty::removed(shown.id, tmux)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What is to be sent when the terminal is given back.
    pub fn farewell(&self) -> Vec<u8> {
        self.removed()
    }
}

/// The picture at its place, in at most `budget` bytes. `None` if that cannot be.
fn encoded(picture: &Picture, surface: &Surface, id: u8, budget: usize) -> Option<Vec<u8>> {
    let mut smaller = picture.clone();
    let scales = surface.protocol != Protocol::Sixel;
    loop {
        let bytes = match surface.protocol {
            Protocol::Kitty => kitty::shown(&smaller, surface, id),
            Protocol::Iterm2 => iterm2::shown(&smaller),
            Protocol::Sixel => sixel::shown(&smaller),
        }?;
        let bytes = placed(&bytes, picture.area, surface);
        if bytes.len() <= budget {
            return Some(bytes);
        }
        let fewest = usize::from(picture.area.width) * COARSEST;
        if !scales || smaller.raster.width / 2 < fewest {
            return None;
        }
        smaller.raster = smaller.raster.halved();
    }
}

/// `bytes` sent from the upper left corner of `area`, after which the cursor is where it was.
fn placed(bytes: &[u8], area: Rect, surface: &Surface) -> Vec<u8> {
    let mut out = b"\x1b7".to_vec();
    let columns = area.width;
    // Writing into memory cannot fail.
    if surface.protocol != Protocol::Kitty {
        // What is clear in the new picture must not show the one before it.
        out.extend(b"\x1b[0m");
        for y in area.top()..area.bottom() {
            _ = write!(out, "\x1b[{};{}H\x1b[{columns}X", y + 1, area.x + 1);
        }
    }
    _ = write!(out, "\x1b[{};{}H", area.y + 1, area.x + 1);
    out.extend(bytes);
    out.extend(b"\x1b8");
    out
}

/// Empties the cells of a picture. They get a colour of their own that nobody sees, so that they differ from what is drawn
/// there without the picture, and are sent again when it goes.
fn empty(buffer: &mut Buffer, shown: &Shown, surface: &Surface) {
    let area = shown.picture.area;
    if surface.protocol == Protocol::Kitty && surface.tmux {
        return kitty::place(buffer, area, shown.id);
    }
    for position in area.positions() {
        buffer[position].reset();
        buffer[position].set_style(Style::new().fg(Color::Indexed(FIRST)));
    }
}

#[cfg(test)]
mod tests;
