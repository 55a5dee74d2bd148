//! The rules of `diagnose`: which numbers are healthy, what it means if one is not, and where to look.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::answer::numbers::significant;

const RULES: &str = include_str!("../../../config/diagnose.toml");

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Note,
    Warning,
    Error,
}

impl Severity {
    pub fn word(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub severity: Severity,
    pub above: Option<f64>,
    pub below: Option<f64>,
    pub what: String,
    pub why: String,
    pub look: String,
}

impl Rule {
    /// Whether it finds something in a number. NaN is what comes of another finding: it has a rule of its own.
    pub fn finds(&self, value: f64) -> bool {
        self.above.is_some_and(|limit| value > limit) || self.below.is_some_and(|limit| value < limit)
    }

    pub fn limit(&self) -> String {
        match (self.above, self.below) {
            (Some(limit), _) => format!("at most {}", significant(limit, 3)),
            (None, Some(limit)) => format!("at least {}", significant(limit, 3)),
            (None, None) => String::new(),
        }
    }

    /// `: 74.4, normally at most 50`; nothing of a rule that counts whether something is so.
    pub fn measured(&self, value: f64) -> String {
        match self.above {
            Some(0.0) => String::new(),
            _ => format!(": {}, normally {}", significant(value, 3), self.limit()),
        }
    }

    /// How far beyond its limit a number is, to rank findings of one rule.
    pub fn excess(&self, value: f64) -> f64 {
        if self.above.is_some() { value } else { -value }
    }
}

pub static ALL: LazyLock<BTreeMap<String, Rule>> = LazyLock::new(|| toml::from_str(RULES).unwrap_or_default());

/// The limit of a rule; infinite of one that is not there.
pub fn limit(rule: &str) -> f64 {
    ALL.get(rule).and_then(|rule| rule.above.or(rule.below)).unwrap_or(f64::INFINITY)
}
