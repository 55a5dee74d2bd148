//! Vectors of tokens through a Jacobian lens, and exchanging what vectors have of two directions.

use super::effect::{OF_MAKING, edit, made};
use super::made::{check_name, refuse};
use super::texts::places;
use crate::commands::frame::{Done, Options, mistake, number};
use crate::commands::state::Console;
use crate::debugger::directions::{Direction, Place};
use crate::debugger::{Change, Error};
use crate::lang::words::Word;
use crate::model::role::{Role, WeightId};
use crate::program::Part;
use crate::tensor::Value;

/// `direction NAME from jacobian FILE TOKEN -site SITE`: `v = J^T W_U[token]` at the output of a block.
pub fn from_jacobian(console: &mut Console, given: &Options, name: &Word, (file, token): (&Word, &Word)) -> Done {
    let usage = "direction NAME from jacobian FILE \" Paris\" -site L2.resid_post";
    check_name(name)?;
    let others = OF_MAKING.iter().copied().filter(|option| *option != "-site").chain(["-orthogonal", "-metric"]);
    refuse(given, &others.collect::<Vec<_>>(), usage)?;
    let site = given.value("-site").ok_or_else(|| mistake("expected a site", name.span, usage))?;
    let id = console.token(token)?;
    let lens = console.jacobian_lens(file)?;
    let program = console.session.run.program.clone();
    let weights = console.session.run.branch().weights();
    let unembed = weights.value(WeightId::global(Role::W_U))?.rows(id..id + 1).read_f64()?; // [d]
    let mut all = Vec::new();
    for op in places(console, site)? {
        let of = &program.ops[op];
        let block = of.layer.filter(|_| of.part == Some(Part::ResidPost));
        let map = block.and_then(|block| lens.maps.get(&block));
        let Some(map) = map else {
            let message =
                format!("{} has no vector through this lens: it is of outputs of blocks (resid_post)", of.site);
            return Err(mistake(message, site.span, usage));
        };
        let d = lens.width;
        // J is [out, in]: v_j = sum over i of W_U[i] J[i, j].
        let vector = (0..d).map(|j| (0..d).map(|i| unembed[i] * f64::from(map[i * d + j])).sum()).collect();
        all.push(Place { site: of.site.clone(), vector, probe: None });
    }
    let made = format!("{} through {}", crate::answer::text::quoted(&console.token_text(id as u32)), file.text);
    let direction = Direction { name: name.text.clone(), made, places: all, texts: None };
    let table = console.direction_table(&direction)?;
    console.keep_direction(direction)?;
    Ok(table.into())
}

/// `direction swap A B [SCALE]`: `h + SCALE V (swap(c) - c)` with `V = [a b]` and `c = V^+ h`.
pub fn swap(console: &mut Console, given: &Options, (a, b, scale): (&Word, &Word, Option<&Word>), line: &str) -> Done {
    let usage = "direction swap A B 1 -metric logit(\" is\")";
    refuse(given, &OF_MAKING, usage)?;
    refuse(given, &["-orthogonal"], usage)?;
    let (first, second) = (console.direction(a)?, console.direction(b)?);
    let scale = scale.map_or(Ok(1.0), |word| number(word, |x| x.is_finite(), "scale: a number"))?;
    let sites = |of: &Direction| of.places.iter().map(|place| place.site.clone()).collect::<Vec<String>>();
    if sites(&first) != sites(&second) {
        return Err(mistake("the two directions are at different sites", b.span, usage));
    }
    let mut edits = Vec::new();
    for (of_a, of_b) in first.places.iter().zip(&second.places) {
        let op = console.op_of_place(of_a)?;
        let (x, y) = (&of_a.vector, &of_b.vector);
        let (xx, xy, yy) = (of_a.along(x), of_a.along(y), of_b.along(y));
        let determinant = xx * yy - xy * xy;
        if determinant.is_nan() || determinant <= 1e-12 * xx * yy {
            return Err(Error::refused(format!("${} and ${} are parallel at {}", first.name, second.name, of_a.site)));
        }
        let d = x.len();
        // Rows of the pseudoinverse: (V^T V)^-1 V^T.
        let row = |p: f64, q: f64| -> Vec<f64> { (0..d).map(|j| (p * x[j] + q * y[j]) / determinant).collect() };
        let (of_x, of_y) = (row(yy, -xy), row(-xy, xx));
        // What is added is scale (c_y - c_x) x + scale (c_x - c_y) y, so one pair is enough.
        let right: Vec<f32> = (0..d).map(|j| (of_x[j] - of_y[j]) as f32).collect();
        let left: Vec<f32> = (0..d).map(|j| (scale * (x[j] - y[j])) as f32).collect();
        let device = console.session.run.device_of(op);
        let change = Change::Project {
            centre: console.vector(&vec![0.0; d], op),
            right: Value::from_f32(right, &[d, 1], device), // [d, 1]
            left: Value::from_f32(left, &[1, d], device),   // [1, d]
        };
        edits.push(edit(op, change, line));
    }
    made(console, &first, edits, given)
}
