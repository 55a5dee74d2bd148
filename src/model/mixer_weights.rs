//! The weights of layers that have something else in the place of attention, and their shapes.

use super::role::Role::{self, *};
use super::spec::Mixer;

/// The weights that it uses, in the order of use; none of attention.
pub fn roles(mixer: Mixer) -> Vec<Role> {
    match mixer {
        Mixer::Attention => Vec::new(),
        Mixer::Delta(_) => {
            vec![MixQ, MixK, MixV, MixGate, MixA, MixB, MixConvQ, MixConvK, MixConvV, MixRate, MixStep, MixNormW, MixO]
        }
        Mixer::StateSpace(space) => {
            let mut roles = vec![MixQ, MixK, MixV, MixGate, MixA, MixConvQ, MixConvK, MixConvV];
            if space.bias {
                roles.extend([MixConvQB, MixConvKB, MixConvVB]);
            }
            roles.extend([MixRate, MixStep, MixSkip, MixNormW, MixO]);
            roles
        }
        Mixer::Convolution(convolution) => {
            let mut roles = vec![MixX, MixGate, MixOutGate, MixConv, MixO];
            if convolution.bias {
                roles.extend([MixXB, MixGateB, MixOutGateB, MixConvB, MixOB]);
            }
            roles
        }
    }
}

/// The shape of one of them in a model of width `d`; `None` for other weights.
pub fn shape_of(mixer: Mixer, role: Role, d: usize) -> Option<Vec<usize>> {
    let (keys, values, heads, taps, normed) = match mixer {
        Mixer::Attention => return None,
        Mixer::Delta(delta) => (delta.keys(), delta.values(), delta.heads, delta.taps, delta.dim),
        Mixer::StateSpace(space) => (space.keys(), space.values(), space.heads, space.taps, space.values()),
        Mixer::Convolution(convolution) => {
            return Some(match role {
                MixX | MixGate | MixOutGate | MixO => vec![d, d],
                MixConv => vec![d, convolution.taps],
                MixXB | MixGateB | MixOutGateB | MixConvB | MixOB => vec![d],
                _ => return None,
            });
        }
    };
    Some(match role {
        MixQ | MixK => vec![d, keys],
        MixV | MixGate => vec![d, values],
        MixA | MixB => vec![d, heads],
        MixConvQ | MixConvK => vec![keys, taps],
        MixConvV => vec![values, taps],
        MixConvQB | MixConvKB => vec![keys],
        MixConvVB => vec![values],
        MixRate | MixStep | MixSkip => vec![heads],
        MixNormW => vec![normed],
        MixO => vec![values, d],
        _ => return None,
    })
}
