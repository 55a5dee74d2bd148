//! A canvas that is the pixels of a PNG file. Letters are those of Noto Sans Mono, as its pixels.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, RasterizedChar, get_raster};
use unicode_width::UnicodeWidthChar;

use super::{Canvas, Colour, Drawing, End, LETTER, WHITE, wide};
use crate::export::ExportError;

/// The most pixels that a side may have.
const MOST: usize = 8192;

struct Pixels {
    width: usize,
    height: usize,
    /// Pixels of a unit: two where that fits, so that letters are sharp in print.
    scale: usize,
    data: Vec<u8>,
}

pub fn file(drawing: &dyn Drawing) -> Result<Vec<u8>, ExportError> {
    let (width, height) = drawing.size();
    let scale = if 2 * width.max(height) <= MOST { 2 } else { 1 };
    let (width, height) = (width * scale, height * scale);
    if width.max(height) > MOST {
        return Err(drawing.too_large(MOST));
    }
    let mut pixels = Pixels { width, height, scale, data: vec![WHITE[0]; width * height * 3] };
    drawing.draw(&mut pixels);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels.data)?;
    Ok(file)
}

impl Pixels {
    /// Mixes a colour in, of which so much of 255 covers the pixel.
    fn mix(&mut self, (x, y): (usize, usize), colour: Colour, cover: u8) {
        if x >= self.width || y >= self.height || cover == 0 {
            return;
        }
        let at = (y * self.width + x) * 3;
        for (under, over) in self.data[at..at + 3].iter_mut().zip(colour) {
            let (from, to, part) = (i32::from(*under), i32::from(over), i32::from(cover));
            *under = (from + (to - from) * part / 255) as u8;
        }
    }

    fn letter(&self, c: char) -> Option<RasterizedChar> {
        let height = if self.scale == 2 { RasterHeight::Size32 } else { RasterHeight::Size16 };
        let raster = |c| get_raster(c, FontWeight::Regular, height);
        // What the font does not have is marked.
        raster(c).or_else(|| raster('\u{fffd}'))
    }

    /// Draws letters, of which pixel `(x, y)` counted from the beginning of the text goes where `place` says.
    fn letters(&mut self, text: &str, colour: Colour, place: impl Fn(usize, usize) -> Option<(usize, usize)>) {
        let mut along = 0;
        for c in text.chars() {
            let columns = c.width().unwrap_or(0);
            if let (Some(raster), true) = (self.letter(c), columns > 0) {
                for (y, line) in raster.rows().enumerate() {
                    for (x, cover) in line.iter().enumerate() {
                        if let Some(at) = place(along + x, y) {
                            self.mix(at, colour, *cover);
                        }
                    }
                }
            }
            along += columns * LETTER * self.scale;
        }
    }
}

impl Canvas for Pixels {
    fn rectangle(&mut self, (x, y): (usize, usize), (w, h): (usize, usize), colour: Colour, _: Option<&str>) {
        let scale = self.scale;
        for line in (y * scale..(y + h) * scale).take_while(|line| *line < self.height) {
            let end = ((x + w) * scale).min(self.width);
            let pixels = &mut self.data[(line * self.width + (x * scale).min(end)) * 3..(line * self.width + end) * 3];
            pixels.chunks_exact_mut(3).for_each(|pixel| pixel.copy_from_slice(&colour));
        }
    }

    fn text(&mut self, (x, y): (usize, usize), end: End, text: &str, colour: Colour) {
        let from = if end == End::Right { x.saturating_sub(wide(text)) } else { x };
        let (x, y) = (from * self.scale, y * self.scale);
        self.letters(text, colour, |along, down| Some((x + along, y + down)));
    }

    fn turned(&mut self, (x, y): (usize, usize), text: &str, colour: Colour) {
        let (x, bottom) = (x * self.scale, (y + wide(text)) * self.scale);
        self.letters(text, colour, |along, down| Some((x + down, bottom.checked_sub(1 + along)?)));
    }

    fn line(&mut self, from: (usize, usize), to: (usize, usize), thick: f64, colour: Colour, _: &str) {
        let scale = self.scale as f64;
        let [(x0, y0), (x1, y1)] = [from, to].map(|(x, y)| (x as f64 * scale, y as f64 * scale));
        let (dx, dy) = (x1 - x0, y1 - y0);
        let length = dx.hypot(dy).max(1.0);
        // Along the longer side, what the line covers across the other: as far as its edges, cut at an angle.
        let steep = dy.abs() >= dx.abs();
        let across = dx.abs().max(dy.abs());
        let half = (thick * scale / 2.0) * length / across.max(1.0);
        for i in 0..=across.round() as usize {
            let t = (i as f64 / across.max(1.0)).min(1.0);
            let (x, y) = (x0 + dx * t, y0 + dy * t);
            let middle = if steep { x } else { y };
            for at in (middle - half).floor() as i64..=(middle + half).ceil() as i64 {
                // How much of this pixel is within the edges.
                let inside = (half + 0.5 - (at as f64 - middle).abs()).clamp(0.0, 1.0);
                let (Ok(at), cover) = (usize::try_from(at), (inside * 153.0) as u8) else { continue };
                let place = if steep { (at, y.round() as usize) } else { (x.round() as usize, at) };
                self.mix(place, colour, cover);
            }
        }
    }
}
