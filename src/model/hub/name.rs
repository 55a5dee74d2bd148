//! Names of models on the hub: `org/name`, with a revision after `@` and one of its files after `:`.

use std::fmt;

/// The revision that is meant when none is named.
const DEFAULT_REVISION: &str = "main";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubName {
    /// `org/name`, or `name` for the oldest ones.
    pub repo: String,
    /// Branch, tag or commit; `main` if not given.
    pub revision: Option<String>,
    /// The weights file that is meant, where there are several.
    pub file: Option<String>,
}

impl HubName {
    /// Reads `REPO[@REVISION][:FILE]`; nothing if it is not spelled so.
    pub fn parse(text: &str) -> Option<HubName> {
        let (rest, file) = text.split_once(':').map_or((text, None), |(rest, file)| (rest, Some(file)));
        let (repo, revision) = rest.split_once('@').map_or((rest, None), |(repo, name)| (repo, Some(name)));
        let spelled = is_repo(repo) && revision.is_none_or(is_inside) && file.is_none_or(is_inside);
        spelled.then(|| HubName {
            repo: repo.to_owned(),
            revision: revision.map(str::to_owned),
            file: file.map(str::to_owned),
        })
    }

    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(DEFAULT_REVISION)
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repo)?;
        if let Some(revision) = &self.revision {
            write!(f, "@{revision}")?;
        }
        if let Some(file) = &self.file {
            write!(f, ":{file}")?;
        }
        Ok(())
    }
}

/// Whether `text` is spelled like a repository: `name` or `org/name`.
fn is_repo(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    let word = |part: &&str| !part.starts_with('-') && is_word(part);
    parts.len() <= 2 && parts.iter().all(word)
}

/// Whether a path that came from outside stays inside the folder it is put under: parts of plain characters, none of
/// them hidden or climbing up.
pub(super) fn is_inside(path: &str) -> bool {
    path.split('/').all(is_word)
}

/// Whether a word can be part of a path.
pub(super) fn is_word(word: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | ' ' | '=' | '(' | ')' | ',');
    !word.is_empty() && !word.starts_with('.') && word.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_hub() {
        for name in ["gpt2", "openai-community/gpt2", "meta-llama/Llama-3.2-1B", "a_b/c.d"] {
            let parsed = HubName::parse(name).unwrap();
            assert_eq!((parsed.repo.as_str(), parsed.revision(), &parsed.file), (name, "main", &None));
        }
        for name in ["org/name@v1", "org/name@refs/pr/1", "org/name:q4.gguf", "org/name@v1:sub/q4.gguf"] {
            assert_eq!(HubName::parse(name).unwrap().to_string(), name);
        }
        let full = HubName::parse("org/name@refs/pr/1:sub/q4_0.gguf").unwrap();
        assert_eq!((full.revision(), full.file.as_deref()), ("refs/pr/1", Some("sub/q4_0.gguf")));
        for other in ["", "a/b/c", "/abs", "./here", "a\tb", "-x", "a/", "~/m", "a/b@", "a/b:", "a/b@../c", "a/b:/etc"]
        {
            assert_eq!(HubName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn paths_from_outside_stay_inside() {
        assert!(["config.json", "1_Pooling/config.json", "a b/c+d=e.bin", "日本/x"].into_iter().all(is_inside));
        assert!(!["", "/x", "../x", "a/../x", "a//b", ".git/x", "a\\b", "a\0b", "a\nb"].into_iter().any(is_inside));
    }
}
