//! The value pane: the selected value as map, vector, largest elements or number, and its statistics.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{heat, paint, vector};
use crate::answer::Summary;
use crate::answer::numbers::short;
use crate::engine::messages::{PanelContent, PanelView};
use crate::frontend::tui::glyphs::Glyphs;
use crate::frontend::tui::state::State;
use crate::frontend::tui::strings;
use crate::frontend::tui::text;
use crate::frontend::tui::theme::{Role, Theme};

/// The height from which the statistics have a line.
const STATISTICS_FROM: u16 = 12;

/// The largest number of cells, rows by columns, that a pane of this inside can show without scrolling.
pub fn capacity(inside: (usize, usize), theme: &Theme, glyphs: &Glyphs) -> (usize, usize) {
    let area = Rect { x: 0, y: 0, width: inside.0 as u16, height: inside.1 as u16 };
    heat::capacity(picture(area), theme, glyphs)
}

/// The rows for the picture itself, without those of the statistics below it.
fn picture(area: Rect) -> Rect {
    let statistics = u16::from(area.height >= STATISTICS_FROM);
    Rect { height: area.height - statistics, ..area }
}

/// The texts in the upper and lower line of the pane's box.
pub fn titles(state: &State) -> (String, String) {
    let panel = match &state.value.panel {
        Some(Ok(panel)) => panel,
        _ => return (chosen_name(state), String::new()),
    };
    let mut title = text::short_site(&panel.title);
    if !panel.shape.is_empty() {
        title = format!("{title}  {}", panel.shape);
    }
    let mut foot = match &panel.content {
        PanelContent::Heat { map, first, whole, .. } => {
            let mut legend = heat::legend(map, state.glyphs);
            if (map.rows * map.pool[0].max(1), map.columns * map.pool[1].max(1)) < *whole {
                let last = (first.0 + map.rows - 1, first.1 + map.columns - 1);
                legend = format!("{legend}  [{}:{}, {}:{}]", first.0, last.0 + 1, first.1, last.1 + 1);
            }
            legend
        }
        PanelContent::Heads(_) => String::new(),
        PanelContent::Vector { pool, data, .. } => vector::legend(data, *pool),
        PanelContent::TopK(items) => format!("{} largest", items.len()),
        PanelContent::Scalar(_) => String::new(),
    };
    if panel.op != state.chosen_op().unwrap_or(panel.op) {
        // The value of the new selection has not arrived yet.
        title = format!("{title} {}", state.glyphs.ellipsis);
    }
    let view = match state.value.view {
        PanelView::Auto => "",
        PanelView::Heat => "map",
        PanelView::Numbers => "numbers",
        PanelView::Heads => "heads",
        PanelView::Vector => "vector",
        PanelView::Histogram => "histogram",
        PanelView::TopK => "top",
    };
    if !view.is_empty() {
        foot = format!("{foot}  [{view}]");
    }
    if state.value.gradient {
        foot = format!("{foot}  [gradient]");
    }
    (title, foot.trim_start().to_string())
}

fn chosen_name(state: &State) -> String {
    let site = state.snapshot.as_ref().zip(state.chosen_op()).and_then(|(snapshot, op)| snapshot.ops.get(op));
    site.map_or_else(|| "value".to_string(), |op| text::short_site(&op.site))
}

pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let panel = match &state.value.panel {
        Some(Ok(panel)) => panel,
        Some(Err(error)) => {
            for (y, line) in text::wrap(&error.message, area.width.saturating_sub(2).into()).iter().enumerate() {
                paint::put(buffer, area, 1, y, line, state.theme.style(Role::Error));
            }
            return;
        }
        None => return draw_absence(state, area, buffer),
    };
    let inside = picture(area);
    match &panel.content {
        PanelContent::Heat { map, masked, first, .. } => {
            let at = (state.value.row, state.value.column);
            let heat = heat::Heat { map, masked, at, first: *first };
            match state.value.view {
                PanelView::Numbers => heat::draw_numbers(state, &heat, inside, buffer),
                _ => heat::draw(state, &heat, inside, buffer),
            }
        }
        PanelContent::Heads(_) => {}
        PanelContent::Vector { axis, data, pool } => vector::draw(state, axis, data, *pool, inside, buffer),
        PanelContent::TopK(items) => vector::draw_largest(state, items, inside, buffer),
        PanelContent::Scalar(value) => {
            let said = crate::answer::numbers::significant(*value, 9);
            paint::put(buffer, inside, 2, 1, &said, state.theme.style(Role::Title));
        }
    }
    if inside.height < area.height {
        let line = text::fit(&statistics(&panel.summary), area.width.saturating_sub(2).into(), state.glyphs);
        paint::put(buffer, area, 1, inside.height.into(), &line, state.theme.style(Role::Label));
    }
}

/// Draws the reason why no value is shown.
fn draw_absence(state: &State, area: Rect, buffer: &mut Buffer) {
    let Some(snapshot) = &state.snapshot else { return };
    let computed = state.chosen_op().and_then(|op| snapshot.flags.get(op)).is_some_and(|flags| flags.computed);
    let lines = match (snapshot.live, computed) {
        (_, true) => vec![strings::FETCHING.to_string()],
        (false, _) => vec![strings::NO_RUN.to_string()],
        (true, _) => {
            let key = state.keymap.key_of("run-to");
            vec![format!("{} Press {key} to run up to it.", strings::NOT_COMPUTED)]
        }
    };
    for (y, line) in lines.iter().flat_map(|line| text::wrap(line, area.width.saturating_sub(2).into())).enumerate() {
        paint::put(buffer, area, 1, y, &line, state.theme.style(Role::Faint));
    }
}

/// One line over all elements of the value.
fn statistics(summary: &Summary) -> String {
    let mut said = format!(
        "min {}  max {}  mean {}  std {}  nan {}",
        short(summary.min),
        short(summary.max),
        short(summary.mean),
        short(summary.std),
        summary.nan
    );
    for (count, word) in [(summary.pos_inf, "inf"), (summary.neg_inf, "-inf"), (summary.zeros, "zeros")] {
        if count > 0 {
            said = format!("{said}  {word} {count}");
        }
    }
    said
}
