//! From what a file calls a value to the site of a model, whatever tool the name is of.

use crate::debugger::{Error, Result, Session};
use crate::lang::site::{NameKind, resolve};
use crate::lang::{SiteRef, SiteTable, Span};
use crate::model::dictionary::{Dictionary, Found};
use crate::model::site_name::{InBlock, in_block};
use crate::tensor::Axis;

/// Where the user wants a dictionary: the site that it reads, and the one that it rebuilds if that is another.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub reads: Option<String>,
    pub writes: Option<String>,
}

/// Gives a dictionary its place in the model of a session: at the sites that are wanted, else at those that its file
/// names.
///
/// # Errors
/// If the sites are not known, the model does not have them, their widths are others, or what is read comes after what
/// is rebuilt.
pub fn place(session: &Session, found: Found, name: &str, number: usize, wanted: &Wanted) -> Result<Dictionary> {
    let table = &*session.run.names;
    let named = |text: &Option<String>| -> Result<Option<String>> {
        let Some(text) = text else { return Ok(None) };
        let site = candidates(text).into_iter().find_map(|text| site(&text, table));
        site.map(Some).ok_or_else(|| {
            Error::refused(format!("{} is of {text}, and the model has no such site; say which: at SITE", found.path))
        })
    };
    let unknown = || {
        Error::refused(format!(
            "{} does not say which value it is of: add \"at SITE\", such as at L5.resid_post",
            found.path
        ))
    };
    let (input, output) = match (&wanted.reads, &wanted.writes) {
        (None, writes) => {
            let input = named(&found.reads)?.ok_or_else(unknown)?;
            let output = match writes {
                Some(site) => site.clone(),
                None => named(&found.writes)?.unwrap_or_else(|| input.clone()),
            };
            (input, output)
        }
        (Some(reads), Some(writes)) => (reads.clone(), writes.clone()),
        (Some(reads), None) if found.coding.transcodes => {
            let output = named(&found.writes)?.ok_or_else(|| {
                Error::refused("a transcoder rebuilds another value than it reads: at SITE to SITE".to_string())
            })?;
            (reads.clone(), output)
        }
        (Some(reads), None) => (reads.clone(), reads.clone()),
    };
    check(session, &found, [&input, &output])?;
    let layer = InBlock::parse(&output).map_or(0, |at| at.layer);
    let path = in_block(layer, name);
    let taken = session.run.program.module_of(&path).is_some() || session.run.program.op_of(&path).is_some();
    if taken {
        return Err(Error::refused(format!("{path} exists already: give another name")));
    }
    let dictionary = found.placed(name, number, layer, [input, output]);
    Ok(dictionary)
}

fn check(session: &Session, found: &Found, [input, output]: [&String; 2]) -> Result<()> {
    let program = &session.run.program;
    let op = |site: &String| -> Result<usize> {
        let op = program.op_of(site).ok_or_else(|| Error::refused(format!("no op has the value {site}")))?;
        let axes = &program.ops[op].axes;
        let fits = matches!(axes[..], [Axis::Row, Axis::Pos, _] | [Axis::Row, Axis::Pos, Axis::Head, Axis::Dim]);
        if program.ops[op].layer.is_none() || !fits || program.is_cached(op) || program.is_carried(op) {
            return Err(Error::refused(format!(
                "{site} is not a value of positions in a block that a dictionary can be of"
            )));
        }
        Ok(op)
    };
    let (x, y) = (op(input)?, op(output)?);
    if x > y {
        return Err(Error::refused(format!("{input}, which is read, comes after {output}, which is rebuilt")));
    }
    let width = |op: usize| program.ops[op].heads * program.ops[op].width;
    for (site, op, wanted) in [(input, x, found.width), (output, y, found.out)] {
        if width(op) != wanted {
            return Err(Error::refused(format!(
                "{} is of values {wanted} wide, and {site} is {} wide: it is of another model or site",
                found.path,
                width(op)
            )));
        }
    }
    Ok(())
}

/// The site of that name.
fn site(text: &str, table: &dyn SiteTable) -> Option<String> {
    let site = SiteRef { text: text.to_owned(), run: None, pass: None, span: Span::at(0) };
    let found = resolve(&site, table, None).ok()?;
    (found.kind == NameKind::Site && found.head.is_none()).then_some(found.name)
}

/// What a name can stand for, the likeliest first: names of TransformerLens as they are, and module paths of
/// transformers by the part that their input or output is.
fn candidates(text: &str) -> Vec<String> {
    let Some((layer, rest)) = within_block(text) else { return vec![text.to_owned()] };
    let parts: &[&str] = match rest.as_str() {
        "" | "output" => &["resid_post"],
        "input" => &["resid_pre"],
        "hook_mlp_in" => &["resid_mid"],
        "mlp.hook_in" | "mlp.input" | "mlp.hook_input" => &["ln2.out"],
        "mlp" | "mlp.output" => &["mlp.out", "mlp_out"],
        "pre_feedforward_layernorm.output" => &["ln2.out"],
        "post_feedforward_layernorm.output" => &["mlp_post_ln.out"],
        "post_attention_layernorm.output" => &["attn_post_ln.out", "ln2.out"],
        "input_layernorm.output" => &["ln1.out"],
        "self_attn.o_proj.input" | "attn.c_proj.input" => &["attn.z"],
        "self_attn" | "self_attn.output" | "attn" | "attn.output" | "attention" | "attention.output" => {
            &["attn.out", "attn_out"]
        }
        _ => return vec![text.to_owned()],
    };
    parts.iter().map(|part| in_block(layer, part)).collect()
}

/// The block of `model.layers.5.mlp`, `h.5`, `blocks.5.hook_mlp_in`, and what comes after it.
fn within_block(text: &str) -> Option<(usize, String)> {
    let parts: Vec<&str> = text.split('.').collect();
    let at = parts.iter().position(|part| matches!(*part, "layers" | "h" | "blocks"))?;
    Some((parts.get(at + 1)?.parse().ok()?, parts[at + 2..].join(".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_tools_are_parts_of_blocks() {
        let first = |text: &str| candidates(text)[0].clone();
        assert_eq!(first("blocks.5.hook_resid_post"), "blocks.5.hook_resid_post");
        assert_eq!(first("model.layers.5.pre_feedforward_layernorm.output"), "blocks.5.ln2.out");
        assert_eq!(first("layers.3.mlp.input"), "blocks.3.ln2.out");
        assert_eq!(first("h.2.output"), "blocks.2.resid_post");
        assert_eq!(first("blocks.7.mlp.hook_in"), "blocks.7.ln2.out");
        assert_eq!(first("model.layers.11.self_attn.o_proj.input"), "blocks.11.attn.z");
        assert_eq!(first("logits"), "logits");
    }
}
