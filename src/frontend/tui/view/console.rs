//! The console pane with the prompt in its last row.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Modifier;

use super::paint;
use crate::frontend::tui::console::Kind;
use crate::frontend::tui::prompt::Purpose;
use crate::frontend::tui::state::{Mode, State};
use crate::frontend::tui::strings;
use crate::frontend::tui::text;
use crate::frontend::tui::theme::Role;

pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    let height = usize::from(area.height).saturating_sub(1);
    let (rows, more) = state.console.visible(area.width.into(), height);
    for (y, (kind, line)) in rows.iter().enumerate() {
        let role = match kind {
            Kind::Echo => Role::Echo,
            Kind::Output => Role::Text,
            Kind::Error => Role::Error,
            Kind::Notice => Role::Notice,
        };
        paint::put(buffer, area, 0, y, line, state.theme.style(role));
    }
    // The prompt follows the last line, as in a terminal, until the pane is full.
    let y = rows.len().min(height);
    if more {
        paint::put_right(buffer, area, y, "more: PgDn", state.theme.style(Role::Faint));
    }
    draw_prompt(state, area, y, buffer)
}

fn draw_prompt(state: &State, area: Rect, y: usize, buffer: &mut Buffer) -> Option<Position> {
    if state.mode == Mode::Confirm {
        let x = paint::put(buffer, area, 0, y, strings::CONFIRM_QUIT, state.theme.style(Role::Notice));
        return place(area, x, y);
    }
    if state.mode != Mode::Prompt {
        paint::put(buffer, area, 0, y, strings::PROMPT, state.theme.style(Role::Faint));
        return None;
    }
    let input = &state.prompt.input;
    if let Purpose::History { .. } = state.prompt.purpose {
        let head = format!("(history '{}') ", input.value());
        let x = paint::put(buffer, area, 0, y, &head, state.theme.style(Role::Notice));
        paint::put(buffer, area, x, y, &state.prompt.found().unwrap_or_default(), state.theme.style(Role::Text));
        return place(area, x, y);
    }
    let head = match state.prompt.purpose {
        Purpose::Site => strings::SITE_PROMPT,
        _ if state.block.is_open() => strings::BLOCK_PROMPT,
        _ => strings::PROMPT,
    };
    let x = paint::put(buffer, area, 0, y, head, state.theme.style(Role::Prompt));
    let room = usize::from(area.width).saturating_sub(x + 1);
    let scroll = input.visual_scroll(room);
    let skipped = text::take(input.value(), scroll).len();
    let end = paint::put(buffer, area, x, y, &input.value()[skipped..], state.theme.style(Role::Text));
    if let Some(rest) = state.prompt.ghost() {
        paint::put(buffer, area, end, y, rest, state.theme.style(Role::Faint));
    } else if let Some((place, message)) = state.prompt.fault().filter(|(place, _)| place.start >= skipped) {
        let line = input.value();
        let from = x + text::width(&line[skipped..place.start]);
        let stop =
            (place.start..=place.end.min(line.len())).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(line.len());
        let wrong = &line[place.start..stop.max(place.start)];
        let style = state.theme.style(Role::Error).add_modifier(Modifier::UNDERLINED);
        paint::put(buffer, area, from, y, wrong, style);
        let room = usize::from(area.width).saturating_sub(end + 3);
        paint::put(buffer, area, end + 2, y, &text::fit(message, room, state.glyphs), state.theme.style(Role::Error));
    }
    place(area, x + input.visual_cursor().saturating_sub(scroll), y)
}

fn place(area: Rect, x: usize, y: usize) -> Option<Position> {
    let inside = x < area.width.into() && y < area.height.into();
    inside.then(|| Position { x: area.x + x as u16, y: area.y + y as u16 })
}
