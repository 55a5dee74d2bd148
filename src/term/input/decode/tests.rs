//! Bytes as they come from terminals, whole and in pieces.

use proptest::prelude::*;

use super::*;
use crate::term::graphics::query::Answer;
use crate::term::{Mouse, Pointer};

/// What a terminal sends when it is asked, and what it says.
fn answers() -> Vec<(&'static str, Answer)> {
    vec![
        ("\x1b_Gi=31;OK\x1b\\", Answer::Kitty { id: 31, fine: true }),
        ("\x1b_Gi=31;ENOTSUPPORTED:no\x1b\\", Answer::Kitty { id: 31, fine: false }),
        ("\x1b]1337;ReportCellSize=17.0;8.5;2.0\x1b\\", Answer::Iterm2 { width: 17, height: 34 }),
        ("\x1b]1337;ReportCellSize=18;8\x07", Answer::Iterm2 { width: 8, height: 18 }),
        ("\x1b]11;rgb:ffff/ffff/dddd\x1b\\", Answer::Background { light: true }),
        ("\x1b]11;rgb:1e/1e/2e\x07", Answer::Background { light: false }),
        ("\x1b]11;rgba:f/f/f/f\x07", Answer::Background { light: true }),
        ("\x1b[6;20;10t", Answer::Cell { width: 10, height: 20 }),
        ("\x1b[4;480;800t", Answer::Window { width: 800, height: 480 }),
        ("\x1b[?62;4;22c", Answer::Attributes(vec![62, 4, 22])),
    ]
}

/// What comes of pieces that are so many milliseconds apart.
fn decoded(pieces: &[&[u8]], apart: u64, awaited: bool) -> Vec<Input> {
    let (mut decoder, mut now, mut out) = (Decoder::default(), Instant::now(), Vec::new());
    for piece in pieces {
        decoder.feed(piece, now);
        let next = now + Duration::from_millis(apart);
        // The reader asks at once, and whenever something is due before the next piece.
        loop {
            while let Some(input) = decoder.next(now, awaited) {
                out.push(input);
            }
            match decoder.due(awaited) {
                Some(due) if due <= next => now = due.max(now),
                _ => break,
            }
        }
        now = next;
    }
    while let Some(due) = decoder.due(awaited) {
        out.extend(decoder.next(due, awaited));
    }
    out
}

fn whole(text: &str) -> Vec<Input> {
    decoded(&[text.as_bytes()], 0, false)
}

fn names(inputs: &[Input]) -> String {
    let name = |input: &Input| if let Input::Key(chord) = input { chord.to_string() } else { format!("{input:?}") };
    inputs.iter().map(name).collect::<Vec<_>>().join(" ")
}

#[test]
fn keys_have_their_names() {
    for (bytes, name) in [
        ("s", "s"),
        ("Sé漢", "S é 漢"),
        ("\r\t\x7f\x08\n\x00", "Enter Tab Backspace C-h C-j C-Space"),
        ("\x03\x1a\x1f", "C-c C-z C-7"),
        ("\x1b", "Esc"),
        ("\x1bx\x1b\r\x1bé", "M-x M-Enter M-é"),
        ("\x1b[A\x1b[B\x1b[C\x1b[D\x1b[H\x1b[F\x1b[Z", "Up Down Right Left Home End S-Tab"),
        ("\x1bOA\x1bOP\x1bOS", "Up F1 F4"),
        ("\x1b[1~\x1b[3~\x1b[4~\x1b[5~\x1b[6~\x1b[7~\x1b[8~", "Home Delete End PgUp PgDn Home End"),
        ("\x1b[11~\x1b[15~\x1b[17~\x1b[21~\x1b[24~\x1b[34~\x1b[[A\x1b[[E", "F1 F5 F6 F10 F12 F20 F1 F5"),
        ("\x1b[1;5C\x1b[1;3A\x1b[3;5~\x1b[1;2P", "C-Right M-Up C-Delete F1"),
        ("\x1b[27;5;105~\x1b[105;5u\x1b[9;2u\x1b[13u", "C-i C-i S-Tab Enter"),
        ("\x1b\x1b[B", "Esc Down"),
    ] {
        assert_eq!(names(&whole(bytes)), name, "{bytes:?}");
    }
    // Nothing of use: a release, a key that has no name, bytes that are no text, an error of a picture.
    assert_eq!(whole("\x1b[97;1:3u\x1b[2~\x1b[57358u\x1b_Gi=120;EINVAL\x1b\\").len(), 1);
    assert_eq!(names(&decoded(&[b"\xff\xc3(\xe2\x82x"], 0, false)), "( x");
}

#[test]
fn a_paste_is_one_text_and_the_mouse_is_where_it_was() {
    assert_eq!(
        whole("\x1b[200~q\x1b[A\ny\x1b[201~z"),
        [Input::Paste("q\x1b[A\ny".into()), Input::Key(Chord::char('z'))]
    );
    let mouse = |what, column, row| Input::Mouse(Mouse { what, column, row });
    for (bytes, input) in [
        ("\x1b[<0;5;7M", mouse(Pointer::Press, 4, 6)),
        ("\x1b[<0;5;7m", mouse(Pointer::Release, 4, 6)),
        ("\x1b[<32;5;7M", mouse(Pointer::Drag, 4, 6)),
        ("\x1b[<35;300;7M", mouse(Pointer::Move, 299, 6)),
        ("\x1b[<64;1;1M", mouse(Pointer::WheelUp, 0, 0)),
        ("\x1b[<65;1;1M", mouse(Pointer::WheelDown, 0, 0)),
        ("\x1b[32;5;7M", mouse(Pointer::Press, 4, 6)),
        ("\x1b[M %'", mouse(Pointer::Press, 4, 6)),
        ("\x1b[M#%'", mouse(Pointer::Release, 4, 6)),
    ] {
        assert_eq!(whole(bytes), [input], "{bytes:?}");
    }
    assert_eq!(whole("\x1b[<2;5;7M"), []);
}

#[test]
fn answers_say_what_they_say() {
    for (bytes, answer) in answers() {
        assert_eq!(whole(bytes), [Input::Answer(answer)], "{bytes:?}");
    }
}

#[test]
fn an_answer_that_comes_byte_by_byte_is_no_key() {
    for (bytes, answer) in answers() {
        let pieces: Vec<&[u8]> = bytes.as_bytes().chunks(1).collect();
        for apart in [0, 10, 100, 400] {
            assert_eq!(decoded(&pieces, apart, true), [Input::Answer(answer.clone())], "{bytes:?} {apart}");
        }
        assert_eq!(decoded(&pieces, 20, false), [Input::Answer(answer)], "{bytes:?}");
    }
}

#[test]
fn keys_that_look_like_the_beginning_of_an_answer_are_keys() {
    for awaited in [false, true] {
        for (pieces, name) in [
            (vec!["\x1b"], "Esc"),
            (vec!["\x1b_"], "M-_"),
            (vec!["\x1b]"], "M-]"),
            (vec!["\x1b_x"], "M-_ x"),
            (vec!["\x1b]x"], "M-] x"),
            (vec!["\x1b[A"], "Up"),
            // Typed one after the other, they are two keys.
            (vec!["\x1b", "s"], "Esc s"),
            (vec!["\x1b", "_"], "Esc _"),
            (vec!["\x1b", "]", "q"], "Esc ] q"),
            (vec!["\x1b", "["], "Esc ["),
            (vec!["\x1b", "O", "k"], "Esc O k"),
            (vec!["\x1b", "\x1b"], "Esc Esc"),
        ] {
            let bytes: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
            assert_eq!(names(&decoded(&bytes, 100, awaited)), name, "{pieces:?} {awaited}");
        }
    }
}

#[test]
fn what_does_not_end_is_dropped_and_the_keyboard_comes_back() {
    let long = format!("\x1b_G{}", "x".repeat(LONGEST));
    for broken in ["\x1b_Gi=31;O", "\x1b]1337;Rep", "\x1b]11;rgb:f", "\x1b[6;20", long.as_str()] {
        assert_eq!(names(&decoded(&[broken.as_bytes(), b"s"], 6000, true)), "s", "{broken:?}");
        assert_eq!(names(&decoded(&[broken.as_bytes(), b"\x1b[A"], 6000, false)), "Up", "{broken:?}");
    }
}

proptest! {
    /// However the bytes of answers and keys are divided, the answers are answers, and the keys those that were typed.
    #[test]
    fn answers_between_keys_stay_answers(order in prop::collection::vec(0..14usize, 1..12), cuts in prop::collection::vec(0..40usize, 0..12)) {
        let known = answers();
        let keys = [("s", "s"), ("\r", "Enter"), ("\x7f", "Backspace"), ("é", "é")];
        let parts: Vec<(&str, Option<Answer>)> = order
            .iter()
            .map(|at| known.get(*at).map_or_else(|| (keys[*at - known.len()].0, None), |(text, answer)| (*text, Some(answer.clone()))))
            .collect();
        let bytes: Vec<u8> = parts.iter().flat_map(|(text, _)| text.bytes()).collect();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([0, bytes.len()]).collect();
        places.sort_unstable();
        let pieces: Vec<&[u8]> = places.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).filter(|piece| !piece.is_empty()).collect();
        let found = decoded(&pieces, 100, true);
        let expected: Vec<Input> = parts
            .iter()
            .map(|(text, answer)| match answer {
                Some(answer) => Input::Answer(answer.clone()),
                None => whole(text).remove(0),
            })
            .collect();
        prop_assert_eq!(found, expected);
    }

    /// Any bytes are read without failing, and what has come is used up.
    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..64), awaited: bool) {
        let mut decoder = Decoder::default();
        let now = Instant::now();
        decoder.feed(&bytes, now);
        let late = now + Duration::from_secs(60);
        while decoder.next(late, awaited).is_some() {}
        let pasting = decoder.bytes.starts_with(PASTE);
        prop_assert!(pasting || decoder.bytes.is_empty(), "{:?}", decoder.bytes);
    }
}
