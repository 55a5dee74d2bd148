//! The symbols that the interface draws, in two sets: one for terminals that support UTF-8, and one in ASCII for the
//! others.

use ratatui::symbols::border;

#[derive(Debug, PartialEq)]
pub struct Glyphs {
    pub blocks: bool,
    pub border: border::Set<'static>,
    /// The op at the cursor.
    pub arrow: &'static str,
    pub folded: &'static str,
    pub unfolded: &'static str,
    pub computed: &'static str,
    /// Before the number of breakpoints.
    pub bullet: &'static str,
    /// Between the parts of the status line.
    pub dot: &'static str,
    pub ellipsis: &'static str,
    pub space: &'static str,
    pub newline: &'static str,
    pub tab: &'static str,
    /// A masked cell; not a character of the ramp.
    pub masked: &'static str,
    /// Before the focused row of a map.
    pub focus: &'static str,
    /// Above the selected column of a map.
    pub column: &'static str,
    /// Below the selected bar of a vector.
    pub bar: &'static str,
    /// A filled and an empty piece of a progress bar.
    pub progress: [&'static str; 2],
    /// Bars from empty to full, in steps of an eighth of the height of a character, or as near as the set comes.
    pub bars: [&'static str; 9],
    pub plus_minus: &'static str,
}

pub const UNICODE: Glyphs = Glyphs {
    blocks: true,
    border: border::PLAIN,
    arrow: "→",
    folded: "▸",
    unfolded: "▾",
    computed: "✓",
    bullet: "●",
    dot: "·",
    ellipsis: "…",
    space: "·",
    newline: "↵",
    tab: "⇥",
    masked: "·",
    focus: "▸",
    column: "▾",
    bar: "▴",
    progress: ["█", "░"],
    bars: [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    plus_minus: "±",
};

pub const ASCII: Glyphs = Glyphs {
    blocks: false,
    border: border::Set {
        top_left: "+",
        top_right: "+",
        bottom_left: "+",
        bottom_right: "+",
        vertical_left: "|",
        vertical_right: "|",
        horizontal_top: "-",
        horizontal_bottom: "-",
    },
    arrow: ">",
    folded: "+",
    unfolded: "-",
    computed: "*",
    bullet: "*",
    dot: "|",
    ellipsis: "~",
    space: "_",
    newline: "\\n",
    tab: "\\t",
    masked: "'",
    focus: ">",
    column: "v",
    bar: "^",
    progress: ["#", "-"],
    bars: [" ", " ", "_", "_", ".", ":", ":", "|", "#"],
    plus_minus: "+-",
};

/// Densities for maps without colour, lightest first.
const RAMP: [char; 10] = [' ', '.', ':', '-', '=', '+', '*', '#', '%', '@'];

/// The density for the magnitude of `t`, which is at most 1.
pub fn density(t: f64) -> char {
    let last = RAMP.len() - 1;
    RAMP[((t.abs() * last as f64).round() as usize).min(last)]
}
