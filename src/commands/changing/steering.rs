//! `steer` and `return`: vectors added as the model runs, and modules left with another output.

use crate::answer::Answer;
use crate::commands::frame::Done;
use crate::commands::moving::checkpoints;
use crate::commands::state::{Call, Console, places};
use crate::debugger::{Change, Edit, Error, Mark, Result, Target};
use crate::lang::location::{self, parse_location_prefix};
use crate::lang::{Expr, LangError, parse_expr};
use crate::tensor::ops::{BinaryOp, Slice};
use crate::tensor::{Kind, Value};

/// `steer SITE VECTOR [*SCALE]`: adds to a site at every position of this and all later passes, in every row; with a slice
/// that names positions, in this pass only.
pub fn steer(console: &mut Console, call: Call<'_>) -> Done {
    let (rest, offset) = (call.args.rest, call.args.offset);
    if rest.is_empty() {
        return Err(call.expected("a site and a vector", "steer L2.resid_post $v * 4"));
    }
    let (location, end) = parse_location_prefix(rest, offset)?;
    let expr = parse_expr(&rest[end - offset..], end)?;
    let given = location.pos.as_ref().map(|x| x.span).or(location.row.as_ref().map(|x| x.span));
    if let Some(span) = given.or(location.head.as_ref().map(|x| x.span)) {
        let error = LangError::new("steer takes positions and heads as a slice, and changes every row", span);
        return Err(error.help("steer L1.attn.z[head=3] $v").into());
    }
    let mut edits = Vec::new();
    for place in places::places(&console.session, &location)? {
        let wrong = |message: &str| LangError::new(message, location.span);
        let location::Target::Site(name) = &place.target else {
            return Err(wrong("steer needs a site: a module has no value").into());
        };
        let Some(op) = console.session.run.program.op_of(name) else {
            return Err(wrong(&format!("{name} is computed when asked for; it cannot be steered")).into());
        };
        if op == 0 {
            return Err(wrong("tokens cannot be steered").help("set tokens[N] = TOKEN changes them").into());
        }
        edits.push(console.steering(op, place.head, &location, &expr, call.line)?);
    }
    console.apply(edits)
}

/// `return EXPR`: leaves the current module with EXPR as its output.
pub fn leave(console: &mut Console, call: Call<'_>) -> Done {
    if call.args.rest.is_empty() {
        return Err(call.expected("the output of this module", "return 0, return $cursor * 2, return L1.attn.z@main"));
    }
    let expr = call.expr()?;
    let run = &console.session.run;
    if !run.live {
        return Err(Error::refused("no pass has been started; use \"run\" or \"start\""));
    }
    let module = &run.program.modules[run.program.module_at(run.cursor)];
    if run.at_end() || module.parent.is_none() {
        return Err(Error::refused("the cursor is in no module that could be left; \"layer\" goes into a block"));
    }
    let (path, end) = (module.path.clone(), module.end);
    let template = console.template(end - 1)?;
    let patch = console.fitting(&expr, &template)?;
    let pass = console.session.run.pass;
    let change = Change::Assign { slices: vec![Slice::At(console.session.focus.row)], op: None, patch };
    let edit = Edit {
        from: Mark { pass, op: end - 1 },
        target: Target::Op(end - 1),
        change,
        lasting: false,
        text: call.line.to_string(),
    };
    console.session.run.edit(vec![edit])?;
    let branch = console.session.run.current;
    console.session.run.jump(branch, Mark { pass, op: end })?;
    console.printed.push(format!("Left {path}; its output is what was given."));
    let value = console.output_of_last_op()?;
    let mut answer = checkpoints::there(console)?;
    if let Answer::Stop(view) = &mut answer {
        view.value = Some(value);
    }
    Ok(answer)
}

impl Console {
    fn steering(
        &mut self,
        op: usize,
        head: Option<usize>,
        location: &location::Location,
        expr: &Expr,
        line: &str,
    ) -> Result<Edit> {
        let template = self.template(op)?;
        let (slices, names_positions) = self.slices_of(location, head, &template)?;
        let place = template.slice(&slices)?;
        let patch = self.fitting(expr, &place)?;
        let from_behind = place.axes().iter().rev().zip(patch.shape().iter().rev());
        if !names_positions && from_behind.clone().any(|(axis, length)| axis.is_position() && *length > 1) {
            let shape = patch.shape_text();
            let message = format!("{shape} has an entry for each position, and later passes have others");
            let error = LangError::new(message, expr.span);
            return Err(error.help("steer with a vector over features: x[pos=-1], or mean_over(x, pos)").into());
        }
        let mut all = vec![Slice::All];
        all.extend(slices);
        Ok(Edit {
            from: Mark { pass: self.session.run.pass, op },
            target: Target::Op(op),
            change: Change::Assign { slices: all, op: Some(BinaryOp::Add), patch },
            lasting: !names_positions,
            text: line.to_string(),
        })
    }

    /// The value of an expression, checked against the place it goes to.
    pub(crate) fn fitting(&mut self, expr: &Expr, place: &Value) -> Result<Value> {
        let datum = self.evaluate(expr)?;
        let patch = datum.tensor(self.session.run.device(), Kind::Float, expr.span)?.to_float();
        let fits = patch.shape().len() <= place.shape().len()
            && patch.shape().iter().rev().zip(place.shape().iter().rev()).all(|(&p, &t)| p == t || p == 1);
        if fits {
            return Ok(patch);
        }
        let (found, wanted) = (patch.shape_text(), place.shape_text());
        let message = format!("a value of shape {found} does not fit a place of shape {wanted}");
        Err(LangError::new(message, expr.span).into())
    }
}
