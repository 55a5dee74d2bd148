//! Dictionaries of features as ops of a program, behind the sites that they rebuild.
//!
//! ```text
//! in      what the dictionary reads
//! enc     the product of that with the encoder
//! pre     features before the choice
//! acts    features
//! recon   what is rebuilt of `acts`
//! error   the site minus what is rebuilt of the features that follow from `enc`
//! out     the site, with what edits of `pre`, `acts`, `recon` and `error` change
//! ```
//!
//! What had read the site reads `out`, whose elements are those of the site unless one of these ops is edited. That is
//! seen from the values alone: `out` chooses features of `enc` again. So the ops stay pure functions, and each way of
//! running them (a recording, a probe, a patch) gives the same.

use std::collections::HashMap;
use std::sync::Arc;

use super::compile::finish;
use super::{Kernel, Op, Program};
use crate::model::dictionary::{Dictionary, Stage};
use crate::model::role::RolePlace;
use crate::tensor::Axis::{self, Dim, Pos, Row};

/// A program with the ops of dictionaries, in the order in which they were added. One that is behind the site of another
/// reads what that one leaves.
///
/// # Panics
/// If a site of theirs is not one of the program, or what is read comes after what is rebuilt: whoever places a
/// dictionary checks that.
pub fn with_dictionaries(base: Program, dictionaries: &[Arc<Dictionary>]) -> Program {
    if dictionaries.is_empty() {
        return base;
    }
    let (layers, heads) = (base.n_layers(), base.n_heads());
    let mut once = base.once;
    let mut ops = base.ops;
    // The site whose elements are read under the name of another.
    let mut last: HashMap<String, String> = HashMap::new();
    for dictionary in dictionaries {
        let read = |site: &String| last.get(site).unwrap_or(site).clone();
        let (input, output) = (read(&dictionary.input), read(&dictionary.output));
        // What follows a site that only the pass of the prompt computes is computed there too.
        if insert(&mut ops, dictionary, &input, &output) <= once {
            once += Stage::ALL.len();
        }
        last.insert(dictionary.output.clone(), dictionary.site(Stage::Out));
    }
    finish(ops, once, (layers, heads))
}

/// Returns the number of the first op that is new.
fn insert(ops: &mut Vec<Op>, dictionary: &Dictionary, input: &str, output: &str) -> usize {
    let at = |site: &str| ops.iter().position(|op| op.site == site).expect("a site of the program");
    let (x, y) = (at(input), at(output));
    assert!(x <= y, "{input} comes after {output}");
    let first = y + 1;
    let moved = |op: usize| if op < first { op } else { op + Stage::ALL.len() };
    let out = first + Stage::ALL.len() - 1;
    for (number, op) in ops.iter_mut().enumerate() {
        let reads = |op: usize| if number >= first && op == y { out } else { moved(op) };
        op.inputs.iter_mut().chain(&mut op.cached).chain(&mut op.carried).for_each(|input| *input = reads(*input));
    }
    let number = |stage: Stage| first + Stage::ALL.iter().position(|known| *known == stage).expect("one of all");
    let [of_in, enc, pre, acts, recon, error] =
        [Stage::In, Stage::Enc, Stage::Pre, Stage::Acts, Stage::Recon, Stage::Error].map(number);
    let coding = dictionary.coding();
    let found = &dictionary.found;
    let site = ops[y].clone();
    let new = Stage::ALL.map(|stage| {
        let inputs = match stage {
            Stage::In => vec![x],
            Stage::Enc => vec![of_in],
            Stage::Pre => vec![enc],
            Stage::Acts => vec![pre, enc],
            Stage::Recon => vec![acts, of_in],
            Stage::Error => vec![y, enc, of_in],
            Stage::Out => vec![y, enc, of_in, acts, recon, error],
        };
        let weights = match stage {
            Stage::In => Vec::new(),
            _ => coding.roles().into_iter().map(|role| dictionary.id(role)).collect(),
        };
        let rows = |axis: Axis, width: usize| (vec![Row, Pos, axis], 1, width);
        let (axes, heads, width) = match stage {
            Stage::In => rows(Dim, found.width),
            Stage::Enc | Stage::Pre | Stage::Acts => rows(Axis::Feature, found.features),
            Stage::Recon | Stage::Error => rows(Dim, found.out),
            Stage::Out => (site.axes.clone(), site.heads, site.width),
        };
        Op {
            site: dictionary.site(stage),
            module: 0,
            kernel: Kernel::Dictionary(stage, coding),
            inputs,
            cached: Vec::new(),
            carried: None,
            weights,
            axes,
            heads,
            width,
            keys: 1,
            layer: Some(dictionary.layer),
            part: None,
            along: site.along,
            place: RolePlace::Block,
        }
    });
    ops.splice(first..first, new);
    first
}
