//! The console pane with the prompt in its last row.

use ratatui::layout::Position;
use ratatui::style::Modifier;

use super::{Canvas, Mode, Role, busy, strings, text};
use crate::frontend::tui::console::Kind;
use crate::frontend::tui::prompt::Purpose;

pub fn draw(canvas: &mut Canvas) -> Option<Position> {
    let state = canvas.state;
    let busy = busy::line(state, canvas.width()).filter(|_| canvas.height() > 1);
    let height = canvas.height().saturating_sub(1 + usize::from(busy.is_some()));
    let (mut rows, mut more) = state.console.visible(canvas.width(), height);
    if more > 0 && rows.len() > 1 {
        more += usize::from(rows.pop().is_some());
        let lines = if more == 1 { "line" } else { "lines" };
        rows.push((Kind::Notice, format!("-- {more} more {lines}: {} --", strings::MORE)));
    }
    for (y, (kind, line)) in rows.iter().enumerate() {
        let role = match kind {
            Kind::Echo => Role::Echo,
            Kind::Output => Role::Text,
            Kind::Error => Role::Error,
            Kind::Notice => Role::Notice,
        };
        canvas.put(0, y, line, role);
    }
    // The prompt follows the last line, as in a terminal, until the pane is full.
    let y = rows.len().min(height);
    if let Some(busy) = &busy {
        canvas.put(0, y, busy, Role::Running);
    }
    draw_prompt(canvas, y + usize::from(busy.is_some()))
}

fn draw_prompt(canvas: &mut Canvas, y: usize) -> Option<Position> {
    let state = canvas.state;
    if state.mode == Mode::Confirm {
        let x = canvas.put(0, y, strings::CONFIRM_QUIT, Role::Notice);
        return place(canvas, x, y);
    }
    if state.mode != Mode::Prompt {
        let x = canvas.put(0, y, strings::PROMPT, Role::Faint);
        if let Some((letter, _)) = state.letters.waiting() {
            canvas.put(x, y, &letter.to_string(), Role::Faint);
        }
        return None;
    }
    let input = &state.prompt.input;
    if let Purpose::History { .. } = state.prompt.purpose {
        let head = format!("(history '{}') ", input.value());
        let x = canvas.put(0, y, &head, Role::Notice);
        canvas.put(x, y, &state.prompt.found().unwrap_or_default(), Role::Text);
        return place(canvas, x, y);
    }
    let head = match state.prompt.purpose {
        _ if state.block.is_open() => strings::BLOCK_PROMPT,
        _ => strings::PROMPT,
    };
    let x = canvas.put(0, y, head, Role::Prompt);
    let room = canvas.width().saturating_sub(x + 1);
    let scroll = input.visual_scroll(room);
    let skipped = text::take(input.value(), scroll).len();
    let end = canvas.put(x, y, &input.value()[skipped..], Role::Text);
    if let Some(rest) = state.prompt.ghost() {
        canvas.put(end, y, rest, Role::Faint);
    } else if let Some((place, message)) = state.prompt.fault().filter(|(place, _)| place.start >= skipped) {
        let line = input.value();
        let from = x + text::width(&line[skipped..place.start]);
        let stop =
            (place.start..=place.end.min(line.len())).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(line.len());
        let wrong = &line[place.start..stop.max(place.start)];
        let style = state.theme.style(Role::Error).add_modifier(Modifier::UNDERLINED);
        canvas.put_in(from, y, wrong, style);
        let room = canvas.width().saturating_sub(end + 3);
        canvas.put(end + 2, y, &text::fit(message, room, state.glyphs), Role::Error);
    }
    place(canvas, x + input.visual_cursor().saturating_sub(scroll), y)
}

fn place(canvas: &Canvas, x: usize, y: usize) -> Option<Position> {
    let inside = x < canvas.width() && y < canvas.height();
    inside.then(|| Position { x: canvas.area.x + x as u16, y: canvas.area.y + y as u16 })
}
