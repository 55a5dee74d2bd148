//! Finding and pointing: search that shows while typing, labels of rows, the mouse, keys of one's own, and edits.

use super::*;
use crate::engine::messages::PanelView;
use crate::frontend::tui::panes::Pane;
use crate::frontend::tui::scales::Scaling;
use crate::frontend::tui::state::Mode;
use crate::term::{Mouse, Pointer};

fn session(size: (u16, u16)) -> Session {
    Session::new(ColorDepth::Indexed, size)
}

fn site(session: &Session) -> String {
    session.snapshot.ops[session.state.chosen_op().expect("a choice")].site.clone()
}

fn point(session: &mut Session, what: Pointer, (column, row): (u16, u16)) {
    session.now += Duration::from_secs(2);
    session.send(Msg::Input(Input::Mouse(Mouse { what, column, row }), session.now));
}

/// The place on the screen where this text begins.
fn place(session: &Session, text: &str) -> (u16, u16) {
    let lines = session.lines();
    let (row, line) = lines.iter().enumerate().find(|(_, line)| line.contains(text)).expect(text);
    let column = line[..line.find(text).unwrap()].chars().count();
    (column as u16, row as u16)
}

#[test]
fn f35_a_search_shows_what_it_finds_while_typing_and_esc_takes_it_back() {
    let mut session = session((80, 24));
    let before = site(&session);
    session.keys("/ L 3 Space p a t");
    assert_eq!(session.state.mode, Mode::Palette);
    assert_eq!(site(&session), "blocks.3.attn.pattern", "before Enter");
    assert!(session.lines().iter().any(|line| line.contains("L3.attn.pattern")));
    session.keys("Esc");
    assert_eq!(site(&session), before);
}

#[test]
fn f35_paths_match_fuzzily_and_an_empty_search_goes_to_the_next() {
    for (text, found) in [
        ("L 3 . p a t", "blocks.3.attn.pattern"),
        ("L 1 . m l p . p o", "blocks.1.mlp.post"),
        ("l o g i t s", "logits"),
    ] {
        let mut session = session((80, 24));
        session.keys(&format!("/ {text} Enter"));
        assert_eq!(site(&session), found);
    }
    let mut session = session((80, 24));
    session.keys("/ p a t t e r n Enter");
    session.keys("[ [ [ [ / Enter");
    assert_eq!(site(&session), "blocks.1.attn.pattern");
}

#[test]
fn f35_rows_of_a_pane_are_searched_too() {
    let mut session = session((120, 40));
    session.keys("Space l");
    session.answer(Answer::Text(String::new()));
    session.keys("Tab Tab / w o r d 2 Enter");
    assert!(matches!(session.state.focus, Pane::Query(_)), "{:?}", session.state.focus);
    let Pane::Query(number) = session.state.focus else { return };
    assert_eq!(session.state.queries[number].at.0, 2);
}

#[test]
fn a_letter_jumps_to_its_row() {
    let mut session = session((80, 24));
    session.keys("'");
    assert_eq!(session.state.mode, Mode::Jump);
    let (_, row) = place(&session, "ln1.out");
    let letter = (b'a' + (row as u8 - 2)) as char;
    session.keys(&letter.to_string());
    assert!(site(&session).ends_with("ln1.out"), "{}", site(&session));
}

#[test]
fn a_click_selects_a_second_one_opens_and_the_wheel_scrolls_without_the_focus() {
    let mut session = session((120, 40));
    let program = place(&session, "normalized");
    point(&mut session, Pointer::Press, program);
    assert!(site(&session).ends_with("ln1.normalized"), "{}", site(&session));
    assert_eq!(session.state.focus, Pane::Program);
    let at = place(&session, "5 ·to");
    point(&mut session, Pointer::Press, at);
    assert_eq!(session.sent(), ["focus pos=5"]);
    assert_eq!(session.state.focus, Pane::Tokens);
    let before = site(&session);
    point(&mut session, Pointer::WheelDown, program);
    assert_ne!(site(&session), before);
    assert_eq!(session.state.focus, Pane::Tokens);
}

#[test]
fn hovering_moves_the_crosshair_and_nothing_else() {
    let mut session = session((120, 40));
    let (x, y) = place(&session, "L2.attn.scores head 1");
    let before = session.sent().len();
    point(&mut session, Pointer::Move, (x + 30, y + 5));
    assert_eq!((session.state.value.row, session.sent().len()), (3, before));
}

#[test]
fn lines_between_panes_are_dragged() {
    let mut session = session((120, 40));
    let layout = session.state.layout().unwrap();
    let (_, left) = layout.areas[0];
    point(&mut session, Pointer::Press, (left.right() - 1, 5));
    point(&mut session, Pointer::Drag, (59, 5));
    point(&mut session, Pointer::Release, (59, 5));
    assert_eq!(session.state.layout().unwrap().areas[0].1.right(), 60);
    let console = layout.area(Pane::Console).unwrap();
    point(&mut session, Pointer::Press, (3, console.y));
    point(&mut session, Pointer::Drag, (3, console.y - 4));
    assert_eq!(session.sent(), [format!("set console-rows {}", console.height - 2 + 4)]);
}

#[test]
fn the_mouse_is_taken_only_when_the_setting_says_so() {
    let mut session = session((80, 24));
    assert!(!session.effects.iter().any(|effect| matches!(effect, Effect::Mouse(_))));
    session.snapshot.screen.mouse = true;
    session.give(Event::Moved(Arc::new(session.snapshot.clone())));
    assert!(matches!(session.effects.last(), Some(Effect::Mouse(true))));
}

#[test]
fn f32_an_edit_begins_with_the_slice_that_is_focused() {
    let mut session = session((80, 24));
    session.keys("e");
    assert_eq!(session.state.prompt.input.value(), "set blocks.2.attn.scores[head=1] = ");
}

#[test]
fn f33_captions_are_inside_their_pane() {
    for size in [(80, 24), (120, 40)] {
        let session = session(size);
        let titles = ["program", "tokens", "console"];
        for line in session.lines().iter().filter(|line| titles.iter().any(|title| line.contains(&format!(" {title}"))))
        {
            assert!(!line.contains("linear"), "{size:?}: {line}");
        }
        assert!(session.lines().iter().any(|line| line.contains("linear")));
    }
}

#[test]
fn f34_the_block_and_module_of_the_first_row_stay_above_it() {
    let mut session = session((80, 24));
    session.stop_at("blocks.2.mlp.out");
    let rows: Vec<String> = session.lines()[2..12].iter().map(|line| line.chars().take(37).collect()).collect();
    assert!(rows[0].contains("blocks.2"), "{rows:#?}");
    assert!(session.lines()[1].contains("program  L2.mlp"), "{}", session.lines()[1]);
    session.keys("z");
    assert!(session.lines().iter().any(|line| line.contains("▾ blocks.2")));
}

#[test]
fn f36_the_first_press_changes_the_view() {
    let mut session = session((80, 24));
    session.keys("m");
    assert_eq!(session.state.value.view, PanelView::Numbers);
}

#[test]
fn f23_one_key_changes_the_scale_and_the_caption_says_which() {
    let mut session = session((80, 24));
    let mut seen = Vec::new();
    for _ in 0..5 {
        session.keys("%");
        seen.push(session.state.value.scaling);
    }
    assert_eq!(seen, [Scaling::Linear, Scaling::Robust, Scaling::Symlog, Scaling::Row, Scaling::Auto]);
    session.keys("% % %");
    assert!(session.lines().iter().any(|line| line.contains("symlog")), "{:#?}", session.lines());
}

#[test]
fn f15_home_and_end_go_to_the_ends_of_a_table_and_the_lens_opens_at_its_end() {
    let mut session = session((120, 40));
    session.keys("Space l");
    session.answer(Answer::Text(String::new()));
    session.keys("Tab Tab");
    let Pane::Query(number) = session.state.focus else { panic!("{:?}", session.state.focus) };
    assert_eq!(session.state.queries[number].at.0, 4, "the last of five rows");
    session.keys("Home");
    assert_eq!(session.state.queries[number].at.0, 0);
    session.keys("End");
    assert_eq!(session.state.queries[number].at.0, 4);
}
