//! What site names say about blocks and modules.

/// The modules that hold a site, outermost first, without the whole model: `blocks.5`, `blocks.5.attn`.
pub fn modules_around(site: &str) -> Vec<String> {
    let parts: Vec<&str> = site.split('.').collect();
    let first = if parts[0] == "blocks" { 2 } else { 1 };
    (first..parts.len()).map(|n| parts[..n].join(".")).collect()
}
