//! Which site is the output of a module of the checkpoint?
//!
//! The table of weights shows it: the module that holds a weight computes the site of the op that reads it. A module
//! that holds several weights side by side computes several sites, one after the other.

use std::collections::HashMap;

use super::layout::Part;
use crate::model::FileTensor;
use crate::model::role::{Role, Stack, WeightId};
use crate::program::{self, Kernel, Op, Program};

/// A site, and which part of the module's output it is if that has several.
pub type Output = (String, Option<Part>);

/// Architectures whose attention and MLP modules add the residual stream themselves.
const ADDS_RESIDUAL: [&str; 1] = ["bloom"];

/// The sites that modules compute, by the path of the module in the checkpoint.
pub fn outputs(files: &[FileTensor], program: &Program, family: &str) -> HashMap<String, Vec<Output>> {
    let mut found: HashMap<String, Vec<Output>> = HashMap::new();
    for file in files {
        let Some((path, kind)) = file.name.rsplit_once('.') else { continue };
        if !matches!(kind, "weight" | "gamma") || file.uses.iter().any(|id| id.index.is_some()) {
            continue;
        }
        let sites: Option<Vec<&Op>> = file.uses.iter().map(|id| reader(*id, program)).collect();
        let Some(ops) = sites.filter(|ops| !ops.is_empty()) else { continue };
        // Blocks that share their weights have one module for all.
        let distinct = file.uses.iter().all(|id| id.layer == file.uses[0].layer);
        if !distinct || !ops.iter().all(|op| is_whole_module(op)) {
            continue;
        }
        let widths: Vec<usize> = ops.iter().map(|op| op.width * op.heads.max(1)).collect();
        let of = |(index, op): (usize, &&Op)| {
            let part = Part { index, widths: widths.clone(), rounds: file.rounds };
            (op.site.clone(), (ops.len() > 1).then_some(part))
        };
        found.insert(path.to_string(), ops.iter().enumerate().map(of).collect());
    }
    for layer in 0..program.n_layers() {
        for (path, site) in containers(files, layer, family) {
            if program.op_of(&site).is_some() {
                found.entry(path).or_insert_with(|| vec![(site, None)]);
            }
        }
    }
    found
}

/// The first op that reads a weight: what the module that holds it computes.
pub fn reader(id: WeightId, program: &Program) -> Option<&Op> {
    program.ops.iter().find(|op| op.weights.contains(&id))
}

/// Whether an op computes what a module does and nothing more: factors and bounds are applied outside of modules.
fn is_whole_module(op: &Op) -> bool {
    match &op.kernel {
        Kernel::Embed { scale, masks } => *scale == 1.0 && masks.is_none(),
        Kernel::PositionEmbed | Kernel::TypeEmbed | Kernel::Gain { .. } | Kernel::Output => true,
        // The module multiplies by a gate, too.
        Kernel::HeadNorm { .. } if op.part == Some(program::Part::MixNorm) => false,
        Kernel::Linear { clip, factor, .. } => clip.is_none() && *factor == 1.0,
        Kernel::HeadNorm { clip, .. } => clip.is_none(),
        Kernel::Unembed { project, scale, softcap } => !project && *scale == 1.0 && softcap.is_none(),
        Kernel::PooledLinear(_) | Kernel::VectorLinear => true,
        _ => false,
    }
}

/// The modules around those with weights: the block itself, its attention, its MLP, if these give what a site is.
fn containers(files: &[FileTensor], layer: usize, family: &str) -> Vec<(String, String)> {
    let in_block = |file: &&FileTensor| {
        let here = |id: &WeightId| id.layer == Some(layer as u16) && id.stack == Stack::Main;
        !file.uses.is_empty() && file.uses.iter().all(here)
    };
    let names: Vec<&str> = files.iter().filter(in_block).map(|file| file.name.as_str()).collect();
    let number = layer.to_string();
    let block = names.first().and_then(|first| {
        let parts: Vec<&str> = first.split('.').collect();
        let end = parts.iter().position(|part| *part == number)?;
        Some(parts[..=end].join("."))
    });
    let Some(block) = block.filter(|block| names.iter().all(|name| name.starts_with(&format!("{block}.")))) else {
        return Vec::new();
    };
    let mut found = vec![(block.clone(), program::Part::ResidPost.site(layer))];
    if ADDS_RESIDUAL.contains(&family) {
        return found;
    }
    let holder = |role: Role| {
        let id = WeightId::block(layer, role);
        let file = files.iter().find(|file| file.uses.contains(&id))?;
        let module = file.name.rsplit_once('.')?.0;
        Some(module.rsplit_once('.')?.0.to_string())
    };
    // A module that holds input and output gives what the output gives.
    let (attn, mixer, mlp) = (program::Part::AttnOutput, program::Part::MixOutput, program::Part::MlpOutput);
    for (first, last, part) in [
        (Role::W_Q, Role::W_O, attn),
        (Role::W_DKV, Role::W_O, attn),
        (Role::W_in, Role::W_out, mlp),
        (Role::MixV, Role::MixO, mixer),
        (Role::MixX, Role::MixO, mixer),
    ] {
        if let (Some(a), Some(b)) = (holder(first), holder(last))
            && a == b
            && a != block
        {
            found.push((a, part.site(layer)));
        }
    }
    found
}
