//! Pictures of the screen. In monochrome the text says everything; in colour the styles are kept too.

use super::*;
use crate::answer::{ErrorView, Fault};
use crate::frontend::tui::theme::{Role, Theme};
use crate::term::graphics::query::Answer as Said;

const SIZES: [(u16, u16); 5] = [(80, 24), (120, 40), (60, 24), (60, 20), (40, 10)];

fn named(name: &str, (width, height): (u16, u16)) -> String {
    format!("{name}_{width}x{height}")
}

#[test]
fn whole_screen_in_ascii_without_colour() {
    for size in SIZES {
        let session = Session::new(ColorDepth::Mono, size);
        insta::assert_snapshot!(named("mono", size), session.lines().join("\n"));
    }
}

#[test]
fn whole_screen_in_unicode_with_256_colours() {
    for size in SIZES {
        let session = Session::new(ColorDepth::Indexed, size);
        insta::assert_snapshot!(named("indexed", size), session.lines().join("\n"));
    }
    let session = Session::new(ColorDepth::Indexed, (80, 24));
    insta::assert_debug_snapshot!("indexed_styles_80x24", session.picture());
}

#[test]
fn loading() {
    let mut session = Session::loading(ColorDepth::Mono, (80, 24));
    session.give(Event::Progress { what: "loading h.0.attn.c_attn.weight".to_string(), done: 0, total: 500 << 20 });
    session.now += Duration::from_secs(2);
    session.give(Event::Progress {
        what: "loading h.3.mlp.c_fc.weight".to_string(),
        done: 200 << 20,
        total: 500 << 20,
    });
    insta::assert_snapshot!("loading_80x24", session.lines().join("\n"));
}

#[test]
fn values_of_every_kind() {
    for (depth, name) in [(ColorDepth::Mono, "mono"), (ColorDepth::Indexed, "indexed")] {
        let mut session = Session::new(depth, (80, 24));
        session.keys("Tab z");
        insta::assert_snapshot!(format!("{name}_value_scores"), session.lines().join("\n"));
        session.stop_at("blocks.2.attn.z");
        insta::assert_snapshot!(format!("{name}_value_pattern"), session.lines().join("\n"));
        session.stop_at("blocks.2.ln2.scale");
        insta::assert_snapshot!(format!("{name}_value_activations"), session.lines().join("\n"));
        session.keys("m m Right Right");
        insta::assert_snapshot!(format!("{name}_value_vector"), session.lines().join("\n"));
        session.keys("m m");
        insta::assert_snapshot!(format!("{name}_value_largest"), session.lines().join("\n"));
    }
}

#[test]
fn help() {
    let mut session = Session::new(ColorDepth::Mono, (80, 60));
    session.keys("?");
    insta::assert_snapshot!("help_80x60", session.lines().join("\n"));
}

#[test]
fn running_editing_failing_and_the_end() {
    let mut session = Session::new(ColorDepth::Mono, (80, 24));
    session.keys("b");
    session.answer(Answer::Error(ErrorView {
        message: "no site blocks.9; the model has blocks.0 to blocks.3".to_string(),
        fault: Fault::Command,
        ..ErrorView::default()
    }));
    session.stop_at("no more ops");
    session.keys("c");
    session.give(Event::Progress { what: "blocks.3.mlp.pre".to_string(), done: 70, total: 86 });
    session.keys("e");
    insta::assert_snapshot!("running_80x24", session.lines().join("\n"));
}

#[test]
fn a_window_too_small_says_so() {
    assert_eq!(Session::new(ColorDepth::Mono, (39, 10)).lines()[0], "llmdbg needs 40x10");
    assert_eq!(Session::new(ColorDepth::Mono, (5, 1)).lines(), ["llmdb"]);
}

#[test]
fn every_layout_at_every_size() {
    for (depth, name) in [(ColorDepth::Mono, "mono"), (ColorDepth::Indexed, "indexed")] {
        for size in [(120, 40), (80, 24), (60, 20)] {
            let mut session = Session::new(depth, size);
            session.stop_at("blocks.2.attn.z");
            for layout in session.state.panes.names() {
                if layout == "program" {
                    continue;
                }
                session.state.lay_out(&layout);
                session.keys("Tab");
                insta::assert_snapshot!(named(&format!("{name}_{layout}"), size), session.lines().join("\n"));
            }
        }
    }
}

#[test]
fn heads_numbers_palette_and_keys_that_follow() {
    for (depth, name) in [(ColorDepth::Mono, "mono"), (ColorDepth::Indexed, "indexed")] {
        let mut session = Session::new(depth, (80, 24));
        session.stop_at("blocks.2.attn.z");
        session.keys("h");
        session.answer(Answer::Text(String::new()));
        session.keys("z");
        insta::assert_snapshot!(format!("{name}_heads_zoomed"), session.lines().join("\n"));
        session.keys("m");
        insta::assert_snapshot!(format!("{name}_heads_grid"), session.lines().join("\n"));
        session.keys("z h m");
        insta::assert_snapshot!(format!("{name}_value_numbers"), session.lines().join("\n"));
        session.keys("C-p h e a");
        insta::assert_snapshot!(format!("{name}_palette"), session.lines().join("\n"));
        session.keys("Esc Space");
        insta::assert_snapshot!(format!("{name}_keys_that_follow"), session.lines().join("\n"));
    }
}

/// Gives the session a theme, as after `set theme`.
fn set_theme(session: &mut Session, name: &str) {
    session.snapshot.screen.theme = name.to_string();
    session.give(Event::Moved(Arc::new(session.snapshot.clone())));
}

#[test]
fn the_theme_follows_the_background_of_the_terminal_until_one_is_chosen() {
    let is = |session: &Session, name: &str| {
        let theme = Theme::named(name, session.state.colours.depth, None).0;
        Role::ALL.iter().all(|(_, role)| session.state.theme.style(*role) == theme.style(*role))
    };
    let questions =
        |session: &Session| session.effects.iter().filter(|effect| matches!(effect, Effect::Ask(_))).count();
    let say = |session: &mut Session, light| {
        session.send(Msg::Input(Input::Answer(Said::Background { light }), session.now));
    };
    for depth in [ColorDepth::Sixteen, ColorDepth::Indexed, ColorDepth::True] {
        let mut session = Session::new(depth, (80, 24));
        set_theme(&mut session, "auto");
        assert_eq!(questions(&session), 1, "the question about pictures includes the one about the background");
        assert!(is(&session, "dark"), "before the terminal has answered");
        say(&mut session, true);
        assert!(is(&session, "light"));
        say(&mut session, false);
        assert!(is(&session, "dark"));
        set_theme(&mut session, "high-contrast");
        say(&mut session, true);
        assert!(is(&session, "high-contrast"), "a theme that was chosen stays");
        set_theme(&mut session, "auto");
        assert!(is(&session, "light"), "what the terminal has said is known");
        assert_eq!(questions(&session), 1);
    }
    let mut session = Session::new(ColorDepth::Mono, (80, 24));
    set_theme(&mut session, "auto");
    assert_eq!(questions(&session), 0, "nothing is asked where there are no colours");
}
