//! Dictionaries of features in a session: they come and go, and nothing else changes.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::{Error, Result, Session, Target};
use crate::model::Model;
use crate::model::dictionary::Dictionary;
use crate::model::role::{Role, WeightId};
use crate::program::{compile, with_dictionaries};

/// The dictionaries of a run.
#[derive(Clone, Debug, Default)]
pub struct Dictionaries {
    /// In the order in which they were loaded.
    all: Vec<Arc<Dictionary>>,
    /// The number of the next one: none is used twice.
    next: usize,
    /// What features are called, by the name of their dictionary and its block.
    labels: BTreeMap<(String, usize), BTreeMap<usize, String>>,
}

impl Dictionaries {
    pub fn all(&self) -> &[Arc<Dictionary>] {
        &self.all
    }

    pub fn next(&self) -> usize {
        self.next
    }

    /// Those of a name: one, or one for each of several blocks.
    pub fn named(&self, name: &str) -> Vec<Arc<Dictionary>> {
        self.all.iter().filter(|dictionary| dictionary.name == name).cloned().collect()
    }

    /// That of a name and a block; without a block, the only one of the name.
    pub fn one(&self, name: &str, layer: Option<usize>) -> Option<Arc<Dictionary>> {
        let found = self.named(name);
        match layer {
            Some(layer) => found.into_iter().find(|dictionary| dictionary.layer == layer),
            None if found.len() == 1 => found.into_iter().next(),
            None => None,
        }
    }

    /// What a feature is called, where a file of labels said so.
    pub fn label(&self, dictionary: &Dictionary, feature: usize) -> Option<&str> {
        let of = self.labels.get(&(dictionary.name.clone(), dictionary.layer))?;
        of.get(&feature).map(String::as_str)
    }

    pub fn set_labels(&mut self, dictionary: &Dictionary, labels: BTreeMap<usize, String>) {
        self.labels.insert((dictionary.name.clone(), dictionary.layer), labels);
    }
}

impl Session {
    /// Adds dictionaries behind their sites.
    pub fn add_dictionaries(&mut self, more: Vec<Dictionary>) {
        self.run.dictionaries.next =
            more.iter().map(|dictionary| dictionary.number + 1).chain([self.run.dictionaries.next]).max().unwrap_or(0);
        let more: Vec<Arc<Dictionary>> = more.into_iter().map(Arc::new).collect();
        let device = |dictionary: &Dictionary| {
            self.run.model.placement.of_weight(WeightId::block(dictionary.layer, Role::DictEnc))
        };
        let held: Vec<_> = more.iter().flat_map(|one| one.held(device(one))).collect();
        let weights = self.run.model.weights.extended(held, |_| false);
        self.run.dictionaries.all.extend(more);
        let model = Model { weights, ..(*self.run.model).clone() };
        self.change_program(model, self.program_with_dictionaries());
    }

    /// Takes the dictionaries of a name away, and returns the numbers of the stop points that were in them.
    ///
    /// # Errors
    /// If an edit of one of their values or weights is in force in a branch.
    pub fn remove_dictionaries(&mut self, name: &str) -> Result<Vec<usize>> {
        let gone = self.run.dictionaries.named(name);
        let sites: HashSet<usize> = gone
            .iter()
            .flat_map(|one| crate::model::dictionary::Stage::ALL.map(|stage| one.site(stage)))
            .filter_map(|site| self.run.program.op_of(&site))
            .collect();
        let numbers: HashSet<usize> = gone.iter().map(|one| one.number).collect();
        let is_gone = |id: WeightId| {
            id.role.is_of_dictionary() && id.index.is_some_and(|number| numbers.contains(&usize::from(number)))
        };
        let states = self.checkpoints.values().map(super::Checkpoint::edits);
        for edits in self.run.branches.iter().map(|branch| &branch.edits[..]).chain(states) {
            let of_it = |target: &Target| match target {
                Target::Op(op) | Target::Cache(op) => sites.contains(op),
                Target::Weight(id) => is_gone(*id),
                _ => false,
            };
            if let Some(edit) = edits.iter().find(|edit| of_it(&edit.target)) {
                return Err(Error::refused(format!(
                    "the edit \"{}\" is of a value of {name}; take it back with \"undo\", or delete its branch or \
                     checkpoint, first",
                    edit.text
                )));
            }
        }
        self.run.dictionaries.all.retain(|one| one.name != name);
        self.run.dictionaries.labels.retain(|(of, _), _| of != name);
        let weights = self.run.model.weights.extended(Vec::new(), is_gone);
        let model = Model { weights, ..(*self.run.model).clone() };
        Ok(self.change_program(model, self.program_with_dictionaries()))
    }

    fn program_with_dictionaries(&self) -> crate::program::Program {
        with_dictionaries(compile(&self.run.model.spec), &self.run.dictionaries.all)
    }
}
