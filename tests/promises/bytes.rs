//! Promise: on a slow line the screen costs little: nothing while nothing happens, little for a move of the cursor, and at
//! most 16 kB for a step in a window of 80x24.

#![cfg(unix)]

use std::time::Duration;

use crate::pty::Terminal;

/// What a step may send.
const STEP: usize = 16_000;

/// What a move of the crosshair may send.
const MOVE: usize = 250;

/// After so long without a byte, a frame is complete.
const SILENCE: Duration = Duration::from_millis(400);

/// The bytes that a key costs.
fn cost(terminal: &mut Terminal, key: &str) -> usize {
    terminal.listen(SILENCE);
    let before = terminal.sent();
    terminal.press(key);
    terminal.listen(SILENCE);
    terminal.sent() - before
}

#[test]
fn steps_moves_and_idling_keep_to_their_budgets() {
    for colours in ["", "truecolor"] {
        let environment = [("COLORTERM", colours), ("LANG", "C.UTF-8"), ("SSH_CONNECTION", "10.0.0.1 5 10.0.0.2 22")];
        let mut terminal = Terminal::with(&["-nx", "--device", "cpu"], &environment);
        terminal.until("the first frame", |screen| screen.contains("blocks.0"));
        terminal.use_the_keys();
        for key in ["s", "n", "l", "f", "s", "s", "s", "s", "s", "s", "S", "N", "c", "C"] {
            let step = cost(&mut terminal, key);
            assert!(step <= STEP, "{key} with {colours:?}: {step} bytes");
        }
        for layout in ["a", "l", "g", "w", "s", "p"] {
            cost(&mut terminal, &format!(" {layout}"));
            let step = cost(&mut terminal, "l");
            assert!(step <= STEP, "a layer in layout {layout} with {colours:?}: {step} bytes");
        }
        terminal.press("/L1.attn.pattern\r\t");
        terminal.until("a map", |screen| screen.contains("L1.attn.pattern") && screen.contains("linear"));
        cost(&mut terminal, "\x1b[D");
        for key in ["\x1b[C", "\x1b[C", "\x1b[D"] {
            let moved = cost(&mut terminal, key);
            assert!(moved <= MOVE, "a move with {colours:?}: {moved} bytes");
        }
        let before = terminal.sent();
        std::thread::sleep(Duration::from_secs(1));
        terminal.listen(Duration::from_millis(100));
        assert_eq!(terminal.sent(), before, "idle");
        terminal.press("\x04y");
        assert_eq!(terminal.ended(), 0);
    }
}
