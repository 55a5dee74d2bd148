//! A session with a few made-up commands, for tests of the engine thread and of the frontends.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Interpreter;
use super::messages::{Panel, PanelRequest, Pc, Snapshot, Source};
use super::thread::{Handle, Setup, spawn};
use crate::answer::{Answer, ErrorView, Fault, Reason, StopView};
use crate::commands::{Journalled, Outcome, Outside};

/// A program of ten ops without a model.
pub struct Fake {
    op: usize,
    interrupt: Arc<AtomicBool>,
    lines: Vec<String>,
}

/// An engine thread with a [`Fake`] session.
pub fn engine() -> Handle {
    let interrupt = Arc::new(AtomicBool::new(false));
    engine_with(interrupt)
}

/// The same, with a flag that the caller can set.
pub fn engine_with(interrupt: Arc<AtomicBool>) -> Handle {
    let flag = interrupt.clone();
    let open = move || -> Result<Box<dyn Interpreter>, std::io::Error> {
        Ok(Box::new(Fake { op: 0, interrupt: flag, lines: Vec::new() }))
    };
    spawn(open, interrupt, Setup::default()).unwrap()
}

/// The same, which goes on after `quit`.
pub fn lasting_engine(interrupt: Arc<AtomicBool>) -> Handle {
    let flag = interrupt.clone();
    let open = move || -> Result<Box<dyn Interpreter>, std::io::Error> {
        Ok(Box::new(Fake { op: 0, interrupt: flag, lines: Vec::new() }))
    };
    spawn(open, interrupt, Setup { outlives: true, ..Setup::default() }).unwrap()
}

impl Interpreter for Fake {
    fn execute(&mut self, line: &str, source: &Source) -> Outcome {
        self.lines.push(line.to_string());
        let (word, rest) = line.split_once([' ', '\n']).unwrap_or((line, ""));
        let text = |text: &str| Outcome::of(Answer::Text(text.to_string()));
        let error = |message: &str, fault| {
            Outcome::of(Answer::Error(ErrorView { message: message.into(), fault, ..ErrorView::default() }))
        };
        match word {
            "step" => {
                self.op += 1;
                Outcome { changed: true, repeatable: true, ..text(&format!("at op {}", self.op)) }
            }
            "say" => text(rest),
            "source?" => text(&format!("{source:?}")),
            "commands" => text(&format!("block of {} lines", line.lines().count())),
            "assert" => error("assertion failed", Fault::Assert),
            "lose" => error("device lost", Fault::Model),
            "panic" => panic!("kernel {rest} went wrong"),
            "quit" => Outcome { quit: Some(rest.parse().unwrap_or(0)), ..text("") },
            "loop" => self.wait_for_interrupt(),
            _ => error(&format!("undefined command {word:?}"), Fault::Command),
        }
    }

    fn outside(&self) -> Outside {
        Outside::default()
    }

    fn condition(&mut self, line: &str) -> Result<bool, ErrorView> {
        match line.split_once(' ').and_then(|(_, op)| op.trim().parse::<usize>().ok()) {
            Some(op) => Ok(self.op < op),
            None => Err(ErrorView { message: format!("no condition in {line:?}"), ..ErrorView::default() }),
        }
    }

    fn journalled(&self, line: &str) -> Journalled {
        if line.starts_with("step") { Journalled::Before } else { Journalled::Not }
    }

    fn remembered(&self) -> usize {
        0
    }

    fn forgo(&mut self, _: usize, _: &str) {}

    fn halt_at(&mut self, _: Option<(usize, usize)>) {}

    fn restoring(&self, setting: &str) -> Result<String, ErrorView> {
        Err(ErrorView { message: format!("no setting {setting}"), ..ErrorView::default() })
    }

    fn snapshot(&mut self) -> Arc<Snapshot> {
        Arc::new(Snapshot {
            model: "fake".into(),
            dimensions: "1L 1H d1 f32".into(),
            device: "cpu".into(),
            device_reason: "device: cpu (asked for)".to_string(),
            branch: "main".into(),
            live: self.op > 0,
            cursor: self.op,
            rows: 1,
            heads: 1,
            layers: 1,
            ..Snapshot::default()
        })
    }

    fn panel(&mut self, request: &PanelRequest) -> Result<Panel, ErrorView> {
        assert!(request.op < 10, "no such op");
        Err(ErrorView { message: format!("op {} has no value yet", request.op), ..ErrorView::default() })
    }

    fn query(&mut self, line: &str) -> Answer {
        Answer::Text(format!("asked {line}"))
    }

    fn fault_in(&self, line: &str) -> Option<(Range<usize>, String)> {
        line.starts_with("wrong").then(|| (0..5, "not right".to_string()))
    }

    fn complete(&mut self, line: &str, cursor: usize) -> (usize, Vec<String>) {
        let words = ["say", "step"];
        (0, words.into_iter().filter(|word| word.starts_with(&line[..cursor])).map(String::from).collect())
    }

    fn place(&self) -> Option<Pc> {
        (self.op > 0).then(|| Pc { op: self.op, site: format!("op{}", self.op), pass: 0 })
    }
}

impl Fake {
    fn wait_for_interrupt(&mut self) -> Outcome {
        let start = Instant::now();
        while !self.interrupt.swap(false, Ordering::SeqCst) {
            assert!(start.elapsed() < Duration::from_secs(20), "nobody interrupted");
            _ = crate::tensor::step("blocks.0.attn.scores", 3, 10);
            std::thread::sleep(Duration::from_millis(5));
        }
        Outcome::of(Answer::Stop(StopView {
            reason: Reason::Interrupt,
            ids: vec![],
            site: String::new(),
            module: String::new(),
            op: self.op,
            pass: 0,
            lines: vec!["Interrupted.".into()],
            errors: vec![],
            value: None,
            displays: vec![],
        }))
    }
}
