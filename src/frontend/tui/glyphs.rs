//! Every character beyond letters that the interface draws, in two sets: one for terminals that take UTF-8, one in
//! ASCII for those that do not.

use ratatui::symbols::border;

/// One set of characters.
#[derive(Debug, PartialEq)]
pub struct Glyphs {
    /// Half blocks can be drawn.
    pub blocks: bool,
    /// Lines of boxes.
    pub border: border::Set<'static>,
    /// The op at the cursor.
    pub arrow: &'static str,
    /// A folded module.
    pub folded: &'static str,
    /// An unfolded module.
    pub unfolded: &'static str,
    /// A value that is there.
    pub computed: &'static str,
    /// In front of the number of breakpoints.
    pub bullet: &'static str,
    /// Between the parts of the status line.
    pub dot: &'static str,
    /// Text was cut here.
    pub ellipsis: &'static str,
    /// A space inside a token.
    pub space: &'static str,
    /// A line feed inside a token.
    pub newline: &'static str,
    /// A tab inside a token.
    pub tab: &'static str,
    /// A cell that a mask covers; no glyph of [`RAMP`].
    pub masked: &'static str,
    /// In front of the focused row of a map.
    pub focus: &'static str,
    /// Above the chosen column of a map.
    pub column: &'static str,
    /// Below the chosen bar of a vector.
    pub bar: &'static str,
    /// A whole and an empty piece of a progress bar.
    pub progress: [&'static str; 2],
    /// Bars from empty to full, in ninths of a character's height or as near as the set comes.
    pub bars: [&'static str; 9],
    /// In front of a largest magnitude.
    pub plus_minus: &'static str,
}

/// For terminals that take UTF-8.
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

/// For all others.
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
pub const RAMP: [char; 10] = [' ', '.', ':', '-', '=', '+', '*', '#', '%', '@'];
