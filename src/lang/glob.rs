//! Patterns over names: `L*.mlp.post`, `blocks.{2,4}.attn.z`, `L{0..3}.resid_post`.
//!
//! `*` and `?` stay within one dot-separated part, so that `L*` means layers and not everything below them; `**`
//! crosses dots. Braces are alternatives, and every one of them has to match something: a layer that does not exist is
//! an error and never silently left out.

use super::site::canonical;
use super::{LangError, Result, SiteTable, Span};
use crate::model::role::ENCODER;
use crate::model::site_name::{BLOCKS, in_block};
use regex::Regex;

const MAX_ALTERNATIVES: usize = 10_000;

pub fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '{', '}'])
}

/// The names that `glob` matches, in program order, and whether they are modules. Sites come first: modules are matched
/// only by a pattern that matches no site.
pub fn matches(glob: &str, span: Span, table: &dyn SiteTable, block: Option<usize>) -> Result<(Vec<String>, bool)> {
    let alternatives = expand(glob, span)?;
    let mut wanted = Vec::new();
    let mut modules = false;
    for alternative in &alternatives {
        let text = spell(alternative, table, span)?;
        let relative = block.map(|b| in_block(b, &text));
        let mut found = None;
        for text in std::iter::once(text).chain(relative) {
            let pattern = compile(&text, span)?;
            let any = |names: &[String]| names.iter().any(|n| pattern.is_match(n));
            if any(table.names()) || any(table.modules()) {
                modules |= !any(table.names());
                found = Some(pattern);
                break;
            }
        }
        let none = || {
            LangError::new(format!("nothing matches {alternative}"), span)
                .help("* stays within a part between dots, ** crosses dots; \"info sites\" lists the names")
        };
        wanted.push(found.ok_or_else(none)?);
    }
    let names = if modules { table.modules() } else { table.names() };
    let chosen: Vec<String> = names.iter().filter(|n| wanted.iter().any(|p| p.is_match(n))).cloned().collect();
    if modules && wanted.iter().any(|p| !chosen.iter().any(|n| p.is_match(n))) {
        return Err(
            LangError::new(format!("{glob} names sites and modules together"), span).help("ask for one kind at a time")
        );
    }
    Ok((chosen, modules))
}

/// A pattern over names of any kind: with `*`, `?` and braces, or between slashes a regular expression. A name without
/// any of them is itself.
pub fn name_patterns(pattern: &str, span: Span) -> Result<Vec<Regex>> {
    if let Some(regex) = pattern.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
        let wrong = |error| LangError::new(format!("{pattern} is not a regular expression: {error}"), span);
        return Ok(vec![Regex::new(regex).map_err(wrong)?]);
    }
    expand(pattern, span)?.iter().map(|alternative| compile(alternative, span)).collect()
}

/// The canonical spelling of a pattern without braces.
fn spell(pattern: &str, table: &dyn SiteTable, span: Span) -> Result<String> {
    let (first, rest) = pattern.split_once('.').map_or((pattern, None), |(first, rest)| (first, Some(rest)));
    let of_encoder = first.strip_prefix('E').filter(|_| table.encoder_layers() > 0);
    let stack = if of_encoder.is_some() { ENCODER } else { "" };
    let layers = first
        .strip_prefix(['L', 'b'])
        .or(of_encoder)
        .filter(|l| l.contains(['*', '?']) && l.chars().all(|c| c.is_ascii_digit() || "*?".contains(c)));
    let Some(layers) = layers else { return Ok(canonical(pattern, table, span)?.text) };
    let rest = rest.map(|rest| canonical(rest, table, span)).transpose()?;
    let block = format!("{stack}{BLOCKS}{layers}");
    Ok(rest.map_or(block.clone(), |rest| format!("{block}.{}", rest.text)))
}

fn compile(pattern: &str, span: Span) -> Result<Regex> {
    let escaped = regex::escape(pattern).replace(r"\*\*", ".*").replace(r"\*", "[^.]*").replace(r"\?", "[^.]");
    Regex::new(&format!("^{escaped}$")).map_err(|_| LangError::new(format!("pattern {pattern} is too large"), span))
}

/// The patterns without braces that a pattern with braces stands for.
fn expand(pattern: &str, span: Span) -> Result<Vec<String>> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_string()];
    while let Some(pattern) = open.pop() {
        if open.len() + done.len() > MAX_ALTERNATIVES {
            return Err(LangError::new("this pattern has too many alternatives", span));
        }
        // The innermost group comes first: it contains no braces.
        let Some(end) = pattern.find('}') else {
            if pattern.contains('{') {
                return Err(LangError::new(format!("{{ without a matching }} in {pattern}"), span));
            }
            done.push(pattern);
            continue;
        };
        let start = pattern[..end]
            .rfind('{')
            .ok_or_else(|| LangError::new(format!("}} without a matching {{ in {pattern}"), span))?;
        for choice in choices(&pattern[start + 1..end], span)? {
            open.push(format!("{}{choice}{}", &pattern[..start], &pattern[end + 1..]));
        }
    }
    done.reverse();
    Ok(done)
}

/// The alternatives between braces: `a,b` or the numbers `2..5`, both ends included.
fn choices(group: &str, span: Span) -> Result<Vec<String>> {
    let range =
        group.split_once("..").and_then(|(a, b)| Some((a.trim().parse::<i64>().ok()?, b.trim().parse::<i64>().ok()?)));
    match range {
        Some((a, b)) if a > b => Err(LangError::new(format!("{{{group}}} counts downwards"), span)),
        Some((a, b)) if b.abs_diff(a) >= MAX_ALTERNATIVES as u64 => {
            Err(LangError::new(format!("{{{group}}} has too many alternatives"), span))
        }
        Some((a, b)) => Ok((a..=b).map(|n| n.to_string()).collect()),
        None => Ok(group.split(',').map(|choice| choice.trim().to_string()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::site::tests::Small;
    use super::*;

    fn all(glob: &str, block: Option<usize>) -> Vec<String> {
        matches(glob, Span::default(), &Small::new(5), block).unwrap_or_else(|e| panic!("{glob}: {e}")).0
    }

    fn fails(glob: &str) -> String {
        matches(glob, Span::default(), &Small::new(5), None).expect_err(glob).message
    }

    #[test]
    fn stars_stay_within_a_part() {
        assert_eq!(all("L*.mlp.post", None).len(), 5);
        assert_eq!(all("blocks.*.hook_resid_pre", None).len(), 5);
        assert_eq!(all("L3.attn.*", None).len(), 6);
        assert_eq!(all("L3.**", None).len(), 15);
        assert_eq!(all("resid_*", Some(2)), ["blocks.2.resid_pre", "blocks.2.resid_mid", "blocks.2.resid_post"]);
        assert!(fails("L*.post").starts_with("nothing matches"));
    }

    #[test]
    fn braces_are_alternatives_in_program_order() {
        assert_eq!(all("blocks.{4,2}.attn.z", None), ["blocks.2.attn.z", "blocks.4.attn.z"]);
        assert_eq!(all("L{1..3}.attn.z", None).len(), 3);
        assert_eq!(
            all("L{0,-1}.attn.{q,k}", None),
            ["blocks.0.attn.q", "blocks.0.attn.k", "blocks.4.attn.q", "blocks.4.attn.k"]
        );
        assert_eq!(fails("blocks.{2,40}.attn.z"), "no layer 40: model has 0..4");
        assert!(fails("L{1,2.attn.z").contains("without a matching }"));
        assert!(fails("L{0..99999999}.attn.z").contains("too many"));
    }

    #[test]
    fn a_pattern_that_matches_no_site_may_match_modules() {
        let (names, modules) = matches("L*.attn", Span::default(), &Small::new(2), None).expect("matches");
        assert_eq!((names, modules), (vec!["blocks.0.attn".to_string(), "blocks.1.attn".to_string()], true));
        assert_eq!(all("L*", None).len(), 5);
    }
}
