//! Rerankers that predict tokens: the logits of "yes" and "no" are their score.

use super::{Asked, FOR_SCORES, NoEmbedding, Sentences, WHOLE};
use crate::model::checkpoint::CheckpointFiles;
use crate::model::config::HfConfig;
use crate::model::error::LoadError;
use crate::model::families::torch_activation;
use crate::model::spec::{Act, Head, ModelSpec, YesNo};

impl Sentences {
    /// The activation of the scores of a reranker.
    pub(super) fn scores(&mut self, files: &CheckpointFiles) -> Result<(), LoadError> {
        let Some(answer) = &mut self.answer else { return Ok(()) };
        let settings = match files.read(WHOLE)? {
            Some(text) => Some(HfConfig::parse(&files.path_of(WHOLE), &text)?),
            None => None,
        };
        let named = settings.as_ref().map_or(Ok(None), |settings| settings.str(&["activation_fn"]))?;
        match named.map(|name| torch_activation(name).ok_or_else(|| Asked::ActivationOfScores(name.to_owned()))) {
            None => {}
            Some(Ok(act)) => answer.act = act,
            Some(Err(asked)) => {
                self.answer = None;
                self.notes.push(format!("modules.json asks for {asked}: this is not computed, so there are no scores"));
                return Ok(());
            }
        }
        self.notes.push(
            "scores are those of a whole text: what sentence-transformers puts around the two texts of a pair is not added"
                .into(),
        );
        Ok(())
    }

    /// Adds the scores of a reranker to a model that predicts tokens.
    ///
    /// # Errors
    /// If it has no such tokens.
    pub fn add_answer(&mut self, config: &HfConfig, spec: &mut ModelSpec) -> Result<(), LoadError> {
        let Some(answer) = self.answer else { return Ok(()) };
        let Head::CausalLm(logits) = &mut spec.head else {
            self.notes.push("modules.json asks for scores by logits, and the model predicts no tokens".into());
            return Ok(());
        };
        let most = [Some(answer.yes), answer.no].into_iter().flatten().max().unwrap_or(0) as usize;
        if most >= spec.vocab {
            return Err(config.bad(format!("a LogitScore step reads token {most} of {}", spec.vocab)));
        }
        logits.answer = Some(answer);
        Ok(())
    }
}

/// What a LogitScore step says: the activation of its result is elsewhere, and usually a sigmoid.
pub(super) fn yes_no(config: &HfConfig) -> Result<YesNo, NoEmbedding> {
    if let Some(of) = config.str(&["module_input_name"])?.filter(|of| *of != FOR_SCORES[3]) {
        return Err(Asked::ScoresOf(of.to_owned()).into());
    }
    let id = |key: &str| -> Result<Option<u32>, LoadError> {
        match config.opt_count(&[key])?.map(u32::try_from) {
            None => Ok(None),
            Some(Ok(id)) => Ok(Some(id)),
            Some(Err(_)) => Err(config.bad(format!("{key:?} is not a token id"))),
        }
    };
    const YES: &str = "true_token_id";
    let yes = id(YES)?.ok_or_else(|| config.missing(&[YES]))?;
    Ok(YesNo { yes, no: id("false_token_id")?, act: Act::Sigmoid })
}
