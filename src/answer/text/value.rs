//! A value as text: one line of summary, then the elements in the chosen notation.

use crate::answer::layout::{EDGE, edge_elements, edge_lines};
use crate::answer::numbers::{ELEMENT_DIGITS, SCALAR_DIGITS, element, short};
use crate::answer::{Style, ValueView};

pub fn lines(view: &ValueView) -> Vec<String> {
    let name = view.number.map(|number| format!("${number} = ")).unwrap_or_default();
    if view.style == Style::Raw {
        return raw_lines(view);
    }
    if view.shape.is_empty()
        && let Some(&[x]) = view.data.as_deref()
    {
        return vec![format!("{name}{}", element(x, &view.dtype, view.style, SCALAR_DIGITS))];
    }
    let mut lines = vec![format!("{name}{}  {}", shape_text(view), summary_text(view))];
    lines.extend(element_lines(view));
    lines
}

/// `f32[head=4, q=15, k=15]`; an axis without a name is its length alone.
fn shape_text(view: &ValueView) -> String {
    let axis = |(i, length): (usize, &usize)| match view.axes.get(i).filter(|name| !name.is_empty()) {
        Some(name) => format!("{name}={length}"),
        None => length.to_string(),
    };
    let axes: Vec<String> = view.shape.iter().enumerate().map(axis).collect();
    format!("{}[{}]", view.dtype, axes.join(", "))
}

/// Statistics on one line. Infinities are counted only if there are any; NaN always, since people look for its being 0.
fn summary_text(view: &ValueView) -> String {
    let s = &view.summary;
    if view.dtype == "bool" {
        return format!("true {}  false {}", s.count.saturating_sub(s.zeros), s.zeros);
    }
    if s.count == 0 {
        return "no elements".to_string();
    }
    let mut text = match s.nan + s.pos_inf + s.neg_inf < s.count {
        true => format!("min {} max {} mean {} std {}", short(s.min), short(s.max), short(s.mean), short(s.std)),
        false => "no finite element".to_string(),
    };
    for (name, count, always) in
        [("nan", s.nan, view.dtype != "i64"), ("inf", s.pos_inf, false), ("-inf", s.neg_inf, false)]
    {
        if always || count > 0 {
            text += &format!("  {name} {count}");
        }
    }
    text
}

/// The elements: all of them if the style shows all and they are known, else the edges.
fn element_lines(view: &ValueView) -> Vec<String> {
    let format = |x| element(x, &view.dtype, view.style, ELEMENT_DIGITS);
    match (&view.data, view.style) {
        (Some(data), Style::All) => edge_lines(data, &view.shape, usize::MAX, format),
        (Some(data), _) if view.edge.is_empty() => {
            edge_lines(&edge_elements(data, &view.shape, EDGE), &view.shape, EDGE, format)
        }
        _ => view.edge.clone(),
    }
}

/// One element per line and nothing else, for other programs to read.
fn raw_lines(view: &ValueView) -> Vec<String> {
    match &view.data {
        Some(data) => data.iter().map(|&x| element(x, &view.dtype, Style::Raw, 0)).collect(),
        None => view.edge.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Summary;

    /// A value with the statistics that tests check.
    fn view(shape: &[usize], axes: &[&str], data: Vec<f64>) -> ValueView {
        let finite: Vec<f64> = data.iter().copied().filter(|x| x.is_finite()).collect();
        let count = |test: fn(&f64) -> bool| data.iter().filter(|x| test(x)).count() as u64;
        let mean = finite.iter().sum::<f64>() / finite.len() as f64;
        ValueView {
            number: Some(1),
            shape: shape.to_vec(),
            axes: axes.iter().map(ToString::to_string).collect(),
            dtype: "f32".into(),
            summary: Summary {
                count: data.len() as u64,
                nan: count(|x| x.is_nan()),
                pos_inf: count(|x| *x == f64::INFINITY),
                neg_inf: count(|x| *x == f64::NEG_INFINITY),
                zeros: count(|x| *x == 0.0),
                min: finite.iter().copied().fold(f64::NAN, f64::min),
                max: finite.iter().copied().fold(f64::NAN, f64::max),
                mean,
                std: (finite.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / finite.len() as f64).sqrt(),
                ..Summary::default()
            },
            data: Some(data),
            style: Style::Summary,
            edge: vec![],
        }
    }

    #[test]
    fn a_scalar_is_one_short_line() {
        let mut scalar = view(&[], &[], vec![f64::from(0.831_234_6_f32)]);
        assert_eq!(lines(&scalar), ["$1 = 0.831235"]);
        scalar.style = Style::Hex;
        assert_eq!(lines(&scalar), ["$1 = 0x3f54cbca"]);
        scalar.style = Style::Raw;
        assert_eq!(lines(&scalar), ["0.8312346"]);
        scalar.dtype = "bool".into();
        scalar.style = Style::Summary;
        scalar.number = None;
        assert_eq!(lines(&scalar), ["true"]);
    }

    #[test]
    fn masked_scores() {
        let scores = view(&[2, 2], &["q", "k"], vec![-8.1, f64::NEG_INFINITY, 9.4, 0.5]);
        insta::assert_snapshot!(lines(&scores).join("\n"), @r"
        $1 = f32[q=2, k=2]  min -8.1 max 9.4 mean 0.6 std 7.145  nan 0  -inf 1
        [[-8.1, -inf],
         [ 9.4,  0.5]]
        ");
    }

    #[test]
    fn long_axes_are_cut_unless_all_is_asked_for() {
        let mut long = view(&[9], &[""], (0..9).map(f64::from).collect());
        assert_eq!(lines(&long)[1], "[0, 1, 2, ..., 6, 7, 8]");
        long.style = Style::All;
        assert_eq!(lines(&long)[1], "[0, 1, 2, 3, 4, 5, 6, 7, 8]");
        assert!(lines(&long)[0].starts_with("$1 = f32[9]  min 0 max 8"));
        long.style = Style::Raw;
        assert_eq!(lines(&long).len(), 9);
        long.style = Style::Summary;
        long.data = None;
        long.edge = vec!["[0, 1, ...]".into()];
        assert_eq!(lines(&long)[1], "[0, 1, ...]");
    }

    #[test]
    fn nothing_finite_and_nothing_at_all() {
        let broken = view(&[2], &["d"], vec![f64::NAN, f64::INFINITY]);
        assert_eq!(lines(&broken), ["$1 = f32[d=2]  no finite element  nan 1  inf 1", "[NaN, inf]"]);
        let empty = view(&[0], &["d"], vec![]);
        assert_eq!(lines(&empty), ["$1 = f32[d=0]  no elements", "[]"]);
        let mut truths = view(&[3], &["k"], vec![1.0, 0.0, 0.0]);
        truths.dtype = "bool".into();
        assert_eq!(lines(&truths), ["$1 = bool[k=3]  true 1  false 2", "[ true, false, false]"]);
    }
}
