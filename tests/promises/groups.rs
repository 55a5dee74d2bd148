//! Promise to those who add a command: the folders of `src/commands` use each other in one direction.

use std::collections::HashSet;

use crate::layers::sources;

/// Each uses itself and those before it.
const ORDER: [&str; 13] = [
    "frame",
    "state",
    "stopping",
    "moving",
    "generating",
    "changing",
    "looking",
    "explaining",
    "comparing",
    "saving",
    "scripting",
    "session",
    "dispatch",
];

/// The folders that a file of commands names.
fn named(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let found = code.flat_map(|line| line.split("crate::commands::").skip(1));
    found.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
}

#[test]
fn groups_of_commands_use_only_those_before_them() {
    let mut seen = HashSet::new();
    for (file, text) in sources() {
        let Ok(inside) = file.strip_prefix("commands") else { continue };
        let group = inside.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_string();
        if group == "mod" || group == "limited_tests" {
            continue;
        }
        let place = ORDER.iter().position(|known| *known == group);
        let place = place.unwrap_or_else(|| panic!("src/commands/{group} has no place in the order"));
        assert!(!text.contains("super::super"), "{}: write crate::commands::...", file.display());
        for used in named(&text) {
            let before = ORDER.iter().position(|known| *known == used).is_some_and(|at| at <= place);
            assert!(before, "{} is in {group}, and uses {used}", file.display());
        }
        seen.insert(group);
    }
    assert_eq!(seen.len(), ORDER.len());
}
