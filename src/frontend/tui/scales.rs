//! The scales of heat maps: which part of a colour scale a value is.

use crate::answer::numbers::short;
use crate::answer::{MapView, Scale};

use super::glyphs::Glyphs;

/// What the user chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scaling {
    /// Linear, or robust where a few values are so large that a linear scale would show nothing else.
    #[default]
    Auto,
    Linear,
    /// Linear up to the 99th percentile of the magnitudes; what is beyond is marked.
    Robust,
    /// Linear around zero, up to the median of the magnitudes, and logarithmic beyond.
    Symlog,
    /// Each row by its own largest magnitude.
    Row,
}

/// The share of the magnitudes that a robust scale shows.
const SHARE: f64 = 0.99;

/// A linear scale is left for a robust one where the largest magnitude is more than this many times the 99th percentile.
const OUTLYING: f64 = 4.0;

#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Linear,
    /// The magnitude up to which it is linear.
    Symlog(f64),
    /// The range of each row.
    Row(Vec<(f64, f64)>),
}

/// The scale of one map.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    shape: Shape,
    diverging: bool,
    low: f64,
    high: f64,
    /// How many cells are beyond the ends.
    beyond: usize,
    largest: f64,
}

impl Scaling {
    pub fn next(self) -> Scaling {
        match self {
            Scaling::Auto => Scaling::Linear,
            Scaling::Linear => Scaling::Robust,
            Scaling::Robust => Scaling::Symlog,
            Scaling::Symlog => Scaling::Row,
            Scaling::Row => Scaling::Auto,
        }
    }

    /// The scale of a map, by its values that are finite and not masked.
    pub fn measure(self, map: &MapView, masked: &[bool]) -> Measure {
        let seen = |index: usize| !masked.get(index).copied().unwrap_or(false);
        let shown = |(index, value): (usize, &f64)| (value.is_finite() && seen(index)).then_some(*value);
        let values: Vec<f64> = map.data.iter().enumerate().filter_map(shown).collect();
        let diverging = map.scale == Scale::Diverging;
        // The ends are those of the whole value, so that a part of a map has the colours of the whole.
        let largest = if diverging { map.summary.absmax } else { map.summary.max };
        let low = if diverging { -largest } else { map.summary.min.min(0.0) };
        let mut measure = Measure { shape: Shape::Linear, diverging, low, high: largest, beyond: 0, largest };
        let mut sizes: Vec<f64> = values.iter().map(|value| value.abs()).collect();
        sizes.sort_by(f64::total_cmp);
        let quantile = |share: f64| sizes.get(((sizes.len() as f64 * share).ceil() as usize).max(1) - 1).copied();
        let usual = quantile(SHARE).filter(|usual| *usual > 0.0);
        let outlying = usual.is_some_and(|usual| largest > OUTLYING * usual);
        match self {
            Scaling::Auto | Scaling::Linear | Scaling::Robust => {
                if let Some(usual) = usual.filter(|_| self == Scaling::Robust || (self == Scaling::Auto && outlying)) {
                    measure.high = usual;
                    measure.low = if diverging { -usual } else { low.max(-usual) };
                }
            }
            Scaling::Symlog => {
                let middle = quantile(0.5).filter(|middle| *middle > 0.0);
                measure.shape = middle.or(usual).map_or(Shape::Linear, Shape::Symlog);
            }
            Scaling::Row => {
                let range = |row: usize| {
                    let cells = row * map.columns..((row + 1) * map.columns).min(map.data.len());
                    let values = cells.filter_map(|index| shown((index, &map.data[index])));
                    let (low, high) = values.fold((0.0f64, 0.0f64), |(low, high), x| (low.min(x), high.max(x)));
                    if diverging { (-high.max(-low), high.max(-low)) } else { (low, high) }
                };
                measure.shape = Shape::Row((0..map.rows).map(range).collect());
            }
        }
        measure.beyond = values.iter().filter(|value| measure.is_beyond(**value)).count();
        measure
    }
}

impl Measure {
    /// The place of `value` in this row: from 0 to 1, or from -1 to 1 on a diverging scale.
    pub fn level(&self, row: usize, value: f64) -> f64 {
        let (low, high) = match &self.shape {
            Shape::Row(ranges) => ranges.get(row).copied().unwrap_or_default(),
            _ => (self.low, self.high),
        };
        let (low, high, value) = match self.shape {
            Shape::Symlog(middle) => (symlog(low, middle), symlog(high, middle), symlog(value, middle)),
            _ => (low, high, value),
        };
        let (offset, range) = if self.diverging { (0.0, high) } else { (low, high - low) };
        if range > 0.0 { ((value - offset) / range).clamp(-1.0, 1.0) } else { 0.0 }
    }

    /// Whether `value` is beyond the ends of the scale.
    pub fn is_beyond(&self, value: f64) -> bool {
        !matches!(self.shape, Shape::Row(_)) && (value > self.high || value < self.low)
    }

    /// The ends and the kind of the scale: `0..0.83 linear`.
    pub fn legend(&self, glyphs: &Glyphs) -> String {
        let ends = match self.diverging {
            true => format!("{}{}", glyphs.plus_minus, short(self.high)),
            false => format!("{}..{}", short(self.low), short(self.high)),
        };
        match &self.shape {
            Shape::Row(_) => "each row by its largest".to_string(),
            Shape::Symlog(middle) => format!("{ends} symlog, linear to {}", short(*middle)),
            Shape::Linear if self.beyond == 0 => format!("{ends} linear"),
            Shape::Linear => format!("{ends} robust, {} beyond (to {})", self.beyond, short(self.largest)),
        }
    }
}

/// The symmetric logarithm: x / c up to c, and 1 + ln(|x| / c) with the sign of x beyond (the scale `symlog` of
/// matplotlib with base e).
fn symlog(x: f64, c: f64) -> f64 {
    if x.abs() <= c { x / c } else { x.signum() * (1.0 + (x.abs() / c).ln()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Summary;
    use crate::frontend::tui::glyphs::ASCII;

    fn map(data: Vec<f64>, (rows, columns): (usize, usize), scale: Scale, summary: Summary) -> MapView {
        MapView {
            title: String::new(),
            rows,
            columns,
            data,
            row_labels: Vec::new(),
            column_labels: Vec::new(),
            pool: [1, 1],
            axes: [String::new(), String::new()],
            scale,
            shape: Vec::new(),
            summary,
        }
    }

    /// A stream with one massive activation, as healthy models have them.
    fn massive(scale: Scale) -> MapView {
        let mut data: Vec<f64> = (0..640).map(|index| (f64::from(index) * 0.37).sin()).collect();
        if scale == Scale::Sequential {
            data.iter_mut().for_each(|value| *value = value.abs());
        }
        data[77] = 22500.0;
        let least = data.iter().copied().fold(f64::INFINITY, f64::min);
        let summary = Summary { min: least, max: 22500.0, absmax: 22500.0, ..Summary::default() };
        map(data, (10, 64), scale, summary)
    }

    #[test]
    fn one_massive_activation_leaves_the_rest_of_the_stream_to_be_seen() {
        for scale in [Scale::Diverging, Scale::Sequential] {
            let map = massive(scale);
            let measure = Scaling::Auto.measure(&map, &[]);
            let levels: Vec<f64> = map.data.iter().map(|value| measure.level(0, *value).abs()).collect();
            assert!(levels.iter().filter(|level| **level > 0.2).count() > 400, "{scale:?}");
            assert!(measure.is_beyond(22500.0) && !measure.is_beyond(0.5));
            assert!(measure.legend(&ASCII).contains("beyond (to 22500)"), "{}", measure.legend(&ASCII));
            let linear = Scaling::Linear.measure(&map, &[]);
            assert!(map.data.iter().filter(|value| linear.level(0, **value).abs() > 0.01).count() == 1);
        }
    }

    #[test]
    fn values_without_outliers_are_shown_linearly() {
        let mut map = massive(Scale::Diverging);
        map.data[77] = 0.5;
        map.summary.absmax = 1.0;
        let measure = Scaling::Auto.measure(&map, &[]);
        assert_eq!(measure, Scaling::Linear.measure(&map, &[]));
        assert_eq!((measure.level(3, 0.25), measure.level(3, -0.25)), (0.25, -0.25));
    }

    #[test]
    fn every_scale_keeps_order_sign_and_ends() {
        for scale in [Scale::Diverging, Scale::Sequential] {
            let map = massive(scale);
            let mut scaling = Scaling::Auto;
            for _ in 0..5 {
                let measure = scaling.measure(&map, &[]);
                let mut values: Vec<f64> = map.data[..64].to_vec();
                values.sort_by(f64::total_cmp);
                let levels: Vec<f64> = values.iter().map(|value| measure.level(0, *value)).collect();
                assert!(levels.is_sorted(), "{scaling:?}");
                assert!(levels.iter().all(|level| level.abs() <= 1.0), "{scaling:?}");
                if scale == Scale::Diverging {
                    assert!(values.iter().zip(&levels).all(|(value, level)| value * level >= 0.0), "{scaling:?}");
                }
                scaling = scaling.next();
            }
            assert_eq!(scaling, Scaling::Auto);
        }
    }

    #[test]
    fn a_row_has_its_own_scale() {
        let map = massive(Scale::Diverging);
        let measure = Scaling::Row.measure(&map, &[]);
        assert_eq!(measure.level(1, 22500.0), 1.0);
        let largest = map.data[..64].iter().fold(0.0f64, |most, value| most.max(value.abs()));
        assert_eq!(measure.level(0, largest), 1.0);
    }

    #[test]
    fn the_symmetric_logarithm_is_that_of_matplotlib() {
        // Linear up to 2, which maps to 1; each factor of e beyond it adds 1.
        assert_eq!(symlog(1.0, 2.0), 0.5);
        assert!((symlog(2.0 * std::f64::consts::E, 2.0) - 2.0).abs() < 1e-12);
        assert_eq!(symlog(-8.0, 2.0), -symlog(8.0, 2.0));
    }

    #[test]
    fn a_map_of_nothing_or_of_zeros_has_a_scale() {
        for data in [vec![], vec![0.0; 4], vec![f64::NAN; 4]] {
            let rows = data.len();
            let map = map(data, (rows, 1), Scale::Diverging, Summary::default());
            for scaling in [Scaling::Auto, Scaling::Linear, Scaling::Robust, Scaling::Symlog, Scaling::Row] {
                let measure = scaling.measure(&map, &[]);
                assert_eq!(measure.level(0, 0.0), 0.0);
                measure.legend(&ASCII);
            }
        }
    }
}
