//! A large session without an engine, to measure the speed of the interface (benches/interface.rs).

use std::sync::Arc;
use std::time::{Duration, Instant};

use ratatui::Terminal;

use super::glyphs::UNICODE;
use super::keymap::Keymap;
use super::message::Msg;
use super::panes::Panes;
use super::queue::Job;
use super::state::{Colours, State};
use super::update::update;
use super::view::view;
use crate::answer::TokenView;
use crate::engine::messages::{Event, Focus, ModuleLine, OpFlags, OpLine, Snapshot, Source};
use crate::term::{Chord, ColorDepth, Frames, Input};

/// Layers, heads and tokens of the program.
const LARGE: (usize, usize, usize) = (96, 64, 2000);

const BLOCK: usize = 24;

/// The interface on such a program, while a command is running.
pub struct Large {
    state: State,
    terminal: Terminal<Frames<Vec<u8>>>,
    keys: std::iter::Cycle<std::vec::IntoIter<Chord>>,
    done: u64,
}

impl Large {
    /// An interface in a window of the size that a function returns. Fails if the function does.
    pub fn new(size: fn() -> std::io::Result<(u16, u16)>) -> std::io::Result<Large> {
        let colours = Colours { depth: ColorDepth::Indexed, user: None };
        let mut state = State::new("large".into(), colours, &UNICODE, Keymap::new(None).0, Panes::new(None).0);
        state.size = size()?;
        let now = Instant::now();
        update(&mut state, Msg::Engine(Box::new(Event::Ready(Arc::new(snapshot()))), now));
        state.queue.push(Job::Line("continue".into(), Source::Prompt), false);
        update(&mut state, Msg::Tick(now));
        let terminal = Terminal::new(Frames::new(Vec::new(), size));
        let names = ["Down", "Down", "PgDn", "Up", "]", "[", "z", "z", "Tab", "Down", "S-Tab", "End", "Home"];
        let keys: Vec<Chord> = names.iter().filter_map(|name| Chord::parse(name)).collect();
        Ok(Large { state, terminal: terminal?, keys: keys.into_iter().cycle(), done: 0 })
    }

    /// Presses the next key while the engine reports progress, and draws; returns the time of both.
    pub fn key_to_frame(&mut self) -> Duration {
        let start = Instant::now();
        self.done += 1;
        let what = format!("blocks.{}.mlp.pre", self.done % 96);
        let progress = Event::Progress { what, done: self.done % 2304, total: 2304 };
        update(&mut self.state, Msg::Engine(Box::new(progress), start));
        if let Some(chord) = self.keys.next() {
            update(&mut self.state, Msg::Input(Input::Key(chord), start));
        }
        let state = &self.state;
        let drawn = self.terminal.draw(|frame| drop(view(state, frame))).map(drop);
        debug_assert!(drawn.is_ok(), "memory takes everything");
        self.terminal.backend_mut().target().clear();
        start.elapsed()
    }
}

fn snapshot() -> Snapshot {
    let (layers, heads, length) = LARGE;
    let mut ops = Vec::new();
    let mut modules = vec![ModuleLine { end: layers * BLOCK, ..ModuleLine::default() }];
    for layer in 0..layers {
        let (path, start) = (format!("blocks.{layer}"), ops.len());
        let parent = modules.len();
        let module = |path: String, depth, parent, start, end| ModuleLine {
            label: path.rsplit('.').next().unwrap_or_default().to_string(),
            path,
            depth,
            parent: Some(parent),
            start,
            end,
        };
        modules.push(module(path.clone(), 1, 0, start, start + BLOCK));
        modules.push(module(format!("{path}.attn"), 2, parent, start + 4, start + 16));
        for op in 0..BLOCK {
            let inside = (4..16).contains(&op);
            let site = format!("{path}.{}op{op}", if inside { "attn." } else { "" });
            let module = if inside { parent + 1 } else { parent };
            ops.push(OpLine { site, label: format!("op{op}"), module, shape: format!("{heads}x{length}x{length}") });
        }
    }
    let cursor = ops.len() / 2;
    let token =
        |pos: usize| TokenView { pos, id: pos as u32, text: format!(" word{pos}"), real: true, ..TokenView::default() };
    Snapshot {
        model: "large".into(),
        dimensions: format!("{layers}L {heads}H d8192 f32"),
        device: "cpu".into(),
        branch: "main".into(),
        live: true,
        cursor,
        flags: (0..ops.len()).map(|op| OpFlags { computed: op < cursor, ..OpFlags::default() }).collect(),
        ops: Arc::new(ops),
        modules: Arc::new(modules),
        tokens: (0..length).map(token).collect(),
        rows: 1,
        focus: Focus { row: 0, pos: Some(length / 2), head: 3 },
        heads,
        layers,
        ..Snapshot::default()
    }
}
