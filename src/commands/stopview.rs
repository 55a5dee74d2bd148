//! What is said at a stop: why, where, the value just computed, the displays.

use super::console::{Console, Done};
use super::fail::Fail;
use super::values::summary_line;
use crate::answer::{self, Answer, StopView};
use crate::debugger::{Reason, Stop};
use crate::tensor::ops::Slice;

impl Console {
    /// The answer of a motion.
    pub(super) fn arrived(&mut self, stop: Stop) -> Done {
        let view = self.stop_view(&stop)?;
        self.session.last_stop = Some(stop);
        Ok(Answer::Stop(view))
    }

    fn stop_view(&mut self, stop: &Stop) -> Result<StopView, Fail> {
        let program = self.session.run.program.clone();
        let (cursor, end) = (stop.position, program.ops.len());
        let site = cursor.checked_sub(1).map(|op| program.ops[op].site.clone()).unwrap_or_default();
        let module = program.modules[program.module_at(cursor)].path.clone();
        let mut lines = Vec::new();
        match stop.reason {
            Reason::Breakpoint => {
                let temporary = !stop.temporary.is_empty() && stop.ids.len() == stop.temporary.len();
                let kind = if temporary { "Temporary breakpoint" } else { "Breakpoint" };
                let kind = if stop.ids.len() > 1 { "Breakpoints" } else { kind };
                let ids: Vec<String> = stop.ids.iter().map(usize::to_string).collect();
                lines.push(format!("{kind} {}, {}", ids.join(", "), self.value_line(cursor)?));
            }
            Reason::Interrupt => lines.push(format!("Interrupted, {}", self.value_line(cursor)?)),
            Reason::Beginning => lines.push("No more reverse-execution history.".into()),
            Reason::Start => {}
            Reason::End => lines.push(format!("Pass finished: {end} ops, {}", self.value_line(cursor)?)),
            Reason::Step => lines.push(self.value_line(cursor)?),
        }
        for (number, error) in &stop.errors {
            lines.push(format!("Error in testing the condition of breakpoint {number}:"));
            lines.extend(error.lines().map(String::from));
        }
        lines.push(match program.ops.get(cursor) {
            Some(op) => {
                let within = if module.is_empty() { String::new() } else { format!(" in {module}") };
                format!("at op {cursor} of {end}{within}, pass 0; next: {}", op.site)
            }
            None => format!("at the end of pass 0 (op {end} of {end})"),
        });
        let reason = match stop.reason {
            Reason::Breakpoint => answer::Reason::Breakpoint,
            Reason::Step => answer::Reason::Step,
            Reason::End => answer::Reason::End,
            Reason::Start | Reason::Beginning => answer::Reason::Start,
            Reason::Interrupt => answer::Reason::Interrupt,
        };
        let displays = self.displays();
        Ok(StopView { reason, ids: stop.ids.clone(), site, module, op: cursor, pass: 0, lines, value: None, displays })
    }

    /// The site just computed and a line about its value.
    fn value_line(&mut self, cursor: usize) -> Result<String, Fail> {
        let Some(op) = cursor.checked_sub(1) else { return Ok("the start of the pass".into()) };
        let site = self.session.run.program.ops[op].site.clone();
        let value = self.session.run.value(op)?.slice(&[Slice::At(self.session.focus.row)])?;
        Ok(format!("{site} {}", summary_line(&value)?))
    }
}
