//! Whatever is typed in whatever window, nothing fails.

use proptest::prelude::*;

use super::*;
use crate::answer::ErrorView;
use crate::term::Key;

fn chord() -> impl Strategy<Value = Chord> {
    let special = prop::sample::select(vec![
        Key::Enter,
        Key::Esc,
        Key::Tab,
        Key::BackTab,
        Key::Backspace,
        Key::Delete,
        Key::Up,
        Key::Down,
        Key::Left,
        Key::Right,
        Key::Home,
        Key::End,
        Key::PageUp,
        Key::PageDown,
        Key::F(5),
    ]);
    prop_oneof![
        3 => prop::sample::select("snlfcSNLFCbretmyzuidwkj/[]{}<>?:q漢é .".chars().collect::<Vec<_>>()).prop_map(Chord::char),
        2 => special.prop_map(Chord::plain),
        1 => prop::sample::select("abcdefghklnpruwyz".chars().collect::<Vec<_>>()).prop_map(Chord::ctrl),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_at_any_size(
        sizes in prop::collection::vec((1u16..200, 1u16..60), 1..4),
        chords in prop::collection::vec(chord(), 0..40),
        depth in prop::sample::select(vec![ColorDepth::Mono, ColorDepth::Sixteen, ColorDepth::Indexed, ColorDepth::True]),
        loaded: bool,
    ) {
        let mut session =
            if loaded { Session::new(depth, sizes[0]) } else { Session::loading(depth, sizes[0]) };
        for (index, chord) in chords.iter().enumerate() {
            session.press(*chord);
            if !session.commands.is_empty() {
                match index % 3 {
                    0 => session.answer(Answer::Stop(fixture::stop())),
                    1 => session.answer(Answer::Error(ErrorView { message: "no\n  ^".to_string(), ..ErrorView::default() })),
                    _ => session.answer(Answer::Text("a line that is longer than many a window is wide".to_string())),
                }
            }
            if index % 7 == 3 && loaded {
                let site = session.snapshot.ops[(index * 13) % session.snapshot.ops.len()].site.clone();
                session.stop_at(&site);
            }
            if index % 5 == 4 {
                session.resize(sizes[index % sizes.len()]);
            }
            session.picture();
        }
        // A window that shrinks after the value was read, and a state whose size lags behind the window.
        session.resize(sizes[sizes.len() - 1]);
        session.picture();
        session.state.size = (80, 24);
        let area = Rect::new(0, 0, sizes[0].0, sizes[0].1);
        view::draw(&session.state, area, &mut Buffer::empty(area));
    }
}
