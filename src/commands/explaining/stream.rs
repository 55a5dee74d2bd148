//! `stream`: what attention and MLP of each block write along a direction, block by block.

use super::dla::heading;
use crate::analysis::direct::{Component, Part, Split, direct};
use crate::answer::{Cell, Table};
use crate::commands::explaining::shown::Bars;
use crate::commands::frame::{Done, no_more};
use crate::commands::state::{Call, Console};
use crate::model::site_name::InBlock;

/// What the parts of one block write: its attention, its MLP, and whatever is neither.
#[derive(Clone, Copy, Default)]
struct Block {
    attention: f64,
    mlp: f64,
    other: f64,
}

/// `stream [-target TOKEN [-foil TOKEN]] [-pos P]`.
pub fn stream(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    no_more(&left, "stream -target TOKEN")?;
    let question = console.question(given.value("-pos"), &given)?;
    let found = direct(&mut console.session, question.pos, &question.wanted(), Split::Components)?;
    let title = heading(console, &question, &found);
    let layers = console.session.run.model.spec.n_layers;
    let (mut before, mut blocks, mut after) = (0.0, vec![Block::default(); layers], 0.0);
    for part in &found.parts {
        match layer(part) {
            Some(layer) => add(&mut blocks[layer], part),
            None if before_blocks(part) => before += part.share,
            None => after += part.share,
        }
    }
    // All three bars have one scale, so that their widths can be compared.
    let mut total = before;
    let mut totals = vec![total];
    for block in &blocks {
        total += block.attention + block.mlp + block.other;
        totals.push(total);
    }
    let written = blocks.iter().flat_map(|block| [block.attention, block.mlp]);
    let (bars, bands) = (Bars::of(totals.iter().copied().chain([total + after])), Bars::of(written));
    let spec = &console.session.run.model.spec;
    let mixer = match spec.attention_layers() == layers {
        true if spec.encoder.is_some() => "Attention and cross",
        true => "Attention",
        false => "Attention or mixer",
    };
    let mut table = Table::new(["Block", "Stream", mixer, "", "MLP", "", ""]).title(title);
    let (none, empty) = (|| Cell::Empty, String::new);
    table.push(("embed", before, none(), empty(), none(), empty(), bars.bar(before)));
    for (layer, block) in blocks.iter().enumerate() {
        let total = totals[layer + 1];
        let (attention, mlp) = (Cell::from(block.attention), Cell::from(block.mlp + block.other));
        let bands = (bands.bar(block.attention), bands.bar(block.mlp + block.other));
        table.push((format!("L{layer}"), total, attention, bands.0, mlp, bands.1, bars.bar(total)));
    }
    table.push(("final", total + after, none(), empty(), none(), empty(), bars.bar(total + after)));
    Ok(table.into())
}

fn add(block: &mut Block, part: &Part) {
    let place = match &part.component {
        Component::Head(..) => &mut block.attention,
        Component::Site(site) | Component::Bias(site)
            if [".attn", ".cross", ".mixer"].iter().any(|name| site.contains(name)) =>
        {
            &mut block.attention
        }
        Component::Site(site) | Component::Bias(site) if site.contains("mlp") => &mut block.mlp,
        _ => &mut block.other,
    };
    *place += part.share;
}

/// The block that a part belongs to.
fn layer(part: &Part) -> Option<usize> {
    let of_site = |site: &str| InBlock::parse(site).map(|at| at.layer);
    match &part.component {
        Component::Head(layer, _) => Some(*layer),
        Component::Site(site) | Component::Bias(site) => part.layer.or_else(|| of_site(site)),
    }
}

/// Whether a part outside the blocks comes before them.
fn before_blocks(part: &Part) -> bool {
    matches!(&part.component, Component::Site(site) | Component::Bias(site) if site.contains("embed"))
}
