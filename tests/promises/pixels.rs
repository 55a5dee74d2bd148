//! Promise: heat maps are drawn in pixels where the terminal says that it can, never on a guess; what it answers is never
//! read as keys, however late and in whatever pieces it comes; pictures keep to their budget and go when they are covered or
//! the program ends.

#![cfg(unix)]

use std::time::Duration;

use crate::pty::Terminal;

/// Nothing of the terminal that runs the tests.
const BARE: [(&str, &str); 4] = [("SSH_CONNECTION", ""), ("TMUX", ""), ("STY", ""), ("COLORTERM", "")];

const QUESTION: &str = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\";

/// The last question, which every terminal answers.
const LAST: &str = "\x1b[c";

const KITTY: &str = "\x1b_Gi=31;OK\x1b\\";
const CELL: &str = "\x1b[6;20;10t";
const ITERM2: &str = "\x1b]1337;ReportCellSize=20.0;10.0;1.0\x1b\\";
const PLAIN: &str = "\x1b[?62;22c";
/// A picture in sixel: its aspect ratio, and that what is not drawn stays as it is, before its size.
const SIXEL_PICTURE: &str = "\x1bP9;1;0q\"1;1;";

const SIXEL: &str = "\x1b[?62;4;22c";

/// Longer than the terminal has for its answers.
const TOO_LATE: Duration = Duration::from_millis(2500);

fn start(environment: &[(&str, &str)]) -> Terminal {
    let mut all = BARE.to_vec();
    all.extend_from_slice(environment);
    Terminal::with(&["-nx", "--device", "cpu"], &all)
}

/// A terminal that has answered, with a finished pass and a pattern on the screen.
fn with_a_map(environment: &[(&str, &str)], answers: &str) -> Terminal {
    let mut terminal = start(environment);
    terminal.until_sent("the questions", |sent| sent.contains(LAST));
    terminal.press(answers);
    show_a_map(&mut terminal);
    terminal
}

fn show_a_map(terminal: &mut Terminal) {
    terminal.until("the first frame", |screen| screen.contains("blocks.0"));
    terminal.press("run\r");
    terminal.until("a pass", |screen| screen.contains("end of pass 0"));
    terminal.use_the_keys();
    terminal.press("/L1.attn.pattern\r");
    terminal.until("a map", |screen| screen.contains("L1.attn.pattern") && screen.contains("linear"));
    terminal.listen(Duration::from_millis(400));
}

fn quit(mut terminal: Terminal) {
    terminal.press("\x04y");
    assert_eq!(terminal.ended(), 0);
}

#[test]
fn kitty_gets_pictures_that_go_when_they_are_covered_and_at_the_end() {
    let mut terminal = with_a_map(&[], &format!("{KITTY}{CELL}{PLAIN}"));
    let placed = "\x1b_Ga=T,q=2,f=100,i=120,p=1,C=1,z=-1,c=";
    let sent = terminal.until_sent("a picture", |sent| sent.contains(placed));
    assert!(sent.contains(QUESTION));
    assert!(!terminal.contents().contains('▀'), "the cells below are empty:\n{}", terminal.contents());
    // Nothing is sent while nothing happens, and a move of the crosshair does not send the picture again.
    let before = terminal.sent();
    terminal.listen(Duration::from_millis(500));
    assert_eq!(terminal.sent(), before);
    terminal.press("\t\x1b[D");
    terminal.listen(Duration::from_millis(300));
    let pictures = count(&mut terminal, placed);
    let moved = terminal.cost("\x1b[C");
    assert!(moved <= 250, "{moved} bytes");
    assert_eq!(count(&mut terminal, placed), pictures);
    // Help covers it.
    let removed = "\x1b_Ga=d,d=I,i=120,q=2\x1b\\";
    assert_eq!(count(&mut terminal, removed), 0);
    terminal.press("?");
    terminal.until_sent("no picture", |sent| sent.contains(removed));
    terminal.press("\x1b");
    terminal.until_sent("the picture again", |sent| sent.matches(placed).count() > pictures);
    // Another size of the window, another picture.
    let pictures = count(&mut terminal, placed);
    terminal.resize(40, 120);
    terminal.until_sent("a picture of another size", |sent| sent.matches(placed).count() > pictures);
    terminal.press("\x04y");
    terminal.until_sent("the end", |sent| sent.contains("\x1b[?1049l"));
    let sent = terminal.until_sent("the end", |sent| sent.contains("\x1b[?1049l"));
    assert!(sent.rfind(removed) > sent.rfind(placed), "it is removed before the terminal is given back");
    assert!(sent.rfind(removed) < sent.rfind("\x1b[?1049l"));
    assert_eq!(terminal.ended(), 0);
}

fn count(terminal: &mut Terminal, what: &str) -> usize {
    terminal.until_sent("what was sent", |_| true).matches(what).count()
}

#[test]
fn sixel_and_iterm2_get_theirs() {
    let mut terminal = with_a_map(&[], &format!("{CELL}{SIXEL}"));
    let sent = terminal.until_sent("a picture", |sent| sent.contains(SIXEL_PICTURE));
    assert!(!sent.contains("\x1b_Ga=T") && !sent.contains("1337;File"));
    quit(terminal);
    let mut terminal = with_a_map(&[], &format!("{ITERM2}{CELL}{SIXEL}"));
    let sent = terminal.until_sent("a picture", |sent| sent.contains("\x1b]1337;File=inline=1;size="));
    assert!(!sent.contains("\x1b_Ga=T") && !sent.contains(SIXEL_PICTURE));
    quit(terminal);
}

fn has_pictures(sent: &str) -> bool {
    ["\x1b_Ga=T", "\x1b\x1b_Ga=T", "\x1b]1337;File", SIXEL_PICTURE].iter().any(|start| sent.contains(start))
}

#[test]
fn a_terminal_that_says_no_or_nothing_gets_half_blocks() {
    for answers in [PLAIN, "", "\x1b_Gi=31;ENOTSUPPORTED\x1b\\\x1b[?62c"] {
        // A name proves nothing.
        let mut terminal = with_a_map(&[("TERM", "xterm-kitty-256color"), ("TERM_PROGRAM", "iTerm.app")], answers);
        terminal.until("half blocks", |screen| screen.contains('▀'));
        let sent = terminal.until_sent("what was sent", |_| true);
        assert!(!has_pictures(&sent), "{answers:?}");
        quit(terminal);
    }
}

#[test]
fn over_ssh_nothing_is_asked_about_pictures_until_the_user_wants_it() {
    let mut terminal = start(&[("SSH_CONNECTION", "10.0.0.1 50000 10.0.0.2 22")]);
    show_a_map(&mut terminal);
    let sent = terminal.until_sent("what was sent", |_| true);
    assert!(!sent.contains(QUESTION) && !sent.contains("\x1b[16t"), "nothing is asked");
    terminal.press(":set pixels on\r");
    terminal.until_sent("the questions", |sent| sent.contains(QUESTION) && sent.contains(LAST));
    terminal.press(&format!("{KITTY}{CELL}{PLAIN}"));
    terminal.until_sent("a picture", has_pictures);
    quit(terminal);
}

#[test]
fn inside_tmux_only_what_tmux_passes_on_counts() {
    let tmux = [("TMUX", "/tmp/tmux-0/default,1,0")];
    let passed = format!("\x1bPtmux;{}\x1b\\", QUESTION.replace('\x1b', "\x1b\x1b"));
    // tmux itself may know sixel: that says nothing of the terminal around it.
    let mut terminal = with_a_map(&tmux, &format!("{CELL}{SIXEL}"));
    let sent = terminal.until_sent("what was sent", |sent| sent.contains(&passed));
    assert!(!has_pictures(&sent));
    quit(terminal);
    let mut terminal = with_a_map(&tmux, &format!("{CELL}{PLAIN}{KITTY}"));
    let sent = terminal.until_sent("a picture", |sent| sent.contains("\x1bPtmux;\x1b\x1b_Ga=T,q=2,f=100,i=120,U=1,c="));
    assert!(sent.contains("\u{10eeee}\u{305}\u{305}"), "placeholders");
    quit(terminal);
}

#[test]
fn an_answer_is_never_read_as_keys_however_late_it_comes() {
    for late in [Duration::ZERO, TOO_LATE] {
        let mut terminal = start(&[]);
        terminal.until_sent("the questions", |sent| sent.contains(LAST));
        terminal.until("the first frame", |screen| screen.contains("blocks.0"));
        std::thread::sleep(late);
        // Byte by byte, while the user types.
        terminal.press("print 6");
        for byte in format!("{KITTY}{ITERM2}{CELL}{SIXEL}").chars() {
            terminal.press(&byte.to_string());
            std::thread::sleep(Duration::from_millis(3));
        }
        terminal.press(" * 7\r");
        terminal.until("the answer of the command that was typed", |screen| screen.contains("= 42"));
        assert!(terminal.contents().contains("print 6 * 7"), "{}", terminal.contents());
        assert!(terminal.contents().contains("PROMPT"), "the keyboard is where it was:\n{}", terminal.contents());
        show_a_map(&mut terminal);
        let sent = terminal.until_sent("what was sent", |_| true);
        assert_eq!(has_pictures(&sent), late.is_zero(), "what comes too late changes nothing");
        quit(terminal);
    }
}

#[test]
fn a_step_with_pictures_keeps_to_its_budget() {
    for answers in [format!("{KITTY}{CELL}{PLAIN}"), format!("{ITERM2}{CELL}{PLAIN}"), format!("{CELL}{SIXEL}")] {
        let mut terminal = start(&[]);
        terminal.resize(60, 200);
        terminal.until_sent("the questions", |sent| sent.contains(LAST));
        terminal.press(&answers);
        show_a_map(&mut terminal);
        terminal.until_sent("a picture", has_pictures);
        for _ in 0..5 {
            let step = terminal.cost("\x1b[A");
            assert!(step <= 256 * 1024 + 64 * 1024, "{step} bytes");
        }
        quit(terminal);
    }
}
