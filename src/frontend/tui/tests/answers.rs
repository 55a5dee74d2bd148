//! Answers are seen: from their first line, to be scrolled, read and filtered; and long work says how far it is.

use super::*;
use crate::answer::Table;
use crate::frontend::tui::state::Mode;

fn session(size: (u16, u16)) -> Session {
    let mut session = Session::new(ColorDepth::Mono, size);
    session.keys(":");
    session.state.typing = true;
    session.state.rest();
    session
}

/// The verdict of `bisect` on a model of 30 blocks: its first line says what is wrong.
fn verdict() -> Answer {
    let rows = (0..30).map(|layer| (format!("blocks.{layer}.attn.pattern"), 0.5, "introduced"));
    Table::new(["Op", "Distance", ""])
        .title("introduced at blocks.0.attn.pattern: the base is 10000 there")
        .rows(rows)
        .into()
}

fn console_of(session: &Session) -> Vec<String> {
    let lines = session.lines();
    let from = lines.iter().position(|line| line.contains("(llmdbg) bisect")).unwrap_or(lines.len());
    lines[from..].to_vec()
}

#[test]
fn f2_a_long_answer_opens_at_its_verdict_and_says_how_much_follows() {
    for size in [(80, 24), (120, 40)] {
        let mut session = session(size);
        session.type_text("bisect mine");
        session.keys("Enter");
        session.answer(verdict());
        let shown = console_of(&session);
        assert!(shown[0].contains("(llmdbg) bisect mine"), "{size:?} {shown:#?}");
        assert!(shown[1].contains("introduced at blocks.0.attn.pattern"), "{size:?} {shown:#?}");
        assert!(shown.iter().any(|line| line.contains("more lines: Space or PgDn")), "{size:?} {shown:#?}");
    }
}

#[test]
fn answers_are_laid_out_again_when_the_width_changes() {
    let mut session = session((60, 20));
    let columns = ["Head", "Kind", "to", "output", "first", "previous", "self", "induction", "distance"];
    let mut table = Table::new(columns);
    table.push(["L23H4", "induction", "0.11", "0.22", "0.33", "0.44", "0.55", "0.66", "0.77"].map(String::from));
    session.type_text("heads");
    session.keys("Enter");
    session.answer(table.into());
    session.type_text("p 1");
    session.keys("Enter");
    session.answer(Answer::Text("$1 = 1".into()));
    let shown = |session: &Session| session.lines().join("\n");
    assert!(shown(&session).contains("a wider window") && !shown(&session).contains("0.66"), "{}", shown(&session));
    session.resize((120, 40));
    assert!(!shown(&session).contains("a wider window") && shown(&session).contains("0.66"), "{}", shown(&session));
    let of = |text: &str| session.lines().iter().position(|line| line.contains(text)).expect(text);
    assert!(of("(llmdbg) heads") < of("0.66") && of("0.66") < of("(llmdbg) p 1") && of("(llmdbg) p 1") < of("$1 = 1"));
    session.resize((60, 20));
    assert!(!shown(&session).contains("0.66"));
}

#[test]
fn f2_space_pages_to_the_end_and_the_next_command_shows_its_own_answer() {
    let mut session = session((80, 24));
    session.type_text("bisect mine");
    session.keys("Enter");
    session.answer(verdict());
    for _ in 0..12 {
        session.keys("Space");
    }
    session.keys("Backspace");
    assert!(session.lines().iter().any(|line| line.contains("blocks.29.attn.pattern")), "{:#?}", session.lines());
    session.type_text("p 1");
    session.keys("Enter");
    session.answer(Answer::Text("$1 = 1".into()));
    assert!(session.lines().iter().any(|line| line.contains("$1 = 1")));
}

#[test]
fn f2_the_last_answer_fills_the_window_is_filtered_and_closed() {
    let mut session = session((80, 24));
    session.type_text("bisect mine");
    session.keys("Enter");
    session.answer(verdict());
    session.keys("F3");
    assert_eq!(session.state.mode, Mode::Reader);
    let lines = session.lines();
    assert!(lines[1].contains("bisect mine") && lines[2].contains("introduced at"), "{lines:#?}");
    session.keys("G");
    assert!(session.lines().iter().any(|line| line.contains("blocks.29.attn.pattern")));
    session.keys("/ s . 1 7");
    let lines = session.lines();
    let rows: Vec<&String> = lines.iter().filter(|line| line.contains("attn.pattern")).collect();
    assert!(rows.iter().any(|row| row.contains("blocks.17.")) && !rows.iter().any(|row| row.contains("blocks.18.")));
    session.keys("Enter q");
    assert_eq!(session.state.mode, Mode::Prompt);
}

#[test]
fn f25_long_work_says_what_how_far_how_long_and_what_waits() {
    let mut session = session((100, 30));
    session.type_text("attr heads");
    session.keys("Enter");
    session.give(Event::Progress { what: "heads".into(), done: 0, total: 270 });
    session.wait(2000);
    session.give(Event::Progress { what: "heads".into(), done: 27, total: 270 });
    session.type_text("print loss");
    let shown = session.lines().join("\n");
    assert!(shown.contains("(llmdbg) print loss"), "what is typed meanwhile is seen: {shown}");
    session.keys("Enter");
    session.type_text("bt");
    session.keys("Enter");
    let line = session.lines().into_iter().find(|line| line.contains("Ctrl-C stops it.")).expect("a busy line");
    for part in ["attr heads", "27 of 270, 10 %", " left", "Next: print loss and 1 more"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    session.answer(Answer::Text("done".into()));
    assert!(!session.lines().iter().any(|line| line.contains("Ctrl-C stops it.")));
}

#[test]
fn f25_work_without_progress_says_how_long_it_has_run_and_idle_asks_for_no_time() {
    let mut session = session((80, 24));
    assert_eq!(session.state.wake(), None, "an idle screen wakes for nothing");
    session.type_text("diagnose");
    session.keys("Enter");
    session.wait(8000);
    let line = session.lines().into_iter().find(|line| line.contains("Ctrl-C stops it.")).expect("a busy line");
    assert!(line.contains("diagnose  8 s"), "{line}");
    session.answer(Answer::Text("done".into()));
    assert_eq!(session.state.wake(), None);
}
