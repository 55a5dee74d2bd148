//! Matrices as pictures: one square for each element, blue for what is positive, orange for what is negative, white for
//! zero.

use std::fmt::Write;

use super::ExportError;

/// Colours that people with colour blindness can distinguish; those of the pages.
const POSITIVE: [f64; 3] = [33.0, 102.0, 172.0];
const NEGATIVE: [f64; 3] = [230.0, 97.0, 1.0];

/// For NaN and for infinities.
const NOT_A_NUMBER: [u8; 3] = [200, 0, 200];
const INFINITE: [u8; 3] = [0, 0, 0];

/// The longer side, in pixels: that of small matrices, and the largest.
const WANTED: usize = 640;
const MOST: usize = 8192;

/// A matrix `[rows, columns]` in row-major order.
pub struct Picture<'a> {
    pub data: &'a [f64],
    pub shape: [usize; 2],
}

impl Picture<'_> {
    fn side(&self) -> usize {
        let longest = self.shape[0].max(self.shape[1]).max(1);
        (WANTED / longest).max(1)
    }

    /// The largest finite magnitude, which has the full colour.
    pub fn largest(&self) -> f64 {
        self.data.iter().filter(|x| x.is_finite()).fold(0.0f64, |most, x| most.max(x.abs()))
    }

    fn colour(x: f64, largest: f64) -> [u8; 3] {
        if x.is_nan() {
            return NOT_A_NUMBER;
        }
        if x.is_infinite() {
            return INFINITE;
        }
        let share = if largest > 0.0 { x.abs() / largest } else { 0.0 };
        let full = if x < 0.0 { NEGATIVE } else { POSITIVE };
        full.map(|shade| (255.0 + share * (shade - 255.0)).round() as u8)
    }

    /// As a PNG file.
    pub fn png(&self) -> Result<Vec<u8>, ExportError> {
        let side = self.side();
        let (height, width) = (self.shape[0] * side, self.shape[1] * side);
        if height.max(width) > MOST {
            return Err(ExportError::TooManyPixels { shape: self.shape, most: MOST });
        }
        let largest = self.largest();
        let mut pixels = Vec::with_capacity(height * width * 3);
        for row in self.data.chunks_exact(self.shape[1].max(1)) {
            let line: Vec<u8> =
                row.iter().flat_map(|x| std::iter::repeat_n(Self::colour(*x, largest), side)).flatten().collect();
            (0..side).for_each(|_| pixels.extend_from_slice(&line));
        }
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header()?.write_image_data(&pixels)?;
        Ok(file)
    }

    /// As an SVG file: sharp at any size, and each square has its number as a tooltip.
    pub fn svg(&self) -> String {
        let (side, largest) = (self.side(), self.largest());
        let (height, width) = (self.shape[0] * side, self.shape[1] * side);
        let mut page = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             shape-rendering=\"crispEdges\">\n"
        );
        for (row, line) in self.data.chunks_exact(self.shape[1].max(1)).enumerate() {
            for (column, x) in line.iter().enumerate() {
                let [r, g, b] = Self::colour(*x, largest);
                _ = writeln!(
                    page,
                    "<rect x=\"{}\" y=\"{}\" width=\"{side}\" height=\"{side}\" fill=\"rgb({r},{g},{b})\">\
                     <title>[{row}, {column}] {x}</title></rect>",
                    column * side,
                    row * side
                );
            }
        }
        page.push_str("</svg>\n");
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_squares_of_their_colours() {
        let data = [1.0, -1.0, 0.0, f64::NAN, 0.5, f64::NEG_INFINITY];
        let picture = Picture { data: &data, shape: [2, 3] };
        let file = picture.png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let side = 640 / 3;
        assert_eq!((info.width as usize, info.height as usize), (3 * side, 2 * side));
        let at = |row: usize, column: usize| {
            let pixel = ((row * side + side / 2) * 3 * side + column * side + side / 2) * 3;
            [pixels[pixel], pixels[pixel + 1], pixels[pixel + 2]]
        };
        assert_eq!([at(0, 0), at(0, 1), at(0, 2)], [[33, 102, 172], [230, 97, 1], [255, 255, 255]]);
        assert_eq!([at(1, 0), at(1, 1), at(1, 2)], [NOT_A_NUMBER, [144, 179, 214], INFINITE]);
        let page = picture.svg();
        assert_eq!(page.matches("<rect").count(), 6);
        assert!(page.contains("fill=\"rgb(230,97,1)\"><title>[0, 1] -1</title>"), "{page}");
        let wide = Picture { data: &vec![0.0; 9000], shape: [1, 9000] }.png().unwrap_err();
        assert_eq!(wide.to_string(), "1 by 9000 elements do not fit into 8192 pixels: take a part");
    }
}
