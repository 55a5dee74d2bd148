//! The first minute: the prompt has the keyboard, and what is typed is never taken for keys.

use super::*;
use crate::frontend::tui::state::Mode;

/// A session as it opens: with the prompt.
fn opened(size: (u16, u16)) -> Session {
    let mut session = Session::loading(ColorDepth::Mono, size);
    session.snapshot.screen.keys_first = false;
    session.snapshot.screen.key_wait = 250;
    session.state.typing = true;
    session.state.rest();
    session.give(Event::Ready(Arc::new(session.snapshot.clone())));
    session
}

/// Types at the speed of a person, this many milliseconds a key.
fn type_at(session: &mut Session, text: &str, apart: u64) {
    for c in text.chars() {
        session.now += Duration::from_millis(apart);
        let key = if c == '\n' { Chord::plain(crate::term::Key::Enter) } else { Chord::char(c) };
        session.send(Msg::Tick(session.now));
        session.send(Msg::Input(Input::Key(key), session.now));
    }
}

#[test]
fn f1_a_line_typed_at_the_start_is_a_command_as_in_gdb() {
    let mut session = opened((80, 24));
    type_at(&mut session, "break L2.attn.pattern\n", 150);
    assert_eq!(session.sent(), ["break L2.attn.pattern"]);
    session.answer(Answer::Text("Breakpoint 1".into()));
    type_at(&mut session, "run\n", 150);
    assert_eq!(session.sent(), ["run"], "the prompt keeps the keyboard");
}

#[test]
fn f1_esc_goes_to_the_keys_and_back_and_the_key_line_says_so() {
    let mut session = opened((80, 24));
    assert!(session.lines().last().unwrap().contains("Esc single keys"), "{:?}", session.lines().last());
    session.keys("Esc");
    assert_eq!(session.state.mode, Mode::Keys);
    session.keys("s");
    session.wait(400);
    assert_eq!(session.sent(), ["step"]);
    session.keys("Esc");
    assert_eq!(session.state.mode, Mode::Prompt);
}

#[test]
fn f1_a_command_typed_in_key_mode_opens_the_prompt_and_no_letter_acts() {
    for line in ["break L2.attn.pattern", "run", "continue", "set tokens = 3", "next", "help", "quit"] {
        let mut session = opened((80, 24));
        session.keys("Esc");
        type_at(&mut session, line, 130);
        assert_eq!(session.sent(), Vec::<&str>::new(), "{line}");
        assert_eq!((session.state.mode, session.state.prompt.input.value()), (Mode::Prompt, line));
    }
}

#[test]
fn f1_slow_typing_is_noticed_and_said() {
    let mut session = opened((80, 24));
    session.keys("Esc");
    type_at(&mut session, "break", 900);
    assert_eq!(session.state.mode, Mode::Prompt);
    assert!(session.lines().iter().any(|line| line.contains("\"bre\" begins a command")), "{:#?}", session.lines());
}

#[test]
fn f1_a_key_that_is_held_down_or_pressed_alone_still_acts() {
    let mut session = opened((80, 24));
    session.keys("Esc");
    type_at(&mut session, "sss", 40);
    assert_eq!(session.state.queue.waiting().count() + session.sent().len(), 3);
    session.wait(300);
    session.keys("n");
    session.wait(300);
    assert_eq!(session.state.queue.waiting().last().as_deref(), Some("next"));
}

#[test]
fn f16_several_pasted_lines_are_several_commands_without_the_prompts_they_were_copied_with() {
    let mut session = opened((80, 24));
    let text = "(llmdbg) break L2.attn.pattern\r\n(llmdbg) run\nbt\nprint lo";
    session.send(Msg::Input(Input::Paste(text.into()), session.now));
    for line in ["break L2.attn.pattern", "run", "bt"] {
        assert_eq!(session.sent(), [line]);
        session.answer(Answer::Text("done".into()));
    }
    assert_eq!(session.state.prompt.input.value(), "print lo", "the last line is not finished");
}

#[test]
fn f16_a_pasted_block_is_one_command() {
    let mut session = opened((80, 24));
    session.send(Msg::Input(Input::Paste("define two\n  step\n  step\nend\ntwo\n".into()), session.now));
    assert_eq!(session.sent(), ["define two\nstep\nstep\nend"]);
    session.answer(Answer::Text(String::new()));
    assert_eq!(session.sent(), ["two"]);
}

#[test]
fn settings_can_give_the_keyboard_to_the_keys_at_the_start() {
    let mut session = Session::loading(ColorDepth::Mono, (80, 24));
    session.state.typing = true;
    session.state.rest();
    session.snapshot.screen.keys_first = true;
    session.give(Event::Ready(Arc::new(session.snapshot.clone())));
    assert_eq!(session.state.mode, Mode::Keys);
}

#[test]
fn a_question_mark_at_an_empty_prompt_shows_the_keys() {
    let mut session = opened((120, 40));
    session.keys("?");
    assert!(matches!(session.state.mode, Mode::Help(_)));
    session.keys("End");
    assert!(session.lines().iter().any(|line| line.contains("contains NaN or infinities")), "{:#?}", session.lines());
    session.keys("q");
    assert_eq!(session.state.mode, Mode::Prompt);
}
