//! `ablate`: heads, neurons, sites and modules taken out.

use crate::commands::frame::Done;
use crate::commands::state::{Call, Console, places};
use crate::debugger::{Ablation, Change, Edit, Error, Mark, Result, Target};
use crate::lang::location::{self, When, parse_location_prefix};
use crate::lang::words::words;
use crate::lang::{LangError, Location};
use crate::tensor::ops::Slice;
use crate::tensor::{Axis, Value};

pub fn ablate(console: &mut Console, call: Call<'_>) -> Done {
    let (rest, offset) = (call.args.rest, call.args.offset);
    if rest.is_empty() {
        return Err(call.expected("a location", "ablate L1H0, ablate L2.mlp"));
    }
    let (location, end) = parse_location_prefix(rest, offset)?;
    let left = words(&rest[end - offset..], end)?;
    let how = match left.as_slice() {
        [] => Ablation::Zero,
        [word] => Ablation::parse(&word.text).ok_or_else(|| {
            let error = LangError::new(format!("no way to ablate called {}", word.text), word.span);
            error.help("zero, mean or resample")
        })?,
        [_, extra, ..] => return Err(LangError::new("unexpected word", extra.span).into()),
    };
    if let Some(span) = location.pos.as_ref().map(|pos| pos.span).or(location.row.as_ref().map(|row| row.span)) {
        let error = LangError::new("ablate takes positions as a slice, and changes every row", span);
        return Err(error.help("ablate L0.attn.z[pos=3]").into());
    }
    let rows = console.session.run.branch().text().rows.len();
    if how == Ablation::Resample && rows < 2 {
        return Err("resample takes the value from the next row, and there is one row only: give -p twice".into());
    }
    let mut edits = Vec::new();
    for (op, head) in console.ablated_ops(&location)? {
        edits.push(console.ablation(op, head, &location, how, call.line)?);
    }
    if edits.is_empty() {
        return Err(Error::refused("this location has no value to take out"));
    }
    console.apply(edits)
}

/// `skip MODULE`: what it adds to the residual stream is zero.
pub fn skip(console: &mut Console, call: Call<'_>) -> Done {
    let (rest, offset) = (call.args.rest, call.args.offset);
    if rest.is_empty() {
        return Err(call.expected("a module", "skip L2, skip L2.attn, skip L2.mlp"));
    }
    let location = location::parse_location(rest, offset)?;
    let program = console.session.run.program.clone();
    let mut edits = Vec::new();
    for place in places::places(&console.session, &location)? {
        let adds: Vec<usize> = match &place.target {
            location::Target::Module(path) => {
                let sites = ["attn", "mlp", "ple"].map(|part| match path.strip_suffix(&format!(".{part}")) {
                    Some(block) => format!("{block}.{part}_out"),
                    None => format!("{path}.{part}_out"),
                });
                sites.iter().filter_map(|site| program.op_of(site)).collect()
            }
            _ => Vec::new(),
        };
        if adds.is_empty() {
            let error =
                LangError::new("only a block, its attention or its MLP adds to the residual stream", location.span);
            return Err(error.help("skip L2, skip L2.attn, skip L2.mlp; ablate takes out anything").into());
        }
        for op in adds {
            edits.push(console.ablation(op, None, &location, Ablation::Zero, call.line)?);
        }
    }
    console.apply(edits)
}

impl Console {
    /// The ops whose outputs an ablation replaces. A block is taken out by what it adds to the residual stream.
    fn ablated_ops(&self, location: &Location) -> Result<Vec<(usize, Option<usize>)>> {
        let program = &self.session.run.program;
        let mut ops = Vec::new();
        for place in places::places(&self.session, location)? {
            if place.when == When::Before && location.when.is_some() {
                return Err(Error::refused("ablate takes a value out; -before has no meaning here"));
            }
            match &place.target {
                location::Target::Site(name) => ops.extend(program.op_of(name).map(|op| (op, place.head))),
                location::Target::Module(path) => {
                    let adds = ["attn_out", "mixer_out", "mlp_out", "ple_out"].map(|part| format!("{path}.{part}"));
                    let parts: Vec<usize> = adds.iter().filter_map(|site| program.op_of(site)).collect();
                    match program.module_of(path) {
                        Some(module) if parts.is_empty() => ops.push((program.modules[module].end - 1, None)),
                        _ => ops.extend(parts.into_iter().map(|op| (op, None))),
                    }
                }
                _ => return Err(Error::refused("ablate needs a site, a head or a module")),
            }
        }
        if ops.iter().any(|(op, _)| *op == 0) {
            return Err(Error::refused("tokens cannot be ablated; set tokens[N] = TOKEN changes them"));
        }
        Ok(ops)
    }

    /// The slices of an op's output that a location and a head name, and whether they name positions.
    pub(crate) fn slices_of(
        &mut self,
        location: &Location,
        head: Option<usize>,
        template: &Value,
    ) -> Result<(Vec<Slice>, bool)> {
        let mut slices = self.slices(&location.index, template)?;
        if let (Some(head), Some(axis)) = (head, template.axes().iter().position(|axis| *axis == Axis::Head)) {
            slices.resize(slices.len().max(axis + 1), Slice::All);
            slices[axis] = Slice::At(head);
        }
        let names_positions =
            slices.iter().zip(template.axes()).any(|(slice, axis)| axis.is_position() && *slice != Slice::All);
        Ok((slices, names_positions))
    }

    /// The edit that takes out what a location names of the output of an op. It lasts through later passes unless it names
    /// positions.
    fn ablation(
        &mut self,
        op: usize,
        head: Option<usize>,
        location: &Location,
        by: Ablation,
        line: &str,
    ) -> Result<Edit> {
        let template = self.template(op)?;
        if head.is_some() && !template.axes().contains(&Axis::Head) {
            return Err(Error::refused(format!("{} has no heads", self.session.run.program.ops[op].site)));
        }
        let (slices, names_positions) = self.slices_of(location, head, &template)?;
        Ok(Edit {
            from: Mark { pass: self.session.run.pass, op },
            target: Target::Op(op),
            change: Change::Ablate { slices, by },
            lasting: !names_positions,
            text: line.to_string(),
        })
    }
}
