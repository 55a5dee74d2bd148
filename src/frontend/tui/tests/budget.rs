//! What frames cost on the line to the terminal.

use ratatui::Terminal;

use super::*;
use crate::term::Frames;

type Counting = Terminal<Frames<Vec<u8>>>;

fn terminal() -> Counting {
    Terminal::new(Frames::new(Vec::new(), || Ok((80, 24)))).expect("a terminal")
}

/// Bytes of one frame.
fn cost(terminal: &mut Counting, session: &Session) -> usize {
    terminal.draw(|frame| drop(view::view(&session.state, frame))).expect("a frame");
    std::mem::take(terminal.backend_mut().target()).len()
}

#[test]
fn a_move_of_the_choice_costs_little_and_a_step_is_bounded() {
    for depth in [ColorDepth::Mono, ColorDepth::Indexed, ColorDepth::True] {
        let mut session = Session::new(depth, (80, 24));
        let mut terminal = terminal();
        let first = cost(&mut terminal, &session);
        assert!(first <= 16_000, "first frame: {first} bytes");
        assert_eq!(cost(&mut terminal, &session), 0, "nothing changed");

        // Held down, so that the value stays: the move alone.
        session.state.held = true;
        session.state.last_key = Some(session.now);
        session.send(Msg::Input(Input::Key(Chord::char('k')), session.now));
        let moved = cost(&mut terminal, &session);
        assert!(moved <= 250, "a move: {moved} bytes with {depth:?}");

        session.keys("s");
        session.stop_at("blocks.2.attn.z");
        session.answer(Answer::Stop(fixture::stop()));
        let stepped = cost(&mut terminal, &session);
        assert!(stepped <= 16_000, "a step: {stepped} bytes with {depth:?}");
    }
}

#[test]
fn a_step_is_bounded_in_every_layout() {
    for depth in [ColorDepth::Mono, ColorDepth::Indexed, ColorDepth::True] {
        let mut session = Session::new(depth, (80, 24));
        for layout in session.state.panes.names() {
            session.state.lay_out(&layout);
            let mut terminal = terminal();
            session.stop_at("blocks.1.attn.q");
            let first = cost(&mut terminal, &session);
            session.stop_at("blocks.2.attn.z");
            let stepped = cost(&mut terminal, &session);
            assert!(first <= 16_000 && stepped <= 16_000, "{layout}: {first} and {stepped} bytes with {depth:?}");
            assert_eq!(cost(&mut terminal, &session), 0, "{layout}: nothing changed");
        }
    }
}
