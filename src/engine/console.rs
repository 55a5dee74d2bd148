//! The console of commands, as the engine thread drives it.

use std::ops::Range;
use std::sync::Arc;

use super::Interpreter;
use super::journal::Start;
use super::messages::{Panel, PanelRequest, Pc, Snapshot, Source};
use crate::answer::{Answer, ErrorView};
use crate::commands::{Console, Journalled, Outcome, Outside};
use crate::debugger::Mark;

impl Interpreter for Console {
    fn execute(&mut self, line: &str, source: &Source) -> Outcome {
        Console::execute(self, line, *source == Source::Repeat)
    }

    fn condition(&mut self, line: &str) -> Result<bool, ErrorView> {
        Console::condition(self, line)
    }

    fn journalled(&self, line: &str) -> Journalled {
        Console::journalled(line)
    }

    fn typed(&mut self, line: &str) {
        Console::typed(self, line);
    }

    fn story(&mut self, start: &Start, commands: &str) {
        self.memory.story = Some((start.folder.clone(), start.arguments.clone(), commands.to_string()));
    }

    fn remembered(&self) -> usize {
        self.session.history.len()
    }

    fn forgo(&mut self, values: usize, line: &str) {
        self.session.forgo(values, line);
    }

    fn halt_at(&mut self, place: Option<(usize, usize)>) {
        self.session.halt = place.map(|(pass, op)| Mark { pass, op });
    }

    fn restoring(&self, setting: &str) -> Result<String, ErrorView> {
        Console::restoring(self, setting)
    }

    fn outside(&self) -> Outside {
        Console::outside(self)
    }

    fn watch_values(&mut self) {
        Console::watch_values(self);
    }

    fn snapshot(&mut self) -> Arc<Snapshot> {
        Console::snapshot(self)
    }

    fn panel(&mut self, request: &PanelRequest) -> Result<Panel, ErrorView> {
        Console::panel(self, request)
    }

    fn query(&mut self, line: &str) -> Answer {
        Console::query(self, line)
    }

    fn fault_in(&self, line: &str) -> Option<(Range<usize>, String)> {
        Console::fault_in(self, line).map(|(span, message)| (span.start..span.end, message))
    }

    fn complete(&mut self, line: &str, cursor: usize) -> (usize, Vec<String>) {
        Console::complete(self, line, cursor)
    }

    fn place(&self) -> Option<Pc> {
        let run = &self.session.run;
        let site = run.program.ops.get(run.cursor).map(|op| op.site.clone()).unwrap_or_default();
        run.live.then_some(Pc { op: run.cursor, site, pass: run.pass as u32 })
    }
}
