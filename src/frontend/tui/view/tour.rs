//! The box of the tour at the bottom of the window.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::boxes::{self, Boxed};
use super::paint;
use crate::frontend::tui::state::State;
use crate::frontend::tui::strings;
use crate::frontend::tui::text;
use crate::frontend::tui::theme::Role;

pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let Some(tour) = &state.tour else { return };
    let (at, count) = tour.place();
    let title = format!("tour {at} of {count}");
    let foot = strings::TOUR_FOOT.to_string();
    boxes::draw(state, &[Boxed { area, title, foot, focused: true }], buffer);
    let inside = boxes::inside(area);
    let width = usize::from(inside.width).saturating_sub(2);
    let say = tour.stop().map_or(strings::TOUR_END, |stop| stop.say.as_str());
    let lines = text::wrap(say, width);
    let rows = usize::from(inside.height).saturating_sub(1);
    for (y, line) in lines.iter().take(rows).enumerate() {
        paint::put(buffer, inside, 1, y, line, state.theme.style(Role::Text));
    }
    let Some(stop) = tour.stop() else { return };
    let (verb, what) = match stop.line.is_empty() {
        true => ("Press", stop.key.clone()),
        false => ("Type", format!(":{} Enter", stop.line)),
    };
    let y = rows.min(usize::from(inside.height).saturating_sub(1));
    let x = paint::put(buffer, inside, 1, y, &format!("{verb} "), state.theme.style(Role::Faint));
    let x = paint::put(buffer, inside, x, y, &what, state.theme.style(Role::Key)) + 2;
    paint::put(buffer, inside, x, y, &stop.does, state.theme.style(Role::Faint));
}
