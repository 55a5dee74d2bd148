//! A run that was written elsewhere: values under the names of sites, and no program.

use std::collections::BTreeMap;
use std::path::Path;

use super::layout::{Part, fit};
use super::paths::outputs;
use super::processed::{Normed, is_stream, normed, values_folded, values_have_bias, without_mean};
use super::{Change, DumpError, Fitted, Processed, Result, Tensors};
use crate::lang::site::{self, NameKind};
use crate::lang::{SiteRef, SiteTable, Span};
use crate::model::Weights;
use crate::program::{Kernel, Op, Program};

/// Ends of names that some tools write after a module's path.
const ENDS: [&str; 4] = [".output", ".output.0", ".forward.output.0", ".forward.0.output.0"];

/// Values of the residual stream that are looked at, to see whether they have means.
const STREAMS: usize = 4;

/// Where the value of a site is in the file.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    tensor: String,
    part: Option<Part>,
}

pub struct Dump {
    tensors: Tensors,
    places: BTreeMap<String, Place>,
    unknown: Vec<String>,
    processed: Processed,
}

#[derive(Default)]
pub struct Reading<'a> {
    /// A prefix of names that sites do not have.
    pub prefix: &'a str,
    /// Names in the file, and the sites that they are; `*` is a number in both.
    pub map: Vec<(String, String)>,
}

impl Dump {
    pub fn open(
        path: &Path,
        reading: &Reading<'_>,
        (program, names, weights, family): (&Program, &dyn SiteTable, &Weights, &str),
    ) -> Result<Dump> {
        let tensors = Tensors::open(path)?;
        let modules = outputs(weights.files(), program, family);
        let mut dump = Dump { tensors, places: BTreeMap::new(), unknown: Vec::new(), processed: Processed::default() };
        let mut aside: Vec<(String, Vec<(String, Option<Part>)>)> = Vec::new();
        for name in dump.tensors.names().to_vec() {
            let Some(text) = name.strip_prefix(reading.prefix) else { continue };
            if let Some(site) = mapped(text, &reading.map) {
                let found = named(&site, program, names);
                let found = found.ok_or_else(|| format!("the map sends {text} to {site}, which is not a site"))?;
                dump.places.insert(found, Place { tensor: name, part: None });
                continue;
            }
            match named(text, program, names) {
                Some(site) => _ = dump.places.entry(site).or_insert(Place { tensor: name, part: None }),
                None => match module_of(text, &modules) {
                    Some(outputs) => aside.push((name, outputs.clone())),
                    None => dump.unknown.push(name),
                },
            }
        }
        // The name of a site takes precedence over the path of a module.
        for (name, outputs) in aside {
            for (site, part) in outputs {
                dump.places.entry(site).or_insert_with(|| Place { tensor: name.clone(), part });
            }
        }
        if dump.places.is_empty() {
            let some: Vec<&str> = dump.tensors.names().iter().take(3).map(String::as_str).collect();
            let path = dump.tensors.path();
            return Err(DumpError::Unusable(format!(
                "no tensor of {path} is named as a site or a module: it has {} ...\n-prefix TEXT takes a beginning off their \
                 names; load-dump FILE as NAME map MAP.json says which is which",
                some.join(", ")
            )));
        }
        if dump.places.values().any(|place| place.tensor.contains("hook_")) {
            dump.processed = dump.looked_through(program, weights)?;
        }
        Ok(dump)
    }

    /// What is missing in a cache of TransformerLens. Older versions call the output of a norm `hook_normalized`, gain
    /// included: it is moved to its site.
    fn looked_through(&mut self, program: &Program, weights: &Weights) -> Result<Processed> {
        let mut found = Processed::default();
        // What one norm shows is assumed of all of them.
        let (mut under_bare, mut under_out) = (None, None);
        for gain in program.ops.iter().filter(|op| matches!(op.kernel, Kernel::Gain { .. })) {
            let Some(bare) = gain.inputs.first().map(|&input| program.ops[input].site.clone()) else { continue };
            let of = |place: &Place| normed(&self.tensors.read(&place.tensor)?.data, gain, program, weights);
            if let Some(place) = self.places.get(&gain.site).filter(|_| under_out.is_none()) {
                under_out = of(place)?;
            }
            if let Some(place) = self.places.get(&bare).filter(|_| under_bare.is_none()) {
                under_bare = of(place)?;
            }
            if under_bare == Some(Normed::WithGain)
                && let Some(place) = self.places.remove(&bare)
            {
                self.places.entry(gain.site.clone()).or_insert(place);
            }
        }
        found.gains = under_out == Some(Normed::Bare);
        let of = |site: &str| self.places.get(site).map(|place| self.tensors.read(&place.tensor)).transpose();
        // What LayerNorm reads needs no mean; another norm would miss it.
        if program.ops.iter().any(|op| op.kernel == Kernel::LayerNormNormalized) {
            let mut stream = self.places.keys().filter(|site| is_stream(site)).take(STREAMS).peekable();
            found.stream = stream.peek().is_some();
            for site in stream {
                found.stream &= of(site)?.is_some_and(|value| without_mean(&value));
            }
        }
        found.logits = of("logits")?.is_some_and(|value| without_mean(&value));
        if !values_have_bias(program, weights)? {
            return Ok(found);
        }
        // Where the output of attention does not tell, what else was done does.
        found.values = found.any();
        for op in program.ops.iter().filter(|op| op.kernel == Kernel::Output) {
            let added = op.site.replace(".attn.out", ".attn_out");
            let mixed = op.inputs.first().map(|&input| &program.ops[input]).filter(|op| op.kernel == Kernel::Mix);
            let out = of(&op.site)?.map_or_else(|| of(&added), |out| Ok(Some(out)))?;
            let (Some(mixed), Some(out)) = (mixed, out) else { continue };
            let Some(z) = of(&mixed.site)? else { continue };
            let (heads, features) = (mixed.heads * mixed.width, op.width);
            let last = (z.data.len().checked_sub(heads), out.data.len().checked_sub(features));
            let (Some(z_at), Some(out_at)) = last else { continue };
            let pair = (&z.data[z_at..], &out.data[out_at..]);
            if let Some(folded) = values_folded(pair, found.stream, op, program, weights)? {
                found.values = folded;
                break;
            }
        }
        Ok(found)
    }

    /// What TransformerLens has taken out of the values, if it wrote them.
    pub fn processed(&self) -> Processed {
        self.processed
    }

    pub fn path(&self) -> &str {
        self.tensors.path()
    }

    pub fn sites(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// The writer's metadata under a key.
    pub fn note(&self, key: &str) -> Option<String> {
        self.tensors.note(key)
    }

    /// The value of an op for one row, laid out as it is here; `None` if the file has none.
    pub fn value(&self, op: &Op, wanted: &[usize], row: usize) -> Result<Option<Result<Fitted, String>>> {
        let Some(place) = self.places.get(&op.site) else { return Ok(None) };
        let mut found = self.tensors.read(&place.tensor)?;
        let mut changes = Vec::new();
        if let Some(part) = &place.part {
            let Some(cut) = part.cut(&found) else {
                let (shape, widths) = (&found.shape, &part.widths);
                return Ok(Some(Err(format!("{shape:?} in the file, which is not {widths:?} side by side"))));
            };
            found = cut;
            changes.push(Change::Split);
        }
        Ok(Some(fit(found, wanted, &op.axes[1..], row).map(|fitted| {
            changes.extend(fitted.changes);
            Fitted { found: fitted.found, changes }
        })))
    }
}

/// The site of that name, if it has one that an op computes.
fn named(text: &str, program: &Program, names: &dyn SiteTable) -> Option<String> {
    let wanted = SiteRef { text: text.to_string(), run: None, pass: None, span: Span::at(0) };
    let found = site::resolve(&wanted, &Canonical(names), None).ok()?;
    let site = match found.kind {
        NameKind::Site => found.name,
        NameKind::OnRequest => return None,
        // What a module gives.
        NameKind::Module => {
            let (path, last) = found.name.rsplit_once('.').unwrap_or(("", &found.name));
            match last {
                "attn" => format!("{path}.attn_out"),
                "mlp" => format!("{path}.mlp_out"),
                number if number.parse::<usize>().is_ok() => format!("{}.resid_post", found.name),
                _ => format!("{}.out", found.name),
            }
        }
    };
    (found.head.is_none() && program.op_of(&site).is_some()).then_some(site)
}

/// Names without the paths of the checkpoint: what their modules give is looked up in [`outputs`].
struct Canonical<'a>(&'a dyn SiteTable);

impl SiteTable for Canonical<'_> {
    fn n_layers(&self) -> usize {
        self.0.n_layers()
    }

    fn n_heads(&self, layer: usize) -> Option<usize> {
        self.0.n_heads(layer)
    }

    fn names(&self) -> &[String] {
        self.0.names()
    }

    fn modules(&self) -> &[String] {
        self.0.modules()
    }

    fn alias(&self, _path: &str) -> Option<String> {
        None
    }
}

type Modules = std::collections::HashMap<String, Vec<(String, Option<Part>)>>;

/// What a module gives, by its path, with or without the names of what is around it.
fn module_of<'a>(text: &str, modules: &'a Modules) -> Option<&'a Vec<(String, Option<Part>)>> {
    let text = ENDS.iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text);
    let text = text.strip_prefix("module.").unwrap_or(text);
    if let Some(found) = modules.get(text) {
        return Some(found);
    }
    // `layers.0.mlp` of a model whose checkpoint says `model.layers.0.mlp`, or the other way round.
    let ends = |longer: &str, shorter: &str| longer.strip_suffix(shorter).is_some_and(|rest| rest.ends_with('.'));
    let mut close = modules.iter().filter(|(path, _)| ends(path, text) || ends(text, path));
    let only = close.next()?;
    close.next().is_none().then_some(only.1)
}

/// The site that a map gives for a name.
fn mapped(name: &str, map: &[(String, String)]) -> Option<String> {
    map.iter().find_map(|(pattern, site)| {
        let mut numbers = matched(name, pattern)?.into_iter();
        let mut parts = site.split('*');
        let first = parts.next()?.to_string();
        Some(parts.fold(first, |text, part| text + numbers.next().unwrap_or_default() + part))
    })
}

/// The numbers in place of the stars of a pattern.
fn matched<'a>(name: &'a str, pattern: &str) -> Option<Vec<&'a str>> {
    let mut parts = pattern.split('*');
    let mut rest = name.strip_prefix(parts.next()?)?;
    let mut numbers = Vec::new();
    for part in parts {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        numbers.push(&rest[..digits]);
        rest = rest[digits..].strip_prefix(part)?;
    }
    rest.is_empty().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_of_a_map_stand_for_numbers() {
        let map = vec![("decoder.*.ffn".to_string(), "L*.mlp_out".to_string()), ("head".into(), "logits".into())];
        assert_eq!(mapped("decoder.12.ffn", &map).as_deref(), Some("L12.mlp_out"));
        assert_eq!(mapped("head", &map).as_deref(), Some("logits"));
        assert_eq!(mapped("decoder.x.ffn", &map), None);
        assert_eq!(mapped("decoder.1.ffn.more", &map), None);
    }
}
