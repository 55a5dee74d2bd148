//! Shares as bars of characters, and the warning that goes before those that are not to be trusted.

/// How the title of an attribution begins whose sum misses what it explains.
pub const NOT_COMPLETE: &str = "warning: not complete";

/// Characters of the longest bar.
const BAR: usize = 20;

/// A bar of `+` or `-`, as long as the number is of the largest.
pub fn bar(x: f64, largest: f64) -> String {
    let length = if largest > 0.0 { (x.abs() / largest * BAR as f64).round() as usize } else { 0 };
    if x < 0.0 { "-" } else { "+" }.repeat(length)
}
