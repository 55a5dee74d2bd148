//! The value pane: the selected value as map, vector, largest elements or number, and its statistics.

use super::{Canvas, Rect, Role, State, heat, strings, text, vector};
use crate::answer::Summary;
use crate::answer::numbers::{short, significant};
use crate::engine::messages::{PanelContent, PanelView};
use crate::frontend::tui::glyphs::Glyphs;
use crate::frontend::tui::theme::Theme;
use crate::model::site_name;

/// The height from which the statistics have a line.
const STATISTICS_FROM: u16 = 12;

/// The height from which the scale has a line.
const CAPTION_FROM: u16 = 4;

/// The largest number of cells, rows by columns, that a pane of this inside can show without scrolling.
pub fn capacity(inside: (usize, usize), theme: &Theme, glyphs: &Glyphs) -> (usize, usize) {
    let area = Rect { x: 0, y: 0, width: inside.0 as u16, height: inside.1 as u16 };
    heat::capacity(picture(area), theme, glyphs)
}

/// The cell of the map at this column and row of a pane of this inside.
pub fn cell_at(state: &State, inside: (usize, usize), (x, y): (usize, usize)) -> Option<(usize, usize)> {
    let Some(Ok(panel)) = &state.value.panel else { return None };
    let PanelContent::Heat { map, masked, first, .. } = &panel.content else { return None };
    let area = picture(Rect { x: 0, y: 0, width: inside.0 as u16, height: inside.1 as u16 });
    let heat = heat::Heat { map, masked, at: (state.value.row, state.value.column), first: *first };
    heat::cell_at(state, &heat, area, state.value.view == PanelView::Numbers, (x, y))
}

/// The rows for the picture itself, without those of the statistics and the caption below it.
fn picture(area: Rect) -> Rect {
    let statistics = u16::from(area.height >= STATISTICS_FROM);
    let caption = u16::from(area.height >= CAPTION_FROM);
    Rect { height: area.height - statistics - caption, ..area }
}

/// The text in the upper line of the pane's box, and the caption of the picture.
pub fn titles(state: &State) -> (String, String) {
    let panel = match &state.value.panel {
        Some(Ok(panel)) => panel,
        _ => return (chosen_name(state), String::new()),
    };
    let mut title = name(&panel.title);
    if !panel.shape.is_empty() {
        title = format!("{title}  {}", panel.shape);
    }
    let mut foot = match &panel.content {
        PanelContent::Heat { map, masked, first, whole, .. } => {
            let mut legend = heat::legend(state, map, masked);
            if (map.rows * map.pool[0].max(1), map.columns * map.pool[1].max(1)) < *whole {
                let end = (first.0 + map.rows, first.1 + map.columns);
                legend = format!("{legend}  [{}:{}, {}:{}]", first.0, end.0, first.1, end.1);
            }
            legend
        }
        PanelContent::Vector { pool, data, .. } => vector::legend(data, *pool),
        PanelContent::TopK(items) => format!("{} largest", items.len()),
        PanelContent::Heads(_) | PanelContent::Scalar(_) => String::new(),
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
    site.map_or_else(|| "value".to_string(), |op| name(&op.site))
}

/// A site as it is named in the title. Another pane is called tokens too.
fn name(site: &str) -> String {
    let site = site_name::short(site);
    if site.starts_with("tokens") { format!("value of {site}") } else { site }
}

pub fn draw(canvas: &mut Canvas) {
    let state = canvas.state;
    let panel = match &state.value.panel {
        Some(Ok(panel)) => panel,
        Some(Err(error)) => return canvas.say(&error.message, Role::Error),
        None => return draw_absence(canvas),
    };
    let area = picture(canvas.area);
    let inside = &mut canvas.at(area);
    match &panel.content {
        PanelContent::Heat { map, masked, first, .. } => {
            let at = (state.value.row, state.value.column);
            let heat = heat::Heat { map, masked, at, first: *first };
            match state.value.view {
                PanelView::Numbers => heat::draw_numbers(inside, &heat),
                _ => heat::draw(inside, &heat),
            }
        }
        PanelContent::Heads(_) => {}
        PanelContent::Vector { axis, data, pool } => vector::draw(inside, axis, data, *pool),
        PanelContent::TopK(items) => vector::draw_largest(inside, items),
        PanelContent::Scalar(value) => {
            inside.put(2, 1, &significant(*value, 9), Role::Title);
        }
    }
    let mut below = Rect { height: canvas.area.height, ..canvas.area };
    if canvas.area.height >= CAPTION_FROM {
        let caption = titles(state).1;
        let statistics = u16::from(canvas.area.height >= STATISTICS_FROM);
        below.height -= statistics;
        canvas.at(below).caption(&caption);
    }
    if canvas.area.height >= STATISTICS_FROM {
        let line = text::fit(&statistics(&panel.summary), canvas.width().saturating_sub(2), state.glyphs);
        canvas.put(1, below.height.into(), &line, Role::Label);
    }
}

fn draw_absence(canvas: &mut Canvas) {
    let state = canvas.state;
    let Some(snapshot) = &state.snapshot else { return };
    let computed = state.chosen_op().and_then(|op| snapshot.flags.get(op)).is_some_and(|flags| flags.computed);
    match (snapshot.live, computed) {
        (_, true) => canvas.say(strings::FETCHING, Role::Faint),
        (false, _) if state.typing => canvas.say(strings::NO_RUN_YET, Role::Faint),
        (false, _) => canvas.say(strings::NO_RUN, Role::Faint),
        (true, _) => {
            let key = state.keymap.key_of("run-to");
            let how = if state.typing { format!("Esc and then {key} runs") } else { format!("{key} runs") };
            canvas.say(&format!("{} {how} up to it.", strings::NOT_COMPUTED), Role::Faint);
        }
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
