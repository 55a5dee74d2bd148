//! What keys do.

use super::*;
use crate::answer::{ErrorView, TokenView};
use crate::engine::messages::PanelView;
use crate::frontend::tui::panes::Pane;
use crate::frontend::tui::state::Mode;

fn session() -> Session {
    Session::new(ColorDepth::Mono, (80, 24))
}

/// Presses keys one after another, each answered before the next, and gives the commands they sent.
fn commands_of(session: &mut Session, names: &str) -> Vec<String> {
    let mut sent = Vec::new();
    for name in names.split(' ') {
        session.keys(name);
        while !session.commands.is_empty() {
            sent.push(session.commands[0].1.clone());
            session.answer(Answer::Text(String::new()));
        }
    }
    sent
}

#[test]
fn single_keys_are_the_commands_of_gdb_and_capitals_go_back() {
    let sent = commands_of(&mut session(), "s n l f c r S N L F C w");
    let wanted = "step,next,layer,finish,continue,run,reverse-step,reverse-next,reverse-layer,reverse-finish,reverse-continue,where";
    assert_eq!(sent.join(","), wanted);
}

#[test]
fn keys_typed_ahead_wait_and_ctrl_c_drops_them() {
    let mut session = session();
    session.keys("s s s");
    assert_eq!(session.sent(), ["step"]);
    session.answer(Answer::Text(String::new()));
    assert_eq!(session.sent(), ["step"]);
    session.keys("C-c");
    assert!(matches!(session.effects.last(), Some(Effect::Interrupt)));
    session.answer(Answer::Text(String::new()));
    assert_eq!(session.sent(), Vec::<&str>::new());
}

#[test]
fn keys_typed_while_loading_wait_for_the_model() {
    let mut session = Session::loading(ColorDepth::Mono, (80, 24));
    session.keys("s n");
    assert_eq!(session.sent(), Vec::<&str>::new());
    session.give(Event::Ready(Arc::new(session.snapshot.clone())));
    assert_eq!(session.sent(), ["step"]);
}

#[test]
fn ctrl_c_and_q_cancel_loading() {
    for name in ["C-c", "q", "C-d"] {
        let mut session = Session::loading(ColorDepth::Mono, (80, 24));
        session.keys(name);
        assert!(matches!(session.effects[..], [Effect::Interrupt, Effect::Leave { status: 130, .. }]), "{name}");
    }
}

#[test]
fn ctrl_c_never_leaves_and_says_how_to() {
    let mut session = session();
    let press = |session: &mut Session| session.send(Msg::Input(Input::Key(Chord::ctrl('c')), session.now));
    session.now += Duration::from_secs(5);
    press(&mut session);
    press(&mut session);
    assert!(session.effects.is_empty() || session.effects.iter().all(|effect| matches!(effect, Effect::Remember(_))));
    assert!(session.lines().iter().any(|line| line.contains("Press q or Ctrl-D, or type quit")));
}

#[test]
fn any_other_letter_opens_the_prompt_with_it_and_enter_returns_to_keys() {
    let mut session = session();
    session.keys("p Space x");
    assert_eq!(session.state.mode, Mode::Prompt);
    assert_eq!(session.state.prompt.input.value(), "p x");
    session.keys("Enter");
    assert_eq!(session.state.mode, Mode::Keys);
    assert_eq!(session.sent(), ["p x"]);
    session.keys("p C-g");
    assert_eq!(session.state.mode, Mode::Keys);
}

#[test]
fn an_empty_line_is_sent_and_shown_as_the_command_it_repeats() {
    let mut session = session();
    session.keys(": Enter");
    let (id, line) = session.commands.remove(0);
    assert_eq!(line, "");
    session.give(answered(id, "step".to_string(), Answer::Text("done".to_string())));
    assert!(session.lines().iter().any(|line| line == "(llmdbg) step"));
}

#[test]
fn leaving_asks_only_while_a_run_is_live() {
    let mut session = session();
    session.keys("q");
    assert_eq!(session.state.mode, Mode::Confirm);
    session.keys("n");
    assert_eq!(session.sent(), Vec::<&str>::new());
    session.type_line("quit 3");
    assert_eq!(session.state.mode, Mode::Confirm);
    session.keys("y");
    assert_eq!(session.sent(), ["quit 3"]);
    session.give(Event::Quit(3));
    assert!(matches!(session.effects.last(), Some(Effect::Leave { status: 3, .. })));

    let mut session = self::session();
    session.snapshot.live = false;
    session.give(Event::Moved(Arc::new(session.snapshot.clone())));
    session.keys("q");
    assert_eq!(session.sent(), ["quit"]);
}

#[test]
fn the_choice_follows_the_cursor_until_moved_and_again_after_the_next_stop() {
    let mut session = session();
    let site = |session: &Session| session.snapshot.ops[session.state.chosen_op().expect("a choice")].site.clone();
    assert_eq!(site(&session), "blocks.2.attn.scores");
    session.keys("Up");
    assert_eq!(site(&session), "blocks.2.attn.v");
    session.keys("[");
    assert_eq!(site(&session), "blocks.1.attn.v");
    session.keys("] ]");
    assert_eq!(site(&session), "blocks.3.attn.v");
    session.stop_at("blocks.2.attn.z");
    assert_eq!(site(&session), "blocks.2.attn.pattern");
}

#[test]
fn the_chosen_op_gets_breakpoints_edits_and_runs() {
    let mut session = session();
    assert_eq!(commands_of(&mut session, "b"), ["delete 2"]);
    assert_eq!(commands_of(&mut session, "Down b t"), ["break blocks.2.attn.pattern", "until blocks.2.attn.pattern"]);
    assert_eq!(commands_of(&mut session, "Up t"), ["goto blocks.2.attn.scores"]);
    session.keys("e");
    assert_eq!(session.state.prompt.input.value(), "set blocks.2.attn.scores[head=1] = ");
}

#[test]
fn position_and_head_are_set_by_quiet_commands() {
    let mut session = session();
    assert_eq!(commands_of(&mut session, "< > { }"), ["focus pos=12", "focus pos=14", "focus head=0", "focus head=2"]);
    assert!(session.lines().iter().all(|line| !line.contains("focus pos")));
    session.keys("<");
    session.answer(Answer::Error(ErrorView { message: "no position".to_string(), ..ErrorView::default() }));
    assert!(session.lines().iter().any(|line| line == "no position"));
}

#[test]
fn the_ends_of_the_axes_are_respected() {
    let mut session = session();
    session.snapshot.focus.pos = None;
    session.snapshot.focus.head = 3;
    session.give(Event::Moved(Arc::new(session.snapshot.clone())));
    assert_eq!(commands_of(&mut session, "> }"), Vec::<String>::new());
    session.snapshot.tokens = Vec::<TokenView>::new();
    session.give(Event::Moved(Arc::new(session.snapshot.clone())));
    assert_eq!(commands_of(&mut session, "< > Tab Tab Left Right Home End"), Vec::<String>::new());
}

#[test]
fn a_row_of_the_map_becomes_the_position_everywhere() {
    let mut session = Session::new(ColorDepth::Indexed, (80, 24));
    session.keys("Tab");
    assert_eq!(session.state.focus, Pane::Value);
    assert_eq!(commands_of(&mut session, "Up"), ["focus pos=12"]);
    assert_eq!(commands_of(&mut session, "Right"), Vec::<String>::new());
}

#[test]
fn folding_hides_and_the_parent_is_chosen() {
    let mut session = session();
    session.keys("Left Left");
    assert!(!session.lines().iter().any(|line| line.contains("    scores ")));
    session.keys("Enter");
    assert!(session.lines().iter().any(|line| line.contains("    scores ")));
}

#[test]
fn views_cycle_and_panes_copy() {
    let mut session = session();
    for view in [PanelView::Numbers, PanelView::Vector, PanelView::Histogram, PanelView::TopK, PanelView::Auto] {
        session.keys("m");
        assert_eq!(session.state.value.view, view);
    }
    session.keys("g");
    assert!(session.state.value.gradient);
    session.keys("g");
    assert!(!session.state.value.gradient);
    session.keys("y");
    assert!(matches!(session.effects.last(), Some(Effect::Copy(text)) if text == "blocks.2.attn.scores"));
    session.keys("Tab y");
    assert!(
        matches!(session.effects.last(), Some(Effect::Copy(text)) if text.starts_with("# blocks.2.attn.scores head 1 4x15x15\n"))
    );
}

#[test]
fn a_held_key_fetches_no_values_until_it_is_released() {
    let mut session = session();
    session.stop_at("blocks.2.mlp.pre");
    session.keys("Up");
    let before = session.state.value.panel.as_ref().and_then(|panel| panel.as_ref().ok()).map(|panel| panel.op);
    for _ in 0..3 {
        session.now += Duration::from_millis(30);
        session.send(Msg::Input(Input::Key(Chord::char('k')), session.now));
    }
    let op = |session: &Session| {
        session.state.value.panel.as_ref().and_then(|panel| panel.as_ref().ok()).map(|panel| panel.op)
    };
    assert_eq!(op(&session), before);
    let wake = session.state.wake().expect("a time to wake");
    session.send(Msg::Tick(wake));
    assert_eq!(op(&session), session.state.chosen_op());
    assert_eq!(session.state.wake(), None);
}

#[test]
fn a_failed_load_leaves_with_status_4() {
    let mut session = Session::loading(ColorDepth::Mono, (80, 24));
    session.give(Event::LoadFailed("no such file".to_string()));
    assert!(matches!(&session.effects[..], [Effect::Leave { status: 4, error }] if error == "no such file"));
}

#[test]
fn a_block_is_typed_line_by_line_and_can_be_given_up() {
    let mut session = session();
    session.type_line("commands 1");
    for line in ["silent", "", "end"] {
        assert!(session.state.block.is_open() && session.state.mode == Mode::Prompt);
        line.chars().for_each(|c| session.press(Chord::char(c)));
        session.keys("Enter");
    }
    assert_eq!(session.sent().last(), Some(&"commands 1\nsilent\nend"));
    let shown = session.lines().join("\n");
    for line in ["(llmdbg) commands 1", "> silent", "> end"] {
        assert_eq!(shown.matches(line).count(), 1, "{line}\n{shown}");
    }
    let mut session = self::session();
    session.type_line("if 1");
    assert!(session.state.block.is_open());
    session.keys("Esc");
    assert!(!session.state.block.is_open());
    assert!(session.lines().iter().any(|line| line.contains("The block was abandoned.")));
}

#[test]
fn h_shows_the_heads_and_arrows_choose_one() {
    let mut session = Session::new(ColorDepth::Indexed, (80, 24));
    assert_eq!(commands_of(&mut session, "h"), ["layout attention"]);
    assert_eq!(session.state.focus, Pane::Heads);
    assert_eq!(commands_of(&mut session, "Right"), ["focus head=2"]);
    assert_eq!(commands_of(&mut session, "Home"), ["focus head=0"]);
    session.keys("m");
    assert!(session.lines().iter().any(|line| line.contains("heads -grid output")));
    session.keys("Down Right Right");
    assert_eq!(commands_of(&mut session, "Enter"), ["focus head=2"]);
    assert_eq!(session.snapshot.ops[session.state.chosen_op().expect("a choice")].site, "blocks.1.attn.pattern");
    assert_eq!(commands_of(&mut session, "h"), Vec::<String>::new());
    assert_ne!(session.state.focus, Pane::Heads);
}

#[test]
fn space_shows_what_may_follow_and_a_letter_chooses_a_layout() {
    let mut session = session();
    session.keys("Space");
    let shown = session.lines().join("\n");
    assert!(shown.contains("layout with the logit lens") && shown.contains("press the next key"), "{shown}");
    assert_eq!(commands_of(&mut session, "l"), ["layout lens"]);
    assert_eq!(session.state.layout_name, "lens");
    assert!(session.lines().iter().any(|line| line.contains("lens -tokens 2")));
    assert_eq!(commands_of(&mut session, "Space Space"), ["layout diff"]);
    assert_eq!(commands_of(&mut session, "Space b"), ["layout lens"]);
    assert_eq!(commands_of(&mut session, "Space Esc"), Vec::<String>::new());
    assert_eq!(session.state.mode, Mode::Keys);
    session.keys("Space 9");
    assert!(session.lines().iter().any(|line| line.contains("Space 9 has no action")));
}

#[test]
fn a_layout_that_a_command_chooses_is_shown_and_a_key_is_not_undone_by_an_older_state() {
    let mut session = session();
    session.snapshot.screen.layout = "grad".into();
    session.give(Event::Moved(Arc::new(session.snapshot.clone())));
    assert_eq!(session.state.layout_name, "grad");
    session.keys("Space p");
    session.give(Event::Moved(Arc::new(session.snapshot.clone())));
    assert_eq!(session.state.layout_name, "program", "the state is from before the key");
}

#[test]
fn enter_on_a_row_of_an_answer_goes_to_the_site_it_names() {
    let mut session = session();
    commands_of(&mut session, "Space l");
    while session.state.panes.name(session.state.focus) != "lens" {
        session.keys("Tab");
    }
    session.keys("Home Down Down Enter");
    assert_eq!(session.snapshot.ops[session.state.chosen_op().expect("a choice")].site, "blocks.2.resid_pre");
    session.keys("y");
    assert!(matches!(session.effects.last(), Some(Effect::Copy(text)) if text.contains("L2.resid_pre")));
}

#[test]
fn the_palette_finds_runs_and_types() {
    let mut session = session();
    session.keys("C-p s t e p Enter");
    assert_eq!(session.sent(), ["step"]);
    session.answer(Answer::Text(String::new()));
    session.keys("C-p l e n s Enter");
    assert_eq!((session.state.mode, session.state.prompt.input.value()), (Mode::Prompt, "lens "));
    session.keys("Esc C-p z o o m Enter");
    assert!(session.state.zoom);
    session.keys("C-p q q q q Enter Esc");
    assert_eq!(session.state.mode, Mode::Keys);
}

#[test]
fn what_is_wrong_shows_before_enter_and_earlier_lines_are_offered() {
    let mut session = session();
    session.type_line("print max(logits)");
    session.answer(Answer::Text(String::new()));
    session.keys(": w r o n g Space x");
    assert!(session.lines().iter().any(|line| line.contains("(llmdbg) wrong x  no such command")));
    session.keys("C-u p r i");
    assert!(session.lines().iter().any(|line| line.contains("(llmdbg) print max(logits)")));
    session.keys("Right Enter");
    assert_eq!(session.sent(), ["print max(logits)"]);
}

#[test]
fn a_pooled_map_is_looked_at_closer_and_followed_over_its_edges() {
    let mut session = Session::new(ColorDepth::Indexed, (80, 24));
    session.stop_at("blocks.2.ln2.scale");
    session.keys("Tab Right Right +");
    let window = |session: &Session| session.state.value.window;
    assert!(window(&session).is_some());
    session.keys("-");
    assert_eq!(window(&session), None);
    session.keys("m");
    assert_eq!(session.state.value.view, PanelView::Numbers);
    session.keys("End");
    assert_eq!(window(&session).map(|from| from.1), Some(128 - 3), "three numbers fit, and the last ones are shown");
}

#[test]
fn tokens_are_coloured_by_a_number_for_each_and_without_colours_marked() {
    let mut session = session();
    let values = (0..15).map(|pos| Some(if pos == 1 { -2.0 } else { 0.5 * f64::from(pos == 3) })).collect();
    session.snapshot.focus.pos = Some(0);
    session.snapshot.screen.shades = Some(crate::engine::messages::Shades { title: "ig of loss".into(), values });
    session.give(Event::Moved(Arc::new(session.snapshot.clone())));
    let shown = session.lines().join("\n");
    assert!(shown.contains("-@1 _Mary") && shown.contains("+:3 _John"), "{shown}");
}
