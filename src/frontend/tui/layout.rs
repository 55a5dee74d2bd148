//! The places of the panes, for every size of the window.
//!
//! Neighbouring panes share the line between them. Below [`MINIMUM`] nothing is laid out, and one line says so.

use ratatui::layout::Rect;

use super::panes::{Arrangement, Pane};

/// Smallest window, columns and rows.
pub const MINIMUM: (u16, u16) = (40, 10);

/// The number of columns from which two panes fit side by side.
const SIDE_BY_SIDE: u16 = 60;

/// The number of columns from which the right column can have several panes.
const WIDE: u16 = 100;

/// The number of columns and rows from which tokens and console have boxes.
const ROOMY: (u16, u16) = (WIDE, 30);

/// The number of rows from which the tokens have a line.
const TOKENS_FROM: u16 = 20;

/// The number of rows that two panes above each other need.
const STACKED_FROM: u16 = 18;

/// The number of columns that a pane in the lower row needs.
const LOWER: u16 = 38;

/// The smallest width of a column.
const LEAST_COLUMN: u16 = 20;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    pub status: Rect,
    /// The visible panes with their boxes, in the order of Tab.
    pub areas: Vec<(Pane, Rect)>,
    pub keys: Rect,
    pub boxed: bool,
}

/// What the user has chosen of a layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Whether the focused pane fills the window.
    pub zoom: bool,
    /// The rows of the console; 0 leaves them to the layout.
    pub console_rows: usize,
    /// The columns of the left column.
    pub column: Option<u16>,
}

impl Layout {
    /// The layout of a window `area` with the focus on `focus`. `None` below [`MINIMUM`].
    pub fn new(area: Rect, arrangement: &Arrangement, focus: Pane, chosen: Chosen) -> Option<Self> {
        let Chosen { zoom, console_rows, column } = chosen;
        let (width, height) = (area.width, area.height);
        if width < MINIMUM.0 || height < MINIMUM.1 {
            return None;
        }
        let line = |y: u16| Rect { x: area.x, y: area.y + y, width, height: 1 };
        let rows = |from: u16, to: u16| Rect { x: area.x, y: area.y + from, width, height: to - from };
        let boxed = width >= ROOMY.0 && height >= ROOMY.1;
        let mut layout = Self { status: line(0), keys: line(height - 1), boxed, areas: Vec::new() };
        let bottom = height - 1;
        if zoom && focus == Pane::Console {
            layout.areas.push((Pane::Console, rows(1, bottom)));
            return Some(layout);
        }
        if zoom {
            // The prompt stays visible below the zoomed pane.
            let console = if boxed { 4 } else { 1 };
            let split = bottom - console;
            let large = rows(1, if boxed { split + 1 } else { split });
            layout.boxed |= focus == Pane::Tokens;
            layout.areas.extend([(focus, large), (Pane::Console, rows(split, bottom))]);
            return Some(layout);
        }
        let mut below = Vec::new();
        let upper = layout.split_below(height, console_rows, rows, &mut below);
        layout.place(upper, arrangement, focus, column);
        layout.areas.append(&mut below);
        Some(layout)
    }

    /// Gives tokens and console their rows, and returns the rest for the other panes.
    fn split_below(
        &mut self,
        height: u16,
        console_rows: usize,
        rows: impl Fn(u16, u16) -> Rect,
        below: &mut Vec<(Pane, Rect)>,
    ) -> Rect {
        let bottom = height - 1;
        let tokens = if self.boxed { 3 } else { u16::from(height >= TOKENS_FROM) };
        let usual = match height {
            _ if self.boxed => (height / 4).max(8),
            0..14 => 3,
            14..20 => height / 3,
            _ => height * 3 / 8,
        };
        let chosen = u16::try_from(console_rows).unwrap_or(u16::MAX).saturating_add(if self.boxed { 2 } else { 0 });
        // The panes above keep at least five rows.
        let console = if console_rows == 0 { usual } else { chosen.clamp(2, height.saturating_sub(tokens + 7).max(2)) };
        let top = bottom - console;
        if self.boxed {
            // Boxes overlap by the line they share.
            below.extend([(Pane::Tokens, rows(top - 3, top + 1)), (Pane::Console, rows(top, bottom))]);
            return rows(1, top - 2);
        }
        if tokens > 0 {
            below.push((Pane::Tokens, rows(top - 1, top)));
        }
        below.push((Pane::Console, rows(top, bottom)));
        rows(1, top - tokens)
    }

    /// Places the panes of an arrangement in `upper`.
    fn place(&mut self, upper: Rect, arrangement: &Arrangement, focus: Pane, chosen: Option<u16>) {
        let width = upper.width;
        if width < SIDE_BY_SIDE {
            let all = arrangement.panes.iter().chain(&arrangement.narrow);
            let alone = all.into_iter().find(|pane| **pane == focus).unwrap_or(&arrangement.panes[0]);
            self.areas.push((*alone, upper));
            return;
        }
        // Without room for the lower row, a wide window shows the two panes of a narrow one.
        let low = upper.height < STACKED_FROM && arrangement.panes.len() > 2;
        let wide = width >= WIDE && !low;
        let [left, right] = if wide { [arrangement.panes[0], arrangement.panes[1]] } else { arrangement.narrow };
        let column = match width {
            0..80 if left == Pane::Program => 26,
            80..120 if left == Pane::Program => 37,
            _ if left == Pane::Program => 41,
            _ => width / 2,
        };
        let column = chosen.map_or(column, |chosen| chosen.clamp(LEAST_COLUMN, width - LEAST_COLUMN));
        let others = arrangement.panes.iter().copied().filter(|pane| ![left, right].contains(pane));
        let others: Vec<Pane> = others.collect();
        let stacked = upper.height >= STACKED_FROM && !others.is_empty();
        // The value keeps the larger part; the lower row shares its line.
        let split = if stacked { upper.height * 11 / 20 } else { upper.height };
        let top_height = if stacked { split + 1 } else { split };
        let left_height = if wide { upper.height } else { top_height };
        self.areas.push((left, Rect { width: column, height: left_height, ..upper }));
        let right_column = Rect { x: upper.x + column - 1, width: width - column + 1, ..upper };
        self.areas.push((right, Rect { height: top_height, ..right_column }));
        if !stacked {
            return;
        }
        let lower = if wide { right_column } else { upper };
        let lower = Rect { y: upper.y + split, height: upper.height - split, ..lower };
        let fitting = usize::from(lower.width / LOWER).clamp(1, others.len());
        let each = lower.width / fitting as u16;
        for (at, pane) in others.into_iter().take(fitting).enumerate() {
            let x = lower.x + each * at as u16 - u16::from(at > 0);
            let end = if at + 1 == fitting { lower.right() } else { lower.x + each * (at as u16 + 1) };
            self.areas.push((pane, Rect { x, width: end - x, ..lower }));
        }
    }

    /// The area of `pane`, if it is visible.
    pub fn area(&self, pane: Pane) -> Option<Rect> {
        self.areas.iter().find(|(known, _)| *known == pane).map(|(_, area)| *area)
    }

    pub fn has_box(&self, pane: Pane) -> bool {
        let low = self.area(pane).is_some_and(|area| area.height < 3);
        match pane {
            Pane::Tokens | Pane::Console => self.boxed && !low,
            _ => true,
        }
    }

    /// The columns and rows inside the box of `pane`, without the prompt of the console.
    pub fn inside(&self, pane: Pane) -> (usize, usize) {
        let Some(area) = self.area(pane) else { return (0, 0) };
        let frame = if self.has_box(pane) { 2 } else { 0 };
        let prompt = u16::from(pane == Pane::Console);
        (area.width.saturating_sub(frame).into(), area.height.saturating_sub(frame + prompt).into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::panes::Panes;
    use super::*;

    #[test]
    fn every_size_is_laid_out_inside_the_window() {
        let (panes, _) = Panes::new(None);
        for arrangement in &panes.layouts {
            let focuses = arrangement.panes.iter().chain(&[Pane::Tokens, Pane::Console]);
            for (focus, zoom) in focuses.flat_map(|focus| [(*focus, false), (*focus, true)]) {
                for (width, height) in (0..180).step_by(7).flat_map(|w| (0..60).step_by(3).map(move |h| (w, h))) {
                    for (console_rows, column) in [(0, None), (1, Some(1)), (500, Some(500))] {
                        let window = Rect::new(0, 0, width, height);
                        let chosen = Chosen { zoom, console_rows, column };
                        let Some(layout) = Layout::new(window, arrangement, focus, chosen) else {
                            assert!(width < MINIMUM.0 || height < MINIMUM.1);
                            continue;
                        };
                        for (pane, area) in &layout.areas {
                            assert_eq!(*area, area.intersection(window), "{pane:?} {layout:?}");
                            assert!(area.y > 0 && area.bottom() < height && !area.is_empty(), "{pane:?} {window:?}");
                            assert_eq!(layout.areas.iter().filter(|(other, _)| other == pane).count(), 1);
                        }
                        assert!(layout.area(Pane::Console).is_some());
                    }
                }
            }
        }
    }

    #[test]
    fn the_pane_that_names_a_layout_is_visible_at_every_size() {
        let (panes, _) = Panes::new(None);
        for (name, pane) in [("attention", "heads"), ("lens", "lens"), ("diff", "diff"), ("grad", "grad")] {
            let pane = panes.find(pane).expect("a pane");
            for (width, height) in [(60, 20), (80, 24), (100, 24), (120, 40), (200, 60)] {
                let window = Rect::new(0, 0, width, height);
                let layout =
                    Layout::new(window, panes.layout(name), Pane::Program, Chosen::default()).expect("a layout");
                assert!(layout.area(pane).is_some(), "{name} at {width}x{height}");
            }
        }
    }

    #[test]
    fn eighty_by_twenty_four_keeps_two_panes_tokens_and_console() {
        let (panes, _) = Panes::new(None);
        let layout = Layout::new(Rect::new(0, 0, 80, 24), panes.layout("program"), Pane::Program, Chosen::default());
        let layout = layout.expect("a layout");
        assert_eq!(layout.inside(Pane::Program), (35, 10));
        assert_eq!(layout.inside(Pane::Value), (42, 10));
        assert_eq!(layout.inside(Pane::Tokens), (80, 1));
        assert_eq!(layout.inside(Pane::Console), (80, 8));
    }
}
