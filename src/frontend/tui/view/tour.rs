//! The box of the tour at the bottom of the window.

use super::{Canvas, Mode, Role, boxes, strings, text};

pub fn draw(canvas: &mut Canvas) {
    let (state, area) = (canvas.state, canvas.area);
    let Some(tour) = &state.tour else { return };
    let (at, count) = tour.place();
    let title = format!("tour {at} of {count}");
    let mut inside = boxes::open(canvas, area, title, strings::TOUR_FOOT.to_string());
    let say = tour.stop().map_or(strings::TOUR_END, |stop| stop.say.as_str());
    let rows = inside.height().saturating_sub(1);
    for (y, line) in text::wrap(say, inside.width().saturating_sub(2)).iter().take(rows).enumerate() {
        inside.put(1, y, line, Role::Text);
    }
    let Some(stop) = tour.stop() else { return };
    let (verb, what) = match stop.line.is_empty() {
        // Keys act at the prompt only after it is left.
        true if state.mode == Mode::Prompt => ("Press ", format!("Esc {}", stop.key)),
        true => ("Press ", stop.key.clone()),
        false if state.mode == Mode::Prompt => ("Type ", format!("{} Enter", stop.line)),
        false => ("Type ", format!(":{} Enter", stop.line)),
    };
    let x = inside.put(1, rows, verb, Role::Faint);
    let x = inside.put(x, rows, &what, Role::Key) + 2;
    inside.put(x, rows, &stop.does, Role::Faint);
}
