//! The tour from its first stop to its end, on the bundled model, and docs/tour.md, which holds its screens.

use std::fmt::Write as _;

use super::*;
use crate::commands::Console;
use crate::debugger::{Session, Settings};
use crate::engine::Interpreter;
use crate::engine::messages::Source;
use crate::engine::thread::{Handle, Setup, spawn};
use crate::frontend::tui::glyphs::UNICODE;
use crate::frontend::tui::panes::Panes;
use crate::frontend::tui::state::{Colours, Mode};
use crate::frontend::tui::tour::Tour;
use crate::frontend::tui::{keymap::Keymap, queue::Job};
use crate::model::{Input as Prompt, bundled, load};
use crate::tensor::Device;

/// Columns and rows of the screens in the manual.
const SIZE: (u16, u16) = (100, 42);

const HEAD: &str = "# The tour\n\n`llmdbg tour` shows this on the screen: ten stops on the bundled model, from the first step to the block that moves \
the name. Here are its screens as text, without colours. A test takes the tour and compares.\n";

/// The interface on a real engine, which is answered before anything else is pressed.
pub(super) struct Live {
    pub(super) state: State,
    engine: Handle,
    /// Requests that are not answered yet.
    open: usize,
    now: Instant,
}

impl Live {
    fn new() -> Live {
        let mut live = Live::open(SIZE, ColorDepth::Mono);
        live.state.tour = Some(Tour::new());
        live.state.typing = false;
        live.state.rest();
        live
    }

    /// The bundled model at the start of a pass, in a window of this size.
    pub(super) fn open(size: (u16, u16), depth: ColorDepth) -> Live {
        let interrupt = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let flag = interrupt.clone();
        let open = move || {
            let bundled = bundled::find("tiny-gpt2").unwrap();
            let device = Device::cpu();
            let model = load(&bundled.source(), &device).unwrap();
            let input = Prompt::from_texts(&model, &[bundled.example_prompt], true).unwrap();
            let session = Session::new(model, input, &Settings { record_budget: 1 << 30 }, flag);
            Ok::<_, std::io::Error>(Box::new(Console::new(session, "tiny-gpt2")) as Box<dyn Interpreter>)
        };
        let engine = spawn(open, interrupt, Setup::default()).unwrap();
        let colours = Colours { depth, user: None };
        let mut state = State::new("tiny-gpt2".into(), colours, &UNICODE, Keymap::new(None).0, Panes::new(None).0);
        state.size = size;
        state.queue.push(Job::Line("start".into(), Source::Option), false);
        let mut live = Live { state, engine, open: 1, now: Instant::now() };
        live.settle();
        live
    }

    fn send(&mut self, msg: Msg) {
        for effect in update(&mut self.state, msg) {
            match effect {
                Effect::Request(request) => {
                    self.open += 1;
                    self.engine.requests.send(request).unwrap();
                }
                Effect::Leave { error, .. } => panic!("it left: {error}"),
                _ => {}
            }
        }
    }

    /// Until everything asked is answered.
    fn settle(&mut self) {
        while self.open > 0 {
            let event = self.engine.events.recv_timeout(Duration::from_secs(60)).expect("an answer");
            let answers = !matches!(
                event,
                Event::Progress { .. } | Event::Moved(_) | Event::Answer(Answered { in_script: true, .. })
            );
            self.open -= usize::from(answers);
            let now = self.now;
            self.send(Msg::Engine(Box::new(event), now));
        }
    }

    /// Presses a key; a second passes, in which nothing follows it.
    pub(super) fn press(&mut self, chord: Chord) {
        self.now += Duration::from_secs(2);
        let now = self.now;
        self.send(Msg::Input(Input::Key(chord), now));
        self.now += Duration::from_secs(1);
        let now = self.now;
        self.send(Msg::Tick(now));
        self.settle();
    }

    pub(super) fn buffer(&self) -> Buffer {
        let area = Rect::new(0, 0, self.state.size.0, self.state.size.1);
        let mut buffer = Buffer::empty(area);
        view::draw(&self.state, area, &mut buffer);
        buffer
    }

    pub(super) fn lines(&self) -> Vec<String> {
        text_of(&self.buffer())
    }
}

/// The same words, and numbers within a thousandth: other processors round otherwise.
pub(super) fn same(found: &str, wanted: &str) -> bool {
    let words = |text: &str| -> Vec<String> { text.split_whitespace().map(String::from).collect() };
    let (found, wanted) = (words(found), words(wanted));
    let close = |a: &String, b: &String| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(x), Ok(y)) => a == b || (x - y).abs() <= 1e-3 * (x.abs() + y.abs()),
        _ => a == b,
    };
    found.len() == wanted.len() && found.iter().zip(&wanted).all(|(a, b)| close(a, b))
}

#[test]
fn every_stop_of_the_tour_is_reached_by_what_it_asks_for() {
    let mut live = Live::new();
    let mut page = HEAD.to_string();
    while let Some(stop) = live.state.tour.as_ref().and_then(|tour| tour.stop().cloned()) {
        let (at, _) = live.state.tour.as_ref().map(Tour::place).unwrap();
        write!(page, "\n## {at}\n\n```text\n{}\n```\n", live.lines().join("\n")).unwrap();
        if stop.line.is_empty() {
            stop.key.split(' ').for_each(|name| live.press(Chord::parse(name).expect("a key")));
        } else {
            live.press(Chord::char(':'));
            stop.line.chars().for_each(|c| live.press(Chord::char(c)));
            live.press(Chord::parse("Enter").expect("a key"));
        }
        let after = live.state.tour.as_ref().map(Tour::place).unwrap();
        assert!(after.0 > at || at == 10, "stop {at} did not notice {stop:?}\n{}", live.lines().join("\n"));
        assert_eq!(live.state.mode, Mode::Keys);
        let said = live.lines().join("\n");
        assert!(!said.contains("Undefined") && !said.contains("error"), "stop {at}:\n{said}");
    }
    write!(page, "\n## The end\n\n```text\n{}\n```\n", live.lines().join("\n")).unwrap();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/tour.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(file, &page).unwrap();
    }
    let written = std::fs::read_to_string(file).expect("docs/tour.md");
    let differ = page.lines().zip(written.lines()).find(|(found, wanted)| !same(found, wanted));
    assert_eq!(differ, None, "UPDATE_DOCS=1 writes docs/tour.md anew");
    assert_eq!(page.lines().count(), written.lines().count());
}
