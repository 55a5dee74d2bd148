//! From what was typed to the name of a site.
//!
//! The same value has many spellings: canonical (`blocks.5.attn.pattern`), short (`L5.attn.pattern`, `L-1.mlp.post`),
//! TransformerLens (`blocks.5.attn.hook_pattern`), the checkpoint's module path (`transformer.h.5.attn.c_proj`), a head
//! (`L5H3`), a block of an encoder besides a decoder (`E5.attn.pattern`, `encoder.blocks.5.attn.pattern`), or relative to the block at the cursor (`attn.z`). Everything above this layer sees the canonical one
//! only.

use super::{LangError, Result, SiteRef, Span};
use crate::model::dictionary::Stage;
use crate::model::role::{ENCODER, Stack};
use crate::model::site_name::{BLOCKS, InBlock, in_block};

/// The names of one program, which is all that resolution needs of it.
pub trait SiteTable {
    fn n_layers(&self) -> usize;
    /// The blocks of an encoder besides a decoder.
    fn encoder_layers(&self) -> usize {
        0
    }
    /// The number of heads of these.
    fn encoder_heads(&self) -> usize {
        0
    }
    /// The number of attention heads of a block; `None` if it has no attention.
    fn n_heads(&self, layer: usize) -> Option<usize>;
    /// The sites that ops produce, in program order.
    fn names(&self) -> &[String];
    /// The sites that are computed when asked for, such as `blocks.0.attn.result`: readable, but no op produces them.
    fn on_request(&self) -> &[String] {
        &[]
    }
    /// The modules, in program order: `blocks.5`, `blocks.5.attn`.
    fn modules(&self) -> &[String];
    /// The site that has another name: the output of a module, by its path in the checkpoint; a value of a dictionary, by
    /// the site that it is behind.
    fn alias(&self, path: &str) -> Option<String>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// A value that an op produces.
    Site,
    /// A value that is computed when asked for.
    OnRequest,
    Module,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub name: String,
    pub kind: NameKind,
    /// The head, if it was spelled `L5H3`.
    pub head: Option<usize>,
}

/// A canonical spelling, whether or not anything has that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelling {
    /// The canonical spelling; still without the block when it was relative.
    pub text: String,
    pub layer: Option<usize>,
    pub head: Option<usize>,
    /// Whether the layer is one of the encoder besides a decoder.
    pub encoder: bool,
}

/// Rewrites layer signs and TransformerLens names. The only error is a layer the model does not have.
pub fn canonical(text: &str, table: &dyn SiteTable, span: Span) -> Result<Spelling> {
    let of_encoder = text.strip_prefix(ENCODER).filter(|rest| rest.starts_with(BLOCKS));
    let mut parts = of_encoder.unwrap_or(text).split('.');
    let first = parts.next().unwrap_or_default();
    let mut rest: Vec<&str> = parts.collect();
    let mut head = None;
    let mut layer = None;
    let short = short_layer(first, &['L', 'b']).filter(|_| of_encoder.is_none());
    let of_short = short_layer(first, &['E']).filter(|_| table.encoder_layers() > 0);
    let encoder = of_encoder.is_some() || of_short.is_some();
    let n_layers = if encoder { table.encoder_layers() } else { table.n_layers() };
    if let Some((number, chosen)) = short.or(of_short) {
        layer = Some(layer_index(number, n_layers, span)?);
        head = chosen.filter(|_| rest.is_empty());
        if head.is_some() {
            rest = vec!["attn", "z"];
        } else if chosen.is_some() {
            return Ok(Spelling { text: text.to_string(), layer, head: None, encoder });
        }
    } else if first == "blocks" && rest.first().is_some_and(|n| is_integer(n)) {
        layer = Some(layer_index(rest.remove(0), n_layers, span)?);
    } else {
        rest.insert(0, first);
    }
    let mut name: Vec<String> = layer.map(|l| vec!["blocks".to_string(), l.to_string()]).unwrap_or_default();
    for part in rest {
        let part = part.strip_prefix("hook_").unwrap_or(part);
        match part {
            "attn_scores" if name.last().is_some_and(|n| n == "attn") => name.push("scores".to_string()),
            "attn_scores" => name.extend(["attn".to_string(), "scores".to_string()]),
            part => name.push(Stage::of_hook(part).map_or(part, |stage| stage.name()).to_string()),
        }
    }
    let prefix = if encoder { ENCODER } else { "" };
    Ok(Spelling { text: format!("{prefix}{}", name.join(".")), layer, head, encoder })
}

/// The layer and the head of `L5`, `b5`, `L-1`, `L5H3`, with one of these letters.
fn short_layer<'a>(part: &'a str, letters: &[char]) -> Option<(&'a str, Option<usize>)> {
    let number = part.strip_prefix(letters)?;
    match number.split_once('H') {
        Some((layer, head)) if is_integer(layer) => Some((layer, Some(head.parse().ok()?))),
        _ if is_integer(number) => Some((number, None)),
        _ => None,
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn layer_index(number: &str, n_layers: usize, span: Span) -> Result<usize> {
    let layer = number.parse::<i64>().ok().and_then(|n| if n < 0 { (n_layers as i64).checked_add(n) } else { Some(n) });
    let layer = layer.and_then(|l| usize::try_from(l).ok()).filter(|&l| l < n_layers);
    layer.ok_or_else(|| LangError::new(format!("no layer {number}: model has {}", extent(n_layers)), span))
}

/// `0..31`, as ranges of existing things are written in messages.
pub(super) fn extent(count: usize) -> String {
    match count {
        0 => "none".to_string(),
        1 => "only 0".to_string(),
        n => format!("0..{}", n - 1),
    }
}

/// The site or module that `site.text` names, `block` being the one at the cursor.
///
/// A canonical name always means itself; then come other spellings, then names relative to the block, then module paths
/// of the checkpoint. The run and the pass of `site` are left to the caller, who chose `table` by them.
pub fn resolve(site: &SiteRef, table: &dyn SiteTable, block: Option<usize>) -> Result<Resolved> {
    let found = |name: &str| kind_of(name, table).map(|kind| Resolved { name: name.to_string(), kind, head: None });
    if let Some(found) = found(&site.text) {
        return Ok(found);
    }
    let spelling = canonical(&site.text, table, site.span)?;
    let relative = block.filter(|_| spelling.layer.is_none()).map(|b| in_block(b, &spelling.text));
    let alias = || table.alias(&site.text).or_else(|| table.alias(&spelling.text)).and_then(|name| found(&name));
    match found(&spelling.text).or_else(|| relative.and_then(|name| found(&name))).or_else(alias) {
        Some(mut resolved) => {
            if let (Some(head), Some(layer)) = (spelling.head, spelling.layer) {
                resolved.head = Some(match spelling.encoder {
                    true => encoder_head(head, layer, table, site.span)?,
                    false => head_index(head as i64, layer, table, site.span)?,
                });
            }
            Ok(resolved)
        }
        None => Err(unknown(&site.text, &spelling, site.span, table, block)),
    }
}

/// The head with this number, negative ones counted from the last, if block `layer` has it.
pub(super) fn head_index(head: i64, layer: usize, table: &dyn SiteTable, span: Span) -> Result<usize> {
    let count = table.n_heads(layer).unwrap_or_default();
    let wanted = if head < 0 { head + count as i64 } else { head };
    usize::try_from(wanted).ok().filter(|&h| h < count).ok_or_else(|| {
        LangError::new(format!("no head {head}: {} has heads {}", in_block(layer, "attn"), extent(count)), span)
    })
}

fn encoder_head(head: usize, layer: usize, table: &dyn SiteTable, span: Span) -> Result<usize> {
    let count = table.encoder_heads();
    let known = extent(count);
    let error =
        || LangError::new(format!("no head {head}: {ENCODER}{} has heads {known}", in_block(layer, "attn")), span);
    if head < count { Ok(head) } else { Err(error()) }
}

fn kind_of(name: &str, table: &dyn SiteTable) -> Option<NameKind> {
    let within = |names: &[String]| names.iter().any(|n| n == name);
    if within(table.names()) {
        Some(NameKind::Site)
    } else if within(table.on_request()) {
        Some(NameKind::OnRequest)
    } else {
        within(table.modules()).then_some(NameKind::Module)
    }
}

/// The number in `blocks.5` and `blocks.5.attn.z`; none for what is in an encoder besides a decoder.
pub fn layer_of(name: &str) -> Option<usize> {
    InBlock::parse(name).filter(|at| at.stack == Stack::Main).map(|at| at.layer)
}

fn unknown(typed: &str, spelling: &Spelling, span: Span, table: &dyn SiteTable, block: Option<usize>) -> LangError {
    if spelling.layer.is_none() && block.is_none() {
        let in_any = |name: &String| InBlock::parse(name).is_some_and(|at| at.part == spelling.text);
        let somewhere = |names: &[String]| names.iter().any(in_any);
        if somewhere(table.names()) || somewhere(table.modules()) || somewhere(table.on_request()) {
            return LangError::new(format!("{typed} is a name within a block, and the cursor is not in a block"), span)
                .help(format!("say which block: L0.{}", spelling.text));
        }
    }
    if let (Some(layer), Some(_), false) = (spelling.layer, spelling.head, spelling.encoder)
        && layer < table.n_layers()
        && table.n_heads(layer).is_none()
    {
        return LangError::new(format!("no head {typed}: layer {layer} has no attention"), span);
    }
    let near = nearest(spelling, table, block).join(", ");
    LangError::new(format!("no site or module {typed}; nearest: {near}"), span)
}

/// The three existing names most like `wanted`; in the same layer, if it has one.
pub fn nearest(wanted: &Spelling, table: &dyn SiteTable, block: Option<usize>) -> Vec<String> {
    let layer = wanted.layer.or(block).unwrap_or(0);
    let stack = if wanted.encoder { Stack::Encoder } else { Stack::Main };
    let here = |name: &'_ str| {
        InBlock::parse(name).filter(|at| (at.stack, at.layer) == (stack, layer)).map(|at| at.part.len())
    };
    // The part of a name that is in this block, or all of it.
    let part_of = |name: &str| here(name).map_or(0, |part| name.len() - part);
    let query = wanted.text[part_of(&wanted.text)..].to_lowercase();
    let suffix = format!(".{query}");
    let names = [table.names(), table.on_request(), table.modules()].into_iter().flatten();
    let mut scored: Vec<(f64, &String)> = names
        .filter(|name| wanted.layer.is_none() || name.starts_with(ENCODER) == wanted.encoder)
        .filter(|name| InBlock::parse(name).is_none_or(|at| at.layer == layer))
        .map(|name| {
            let part = &name[part_of(name)..];
            let bonus = if part.ends_with(&suffix) { 1.0 } else { 0.0 };
            (bonus + strsim::normalized_damerau_levenshtein(&query, part), name)
        })
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(3).map(|(_, name)| name.clone()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A model with a few sites for each of its blocks, and four heads.
    pub struct Small {
        names: Vec<String>,
        on_request: Vec<String>,
        modules: Vec<String>,
        layers: usize,
    }

    impl Small {
        pub fn new(layers: usize) -> Self {
            let parts = [
                "resid_pre",
                "ln1.normalized",
                "attn.q",
                "attn.k",
                "attn.scores",
                "attn.pattern",
                "attn.z",
                "attn.out",
                "attn_out",
                "resid_mid",
                "mlp.pre",
                "mlp.post",
                "mlp.out",
                "mlp_out",
                "resid_post",
            ];
            let mut names = vec!["tokens".to_string(), "embed".to_string()];
            let mut modules = Vec::new();
            for i in 0..layers {
                names.extend(parts.iter().map(|p| format!("blocks.{i}.{p}")));
                modules.extend(["", ".ln1", ".attn", ".mlp"].iter().map(|p| format!("blocks.{i}{p}")));
            }
            names.extend(["ln_final.normalized", "ln_final.out", "logits"].map(String::from));
            modules.push("ln_final".into());
            let on_request = (0..layers).map(|i| format!("blocks.{i}.attn.result")).collect();
            Self { names, on_request, modules, layers }
        }
    }

    impl SiteTable for Small {
        fn n_layers(&self) -> usize {
            self.layers
        }
        fn n_heads(&self, _: usize) -> Option<usize> {
            Some(4)
        }
        fn names(&self) -> &[String] {
            &self.names
        }
        fn on_request(&self) -> &[String] {
            &self.on_request
        }
        fn modules(&self) -> &[String] {
            &self.modules
        }
        fn alias(&self, path: &str) -> Option<String> {
            let layer = path.strip_prefix("transformer.h.")?.strip_suffix(".attn.c_proj")?;
            Some(format!("blocks.{layer}.attn.out"))
        }
    }

    pub fn named(text: &str) -> SiteRef {
        SiteRef { text: text.into(), run: None, pass: None, span: Span::new(2, 2 + text.len()) }
    }

    fn name(text: &str, block: Option<usize>) -> String {
        resolve(&named(text), &Small::new(32), block).unwrap_or_else(|e| panic!("{text}: {e}")).name
    }

    fn error(text: &str, block: Option<usize>) -> LangError {
        resolve(&named(text), &Small::new(32), block).expect_err(text)
    }

    #[test]
    fn every_spelling_means_the_same_site() {
        for text in [
            "blocks.5.attn.pattern",
            "L5.attn.pattern",
            "b5.attn.pattern",
            "blocks.5.attn.hook_pattern",
            "L-27.attn.pattern",
            "blocks.-27.attn.pattern",
        ] {
            assert_eq!(name(text, None), "blocks.5.attn.pattern");
        }
        assert_eq!(name("blocks.5.hook_resid_pre", None), "blocks.5.resid_pre");
        assert_eq!(name("hook_embed", None), "embed");
        assert_eq!(name("ln_final.hook_normalized", None), "ln_final.normalized");
        assert_eq!(name("blocks.5.attn.hook_attn_scores", None), "blocks.5.attn.scores");
        assert_eq!(name("L5.attn_scores", None), "blocks.5.attn.scores");
        assert_eq!(name("transformer.h.5.attn.c_proj", None), "blocks.5.attn.out");
        assert_eq!(name("L-1.mlp.post", None), "blocks.31.mlp.post");
    }

    #[test]
    fn modules_and_values_on_request_have_their_kinds() {
        let kind = |text| resolve(&named(text), &Small::new(2), None).expect(text).kind;
        assert_eq!(kind("L1"), NameKind::Module);
        assert_eq!(kind("blocks.1.mlp"), NameKind::Module);
        assert_eq!(kind("L1.attn.result"), NameKind::OnRequest);
        assert_eq!(kind("logits"), NameKind::Site);
    }

    #[test]
    fn a_bare_site_means_the_block_at_the_cursor() {
        assert_eq!(name("attn.z", Some(5)), "blocks.5.attn.z");
        assert_eq!(name("hook_resid_post", Some(5)), "blocks.5.resid_post");
        assert_eq!(name("logits", Some(5)), "logits");
        let error = error("attn.z", None);
        assert!(error.message.contains("the cursor is not in a block"), "{error}");
        assert_eq!(error.help.as_deref(), Some("say which block: L0.attn.z"));
    }

    #[test]
    fn a_head_is_a_site_with_a_focus() {
        let resolved = resolve(&named("L5H3"), &Small::new(32), None).expect("exists");
        assert_eq!((resolved.name.as_str(), resolved.head), ("blocks.5.attn.z", Some(3)));
        assert_eq!(error("L0H9", None).message, "no head 9: blocks.0.attn has heads 0..3");
    }

    #[test]
    fn what_does_not_exist_is_said_with_what_does() {
        assert_eq!(error("L40.attn.z", None).message, "no layer 40: model has 0..31");
        assert_eq!(error("L-33", None).message, "no layer -33: model has 0..31");
        let unknown = error("L5.attn.patern", None);
        assert!(
            unknown.message.starts_with("no site or module L5.attn.patern; nearest: blocks.5.attn.pattern, "),
            "{unknown}"
        );
        assert_eq!(unknown.message.matches("blocks.").count(), 3);
        assert!(error("pattern", Some(3)).message.contains("nearest: blocks.3.attn.pattern"));
        assert!(error("logit", None).message.contains("nearest: logits"));
        assert!(error("L99999999999999999999", None).message.starts_with("no layer"));
    }
}
