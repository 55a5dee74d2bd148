//! Where the panes are, for every size of the window.
//!
//! Neighbouring panes share the line between them. Below [`MINIMUM`] nothing is laid out and one line says so.

use ratatui::layout::Rect;

/// Smallest window, columns and rows.
pub const MINIMUM: (u16, u16) = (40, 10);

/// Below this many columns, program and value do not fit side by side.
const SIDE_BY_SIDE: u16 = 60;

/// From this many columns and rows on, tokens and console have boxes of their own.
const ROOMY: (u16, u16) = (100, 30);

/// Rows below which the tokens have no line of their own.
const TOKENS_FROM: u16 = 20;

/// A part of the screen that can have the focus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pane {
    /// The module tree.
    #[default]
    Program,
    /// The chosen value.
    Value,
    /// The tokens of the input.
    Tokens,
    /// Commands and answers.
    Console,
}

impl Pane {
    /// All panes, in the order of Tab.
    pub const ALL: [Pane; 4] = [Pane::Program, Pane::Value, Pane::Tokens, Pane::Console];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Pane::Program => "program",
            Pane::Value => "value",
            Pane::Tokens => "tokens",
            Pane::Console => "console",
        }
    }
}

/// Where everything is. Panes that are not shown have no area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The status line.
    pub status: Rect,
    /// The module tree with its box.
    pub program: Option<Rect>,
    /// The value with its box.
    pub value: Option<Rect>,
    /// The tokens; with a box where `boxed`.
    pub tokens: Option<Rect>,
    /// Console and prompt; with a box where `boxed`.
    pub console: Option<Rect>,
    /// The line of keys.
    pub keys: Rect,
    /// Whether tokens and console have boxes.
    pub boxed: bool,
}

impl Layout {
    /// For a window `area` with the focus on `focus`, which fills it when `zoom` is set. None below [`MINIMUM`].
    pub fn new(area: Rect, focus: Pane, zoom: bool) -> Option<Self> {
        let (width, height) = (area.width, area.height);
        if width < MINIMUM.0 || height < MINIMUM.1 {
            return None;
        }
        let line = |y: u16| Rect { x: area.x, y: area.y + y, width, height: 1 };
        let rows = |from: u16, to: u16| Rect { x: area.x, y: area.y + from, width, height: to - from };
        let boxed = width >= ROOMY.0 && height >= ROOMY.1;
        let mut layout = Self { status: line(0), keys: line(height - 1), boxed, ..Self::default() };
        let bottom = height - 1;
        if zoom && focus == Pane::Console {
            layout.console = Some(rows(1, bottom));
            return Some(layout);
        }
        if zoom {
            // The prompt stays in reach below the zoomed pane.
            let console = if boxed { 4 } else { 1 };
            let split = bottom - console;
            layout.console = Some(rows(split, bottom));
            let large = Some(rows(1, if boxed { split + 1 } else { split }));
            match focus {
                Pane::Program => layout.program = large,
                Pane::Value => layout.value = large,
                Pane::Tokens => (layout.tokens, layout.boxed) = (large, true),
                Pane::Console => {}
            }
            return Some(layout);
        }
        let upper = layout.split_below(height, rows);
        if width < SIDE_BY_SIDE {
            match focus {
                Pane::Value => layout.value = Some(upper),
                _ => layout.program = Some(upper),
            }
            return Some(layout);
        }
        let program = match width {
            0..80 => 26,
            80..120 => 37,
            _ => 41,
        };
        layout.program = Some(Rect { width: program, ..upper });
        layout.value = Some(Rect { x: upper.x + program - 1, width: width - program + 1, ..upper });
        Some(layout)
    }

    /// Gives tokens and console their rows; the rest is for program and value.
    fn split_below(&mut self, height: u16, rows: impl Fn(u16, u16) -> Rect) -> Rect {
        let bottom = height - 1;
        if self.boxed {
            // Boxes overlap by the line they share.
            let console = (height / 4).max(8);
            let top = bottom - console;
            self.console = Some(rows(top, bottom));
            self.tokens = Some(rows(top - 3, top + 1));
            return rows(1, top - 2);
        }
        let tokens = u16::from(height >= TOKENS_FROM);
        let console = match height {
            0..14 => 3,
            14..20 => height / 3,
            _ => height * 3 / 8,
        };
        let top = bottom - console;
        self.console = Some(rows(top, bottom));
        self.tokens = (tokens > 0).then(|| rows(top - 1, top));
        rows(1, top - tokens)
    }

    /// The area of `pane`.
    pub fn area(&self, pane: Pane) -> Option<Rect> {
        match pane {
            Pane::Program => self.program,
            Pane::Value => self.value,
            Pane::Tokens => self.tokens,
            Pane::Console => self.console,
        }
    }

    /// Columns and rows inside the box of `pane`; of the console, without the prompt.
    pub fn inside(&self, pane: Pane) -> (usize, usize) {
        let Some(area) = self.area(pane) else { return (0, 0) };
        let boxed = self.boxed || matches!(pane, Pane::Program | Pane::Value);
        let frame = if boxed { 2 } else { 0 };
        let prompt = u16::from(pane == Pane::Console);
        (area.width.saturating_sub(frame).into(), area.height.saturating_sub(frame + prompt).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_laid_out_inside_the_window() {
        for width in 0..200 {
            for height in 0..60 {
                for focus in Pane::ALL {
                    for zoom in [false, true] {
                        let window = Rect::new(0, 0, width, height);
                        let Some(layout) = Layout::new(window, focus, zoom) else {
                            assert!(width < MINIMUM.0 || height < MINIMUM.1);
                            continue;
                        };
                        for area in Pane::ALL.iter().filter_map(|pane| layout.area(*pane)) {
                            assert_eq!(area, area.intersection(window));
                            assert!(area.y > 0 && area.bottom() < height && !area.is_empty());
                        }
                        assert!(layout.console.is_some());
                    }
                }
            }
        }
    }

    #[test]
    fn eighty_by_twenty_four_keeps_program_value_tokens_and_console() {
        let layout = Layout::new(Rect::new(0, 0, 80, 24), Pane::Program, false).expect("a layout");
        assert_eq!(layout.inside(Pane::Program), (35, 10));
        assert_eq!(layout.inside(Pane::Value), (42, 10));
        assert_eq!(layout.inside(Pane::Tokens), (80, 1));
        assert_eq!(layout.inside(Pane::Console), (80, 8));
    }
}
