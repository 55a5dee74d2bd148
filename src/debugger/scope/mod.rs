//! What expressions see of a session.

mod sites;

use std::collections::HashMap;

use super::sides::Peer;
use super::{Error, Mark, RunError, Session, params};
use crate::lang::eval::{CachePart, Datum, Scope};
use crate::lang::{History, SiteRef, SiteTable, Span, Unavailable};
use crate::program::{Part, lens};
use crate::tensor::ops::{Reduction, Slice, UnaryOp};
use crate::tensor::{Axis, Device, Value};

/// The scope of one expression: a session, and in a condition what `$` stands for.
pub struct RunScope<'a> {
    session: &'a mut Session,
    /// In a condition: the head that the value just computed is cut to.
    condition: Option<Option<usize>>,
    /// The row that sites stand for.
    row: usize,
    /// Whether what this pass has not computed yet is what the pass before had.
    latest: bool,
    /// Whether something was asked for that has not been computed.
    missed: bool,
    /// Where a gradient will be taken: values of ops of the current pass, for all rows.
    given: Option<HashMap<usize, Value>>,
    text_row: usize,
    /// The block that names without a layer belong to, if it is not that of the cursor.
    block: Option<usize>,
}

impl<'a> RunScope<'a> {
    /// For commands: `$` is the last value of the history.
    pub fn new(session: &'a mut Session) -> Self {
        let row = session.focus.row;
        RunScope {
            session,
            condition: None,
            row,
            latest: false,
            missed: false,
            given: None,
            text_row: row,
            block: None,
        }
    }

    /// For conditions: `$` is the value just computed, or one head of it, in a row of its own or the focused one.
    pub fn at_stop(session: &'a mut Session, head: Option<usize>, row: Option<usize>) -> Self {
        let row = row.unwrap_or(session.focus.row);
        RunScope { condition: Some(head), row, text_row: row, ..RunScope::new(session) }
    }

    /// For gradients: ops of the current pass have the values `given`, of which row `row` is read; results stay
    /// connected to them.
    pub fn tracked(session: &'a mut Session, given: HashMap<usize, Value>, row: usize) -> Self {
        RunScope { row, given: Some(given), ..RunScope::new(session) }
    }

    /// The same, where values that this pass has not computed yet are those of the pass before.
    pub fn latest(mut self) -> Self {
        self.latest = true;
        self
    }

    /// The same, where names without a layer belong to block `layer`.
    pub fn in_block(mut self, layer: usize) -> Self {
        self.block = Some(layer);
        self
    }

    /// Whether something was asked for that has not been computed.
    pub fn missed(&self) -> bool {
        self.missed
    }

    fn value_at(&mut self, at: Mark) -> Result<Value, Unavailable> {
        let run = &mut self.session.run;
        if let Some(value) = self.given.as_ref().filter(|_| at.pass == run.pass).and_then(|given| given.get(&at.op)) {
            return Ok(value.clone());
        }
        let found = match run.value_at(at) {
            Err(RunError::NotComputed { .. }) if self.latest && at.pass == run.pass && at.pass > 0 => {
                run.value_at(Mark { pass: at.pass - 1, ..at })
            }
            found => found,
        };
        self.missed |= matches!(found, Err(RunError::NotComputed { .. }));
        found.map_err(Unavailable::from)
    }

    fn just_computed(&mut self, head: Option<usize>) -> Result<Value, Unavailable> {
        let value = match self.session.walked_gradient(self.row) {
            Some(gradient) if self.given.is_none() => gradient?,
            _ => {
                let Some(op) = self.session.run.cursor.checked_sub(1) else {
                    return Err("nothing has been computed: the cursor is at the start of the pass".into());
                };
                self.focused_row(op)?
            }
        };
        let Some(head) = head else { return Ok(value) };
        let Some(axis) = value.axes().iter().position(|axis| *axis == Axis::Head) else { return Ok(value) };
        let mut slices = vec![Slice::All; axis];
        slices.push(Slice::At(head));
        value.slice(&slices).map_err(Unavailable::from)
    }

    fn focused_row(&mut self, op: usize) -> Result<Value, Unavailable> {
        let value = self.value_at(Mark { pass: self.session.run.pass, op })?;
        value.slice(&[Slice::At(self.row)]).map_err(Unavailable::from)
    }
}

impl Scope for RunScope<'_> {
    fn device(&self) -> Device {
        self.session.run.device().clone()
    }

    fn table(&self, run: Option<&str>) -> Result<&dyn SiteTable, Unavailable> {
        let peer = run.and_then(|name| self.session.peer_named(name));
        match peer.map(|peer| &self.session.peers[peer].1) {
            Some(Peer::Model(other)) => Ok(&*other.run.names),
            _ => Ok(&*self.session.run.names),
        }
    }

    fn block(&self) -> Option<usize> {
        self.block.or_else(|| self.session.block())
    }

    fn site(&mut self, site: &SiteRef) -> Result<Value, Unavailable> {
        if let Some(peer) = self.peer(site)? {
            return Ok(self.session.value_of_peer(peer, &site.text)?);
        }
        let whole = self.whole(site)?;
        whole.slice(&[Slice::At(self.row)]).map_err(Unavailable::from)
    }

    fn all_rows(&mut self, site: &SiteRef) -> Result<Value, Unavailable> {
        if self.peer(site)?.is_some() {
            return Err("all(...) takes the rows of this model; of another side there is the focused row".into());
        }
        self.whole(site)
    }

    fn grad(&mut self, site: &SiteRef) -> Result<Value, Unavailable> {
        if site.run.is_some() || site.pass.is_some_and(|pass| pass as usize != self.session.run.pass) {
            return Err("gradients are those of the pass and branch that backward was given in".into());
        }
        let op = self.session.run.program.op_of(&site.text);
        let op = op.ok_or_else(|| format!("{} is computed on request, and has no gradient", site.text))?;
        self.session.gradient(op)?.slice(&[Slice::At(self.row)]).map_err(Unavailable::from)
    }

    fn grad_param(&mut self, name: &str) -> Result<Value, Unavailable> {
        let run = &self.session.run;
        let (spec, weights) = (&run.model.spec, run.branch().weights());
        let Some(id) = params::resolve(name, weights, spec) else {
            return Err(match params::view(name, weights, spec) {
                Ok(_) => {
                    format!("name the weight by its role for a gradient, as info weights lists it, not {name}").into()
                }
                Err(error) => error.into(),
            });
        };
        let gradient = self.session.weight_gradient(id)?;
        Ok(params::shown(id, &gradient, &self.session.run.model.spec))
    }

    fn tracked(&self) -> bool {
        self.given.is_some()
    }

    fn history(&mut self, entry: History) -> Result<Datum, Unavailable> {
        if let (Some(head), History::Last) = (self.condition, entry) {
            return self.just_computed(head).map(Datum::Tensor);
        }
        let held = self.session.history.len();
        let index = match entry {
            History::Last if held == 0 => return Ok(Datum::Void),
            History::Last => Some(held - 1),
            History::Back(n) => held.checked_sub(1 + n as usize),
            History::Number(n) => (n as usize).checked_sub(1),
        };
        if let Some((number, command)) = index.and_then(|index| self.session.forgone.get_key_value(&(index + 1))) {
            return Err(format!(
                "${number} was given by \"{command}\" before the session was resumed, and was not computed again; \
                 give the command again"
            )
            .into());
        }
        match index.and_then(|index| self.session.history.get(index)) {
            Some(datum) => Ok(datum.clone()),
            None => Err(format!("history has not yet reached that value: it has {held}").into()),
        }
    }

    fn variable(&mut self, name: &str) -> Datum {
        self.session.variable(name)
    }

    fn cursor(&mut self) -> Result<Value, Unavailable> {
        self.just_computed(None)
    }

    fn param(&mut self, name: &str) -> Result<Value, Unavailable> {
        let run = &self.session.run;
        params::view(name, run.branch().weights(), &run.model.spec).map_err(Unavailable::from)
    }

    fn token_positions(&mut self, token: &str, axis: Axis) -> Vec<usize> {
        match axis {
            axis if axis.is_source() => self.session.source_positions_of(token),
            axis if axis.is_position() => self.session.positions_of(token),
            _ => Vec::new(),
        }
    }

    fn like_token(&mut self, text: &str) -> Option<String> {
        self.session.like_token(text)
    }

    fn token_id(&mut self, token: &str) -> Result<usize, Unavailable> {
        let Some(tokenizer) = &self.session.run.model.tokenizer else {
            return Err("the model has no tokenizer: name the token by its number".into());
        };
        if let Some(id) = tokenizer.id_of(token) {
            return Ok(id as usize);
        }
        let others = [format!(" {token}"), token.trim_start().to_string()];
        let known = others.iter().find(|other| tokenizer.id_of(other).is_some());
        let hint = known.map_or_else(String::new, |other| format!("; {other:?} is one"));
        Err(format!("{token:?} is not one token of this vocabulary{hint}").into())
    }

    fn token_text(&mut self, id: usize) -> Result<String, Unavailable> {
        let vocab = self.session.run.model.spec.vocab;
        match &self.session.run.model.tokenizer {
            _ if id >= vocab => Err(format!("no token {id}: the vocabulary has 0..{}", vocab - 1).into()),
            Some(tokenizer) => Ok(tokenizer.token_text(id as u32)),
            None => Err("the model has no tokenizer".into()),
        }
    }

    fn label_index(&mut self, label: &str) -> Result<usize, Unavailable> {
        let labels = self.session.run.model.spec.labels();
        match labels.iter().position(|known| known == label) {
            Some(index) => Ok(index),
            None if labels.is_empty() => Err("the model has no classes".into()),
            None => Err(format!("no class {label:?}; choose from {}", labels.join(", ")).into()),
        }
    }

    fn logits(&mut self) -> Result<Value, Unavailable> {
        let run = &self.session.run;
        let op = run.program.op_of("logits").ok_or("the model has no logits: it has no head")?;
        if run.program.ops[op].axes.get(1) != Some(&Axis::Pos) {
            return self.focused_row(op);
        }
        // Each position has its logits from the pass that computed it.
        let (pass, at) = run.branch().column(self.session.focus_pos());
        let all = self.value_at(Mark { pass, op })?;
        // Those of the pass before end with its last position.
        let at = at.min(all.shape()[1] - 1);
        all.slice(&[Slice::At(self.row), Slice::At(at)]).map_err(Unavailable::from)
    }

    fn cache(&mut self, layer: usize, part: CachePart) -> Result<Value, Unavailable> {
        let op = self.session.cached_op(layer, part)?;
        match self.session.run.cached(op)? {
            Some(all) => all.slice(&[Slice::At(self.row)]).map_err(Unavailable::from),
            None => Err("nothing is cached yet: the first pass computes all keys and values itself".into()),
        }
    }

    fn loss(&mut self) -> Result<Datum, Unavailable> {
        let run = &self.session.run;
        if !run.generates() {
            return Err("only a causal language model has a loss; use -logprob(...)".into());
        }
        let op = run.program.op_of("logits").ok_or("the model has no logits")?;
        let end = self.session.row_length();
        let row = &run.branch().text().rows[self.text_row];
        let real: Vec<usize> = (0..end).filter(|&column| row.mask[column]).collect();
        let ids: Vec<u32> = real.iter().map(|&column| row.ids[column]).collect();
        if real.len() < 2 {
            return Err("a loss needs at least two tokens".into());
        }
        let last = run.branch().pass_of(real[real.len() - 2]);
        let spans: Vec<_> = (0..=last).map(|pass| run.branch().span(pass)).collect();
        let mut sum = 0.0;
        let mut parts = Vec::new();
        for (pass, span) in spans.into_iter().enumerate() {
            let logits = self.value_at(Mark { pass, op })?;
            let logprobs = logits.slice(&[Slice::At(self.row)])?.log_softmax(1)?;
            let here = || real.iter().zip(&ids[1..]).filter(|(column, _)| span.contains(column));
            if self.given.is_some() {
                for (column, next) in here() {
                    let one = logprobs.slice(&[Slice::At(column - span.start), Slice::At(*next as usize)])?;
                    parts.push(one.reshape(&[1])?);
                }
                continue;
            }
            let mut next = here().peekable();
            logprobs.for_blocks(|_, rows, block| {
                while let Some((column, id)) = next.next_if(|(column, _)| rows.contains(&(**column - span.start))) {
                    let at = [Slice::At(column - span.start - rows.start), Slice::At(*id as usize)];
                    sum -= block.slice(&at)?.read_scalar()?;
                }
                Ok(())
            })?;
        }
        if self.given.is_some() {
            let all = Value::concat(&parts, 0)?;
            let mean = all.reduce_axis(Reduction::Mean, 0).and_then(|mean| mean.unary(UnaryOp::Neg));
            return mean.map(Datum::Tensor).map_err(Unavailable::from);
        }
        Ok(Datum::Num(sum / (real.len() - 1) as f64))
    }

    fn lens(&mut self, x: &Value) -> Result<Value, Unavailable> {
        let run = &self.session.run;
        let width = run.model.spec.d_model;
        if x.shape().last() != Some(&width) {
            return Err(format!("lens needs a last axis of {width}, found {}", x.shape_text()).into());
        }
        let count = x.count() / width;
        let flat = x.reshape(&[count, width])?;
        let branch = run.branch();
        let logits = lens(&run.program, &flat, branch.weights(), branch.context(run.pass))?
            .ok_or("lens needs a model that predicts tokens")?;
        let mut shape = x.shape().to_vec();
        let mut axes = x.axes().to_vec();
        if let (Some(len), Some(axis)) = (shape.last_mut(), axes.last_mut()) {
            (*len, *axis) = (logits.shape()[1], Axis::Vocab);
        }
        Ok(logits.reshape(&shape)?.with_axes(&axes))
    }

    fn result(&mut self, layer: usize, head: usize) -> Result<Value, Unavailable> {
        let run = &self.session.run;
        let (layers, heads) = (run.program.n_layers(), run.program.n_heads());
        if layer >= layers || head >= heads {
            let known = format!("layers 0..{} with heads 0..{}", layers - 1, heads - 1);
            return Err(format!("no head L{layer}H{head}: model has {known}").into());
        }
        let site = SiteRef { text: Part::Result.site(layer), run: None, pass: None, span: Span::at(0) };
        self.site(&site)?.slice(&[Slice::All, Slice::At(head)]).map_err(Unavailable::from)
    }
}

impl Session {
    /// The op whose values of all passes are the keys, or the values, that a block's attention reads.
    pub fn cached_op(&self, layer: usize, part: CachePart) -> Result<usize, Unavailable> {
        let program = &self.run.program;
        let layers = program.n_layers();
        if layer >= layers {
            return Err(format!("no layer {layer}: model has 0..{}", layers.saturating_sub(1)).into());
        }
        if !self.run.generates() {
            return Err("the model has no key/value cache: it computes its whole text in one pass".into());
        }
        let reader = if part == CachePart::Keys { Part::Scores } else { Part::Z };
        let cached = program.block_op(layer, reader).and_then(|op| program.ops[op].cached.first().copied());
        cached.ok_or_else(|| format!("layer {layer} caches nothing").into())
    }
}

impl From<RunError> for Unavailable {
    fn from(error: RunError) -> Unavailable {
        Error::from(error).into()
    }
}
