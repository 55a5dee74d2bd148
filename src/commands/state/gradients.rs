//! What the norm of a gradient says.

/// Norms beyond these are marked: the thresholds of torchlens.
pub(crate) const VANISHING: f64 = 1e-7;
pub(crate) const EXPLODING: f64 = 1e4;

/// What a norm says of the flow of the gradient.
pub fn verdict(norm: f64) -> &'static str {
    match norm {
        x if x.is_nan() => "NaN",
        0.0 => "zero",
        x if x < VANISHING => "vanishing (below 1e-7)",
        x if x > EXPLODING => "exploding (above 1e4)",
        _ => "",
    }
}
