//! Commands that change the model, the input or a value.

use crate::answer::Answer;
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console};
use crate::debugger::{Applied, Change, Edit, Error, Mark, Result, RunScope, Target, params};
use crate::lang::ast::{Expr, IndexItem, SiteRef};
use crate::lang::eval::{self, CachePart, Datum};
use crate::lang::{AssignOp, Assignment, LValue, LangError, Span, parse_assignment, site, strings};
use crate::model::input::Input;
use crate::program::shape_of;
use crate::tensor::ops::Slice;
use crate::tensor::{Axis, Kind, Value};

pub fn set(console: &mut Console, call: Call<'_>) -> Done {
    let (rest, offset) = (call.args.rest, call.args.offset);
    if let Some(text) =
        rest.strip_prefix("prompt").filter(|text| text.is_empty() || text.starts_with(char::is_whitespace))
    {
        return set_prompt(console, text.trim(), call.line);
    }
    let has_target = console.session.run.model.spec.encoder.is_some();
    if let Some(text) = rest.strip_prefix("target").filter(|text| has_target && text.starts_with(char::is_whitespace)) {
        return set_target(console, text.trim(), call.line);
    }
    if let Some(done) = crate::commands::state::settings::set(console, rest, offset) {
        return done;
    }
    let assignment = parse_assignment(rest, offset)?;
    if let LValue::Var(name) = &assignment.target {
        return set_variable(console, name, &assignment);
    }
    let edit = console.edit_of(&assignment, call.line)?;
    console.apply(vec![edit])
}

/// Another text for the focused row; other rows of the batch stay.
fn set_prompt(console: &mut Console, text: &str, line: &str) -> Done {
    let text = text_of(text, 0)?;
    let model = console.session.run.model.clone();
    let input = Input::from_texts(&model, &[text], true)?;
    let prompt = console.session.run.branch().prompt();
    let mut rows = prompt.texts();
    rows[console.session.focus.row] = input.rows[0].clone();
    let input = prompt.with_rows(&model, rows)?;
    console.apply(vec![of_input(input, line)])
}

/// Another text for the decoder of the focused row, after the tokens that it begins with.
fn set_target(console: &mut Console, text: &str, line: &str) -> Done {
    let text = text_of(text, 0)?;
    let model = console.session.run.model.clone();
    let prompt = console.session.run.branch().prompt();
    let mut rows = prompt.texts();
    let row = &mut rows[console.session.focus.row];
    *row = row.with_target(&model, &text)?;
    let input = prompt.with_rows(&model, rows)?;
    console.apply(vec![of_input(input, line)])
}

/// A text as it is typed, which may be in quotes.
pub(crate) fn text_of(typed: &str, offset: usize) -> Result<String> {
    if typed.starts_with('"') { Ok(strings::literal(typed, offset)?.0) } else { Ok(typed.to_string()) }
}

/// The edit that makes the prompt a different one.
pub(crate) fn of_input(prompt: Input, line: &str) -> Edit {
    let (change, text) = (Change::Input(prompt), line.to_string());
    Edit { from: Mark::START, target: Target::Input, change, lasting: false, text }
}

fn set_variable(console: &mut Console, name: &str, assignment: &Assignment) -> Done {
    let value = console.evaluate(&assignment.value)?;
    let value = match assignment.op.operation() {
        None => value,
        Some(_) => {
            let span = assignment.value.span;
            let old = console.session.variable(name).number(assignment.target_span)?;
            let by = value.number(span)?;
            Datum::Num(match assignment.op {
                AssignOp::Add => old + by,
                AssignOp::Sub => old - by,
                AssignOp::Mul => old * by,
                _ => old / by,
            })
        }
    };
    // A variable that is set by hand is not the direction of that name any more.
    console.session.directions.retain(|direction| direction.name != name);
    console.session.variables.insert(name.to_string(), value);
    Ok(Answer::Text(String::new()))
}

impl Console {
    pub(crate) fn apply(&mut self, edits: Vec<Edit>) -> Done {
        let what = |edit: &Edit| match &edit.target {
            Target::Op(op) => self.session.run.program.ops[*op].site.clone(),
            Target::Cache(op) => format!("the cache of {}", self.session.run.program.ops[*op].site),
            Target::Weight(id) => format!("weight {id}"),
            Target::Input => "the input".into(),
            Target::Token => "the text".into(),
        };
        let what: Vec<String> = edits.iter().map(what).collect();
        let here = self.session.run.mark();
        let pending = |edit: &Edit| matches!(edit.target, Target::Op(op) if Mark { op, ..edit.from } >= here);
        let pending = edits.iter().all(pending);
        let Applied { branch, replayed, unchanged } = self.session.run.edit(edits)?;
        let mut said = vec![format!("Changed {}", what.join(", "))];
        if pending {
            said.push("takes effect when it is computed".into());
        }
        if let Some(branch) = branch {
            said.push(format!("branch {branch}"));
        }
        if replayed > 0 {
            said.push(format!("{replayed} {} computed again", if replayed == 1 { "op" } else { "ops" }));
        }
        let mut text = format!("{}.", said.join("; "));
        if unchanged == Some(true) {
            text.push_str("\nwarning: this changed nothing: the new value is the old one");
        }
        Ok(Answer::Text(text))
    }

    /// The value of an op if it is computed, else one of its shape: what slices are resolved against. For the focused row.
    pub(crate) fn template(&mut self, op: usize) -> Result<Value> {
        let run = &mut self.session.run;
        let row = self.session.focus.row;
        if op < run.cursor {
            return Ok(run.value(op)?.slice(&[Slice::At(row)])?);
        }
        let program = run.program.clone();
        let span = run.branch().span(run.pass);
        let shape = shape_of(&program.ops[op], 1, span.clone(), run.branch().text().source_length());
        let one = Value::from_f32(vec![0.0], &[], run.device());
        let axes = &program.ops[op].axes[1..];
        Ok(one.full_shape(&shape[1..])?.with_axes(axes).beginning_at(span.start))
    }

    pub(crate) fn edit_of(&mut self, assignment: &Assignment, line: &str) -> Result<Edit> {
        let text = line.to_string();
        match &assignment.target {
            LValue::Site { site, index } => {
                let op = self.op_of_site(site)?;
                self.op_edit(op, index, assignment, text)
            }
            LValue::Tokens { index } => self.token_edit(index, assignment, text),
            LValue::Cache { layer, part, index } => self.cache_edit(layer, *part, index, assignment, text),
            LValue::Cursor { index } => {
                let Some(op) = self.session.run.cursor.checked_sub(1) else {
                    let error = LangError::new("nothing has been computed yet", assignment.target_span);
                    return Err(error.help("start, then step").into());
                };
                self.op_edit(op, index, assignment, text)
            }
            LValue::Param { name, index } => self.weight_edit(&name.value, name.span, index, assignment, text),
            LValue::Var(_) => Err(Error::refused("a variable is not part of the model")),
        }
    }

    fn op_of_site(&self, site: &SiteRef) -> Result<usize> {
        if site.run.is_some() {
            let message = "only the current run can be edited; checkout the branch first";
            return Err(LangError::new(message, site.span).into());
        }
        if site.pass.is_some_and(|pass| pass as usize != self.session.run.pass) {
            let error = LangError::new(format!("the cursor is in pass {}", self.session.run.pass), site.span);
            return Err(error.help("goto #N goes to the start of pass N").into());
        }
        let resolved = site::resolve(site, &*self.session.run.names, self.session.block())?;
        self.session.run.program.op_of(&resolved.name).ok_or_else(|| {
            let message = format!("{} is computed when asked for; it cannot be edited", resolved.name);
            LangError::new(message, site.span).into()
        })
    }

    fn op_edit(&mut self, op: usize, index: &[IndexItem], assignment: &Assignment, text: String) -> Result<Edit> {
        let template = self.template(op)?;
        let slices = self.slices(index, &template)?;
        let patch = self.fitting(&assignment.value, &template.slice(&slices)?)?;
        let mut all = vec![Slice::At(self.session.focus.row)];
        all.extend(slices);
        let change = Change::Assign { slices: all, op: assignment.op.operation(), patch };
        let from = Mark { pass: self.session.run.pass, op };
        Ok(Edit { from, target: Target::Op(op), change, lasting: false, text })
    }

    /// Changed ids of the prompt are another prompt; that of a token chosen later takes another road.
    fn token_edit(&mut self, index: &[IndexItem], assignment: &Assignment, text: String) -> Result<Edit> {
        let row = self.session.focus.row;
        let length = self.session.row_length();
        let old = self.session.run.branch().text().columns(length);
        let ids: Vec<i64> = old.rows[row].ids.iter().map(|&id| i64::from(id)).collect();
        let tokens = Value::from_i64(ids.clone(), &[length], self.session.run.device()).with_axes(&[Axis::Pos]);
        let slices = self.slices(index, &tokens)?;
        let patch = self.token_patch(assignment)?;
        let change = Change::Assign { slices, op: assignment.op.operation(), patch };
        let changed = change.apply(&tokens)?.read_i64()?;
        let vocab = self.session.run.model.spec.vocab as i64;
        if let Some(id) = changed.iter().find(|id| !(0..vocab).contains(*id)) {
            return Err(Error::refused(format!("no token {id}: the vocabulary has 0..{}", vocab - 1)));
        }
        let branch = self.session.run.branch();
        let prompt = branch.span(0).end;
        let chosen: Vec<usize> = (prompt..length).filter(|&column| changed[column] != ids[column]).collect();
        let in_prompt = changed[..prompt] != ids[..prompt];
        match (&*chosen, in_prompt) {
            ([], _) => {
                let mut input = branch.prompt();
                input.rows[row].ids = changed[..prompt].iter().map(|&id| id as u32).collect();
                input.rows[row].text = None;
                Ok(of_input(input, &text))
            }
            ([column], false) => {
                let pass = branch.pass_of(*column);
                let mut tokens = branch.chosen(pass).map(|chosen| chosen.tokens.clone()).unwrap_or_default();
                if tokens[row].is_none() {
                    return Err(Error::refused(format!("row {row} has ended before position {column}")));
                }
                tokens[row] = Some(changed[*column] as u32);
                let change = Change::Tokens(tokens);
                Ok(Edit { from: Mark::new(pass, 0), target: Target::Token, change, lasting: false, text })
            }
            _ => Err("one token at a time can be changed after the prompt: what follows it is chosen again".into()),
        }
    }

    /// An edit of what later passes find in the cache: of this pass and later, or at its end of the next.
    fn cache_edit(
        &mut self,
        layer: &Expr,
        part: CachePart,
        index: &[IndexItem],
        assignment: &Assignment,
        text: String,
    ) -> Result<Edit> {
        let number = self.evaluate(layer)?.integer(layer.span)?;
        let layers = self.session.run.program.n_layers() as i64;
        let wrapped = if number < 0 { number + layers } else { number };
        let wrapped = usize::try_from(wrapped).unwrap_or(usize::MAX);
        let op = self.session.cached_op(wrapped, part).map_err(|error| LangError::because(error, layer.span))?;
        let Some(all) = self.session.run.cached(op)? else {
            let message = "nothing is cached yet: the first pass computes all keys and values itself";
            return Err(LangError::new(message, assignment.target_span).into());
        };
        let row = self.session.focus.row;
        let shown = all.slice(&[Slice::At(row)])?;
        let slices = self.slices(index, &shown)?;
        let patch = self.fitting(&assignment.value, &shown.slice(&slices)?)?;
        let mut of_row = vec![Slice::At(row)];
        of_row.extend(slices);
        let run = &self.session.run;
        let from = Mark::new(run.pass + usize::from(run.at_end()), 0);
        let change = Change::Assign { slices: of_row, op: assignment.op.operation(), patch };
        Ok(Edit { from, target: Target::Cache(op), change, lasting: true, text })
    }

    pub(crate) fn slices(&mut self, index: &[IndexItem], value: &Value) -> Result<Vec<Slice>> {
        Ok(eval::slices(index, value, &mut RunScope::new(&mut self.session))?)
    }

    fn token_patch(&mut self, assignment: &Assignment) -> Result<Value> {
        let span = assignment.value.span;
        let id = match self.evaluate(&assignment.value)? {
            Datum::Tensor(value) if value.kind() == Kind::Int => return Ok(value),
            Datum::Str(token) => {
                let scope: &mut dyn eval::Scope = &mut RunScope::new(&mut self.session);
                scope.token_id(&token).map_err(|error| LangError::because(error, span))? as i64
            }
            datum => datum.integer(span)?,
        };
        Ok(Value::from_i64(vec![id], &[], self.session.run.device()))
    }

    fn weight_edit(
        &mut self,
        name: &str,
        span: Span,
        index: &[IndexItem],
        assignment: &Assignment,
        text: String,
    ) -> Result<Edit> {
        let run = &self.session.run;
        let (spec, weights) = (run.model.spec.clone(), run.branch().weights().clone());
        let Some(id) = params::resolve(name, &weights, &spec) else {
            let error = match weights.file(name).filter(|file| !file.uses.is_empty()) {
                Some(file) => {
                    let roles: Vec<String> = file.uses.iter().map(|id| format!("param(\"{id}\")")).collect();
                    LangError::new(format!("{name} is edited by its role: {}", roles.join(", ")), span)
                }
                None => {
                    let unknown = params::view(name, &weights, &spec).err().map(|error| error.to_string());
                    LangError::new(unknown.unwrap_or_else(|| format!("{name} is not used by the model")), span)
                        .help("\"info weights\" lists the weights")
                }
            };
            return Err(error.into());
        };
        let own = params::whole(id, &weights)?;
        let shown = params::shown(id, &own, &spec);
        let slices = self.slices(index, &shown)?;
        let patch = self.fitting(&assignment.value, &shown.slice(&slices)?)?;
        let changed = Change::Assign { slices, op: assignment.op.operation(), patch }.apply(&shown)?;
        let patch = params::unshown(id, &changed, own.shape())?;
        let change = Change::Assign { slices: Vec::new(), op: None, patch };
        Ok(Edit { from: Mark::START, target: Target::Weight(id), change, lasting: true, text })
    }
}
