//! The parts of a block, by which its sites are found: `blocks.5.attn.z` is [`Part::Z`] of block 5.

use crate::model::role::Stack;
use crate::model::site_name::{InBlock, in_block};
use crate::tensor::named;

named! {
    /// A part of a block, by its name in a site, which is the one in `docs/sites.md`. `ALL` has them in the order in
    /// which they follow each other in a block of the usual kind.
    #[derive(PartialOrd, Ord)]
    pub enum Part, path {
        /// The residual stream before the block.
        ResidPre = "resid_pre",
        /// The residual stream between attention and MLP.
        ResidMid = "resid_mid",
        /// The residual stream after the block.
        ResidPost = "resid_post",
        Ln1Scale = "ln1.scale",
        Ln1Normalized = "ln1.normalized",
        Ln1Out = "ln1.out",
        /// The short vector that queries are made of.
        QLatent = "attn.q_latent",
        QLatentNormScale = "attn.q_latent_norm.scale",
        QLatentNormNormalized = "attn.q_latent_norm.normalized",
        QLatentNormOut = "attn.q_latent_norm.out",
        Q = "attn.q",
        /// The short vector that keys and values are made of.
        KvLatent = "attn.kv_latent",
        KvLatentNormScale = "attn.kv_latent_norm.scale",
        KvLatentNormNormalized = "attn.kv_latent_norm.normalized",
        KvLatentNormOut = "attn.kv_latent_norm.out",
        /// The features that the keys of all heads share.
        KRope = "attn.k_rope",
        K = "attn.k",
        V = "attn.v",
        Gate = "attn.gate",
        VNorm = "attn.v_norm",
        QNorm = "attn.q_norm",
        KNorm = "attn.k_norm",
        RotQ = "attn.rot_q",
        RotK = "attn.rot_k",
        GrownQ = "attn.grown_q",
        /// What scores get of query and distance.
        ContentToPosition = "attn.c2p",
        /// What scores get of key and distance.
        PositionToContent = "attn.p2c",
        Scores = "attn.scores",
        Pattern = "attn.pattern",
        Z = "attn.z",
        Gated = "attn.gated",
        /// What each head adds to the residual stream. Computed on request from `attn.z`: no op has it.
        Result = "attn.result",
        /// What the heads add together, before a norm of it.
        AttnOutput = "attn.out",
        MixIn = "mixer.in",
        MixX = "mixer.x",
        MixQIn = "mixer.q_in",
        MixKIn = "mixer.k_in",
        MixVIn = "mixer.v_in",
        MixGate = "mixer.gate",
        MixOutGate = "mixer.out_gate",
        MixIntoConv = "mixer.conv_in",
        MixConv = "mixer.conv",
        MixA = "mixer.a",
        MixANormScale = "mixer.a_norm.scale",
        MixANormNormalized = "mixer.a_norm.normalized",
        MixANormOut = "mixer.a_norm.out",
        MixDtIn = "mixer.dt_in",
        MixDt = "mixer.dt",
        MixDecay = "mixer.decay",
        MixB = "mixer.b",
        MixBeta = "mixer.beta",
        MixQConv = "mixer.q_conv",
        MixKConv = "mixer.k_conv",
        MixQ = "mixer.q",
        MixQNormScale = "mixer.q_norm.scale",
        MixQNormNormalized = "mixer.q_norm.normalized",
        MixQNormOut = "mixer.q_norm.out",
        MixK = "mixer.k",
        MixKNormScale = "mixer.k_norm.scale",
        MixKNormNormalized = "mixer.k_norm.normalized",
        MixKNormOut = "mixer.k_norm.out",
        MixV = "mixer.v",
        MixZ = "mixer.z",
        /// What the heads remember after the last position of the pass.
        MixSkip = "mixer.skip",
        MixState = "mixer.state",
        MixNorm = "mixer.norm",
        MixGated = "mixer.gated",
        /// What a layer without softmax attention computes in its place, before a norm of it.
        MixOutput = "mixer.out",
        /// What it adds to the residual stream.
        MixOut = "mixer_out",
        AttnPostLnScale = "attn_post_ln.scale",
        AttnPostLnNormalized = "attn_post_ln.normalized",
        AttnPostLnOut = "attn_post_ln.out",
        /// What attention adds to the residual stream.
        AttnOut = "attn_out",
        CrossLnScale = "ln_cross.scale",
        CrossLnNormalized = "ln_cross.normalized",
        CrossLnOut = "ln_cross.out",
        CrossQ = "cross.q",
        /// Keys and values of what the encoder gives. They are computed when it has ended, before the first block.
        CrossK = "cross.k",
        CrossV = "cross.v",
        CrossScores = "cross.scores",
        CrossPattern = "cross.pattern",
        CrossZ = "cross.z",
        /// What the heads of cross attention add together.
        CrossOutput = "cross.out",
        /// What cross attention adds to the residual stream.
        CrossOut = "cross_out",
        /// The residual stream between cross attention and MLP.
        ResidCross = "resid_cross",
        Ln2Scale = "ln2.scale",
        Ln2Normalized = "ln2.normalized",
        Ln2Out = "ln2.out",
        MlpPre = "mlp.pre",
        MlpPreLinear = "mlp.pre_linear",
        MlpPost = "mlp.post",
        /// The output of a dense MLP that is next to experts.
        DenseOutput = "mlp.dense_out",
        DenseLnScale = "mlp.dense_ln.scale",
        DenseLnNormalized = "mlp.dense_ln.normalized",
        DenseLnOut = "mlp.dense_ln.out",
        RouterNormScale = "mlp.router_norm.scale",
        RouterNormNormalized = "mlp.router_norm.normalized",
        RouterNormOut = "mlp.router_norm.out",
        Router = "mlp.router",
        Experts = "mlp.experts",
        ExpertWeights = "mlp.expert_weights",
        ExpertsLnScale = "mlp.experts_ln.scale",
        ExpertsLnNormalized = "mlp.experts_ln.normalized",
        ExpertsLnOut = "mlp.experts_ln.out",
        /// The output of experts that are next to a dense MLP.
        ExpertsOutput = "mlp.experts_out",
        ExpertsPostLnScale = "mlp.experts_post_ln.scale",
        ExpertsPostLnNormalized = "mlp.experts_post_ln.normalized",
        ExpertsPostLnOut = "mlp.experts_post_ln.out",
        /// The output of the MLP, before a norm of it.
        MlpOutput = "mlp.out",
        MlpPostLnScale = "mlp_post_ln.scale",
        MlpPostLnNormalized = "mlp_post_ln.normalized",
        MlpPostLnOut = "mlp_post_ln.out",
        /// What the MLP adds to the residual stream.
        MlpOut = "mlp_out",
        /// The residual stream after the MLP, where something follows it in the block.
        ResidMlp = "resid_mlp",
        /// What the block gets of the tokens.
        PleInput = "ple.input",
        PlePre = "ple.pre",
        PlePost = "ple.post",
        PleOutput = "ple.out",
        PlePostLnScale = "ple_post_ln.scale",
        PlePostLnNormalized = "ple_post_ln.normalized",
        PlePostLnOut = "ple_post_ln.out",
        /// What is added to the residual stream of it.
        PleOut = "ple_out",
        /// The residual stream with that.
        ResidPle = "resid_ple",
    }
}

impl Part {
    pub fn site(self, layer: usize) -> String {
        in_block(layer, self.path())
    }

    /// The block and the part that a site names; `None` if it is not a site of a block.
    pub fn parse(site: &str) -> Option<(usize, Part)> {
        let at = InBlock::parse(site).filter(|at| at.stack == Stack::Main)?;
        let part = Part::ALL.iter().find(|part| part.path() == at.part)?;
        Some((at.layer, *part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_its_block_and_its_part() {
        for (layer, &part) in Part::ALL.iter().enumerate() {
            assert_eq!(Part::parse(&part.site(layer)), Some((layer, part)));
        }
        for other in ["embed", "logits", "ln_final.scale", "blocks.1", "blocks.x.attn.z", "blocks.1.attn", "blocks.1.z"]
        {
            assert_eq!(Part::parse(other), None, "{other}");
        }
    }
}
