//! nanochat: norms without gains, one of them of the embedding and those of queries and keys after the rotation, which
//! turns the other way; squared relu in a plain MLP; a cap on the logits.

use super::llama;
use super::prelude::*;

static FILES: Files = Files { block: &[llama::ATTENTION, MLP], ..llama::NAMES };

const MLP: &[Entry] = &[weight("mlp.fc1", W_in), weight("mlp.fc2", W_out)];

pub static FAMILY: Family = Family::new(&["nanochat"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules::LLAMA)?;
    let norm = Norm { gain: Gain::None, ..Norm::rms(eps(config, "rms_norm_eps", 1e-6)?) };
    let heads = DecoderHead { tasks: Task::NO_CLASSES, ..DecoderHead::of("NanoChat") };
    let softcap = config.number_or(&["final_logit_softcapping"], Some(15.0))?;
    let head = match heads.read(from, &FILES)? {
        Head::CausalLm(logits) => Head::CausalLm(Logits { softcap, ..logits }),
        other => other,
    };
    let qk_norm = Some(QkNorm { norm, over: QkNormOver::Head });
    let attention = attention_with_bias(config.flag(&["attention_bias"], false)?);
    Ok(ModelSpec {
        embed: Embed { norm: true, ..Embed::plain(sizes.d_model) },
        ropes: vec![Rope { backwards: true, ..rope(config, sizes.head_dim, &RopeRules::LLAMA)? }],
        attention: Attention { qk_norm, rotates_first: true, ..attention },
        mlp: Mlp { gated: false, act: act(config, "hidden_act", Act::Relu2)?, bias: false, out_bias: false },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("nanochat", &sizes, norm, head)
    })
}
