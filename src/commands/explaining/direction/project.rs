//! How far the vectors of the current pass lie along a direction.

use crate::answer::text::quoted;
use crate::answer::{MapView, Scale, Table};
use crate::commands::frame::Done;
use crate::commands::state::Console;
use crate::debugger::{Error, Mark, Result};
use crate::lang::eval::Datum;
use crate::lang::words::Word;
use crate::model::site_name;
use crate::tensor::Axis;
use crate::tensor::ops::Slice;

/// `direction project NAME`: `v . x / |v|` at every position, as a table, or of several sites as a map; kept as `$N`.
pub fn project(console: &mut Console, name: &Word) -> Done {
    let direction = console.direction(name)?;
    let (pass, row) = (console.session.run.pass, console.session.focus.row);
    let start = console.session.run.branch().span(pass).start;
    let mut all = Vec::new();
    for place in &direction.places {
        let op = console.session.run.program.op_of(&place.site);
        let op = op.ok_or_else(|| Error::refused(format!("{} is not a site any more", place.site)))?;
        let value = console.session.run.value_if_reached(Mark { pass, op })?;
        let value =
            value.ok_or_else(|| format!("{} has not been computed: run first", site_name::short(&place.site)))?;
        let value = value.slice(&[Slice::At(row)])?; // [T, d]
        let width = value.shape()[1];
        let along = value.read_f64()?.chunks(width).map(|x| place.along(x)).collect::<Vec<f64>>();
        all.push(along);
    }
    let length = all.first().map_or(0, Vec::len);
    let coordinates = |at: usize| -> Vec<f64> {
        let norm = direction.places[at].norm();
        all[at].iter().map(|along| along / norm).collect()
    };
    let numbers: Vec<f64> = (0..all.len()).flat_map(coordinates).collect();
    let (shape, axes) = match all.len() {
        1 => (vec![length], vec![Axis::Pos]),
        count => (vec![count, length], vec![Axis::None, Axis::Pos]),
    };
    let value = console.value_of(&numbers, &shape, &axes);
    let number = console.session.remember(Datum::Tensor(value));
    let title = format!("${number} = projections on ${}: v . x / |v| (derived)", direction.name);
    if let [place] = &direction.places[..] {
        let token = |at: usize| quoted(&console.name_of(Axis::Pos, start + at));
        let rows = (0..length).map(|at| {
            let kind = place.probe.as_ref().map(|probe| if all[0][at] > probe.offset { "first" } else { "second" });
            (start + at, token(at), numbers[at], kind)
        });
        let title = format!("{title} at {}", site_name::short(&place.site));
        return Ok(Table::new(["Pos", "Token", "Along", "Kind"]).title(title).rows(rows).into());
    }
    let sites = direction.places.iter().map(|place| site_name::short(&place.site)).collect();
    let tokens = (0..length).map(|at| console.name_of(Axis::Pos, start + at)).collect();
    Ok(MapView::grid(title, ("site", sites), ("pos", tokens), numbers).scale(Scale::Diverging).into())
}

/// The vectors of a direction that control vectors have: at outputs of blocks, each with the number of its block.
///
/// # Errors
/// If one is at a different site, or at the output of block 0, which llama.cpp has no number for.
pub fn by_block(console: &Console, name: &Word) -> Result<Vec<(usize, Vec<f32>)>> {
    let direction = console.direction(name)?;
    let program = &console.session.run.program;
    let of = |place: &crate::debugger::directions::Place| {
        let op = program.op_of(&place.site).map(|op| &program.ops[op]);
        let block = op.filter(|op| op.part == Some(crate::program::Part::ResidPost)).and_then(|op| op.layer);
        match block {
            Some(0) => Err(Error::refused(
                "llama.cpp adds no control vector to the output of block 0: its numbers begin with 1",
            )),
            Some(block) => Ok((block, place.vector.iter().map(|x| *x as f32).collect())),
            None => Err(Error::refused(format!(
                "control vectors are of outputs of blocks (resid_post), and ${} is at {}",
                direction.name, place.site
            ))),
        }
    };
    direction.places.iter().map(of).collect()
}
