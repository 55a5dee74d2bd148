//! The colours of values.
//!
//! With 256 colours the tables contain only colours whose lightness rises strictly, which a search has found: the
//! palette entries nearest to a smooth scale are not monotone. Few levels also keep frames small on slow connections,
//! so scales in true colour do not have more levels than can be distinguished.

use ratatui::style::Color;

use crate::term::ColorDepth;

/// The colours of a scale, lowest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Ramp(Vec<Color>);

/// The names of the scales for values from zero upwards.
pub const SEQUENTIAL: [&str; 4] = ["viridis", "magma", "inferno", "grey"];

/// The names of the scales for values around zero.
/// Those of a dark theme have a dark zero, so that nothing is the darkest thing on the screen.
pub const DIVERGING: [&str; 4] = ["berlin", "rdbu", "puor", "grey"];

const VIRIDIS_8: &[u8] = &[53, 54, 24, 30, 36, 78, 148, 220];
const MAGMA_10: &[u8] = &[16, 17, 54, 90, 126, 168, 203, 209, 222, 229];
const INFERNO_8: &[u8] = &[16, 17, 53, 125, 203, 208, 178, 229];
const RDBU_13: &[u8] = &[52, 88, 167, 173, 216, 224, 255, 254, 153, 74, 67, 25, 24];
const BERLIN_11: &[u8] = &[217, 174, 167, 124, 52, 16, 18, 25, 68, 111, 153];
const PUOR_9: &[u8] = &[54, 103, 146, 253, 231, 223, 215, 172, 130];

const VIRIDIS: &[u32] = &[0x440154, 0x472d7b, 0x3b528b, 0x2c728e, 0x21918c, 0x28ae80, 0x5ec962, 0xaddc30, 0xfde725];
const MAGMA: &[u32] = &[0x000004, 0x1d1147, 0x51127c, 0x822681, 0xb73779, 0xe75263, 0xfc8961, 0xfec488, 0xfcfdbf];
const INFERNO: &[u32] = &[0x000004, 0x210c4a, 0x57106e, 0x8a226a, 0xbc3754, 0xe45a31, 0xf98e09, 0xf9cb35, 0xfcffa4];
const RDBU: &[u32] =
    &[0x67001f, 0xb2182b, 0xd6604d, 0xf4a582, 0xfddbc7, 0xf7f7f7, 0xd1e5f0, 0x92c5de, 0x4393c3, 0x2166ac, 0x053061];
/// From red to blue with a dark zero, after the scale `berlin` of Crameri's scientific colour maps.
const BERLIN: &[u32] =
    &[0xffadad, 0xd48a81, 0xa55a47, 0x6b2a12, 0x3a1202, 0x101014, 0x12303f, 0x1f5a75, 0x3d86b2, 0x6da9e2, 0x9eb0ff];
const PUOR: &[u32] =
    &[0x2d004b, 0x542788, 0x8073ac, 0xb2abd2, 0xd8daeb, 0xf7f7f7, 0xfee0b6, 0xfdb863, 0xe08214, 0xb35806, 0x7f3b08];

/// The levels of scales in true colour; an odd number, so that zero has a level.
const TRUE_LEVELS: usize = 17;

/// Whether light text is easier to read on a colour than dark text: its relative luminance (sRGB, without gamma) is
/// below the middle.
pub fn is_dark(color: Color) -> bool {
    rgb(color).is_some_and(|[r, g, b]| 0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b) < 115.0)
}

/// Red, green and blue, as xterm has them; `None` for the first 16 colours, which users choose.
pub fn rgb(color: Color) -> Option<[u8; 3]> {
    match color {
        Color::Rgb(r, g, b) => Some([r, g, b]),
        Color::Indexed(grey @ 232..) => Some([8 + 10 * (grey - 232); 3]),
        Color::Indexed(index @ 16..) => {
            let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
            let cube = index - 16;
            Some([level(cube / 36), level(cube / 6 % 6), level(cube % 6)])
        }
        _ => None,
    }
}

impl Ramp {
    /// The scale called `name` at `depth`; `None` if the name is unknown or there are too few colours.
    pub fn named(name: &str, depth: ColorDepth) -> Option<Self> {
        let (indexed, smooth) = match name {
            "viridis" => (VIRIDIS_8, VIRIDIS),
            "magma" => (MAGMA_10, MAGMA),
            "inferno" => (INFERNO_8, INFERNO),
            "berlin" => (BERLIN_11, BERLIN),
            "rdbu" => (RDBU_13, RDBU),
            "puor" => (PUOR_9, PUOR),
            "grey" if depth >= ColorDepth::Indexed => return Some(Self((232..=255).map(Color::Indexed).collect())),
            _ => return None,
        };
        match depth {
            ColorDepth::True => Some(Self(interpolated(smooth))),
            ColorDepth::Indexed => Some(Self(indexed.iter().map(|index| Color::Indexed(*index)).collect())),
            ColorDepth::Sixteen | ColorDepth::Mono => None,
        }
    }

    /// The colour at `t` between 0 and 1.
    pub fn up(&self, t: f64) -> Color {
        let levels = self.0.len();
        self.0[((t.clamp(0.0, 1.0) * levels as f64) as usize).min(levels - 1)]
    }

    /// The colour at `t` between -1 and 1; 0 is in the middle.
    pub fn around(&self, t: f64) -> Color {
        let last = (self.0.len() - 1) as f64;
        self.0[((t.clamp(-1.0, 1.0) + 1.0) / 2.0 * last).round() as usize]
    }
}

fn interpolated(anchors: &[u32]) -> Vec<Color> {
    let channel = |color: u32, shift: u32| f64::from(color >> shift & 0xff);
    (0..TRUE_LEVELS)
        .map(|level| {
            let place = level as f64 / (TRUE_LEVELS - 1) as f64 * (anchors.len() - 1) as f64;
            let below = (place as usize).min(anchors.len() - 2);
            let share = place - below as f64;
            let mix = |shift| {
                let (a, b) = (channel(anchors[below], shift), channel(anchors[below + 1], shift));
                (a + (b - a) * share).round() as u8
            };
            Color::Rgb(mix(16), mix(8), mix(0))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_scale_exists_where_colours_do() {
        for name in SEQUENTIAL.iter().chain(&DIVERGING) {
            for depth in [ColorDepth::Indexed, ColorDepth::True] {
                assert!(Ramp::named(name, depth).is_some(), "{name}");
            }
            assert_eq!(Ramp::named(name, ColorDepth::Sixteen), None);
        }
    }

    #[test]
    fn the_ends_and_the_middle_are_where_they_belong() {
        let ramp = Ramp::named("rdbu", ColorDepth::Indexed).expect("a scale");
        assert_eq!(ramp.around(-1.0), Color::Indexed(52));
        assert_eq!(ramp.around(0.0), Color::Indexed(255));
        assert_eq!(ramp.around(1.0), Color::Indexed(24));
        let ramp = Ramp::named("viridis", ColorDepth::True).expect("a scale");
        assert_eq!(ramp.up(0.0), Color::Rgb(0x44, 0x01, 0x54));
        assert_eq!(ramp.up(1.0), Color::Rgb(0xfd, 0xe7, 0x25));
        assert_eq!(ramp.up(f64::NAN), ramp.up(0.0));
    }
}
