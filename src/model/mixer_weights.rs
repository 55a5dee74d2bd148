//! The weights of layers that have something else in the place of attention, and their shapes.

use super::role::Role::{self, *};
use super::spec::{Gain, Mixer, SpaceNorm};

/// The weights that it uses, in the order of use; none of attention.
pub fn roles(mixer: Mixer) -> Vec<Role> {
    match mixer {
        Mixer::Attention | Mixer::None => Vec::new(),
        Mixer::Delta(_) => {
            vec![MixQ, MixK, MixV, MixGate, MixA, MixB, MixConvQ, MixConvK, MixConvV, MixRate, MixStep, MixNormW, MixO]
        }
        Mixer::StateSpace(space) | Mixer::Both(space) => {
            let mut roles = vec![MixQ, MixK, MixV, MixGate, MixA, MixConvQ, MixConvK, MixConvV];
            if space.bias {
                roles.extend([MixConvQB, MixConvKB, MixConvVB]);
            }
            roles.extend([MixRate, MixStep, MixSkip]);
            roles.extend((space.norm != SpaceNorm::None).then_some(MixNormW));
            roles.push(MixO);
            roles
        }
        Mixer::Selective(space) => {
            let mut roles = vec![MixQ, MixK, MixV, MixGate, MixA, MixConvV];
            roles.extend(space.bias.then_some(MixConvVB));
            roles.extend([MixRate, MixStep, MixStepW]);
            let norms = [MixANormW, MixKNormW, MixQNormW].into_iter();
            roles.extend(norms.filter(|_| space.norm.is_some_and(|norm| norm.gain != Gain::None)));
            roles.extend([MixSkip, MixO]);
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
        Mixer::Attention | Mixer::None => return None,
        Mixer::Delta(delta) => (delta.keys(), delta.values(), delta.heads, delta.taps, delta.dim),
        Mixer::StateSpace(space) | Mixer::Both(space) => {
            (space.keys(), space.values(), space.heads, space.taps, space.values())
        }
        Mixer::Selective(space) => {
            return Some(match role {
                MixQ | MixK => vec![space.width, space.key_dim],
                MixV | MixGate => vec![d, space.width],
                MixA => vec![space.width, space.rank],
                MixStepW => vec![space.rank, space.width],
                MixConvV => vec![space.width, space.taps],
                MixRate => vec![space.width, space.key_dim],
                MixConvVB | MixStep | MixSkip => vec![space.width],
                MixANormW => vec![space.rank],
                MixKNormW | MixQNormW => vec![space.key_dim],
                MixO => vec![space.width, d],
                _ => return None,
            });
        }
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
