//! Heat maps in pixels: when they are drawn, that they show what half blocks show, and what frames with them cost.

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::style::Color;

use super::*;
use crate::answer::{MapView, Scale, Summary};
use crate::engine::messages::{Panel, PanelContent};
use crate::frontend::tui::scales::Scaling;
use crate::frontend::tui::strings;
use crate::frontend::tui::theme::{Role, rgb};
use crate::term::Frames;
use crate::term::graphics::query::{Answer as Said, Question};
use crate::term::graphics::{Layer, Picture, Protocol};

/// Gives the session a setting, as after a command.
fn set(session: &mut Session, wish: &str) {
    session.snapshot.screen.pixels = wish.to_string();
    session.give(Event::Moved(Arc::new(session.snapshot.clone())));
}

/// Moves the cursor to before `site`, with the same settings.
fn go(session: &mut Session, site: &str) {
    let screen = std::mem::take(&mut session.snapshot.screen);
    session.snapshot = Snapshot { screen, ..fixture::snapshot_at(site) };
    session.give(Event::Moved(Arc::new(session.snapshot.clone())));
}

fn say(session: &mut Session, answer: Said) {
    session.send(Msg::Input(Input::Answer(answer), session.now));
}

fn questions(session: &Session) -> usize {
    session.effects.iter().filter(|effect| matches!(effect, Effect::Ask(Question::Pictures))).count()
}

const KITTY: Said = Said::Kitty { id: 31, fine: true };

/// A session in a terminal with kitty's graphics, with cells of this size.
fn on_kitty(depth: ColorDepth, size: (u16, u16), (width, height): (u16, u16)) -> Session {
    let mut session = Session::new(depth, size);
    set(&mut session, "auto");
    say(&mut session, KITTY);
    say(&mut session, Said::Cell { width, height });
    say(&mut session, Said::Attributes(vec![62]));
    session
}

/// The screen in half blocks, and the pictures over it.
fn drawn(session: &Session) -> (Buffer, Vec<Picture>) {
    let area = Rect::new(0, 0, session.state.size.0, session.state.size.1);
    let (mut buffer, mut pictures) = (Buffer::empty(area), Vec::new());
    view::draw_with(&session.state, area, &mut buffer, &mut pictures);
    (buffer, pictures)
}

fn protocol(session: &Session) -> Option<Protocol> {
    session.state.pixels.surface().map(|surface| surface.protocol)
}

#[test]
fn the_best_that_the_terminal_says_is_taken_and_nothing_without_its_word() {
    let cell = Said::Cell { width: 8, height: 16 };
    let size = Said::Iterm2 { width: 8, height: 16 };
    let (plain, sixel) = (Said::Attributes(vec![62, 22]), Said::Attributes(vec![62, 4]));
    for (said, expected) in [
        (vec![KITTY, cell.clone(), sixel.clone()], Some(Protocol::Kitty)),
        (vec![size, cell.clone(), sixel.clone()], Some(Protocol::Iterm2)),
        (vec![cell.clone(), sixel.clone()], Some(Protocol::Sixel)),
        (vec![Said::Kitty { id: 31, fine: false }, cell.clone(), plain.clone()], None),
        // Class 4 is a terminal of the kind of the VT132, not sixel.
        (vec![cell, Said::Attributes(vec![4, 6])], None),
        (vec![KITTY, plain], Some(Protocol::Kitty)),
    ] {
        let mut session = Session::new(ColorDepth::Indexed, (80, 24));
        set(&mut session, "auto");
        assert_eq!(questions(&session), 1);
        for answer in &said {
            assert_eq!(protocol(&session), None, "before everything is said");
            say(&mut session, answer.clone());
        }
        assert_eq!(protocol(&session), expected, "{said:?}");
        session.wait(10_000);
        assert_eq!(protocol(&session), expected);
        assert!(!session.lines().iter().any(|line| line.contains("half blocks")), "auto complains of nothing");
    }
}

#[test]
fn an_answer_that_comes_too_late_changes_nothing() {
    let mut session = Session::new(ColorDepth::Indexed, (80, 24));
    set(&mut session, "auto");
    session.wait(2_100);
    say(&mut session, KITTY);
    say(&mut session, Said::Attributes(vec![62, 4]));
    assert_eq!(protocol(&session), None);
    // Asked again by name, it may answer.
    set(&mut session, "on");
    assert_eq!(questions(&session), 2);
    say(&mut session, KITTY);
    say(&mut session, Said::Attributes(vec![62, 4]));
    assert_eq!(protocol(&session), Some(Protocol::Kitty));
    set(&mut session, "off");
    assert_eq!((protocol(&session), drawn(&session).1.len()), (None, 0));
}

#[test]
fn over_a_slow_line_nothing_is_asked_unless_the_user_asks() {
    for far in [("SSH_CONNECTION", "10.0.0.1 5 10.0.0.2 22"), ("STY", "1234.pts-0")] {
        let mut session = Session::new(ColorDepth::Indexed, (80, 24));
        let found = crate::term::Capabilities::from_environment(|name| (name == far.0).then(|| far.1.to_string()));
        session.state.pixels = super::super::pixels::Pixels::new(&found);
        set(&mut session, "auto");
        assert_eq!(questions(&session), 0, "{far:?}");
        set(&mut session, "on");
        assert_eq!(questions(&session), 1, "{far:?}");
    }
    // Without colours there is nothing to draw in pixels.
    let mut session = Session::new(ColorDepth::Mono, (80, 24));
    set(&mut session, "on");
    assert_eq!(questions(&session), 0);
}

#[test]
fn who_asks_for_pictures_in_vain_is_told() {
    for (wish, said) in [("on", strings::NO_PIXELS), ("iterm2", strings::NO_SURFACE)] {
        let mut session = Session::new(ColorDepth::Indexed, (120, 40));
        let found = crate::term::Capabilities::from_environment(|name| (name == "TMUX").then(|| "1".to_string()));
        session.state.pixels = super::super::pixels::Pixels::new(&found);
        set(&mut session, wish);
        let reported = |session: &Session| session.lines().iter().any(|line| line.contains(&said[..40]));
        assert!(!reported(&session), "{wish}");
        session.wait(2_100);
        assert!(reported(&session), "{wish}: {:#?}", session.lines());
    }
}

#[test]
fn a_protocol_that_is_named_is_taken_without_the_terminals_word() {
    let mut session = Session::new(ColorDepth::Indexed, (80, 24));
    set(&mut session, "sixel");
    say(&mut session, Said::Window { width: 800, height: 480 });
    say(&mut session, Said::Attributes(vec![62]));
    let surface = session.state.pixels.surface().expect("a surface");
    assert_eq!((surface.protocol, surface.cell), (Protocol::Sixel, (10, 20)));
}

/// What goes through tmux is answered to the pane that has the keyboard, which after a resize may be another one.
#[test]
fn a_resize_asks_for_sizes_alone() {
    let mut session = on_kitty(ColorDepth::Indexed, (80, 24), (8, 16));
    session.send(Msg::Input(Input::Resize(100, 30), session.now));
    assert_eq!(questions(&session), 1, "the first one");
    assert!(matches!(session.effects.last(), Some(Effect::Ask(Question::Sizes))), "{:?}", session.effects.last());
    let surface = |session: &Session| session.state.pixels.surface().map(|surface| (surface.protocol, surface.cell));
    assert_eq!(surface(&session), Some((Protocol::Kitty, (8, 16))), "pictures stay until it is answered");
    say(&mut session, Said::Window { width: 1000, height: 600 });
    say(&mut session, Said::Attributes(vec![62]));
    assert_eq!(surface(&session), Some((Protocol::Kitty, (10, 20))));
    let asked = String::from_utf8(crate::term::graphics::query::questions(Question::Sizes, true)).expect("text");
    assert!(!asked.contains("\u{1b}P") && !asked.contains("_G"), "{asked:?}");
}

#[test]
fn what_covers_a_map_hides_its_picture() {
    let mut session = on_kitty(ColorDepth::Indexed, (80, 24), (8, 16));
    let (before, pictures) = drawn(&session);
    assert_eq!(pictures.len(), 1);
    let place = pictures[0].area;
    for (open, close) in [("?", "Esc"), ("C-p", "Esc"), ("Space", "Esc")] {
        session.keys(open);
        let (buffer, pictures) = drawn(&session);
        let covered = place.positions().any(|at| buffer[at] != before[at]);
        assert_eq!(pictures.is_empty(), covered, "{open}: {:#?}", session.lines());
        session.keys(close);
        assert_eq!(drawn(&session).1.len(), 1, "{close}");
    }
    session.keys("m");
    assert_eq!(drawn(&session).1.len(), 0, "numbers");
}

#[test]
fn every_head_has_its_picture_and_the_grid_has_one() {
    let mut session = on_kitty(ColorDepth::True, (120, 40), (8, 16));
    session.keys("h");
    session.answer(Answer::Text(String::new()));
    assert_eq!(drawn(&session).1.len(), 5, "the value, and four heads");
}

/// The colours of the upper and the lower half of a cell; `None` for marks, which are not colours.
fn halves(cell: &ratatui::buffer::Cell) -> Option<(Option<[u8; 3]>, Option<[u8; 3]>)> {
    let ground = if cell.bg == Color::Reset { None } else { rgb(cell.bg) };
    match cell.symbol() {
        "▀" => Some((rgb(cell.fg), ground)),
        "▄" => Some((ground, rgb(cell.fg))),
        " " if !cell.modifier.contains(ratatui::style::Modifier::REVERSED) => Some((ground, ground)),
        _ => None,
    }
}

/// Every half of a cell that has a colour has it in the picture too, in all its pixels; and the other way round.
fn assert_same_colours(session: &Session) -> usize {
    let (buffer, pictures) = drawn(session);
    let cell = session.state.pixels.surface().expect("a surface").cell;
    let (width, height) = (usize::from(cell.0), usize::from(cell.1));
    let mut compared = 0;
    for picture in &pictures {
        let area = picture.area;
        assert_eq!(picture.raster.width, usize::from(area.width) * width);
        assert_eq!(picture.raster.height, usize::from(area.height) * height);
        for at in area.positions() {
            let Some((upper, lower)) = halves(&buffer[at]) else { continue };
            let (x, y) = (usize::from(at.x - area.x) * width, usize::from(at.y - area.y) * height);
            let masked = session.state.theme.role_rgb(Role::Masked);
            // The mark of a value beyond the scale may be wider in the picture than its character.
            let ink = rgb(buffer[at].fg).filter(|_| buffer[at].symbol() == " ");
            for (half, lines) in [(upper, 0..height / 2), (lower, height / 2..height)] {
                for (dx, dy) in (0..width).flat_map(|dx| lines.clone().map(move |dy| (dx, dy))) {
                    let found = picture.raster.colour(x + dx, y + dy);
                    // A masked cell that shares a row of text with a number has its mark in the picture only.
                    let marked = half.is_none() && (found == masked || found == Some([0x80; 3]));
                    let marked = marked || (ink.is_some() && found == ink);
                    assert!(found == half || marked, "{at:?} {dx},{dy}: {found:?} instead of {half:?}");
                }
                compared += usize::from(half.is_some());
            }
        }
    }
    compared
}

#[test]
fn pixels_have_the_colours_of_the_half_blocks() {
    for depth in [ColorDepth::Indexed, ColorDepth::True] {
        for size in [(60, 20), (80, 24), (120, 40), (200, 60)] {
            let mut session = on_kitty(depth, size, (9, 19));
            for layout in session.state.panes.names() {
                session.state.lay_out(&layout);
                for site in ["blocks.1.attn.q", "blocks.2.attn.z", "blocks.2.attn.pattern"] {
                    go(&mut session, site);
                    assert_same_colours(&session);
                }
            }
            session.keys("h");
            go(&mut session, "blocks.2.attn.z");
            assert!(assert_same_colours(&session) > 100, "{size:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pixels_of_any_map_have_the_colours_of_its_half_blocks(
        (rows, columns) in (1usize..40, 1usize..64),
        seed in any::<u32>(),
        depth in prop::sample::select(vec![ColorDepth::Indexed, ColorDepth::True]),
        size in prop::sample::select(vec![(60u16, 20u16), (80, 24), (120, 40), (180, 50)]),
        cell in (2u16..20, 3u16..40),
        signed: bool,
        scaling in prop::sample::select(vec![Scaling::Auto, Scaling::Linear, Scaling::Robust, Scaling::Symlog, Scaling::Row]),
    ) {
        let mut state = u64::from(seed) | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32
        };
        let data: Vec<f64> = (0..rows * columns)
            .map(|_| match next() % 40 {
                0 => f64::NAN,
                1 => f64::INFINITY,
                2 => f64::NEG_INFINITY,
                3 => 1e6,
                other => (f64::from(next() % 1000) / 500.0 - if signed { 1.0 } else { 0.0 }) * f64::from(other),
            })
            .collect();
        let masked: Vec<bool> = data.iter().map(|_| next().is_multiple_of(5)).collect();
        let names = |count: usize| (0..count).map(|at| at.to_string()).collect::<Vec<_>>();
        let map = MapView::grid("any", ("q", names(rows)), ("k", names(columns)), data);
        let summary = Summary { min: -40.0, max: 80.0, absmax: 80.0, ..Summary::default() };
        let scale = if signed { Scale::Diverging } else { Scale::Sequential };
        let map = MapView { summary: summary.clone(), scale, ..map };
        let mut session = on_kitty(depth, size, cell);
        session.state.value.scaling = scaling;
        let content = PanelContent::Heat { map, masked, focus_row: None, first: (0, 0), whole: (rows, columns) };
        let panel = Panel { op: 0, title: "any".into(), shape: String::new(), summary, content };
        session.state.value.panel = Some(Ok(panel));
        assert_same_colours(&session);
    }
}

/// Bytes of one frame with its pictures.
fn cost(terminal: &mut Terminal<Frames<Vec<u8>>>, layer: &mut Layer, session: &Session) -> Vec<u8> {
    let over = terminal.backend().over();
    terminal
        .draw(|frame| {
            let pictures = view::view(&session.state, frame);
            over.send(&layer.show(session.state.pixels.surface(), pictures, frame.buffer_mut(), over.was_cleared()));
        })
        .expect("a frame");
    std::mem::take(terminal.backend_mut().target())
}

#[test]
fn a_picture_is_sent_once_and_removed_when_something_covers_it() {
    let mut session = on_kitty(ColorDepth::Indexed, (80, 24), (10, 20));
    let mut terminal = Terminal::new(Frames::new(Vec::new(), || Ok((80, 24)))).expect("a terminal");
    let mut layer = Layer::default();
    let mut frame = |session: &Session| String::from_utf8_lossy(&cost(&mut terminal, &mut layer, session)).into_owned();
    let (sent, removed) = ("\x1b_Ga=T,q=2,f=100,i=120,p=1,C=1,z=-1,c=", "\x1b_Ga=d,d=I,i=120,q=2\x1b\\");
    let first = frame(&session);
    assert!(first.contains(sent) && first.len() <= 16_000, "{} bytes", first.len());
    assert_eq!(frame(&session), "", "nothing changed");
    // The crosshair is shown next to the map: its move costs what it costs without pictures.
    session.keys("Tab Left");
    frame(&session);
    session.keys("Right");
    let moved = frame(&session);
    assert!(!moved.is_empty() && moved.len() <= 250, "{} bytes", moved.len());
    session.keys("?");
    let covered = frame(&session);
    assert!(covered.contains(removed) && !covered.contains(sent), "{covered:?}");
    session.keys("Esc");
    assert!(frame(&session).contains(sent));
    // Another value in the same place.
    go(&mut session, "blocks.2.attn.z");
    let stepped = frame(&session);
    assert!(stepped.contains(sent) && !stepped.contains(removed), "{stepped:?}");
    assert!(stepped.len() <= 16_000, "a step: {} bytes", stepped.len());
    set(&mut session, "off");
    assert!(frame(&session).contains(removed));
}
