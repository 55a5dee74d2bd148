//! A picture of few colours.

use ratatui::layout::Rect;

/// The pixel that has no colour: the ground of the terminal stays visible.
pub const CLEAR: u8 = 0;

/// Pixels as numbers of colours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raster {
    pub width: usize,
    pub height: usize,
    /// The colours; number [`CLEAR`] has none, and number 1 is the first of these.
    pub colours: Vec<[u8; 3]>,
    /// The number of the colour of each pixel, row by row.
    pub pixels: Vec<u8>,
}

/// A picture over the cells of an area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub area: Rect,
    pub raster: Raster,
}

impl Raster {
    /// Without any colour.
    pub fn new(width: usize, height: usize) -> Raster {
        Raster { width, height, colours: Vec::new(), pixels: vec![CLEAR; width * height] }
    }

    /// The number of a colour. Beyond 255 colours, it is that of the nearest one.
    pub fn number(&mut self, colour: [u8; 3]) -> u8 {
        let known = self.colours.iter().position(|known| *known == colour);
        let at = known.unwrap_or_else(|| {
            if self.colours.len() < 255 {
                self.colours.push(colour);
                return self.colours.len() - 1;
            }
            let far = |other: &[u8; 3]| -> u32 {
                other.iter().zip(colour).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
            };
            (0..self.colours.len()).min_by_key(|at| far(&self.colours[*at])).unwrap_or(0)
        });
        at as u8 + 1
    }

    /// Fills the pixels from `(x, y)` on.
    pub fn fill(&mut self, (x, y): (usize, usize), (width, height): (usize, usize), number: u8) {
        let (left, right) = (x.min(self.width), (x + width).min(self.width));
        for line in y..(y + height).min(self.height) {
            self.pixels[line * self.width + left..line * self.width + right].fill(number);
        }
    }

    /// The colour of a pixel; `None` for none.
    pub fn colour(&self, x: usize, y: usize) -> Option<[u8; 3]> {
        let number = *self.pixels.get(y * self.width + x)?;
        self.colours.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// The same picture with half as many pixels on each side.
    pub fn halved(&self) -> Raster {
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let pixels = (0..width * height).map(|at| self.pixels[at / width * 2 * self.width + at % width * 2]).collect();
        Raster { width, height, colours: self.colours.clone(), pixels }
    }

    /// Red, green, blue and opacity of every pixel.
    pub fn rgba(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.pixels.len() * 4);
        for at in 0..self.pixels.len() {
            match self.colour(at % self.width, at / self.width) {
                Some([r, g, b]) => out.extend([r, g, b, 255]),
                None => out.extend([0, 0, 0, 0]),
            }
        }
        out
    }

    /// The picture as a PNG file with a palette. `None` without pixels.
    pub fn png(&self) -> Option<Vec<u8>> {
        let mut file = Vec::new();
        let mut encoder =
            png::Encoder::new(&mut file, u32::try_from(self.width).ok()?, u32::try_from(self.height).ok()?);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        let palette: Vec<u8> = [[0; 3]].iter().chain(&self.colours).flatten().copied().collect();
        encoder.set_palette(palette);
        // The first colour is transparent, the others are not.
        encoder.set_trns(vec![0]);
        let mut writer = encoder.write_header().ok()?;
        writer.write_image_data(&self.pixels).ok()?;
        writer.finish().ok()?;
        Some(file)
    }
}
