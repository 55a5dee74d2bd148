//! EleutherAI's sparsify: `cfg.json` and `sae.safetensors`, in a folder that is named for the module.

use std::path::Path;

use super::{Config, Named, Result, Tensors};
use crate::model::dictionary::{Choice, Coding, Found};
use crate::model::role::Role;

pub fn read(folder: &Path) -> Result<Found> {
    let config = Config::json(&folder.join("cfg.json"))?;
    let tensors = Tensors::open(&folder.join("sae.safetensors"))?;
    let k = config.count("k")?.unwrap_or(32);
    let activation = config.text("activation")?.unwrap_or_else(|| "topk".into());
    let choice = match activation.as_str() {
        _ if k == 0 => return Err(config.refused("k", "and no feature would ever be active")),
        "topk" => Choice::TopK(k),
        "groupmax" => Choice::GroupMax(k),
        _ => return Err(config.refused("activation", "and topk and groupmax are read")),
    };
    let transcodes = config.flag("transcode")?.unwrap_or(false);
    let skip = tensors.has("W_skip");
    if config.flag("skip_connection")?.unwrap_or(false) != skip {
        return Err(config.refused("skip_connection", "and W_skip is not there accordingly"));
    }
    let coding = Coding { subtracts: !transcodes, transcodes, skip, ..Coding::plain(choice) };
    let names = Named {
        enc: ("encoder.weight", true),
        dec: ("W_dec", false),
        enc_b: Some("encoder.bias"),
        dec_b: Some("b_dec"),
    };
    let mut found = names.found("sparsify", &tensors, coding)?;
    if let Choice::GroupMax(groups) = choice
        && !found.features.is_multiple_of(groups)
    {
        return Err(config.refused("k", &format!("and {} features are not that many groups", found.features)));
    }
    if skip {
        let shape = [found.width, found.out];
        found.tensors.push((Role::DictSkip, tensors.matrix("W_skip", shape, true, false)?));
    }
    tensors.all_taken()?;
    let module = folder.file_name().and_then(|name| name.to_str()).filter(|name| name.contains('.'));
    if let Some(module) = module {
        // An autoencoder is trained on the output of its module, a transcoder on input and output.
        found.reads = Some(format!("{module}{}", if transcodes { ".input" } else { ".output" }));
        found.writes = Some(format!("{module}.output"));
    }
    Ok(found)
}
