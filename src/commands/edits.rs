//! Commands that change the model, the input or a value.

use super::console::{Console, Done};
use super::fail::Fail;
use super::motion::no_arguments;
use super::places;
use super::table::Call;
use crate::answer::{Answer, Cell, Table};
use crate::debugger::{Applied, Change, Edit, RunScope, Target, params};
use crate::lang::ast::{IndexItem, SiteRef};
use crate::lang::eval::{self, Datum};
use crate::lang::location::parse_location_prefix;
use crate::lang::location::{self, When};
use crate::lang::words::words;
use crate::lang::{AssignOp, Assignment, LValue, LangError, Location, Span, parse_assignment, site};
use crate::model::input::Input;
use crate::program::shape_of;
use crate::tensor::ops::{BinaryOp, Reduction, Slice};
use crate::tensor::{Axis, Kind, Value};

pub fn set(console: &mut Console, call: Call<'_, '_>) -> Done {
    let (rest, offset) = (call.args.rest, call.args.offset);
    if let Some(text) =
        rest.strip_prefix("prompt").filter(|text| text.is_empty() || text.starts_with(char::is_whitespace))
    {
        return set_prompt(console, text.trim(), call.line);
    }
    let assignment = parse_assignment(rest, offset)?;
    if let LValue::Var(name) = &assignment.target {
        return set_variable(console, &name.clone(), &assignment);
    }
    let edit = console.edit_of(&assignment, call.line)?;
    console.apply(vec![edit])
}

/// Another text for the focused row; other rows of the batch stay.
fn set_prompt(console: &mut Console, text: &str, line: &str) -> Done {
    let text = match text.starts_with('"') {
        true => crate::lang::strings::literal(text, 0)?.0,
        false => text.to_string(),
    };
    let model = console.session.run.model.clone();
    let input = Input::from_texts(&model, &[text], true).map_err(|error| Fail::because(error.to_string()))?;
    let mut rows = console.session.run.branch().input().rows.clone();
    for row in &mut rows {
        let real = row.mask.iter().rposition(|real| *real).map_or(0, |last| last + 1);
        row.ids.truncate(real);
        row.mask.truncate(real);
        row.type_ids.truncate(real);
    }
    rows[console.session.focus.row] = input.rows[0].clone();
    let input = Input::from_rows(&model, rows).map_err(|error| Fail::because(error.to_string()))?;
    console.apply(vec![Edit { target: Target::Input, change: Change::Input(input), text: line.to_string() }])
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
    console.session.variables.insert(name.to_string(), value);
    Ok(Answer::Text(String::new()))
}

/// `ablate LOC [zero|mean|resample]`.
pub fn ablate(console: &mut Console, call: Call<'_, '_>) -> Done {
    let (rest, offset) = (call.args.rest, call.args.offset);
    if rest.is_empty() {
        return Err(Fail::At(
            LangError::new("expected a location", Span::at(offset)).help("ablate L1H0, ablate L2.mlp"),
        ));
    }
    let (location, end) = parse_location_prefix(rest, offset)?;
    let left = words(&rest[end - offset..], end)?;
    let how = match left.as_slice() {
        [] => How::Zero,
        [word] => match word.text.as_str() {
            "zero" => How::Zero,
            "mean" => How::Mean,
            "resample" => How::Resample,
            other => {
                let error = LangError::new(format!("no way to ablate called {other}"), word.span);
                return Err(Fail::At(error.help("zero, mean or resample")));
            }
        },
        [_, extra, ..] => return Err(Fail::At(LangError::new("unexpected word", extra.span))),
    };
    if let Some(span) = location.pos.as_ref().map(|pos| pos.span).or(location.row.as_ref().map(|row| row.span)) {
        let error = LangError::new("ablate takes positions as a slice, and changes every row", span);
        return Err(Fail::At(error.help("ablate L0.attn.z[pos=3]")));
    }
    let mut edits = Vec::new();
    for (op, head) in console.ablated_ops(&location)? {
        let change = console.ablation(op, head, &location, how)?;
        edits.push(Edit { target: Target::Op(op), change, text: call.line.to_string() });
    }
    if edits.is_empty() {
        return Err(Fail::because("this location has no value to take out"));
    }
    console.apply(edits)
}

/// What an ablated value is replaced by.
#[derive(Clone, Copy)]
enum How {
    Zero,
    Mean,
    Resample,
}

pub fn undo(console: &mut Console, call: Call<'_, '_>) -> Done {
    no_arguments(&call)?;
    let text = console.session.run.undo()?;
    Ok(Answer::Text(format!("Took back: {text}")))
}

pub fn redo(console: &mut Console, call: Call<'_, '_>) -> Done {
    no_arguments(&call)?;
    let text = console.session.run.redo()?;
    Ok(Answer::Text(format!("Made again: {text}")))
}

pub fn checkout(console: &mut Console, call: Call<'_, '_>) -> Done {
    let name = call.args.rest;
    let Some(branch) = console.session.run.branch_named(name) else {
        let names: Vec<&str> = console.session.run.branches.iter().map(|branch| branch.name.as_str()).collect();
        return Err(Fail::because(format!("no branch {name:?}: there is {}", names.join(", "))));
    };
    console.session.run.checkout(branch)?;
    Ok(Answer::Text(format!("On branch {name} at op {}", console.session.run.cursor)))
}

/// The answer of `info edits`.
pub fn table(console: &Console) -> Answer {
    let edits = &console.session.run.branch().edits;
    if edits.is_empty() {
        return Answer::Text(format!("No edits in branch {}.", console.session.run.branch().name));
    }
    let program = &console.session.run.program;
    let rows = edits.iter().enumerate().map(|(i, edit)| {
        let what = match &edit.target {
            Target::Op(op) => program.ops[*op].site.clone(),
            Target::Weight(id) => format!("param(\"{id}\")"),
            Target::Input => "tokens".into(),
        };
        vec![Cell::Int(i as i64 + 1), Cell::Text(what), Cell::Text(edit.text.clone())]
    });
    let columns = ["Num", "What", "Command"].map(String::from).to_vec();
    Answer::Table(Table { title: String::new(), columns, rows: rows.collect() })
}

impl Console {
    fn apply(&mut self, edits: Vec<Edit>) -> Done {
        let what = |edit: &Edit| match &edit.target {
            Target::Op(op) => self.session.run.program.ops[*op].site.clone(),
            Target::Weight(id) => format!("weight {id}"),
            Target::Input => "the input".into(),
        };
        let what: Vec<String> = edits.iter().map(what).collect();
        let pending = |edit: &Edit| matches!(edit.target, Target::Op(op) if op >= self.session.run.cursor);
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
    fn template(&mut self, op: usize) -> Result<Value, Fail> {
        let run = &mut self.session.run;
        let row = self.session.focus.row;
        if op < run.cursor {
            return Ok(run.value(op)?.slice(&[Slice::At(row)])?);
        }
        let program = run.program.clone();
        let input = run.branch().input();
        let length = input.rows.first().map_or(0, |row| row.ids.len());
        let shape = shape_of(&program.ops[op], &run.model.spec, 1, 0..length);
        let one = Value::from_f32(vec![0.0], &[], run.device());
        let axes = &program.ops[op].axes[1..];
        Ok(one.full_shape(&shape[1..])?.with_axes(axes))
    }

    fn edit_of(&mut self, assignment: &Assignment, line: &str) -> Result<Edit, Fail> {
        let text = line.to_string();
        match &assignment.target {
            LValue::Site { site, index } => {
                let op = self.op_of_site(site)?;
                self.op_edit(op, index, assignment, text)
            }
            LValue::Tokens { index } => self.op_edit(0, index, assignment, text),
            LValue::Cursor { index } => {
                let Some(op) = self.session.run.cursor.checked_sub(1) else {
                    let error = LangError::new("nothing has been computed yet", assignment.target_span);
                    return Err(Fail::At(error.help("start, then step")));
                };
                self.op_edit(op, index, assignment, text)
            }
            LValue::Param { name, index } => self.weight_edit(&name.value, name.span, index, assignment, text),
            LValue::Var(_) => Err(Fail::because("a variable is not part of the model")),
        }
    }

    fn op_of_site(&self, site: &SiteRef) -> Result<usize, Fail> {
        if site.run.is_some() || site.pass.is_some_and(|pass| pass != 0) {
            return Err(Fail::At(LangError::new(
                "only the current run can be edited; checkout the branch first",
                site.span,
            )));
        }
        let resolved = site::resolve(site, &*self.session.run.names, self.session.block())?;
        self.session.run.program.op_of(&resolved.name).ok_or_else(|| {
            Fail::At(LangError::new(
                format!("{} is computed when asked for; it cannot be edited", resolved.name),
                site.span,
            ))
        })
    }

    fn op_edit(&mut self, op: usize, index: &[IndexItem], assignment: &Assignment, text: String) -> Result<Edit, Fail> {
        let template = self.template(op)?;
        let slices = eval::slices(index, &template, &mut RunScope::new(&mut self.session))?;
        let place = template.slice(&slices)?;
        if self.session.run.program.ops[op].site == "tokens" {
            let patch = self.token_patch(assignment)?;
            return self.token_edit(&Change::Assign { slices, op: operation(assignment), patch }, text);
        }
        let patch = self.patch(assignment, &place)?;
        let mut all = vec![Slice::At(self.session.focus.row)];
        all.extend(slices);
        let change = Change::Assign { slices: all, op: operation(assignment), patch };
        Ok(Edit { target: Target::Op(op), change, text })
    }

    /// Changed ids are another input, so that everything that shows tokens shows the new ones.
    fn token_edit(&mut self, change: &Change, text: String) -> Result<Edit, Fail> {
        let row = self.session.focus.row;
        let mut input = self.session.run.branch().input().clone();
        let ids: Vec<i64> = input.rows[row].ids.iter().map(|&id| i64::from(id)).collect();
        let tokens = Value::from_i64(ids, &[input.rows[row].ids.len()], self.session.run.device());
        let vocab = self.session.run.model.spec.vocab as i64;
        let changed = change.apply(&tokens)?.read_i64()?;
        if let Some(id) = changed.iter().find(|id| !(0..vocab).contains(*id)) {
            return Err(Fail::because(format!("no token {id}: the vocabulary has 0..{}", vocab - 1)));
        }
        input.rows[row].ids = changed.into_iter().map(|id| id as u32).collect();
        input.rows[row].text = None;
        Ok(Edit { target: Target::Input, change: Change::Input(input), text })
    }

    /// The right side, checked against the place it goes to.
    fn patch(&mut self, assignment: &Assignment, place: &Value) -> Result<Value, Fail> {
        let datum = self.evaluate(&assignment.value)?;
        let patch = datum.tensor(self.session.run.device(), Kind::Float, assignment.value.span)?.to_float();
        let fits = patch.shape().len() <= place.shape().len()
            && patch.shape().iter().rev().zip(place.shape().iter().rev()).all(|(&p, &t)| p == t || p == 1);
        if !fits {
            let (found, wanted) = (patch.shape_text(), place.shape_text());
            let error = LangError::new(
                format!("a value of shape {found} does not fit a place of shape {wanted}"),
                assignment.value.span,
            );
            return Err(Fail::At(error));
        }
        Ok(patch)
    }

    fn token_patch(&mut self, assignment: &Assignment) -> Result<Value, Fail> {
        let span = assignment.value.span;
        let datum = self.evaluate(&assignment.value)?;
        let device = self.session.run.device().clone();
        if let Datum::Tensor(value) = &datum
            && value.kind() == Kind::Int
        {
            return Ok(value.clone());
        }
        let id = match &datum {
            Datum::Str(token) => {
                let scope: &mut dyn eval::Scope = &mut RunScope::new(&mut self.session);
                scope.token_id(token).map_err(|message| Fail::At(LangError::new(message, span)))? as i64
            }
            datum => datum.integer(span)?,
        };
        Ok(Value::from_i64(vec![id], &[], &device))
    }

    fn weight_edit(
        &mut self,
        name: &str,
        span: Span,
        index: &[IndexItem],
        assignment: &Assignment,
        text: String,
    ) -> Result<Edit, Fail> {
        let (spec, weights) = {
            let run = &self.session.run;
            (run.model.spec.clone(), run.branch().weights().clone())
        };
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
            return Err(Fail::At(error));
        };
        let own = params::whole(id, &weights)?;
        let shown = params::shown(id, &own, &spec);
        let slices = eval::slices(index, &shown, &mut RunScope::new(&mut self.session))?;
        let place = shown.slice(&slices)?;
        let patch = self.patch(assignment, &place)?;
        let changed = Change::Assign { slices, op: operation(assignment), patch }.apply(&shown)?;
        let patch = params::unshown(id, &changed, own.shape())?;
        let change = Change::Assign { slices: Vec::new(), op: None, patch };
        Ok(Edit { target: Target::Weight(id), change, text })
    }

    /// The ops whose outputs an ablation replaces. A block is taken out by what it adds to the residual stream.
    fn ablated_ops(&self, location: &Location) -> Result<Vec<(usize, Option<usize>)>, Fail> {
        let program = &self.session.run.program;
        let mut ops = Vec::new();
        for place in places::places(&self.session, location)? {
            if place.when == When::Before && location.when.is_some() {
                return Err(Fail::because("ablate takes a value out; -before has no meaning here"));
            }
            match &place.target {
                location::Target::Site(name) => ops.extend(program.op_of(name).map(|op| (op, place.head))),
                location::Target::Module(path) => {
                    let adds = [format!("{path}.attn_out"), format!("{path}.mlp_out")];
                    let parts: Vec<usize> = adds.iter().filter_map(|site| program.op_of(site)).collect();
                    match (parts.is_empty(), program.module_of(path)) {
                        (false, _) => ops.extend(parts.into_iter().map(|op| (op, None))),
                        (true, Some(module)) => ops.push((program.modules[module].end - 1, None)),
                        (true, None) => {}
                    }
                }
                _ => return Err(Fail::because("ablate needs a site, a head or a module")),
            }
        }
        if ops.iter().any(|(op, _)| *op == 0) {
            return Err(Fail::because("tokens cannot be ablated; set tokens[N] = TOKEN changes them"));
        }
        Ok(ops)
    }

    fn ablation(&mut self, op: usize, head: Option<usize>, location: &Location, how: How) -> Result<Change, Fail> {
        let template = self.template(op)?;
        let mut slices = eval::slices(&location.index, &template, &mut RunScope::new(&mut self.session))?;
        if let Some(head) = head {
            let Some(axis) = template.axes().iter().position(|axis| *axis == Axis::Head) else {
                return Err(Fail::because(format!("{} has no heads", self.session.run.program.ops[op].site)));
            };
            slices.resize(slices.len().max(axis + 1), Slice::All);
            slices[axis] = Slice::At(head);
        }
        let rows = self.session.run.branch().input().rows.len();
        let device = self.session.run.device().clone();
        let mut parts = Vec::new();
        for row in 0..rows {
            let mut all = vec![Slice::At(row)];
            all.extend(slices.iter().copied());
            let patch = match how {
                How::Zero => Value::from_f32(vec![0.0], &[], &device),
                How::Mean => {
                    // Over the positions of the row: what the place holds on average, wherever it stands.
                    let value = self.session.run.peek(op)?.slice(&all)?;
                    match value.axes().iter().position(|axis| matches!(axis, Axis::Pos | Axis::Q)) {
                        Some(axis) => {
                            let mut kept = value.shape().to_vec();
                            kept[axis] = 1;
                            value.reduce_axis(Reduction::Mean, axis)?.reshape(&kept)?
                        }
                        None => value,
                    }
                }
                How::Resample => {
                    if rows < 2 {
                        return Err(Fail::because(
                            "resample takes the value from the next row, and there is one row only: give -p twice",
                        ));
                    }
                    all[0] = Slice::At((row + 1) % rows);
                    let value = self.session.run.peek(op)?.slice(&all)?;
                    all[0] = Slice::At(row);
                    value
                }
            };
            parts.push(Change::Assign { slices: all, op: None, patch });
        }
        Ok(Change::Many(parts))
    }
}

fn operation(assignment: &Assignment) -> Option<BinaryOp> {
    match assignment.op {
        AssignOp::Set => None,
        AssignOp::Add => Some(BinaryOp::Add),
        AssignOp::Sub => Some(BinaryOp::Sub),
        AssignOp::Mul => Some(BinaryOp::Mul),
        AssignOp::Div => Some(BinaryOp::Div),
    }
}
