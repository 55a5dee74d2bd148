//! Frames: the site that has just been computed, the modules around it, and the model. One of them is selected.

use std::ops::Range;

use super::console::Console;
use crate::debugger::Mark;

/// Something that the cursor is in, the innermost first.
pub(crate) struct Frame {
    pub name: String,
    pub at: String,
    pub ops: Range<usize>,
    /// Its module; none of a site alone.
    pub module: Option<usize>,
}

/// The frame that was selected, and where: a motion selects the innermost one again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    pub(crate) at: Option<(usize, Mark)>,
    pub(crate) number: usize,
}

impl Console {
    pub(crate) fn frames(&self) -> Vec<Frame> {
        let run = &self.session.run;
        let program = &run.program;
        let mut frames = Vec::new();
        let mut module = match run.cursor.checked_sub(1) {
            Some(op) => {
                let at = format!("op {op}, just computed");
                frames.push(Frame { name: program.ops[op].site.clone(), at, ops: op..op + 1, module: None });
                Some(program.ops[op].module)
            }
            None => {
                let (name, at) = ("start of the pass".to_string(), "nothing computed".to_string());
                frames.push(Frame { name, at, ops: 0..0, module: None });
                Some(program.module_at(0))
            }
        };
        while let Some(i) = module {
            let at = &program.modules[i];
            if at.parent.is_some() {
                let ops = format!("ops {}..{}", at.start, at.end - 1);
                frames.push(Frame { name: at.path.clone(), at: ops, ops: at.start..at.end, module: Some(i) });
            }
            module = at.parent;
        }
        let next =
            program.ops.get(run.next_op()).map_or("end of the pass".to_string(), |op| format!("next: {}", op.site));
        let at = format!("pass {}, op {} of {}, {next}", run.pass, run.cursor, program.ops.len());
        frames.push(Frame { name: self.model_name.clone(), at, ops: 0..program.ops.len(), module: Some(0) });
        frames
    }

    /// The number of the selected frame.
    pub(crate) fn selected(&self) -> usize {
        let here = (self.session.run.current, self.session.run.mark());
        if self.selected_frame.at == Some(here) { self.selected_frame.number } else { 0 }
    }
}
