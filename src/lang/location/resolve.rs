//! [`Location`]s to [`Place`]s: names to what exists in a program.

use super::{Choice, Location, Place, Target, What, When};
use crate::lang::site::{NameKind, head_index, layer_of, resolve as resolve_name};
use crate::lang::{LangError, Result, SiteRef, SiteTable, Span, Spanned, glob};
use regex::Regex;

pub(super) fn compile(pattern: &str, span: Span) -> Result<Regex> {
    Regex::new(pattern).map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string();
        LangError::new(format!("this regular expression does not compile: {reason}"), span)
    })
}

/// The places that `location` names in the program of `table`, in program order; at least one. `block` is the one at
/// the cursor.
pub fn resolve(location: &Location, table: &dyn SiteTable, block: Option<usize>) -> Result<Vec<Place>> {
    let mut head = None;
    let targets = match &location.what {
        What::Offset(ops) => vec![Target::Offset(*ops)],
        What::Pass(pass) => vec![Target::Pass(*pass)],
        What::Name(name) => {
            let site = SiteRef { text: name.value.clone(), run: None, pass: None, span: name.span };
            let resolved = resolve_name(&site, table, block)?;
            head = resolved.head;
            vec![match resolved.kind {
                NameKind::Site => Target::Site(resolved.name),
                NameKind::Module => Target::Module(resolved.name),
                NameKind::OnRequest => {
                    let message = format!("{} is computed when asked for, so nothing stops there", resolved.name);
                    return Err(LangError::new(message, name.span));
                }
            }]
        }
        What::Glob(pattern) => {
            let (names, modules) = glob::matches(&pattern.value, pattern.span, table, block)?;
            names.into_iter().map(if modules { Target::Module } else { Target::Site }).collect()
        }
        What::Regex(pattern) => {
            let regex = compile(&pattern.value, pattern.span)?;
            let found: Vec<Target> =
                table.names().iter().filter(|n| regex.is_match(n)).cloned().map(Target::Site).collect();
            if found.is_empty() {
                return Err(LangError::new(format!("no site matches /{}/", pattern.value), pattern.span));
            }
            found
        }
    };
    targets.into_iter().map(|target| place(target, location, head, table)).collect()
}

/// The sites that `location` names, in program order, for commands that look at values: a module means every site in
/// it, and a site that is computed when asked for may be named.
pub fn resolve_sites(location: &Location, table: &dyn SiteTable, block: Option<usize>) -> Result<Vec<String>> {
    if let What::Name(name) = &location.what {
        let site = SiteRef { text: name.value.clone(), run: None, pass: None, span: name.span };
        let resolved = resolve_name(&site, table, block)?;
        if resolved.kind == NameKind::OnRequest {
            return Ok(vec![resolved.name]);
        }
    }
    let mut wanted = Vec::new();
    for place in resolve(location, table, block)? {
        match place.target {
            Target::Site(name) => wanted.push(name),
            Target::Module(name) => {
                let prefix = format!("{name}.");
                wanted.extend(table.names().iter().filter(|n| n.starts_with(&prefix)).cloned());
            }
            Target::Offset(_) | Target::Pass(_) => {
                return Err(LangError::new("a site is needed here, not a distance or a pass", location.span));
            }
        }
    }
    Ok(wanted)
}

fn place(target: Target, location: &Location, mut head: Option<usize>, table: &dyn SiteTable) -> Result<Place> {
    let (usual, layer) = match &target {
        Target::Site(name) => (When::After, layer_of(name)),
        Target::Module(name) => (When::Before, layer_of(name)),
        Target::Offset(_) | Target::Pass(_) => (When::Before, None),
    };
    if let Some(Spanned { value: Choice::Index(wanted), span }) = &location.head {
        let layer = layer.ok_or_else(|| LangError::new("head= needs a site or module of a block", *span))?;
        head = Some(head_index(*wanted, layer, table, *span)?);
    }
    let row = match &location.row {
        Some(Spanned { value: Choice::Index(row), .. }) => Some(*row),
        _ => None,
    };
    let pos = location.pos.as_ref().map(|pos| pos.value.clone());
    let (when, run, pass) = (location.when.unwrap_or(usual), location.run.clone(), location.pass);
    Ok(Place { target, when, run, pass, head, pos, row })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::parse_location;
    use crate::lang::site::tests::Small;

    fn places(text: &str, block: Option<usize>) -> Vec<Place> {
        let location = parse_location(text, 0).unwrap_or_else(|e| panic!("{text}: {e}"));
        resolve(&location, &Small::new(32), block).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn one(text: &str) -> Place {
        places(text, Some(2)).remove(0)
    }

    fn fails(text: &str) -> LangError {
        let location = parse_location(text, 0).unwrap_or_else(|e| panic!("{text}: {e}"));
        resolve(&location, &Small::new(32), None).expect_err(text)
    }

    #[test]
    fn sites_stop_after_and_modules_before() {
        assert_eq!(
            (one("L5.attn.pattern").target, one("L5.attn.pattern").when),
            (Target::Site("blocks.5.attn.pattern".into()), When::After)
        );
        assert_eq!(
            (one("L5.attn").target, one("L5.attn").when),
            (Target::Module("blocks.5.attn".into()), When::Before)
        );
        assert_eq!(one("-before L5.attn.pattern").when, When::Before);
        assert_eq!(one("-after L5").when, When::After);
        assert_eq!(one("-3").target, Target::Offset(-3));
        assert_eq!(one("#2").target, Target::Pass(2));
        assert_eq!(one("attn.z").target, Target::Site("blocks.2.attn.z".into()));
    }

    #[test]
    fn heads_and_positions_are_carried_along() {
        assert_eq!(one("L5H3").head, Some(3));
        assert_eq!(one("L5.attn.pattern head=-1").head, Some(3));
        assert_eq!(one("L5.attn.pattern pos=\"nurse\" row=1").pos, Some(Choice::Text("nurse".into())));
        assert_eq!(one("L5.attn.pattern#2 row=1").row, Some(1));
        assert_eq!(one("L5.attn.pattern#2").pass, Some(2));
        assert_eq!(fails("L0.attn.z head=9").message, "no head 9: blocks.0.attn has heads 0..3");
        assert_eq!(fails("logits head=0").message, "head= needs a site or module of a block");
    }

    #[test]
    fn patterns_name_several() {
        assert_eq!(places("L*.mlp.post", None).len(), 32);
        assert_eq!(places("/resid_(pre|post)/", None).len(), 64);
        assert_eq!(places("/^logits$/", None)[0].target, Target::Site("logits".into()));
        assert_eq!(fails("/nothing/").message, "no site matches /nothing/");
        assert_eq!(fails("L40").message, "no layer 40: model has 0..31");
        assert!(fails("L5.attn.result").message.contains("computed when asked for"));
    }

    #[test]
    fn values_are_looked_at_by_site() {
        let sites = |text: &str| {
            let location = parse_location(text, 0).unwrap_or_else(|e| panic!("{text}: {e}"));
            resolve_sites(&location, &Small::new(2), None)
        };
        assert_eq!(sites("L1.attn.result"), Ok(vec!["blocks.1.attn.result".to_string()]));
        assert_eq!(sites("L1.mlp").expect("a module"), ["blocks.1.mlp.pre", "blocks.1.mlp.post", "blocks.1.mlp.out"]);
        assert_eq!(sites("L*.resid_post").expect("a pattern").len(), 2);
        assert!(sites("+3").is_err());
    }
}
