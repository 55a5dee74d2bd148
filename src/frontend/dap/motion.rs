//! Motions: a command that runs, what it says on the way, and the event that says why it stopped.

use std::io;

use serde_json::{Value, json};

use super::{Adapter, After};
use crate::answer::{Answer, Reason, StopView, text};
use crate::engine::messages::{Answered, Source};
use crate::frontend::client::Ended;

/// What a command has done.
#[derive(Default)]
pub(super) struct Typed {
    pub text: String,
    pub stop: Option<StopView>,
    /// Whether the cursor is elsewhere, or may be.
    pub moved: bool,
    pub failed: bool,
}

impl Adapter<'_> {
    /// Runs a command that moves the cursor, and says where it has stopped.
    pub(super) fn motion(&mut self, line: &str) -> io::Result<()> {
        let Typed { text, stop, failed, .. } = self.typed(line)?;
        if self.ended {
            return Ok(());
        }
        if failed {
            self.event("output", json!({"category": "stderr", "output": text + "\n"}))?;
        }
        self.stopped(stop)
    }

    /// Runs any command. Progress and what is printed on the way are reported as they come.
    pub(super) fn typed(&mut self, line: &str) -> io::Result<Typed> {
        let Some(mut client) = self.client.take() else { return Ok(Typed::default()) };
        let before = client.snapshot().clone();
        let (mut lines, mut stop, mut failed) = (Vec::new(), None, false);
        let mut said: Vec<(&str, String)> = Vec::new();
        let mut reported: Option<String> = None;
        let id = format!("progress-{}", self.number);
        let shows = self.shows_progress;
        let sending = std::cell::RefCell::new(&mut *self);
        let each = |answered: Answered| -> io::Result<()> {
            for printed in &answered.printed {
                said.push(("console", text::visible_line(printed)));
            }
            let shown = text::lines(&answered.answer, None);
            if answered.in_script {
                said.extend(shown.into_iter().map(|line| ("console", line)));
                return Ok(());
            }
            failed = matches!(answered.answer, Answer::Error(_));
            if let Answer::Stop(found) = answered.answer {
                stop = Some(found);
            }
            lines = shown;
            Ok(())
        };
        let progress = |what: &str, done: u64, total: u64| {
            if !shows {
                return;
            }
            let percentage = (total > 0).then(|| (100 * done / total).min(100));
            let (event, body) = match reported.replace(what.to_string()) {
                None => (
                    "progressStart",
                    json!({"progressId": id, "title": "llmdbg", "message": what, "cancellable": true}),
                ),
                Some(_) => ("progressUpdate", json!({"progressId": id, "message": what, "percentage": percentage})),
            };
            // If the editor is gone, the end of its input says so.
            _ = sending.borrow_mut().event(event, body);
        };
        let ended = client.command(line, Source::Option, each, progress)?;
        let after = client.snapshot().clone();
        self.client = Some(client);
        if reported.is_some() {
            self.event("progressEnd", json!({"progressId": id}))?;
        }
        for (category, output) in said {
            self.event("output", json!({"category": category, "output": output + "\n"}))?;
        }
        if let Some(ended) = ended {
            self.end(&ended)?;
        }
        let place = |at: &crate::engine::messages::Snapshot| (at.cursor, at.pass, at.live, at.branch.clone());
        let moved = stop.is_some() || place(&before) != place(&after);
        if moved {
            self.references.clear();
        }
        Ok(Typed { text: lines.join("\n"), stop, moved, failed })
    }

    /// Says that the session has ended.
    fn end(&mut self, ended: &Ended) -> io::Result<()> {
        self.ended = true;
        self.client = None;
        let status = match ended {
            Ended::Quit(status) => *status,
            Ended::Failed(message) => {
                self.event("output", json!({"category": "stderr", "output": format!("{message}\n")}))?;
                crate::frontend::MODEL_FAILED
            }
        };
        self.event("exited", json!({"exitCode": status}))?;
        self.event("terminated", json!({}))
    }

    /// Reports where the run is, and why.
    pub(super) fn stopped(&mut self, stop: Option<StopView>) -> io::Result<()> {
        let (reason, description) = match stop.as_ref().map(|stop| stop.reason) {
            Some(Reason::Breakpoint) => ("breakpoint", "Stopped at a breakpoint"),
            Some(Reason::Watchpoint) => ("data breakpoint", "A watched value has changed"),
            Some(Reason::Catchpoint) => ("exception", "Stopped by a catchpoint"),
            Some(Reason::Step) => ("step", "Stopped after a step"),
            Some(Reason::End) => ("pause", "At the end of the pass"),
            Some(Reason::Start) => ("entry", "At the beginning of the pass"),
            Some(Reason::Interrupt) => ("pause", "Interrupted"),
            None => ("step", "Not moved"),
        };
        let mut body = json!({
            "reason": reason,
            "description": description,
            "threadId": 1,
            "allThreadsStopped": true,
        });
        if let Some(stop) = &stop {
            let lines = stop.lines.join("\n");
            body["text"] = json!(stop.lines.first());
            if !stop.ids.is_empty() {
                body["hitBreakpointIds"] = json!(stop.ids);
            }
            let source = self.listing.source();
            let line = stop.op.checked_sub(1).and_then(|op| self.listing.lines_of_ops.get(op)).copied();
            let mut output = json!({"category": "console", "output": format!("{lines}\n")});
            if let Some(line) = line {
                output["source"] = source;
                output["line"] = json!(line as i64 + self.first_line);
            }
            self.event("output", output)?;
            for (number, expression, answer) in &stop.displays {
                let shown = text::lines(answer, None).join("\n");
                let output = format!("{number}: {expression} = {shown}\n");
                self.event("output", json!({"category": "console", "output": output}))?;
            }
        }
        self.last_stop = stop;
        self.event("stopped", body)
    }

    /// Has a motion follow the answer.
    pub(super) fn then(&mut self, line: impl Into<String>) -> Value {
        self.after.push_back(After::Motion(line.into()));
        json!({})
    }
}
