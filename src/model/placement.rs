//! Which device computes which blocks.
//!
//! With several devices, each takes blocks that follow each other. What comes before the first block is on the first
//! device, what comes after the last block on the last one. So a value crosses once where one device's blocks end.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use super::error::LoadError;
use super::role::{RolePlace, Stack, WeightId};
use crate::tensor::{Device, DeviceChoice, Precision, TensorError};

/// What the user asked for with `--device`: one device, or several that share the blocks of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceList(Vec<DeviceChoice>);

impl Default for DeviceList {
    fn default() -> DeviceList {
        DeviceChoice::default().into()
    }
}

impl From<DeviceChoice> for DeviceList {
    fn from(choice: DeviceChoice) -> DeviceList {
        DeviceList(vec![choice])
    }
}

impl FromStr for DeviceList {
    type Err = String;

    fn from_str(text: &str) -> Result<DeviceList, String> {
        let choices: Vec<DeviceChoice> = text.split(',').map(|word| word.trim().parse()).collect::<Result<_, _>>()?;
        match choices.len() > 1 && choices.contains(&DeviceChoice::Auto) {
            true => Err("auto chooses one device: of several, name each, as in gpu:0,gpu:1".into()),
            false => Ok(DeviceList(choices)),
        }
    }
}

impl fmt::Display for DeviceList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(DeviceChoice::to_string).collect::<Vec<_>>().join(","))
    }
}

/// Open devices for a model whose number of blocks need not be known yet.
#[derive(Clone, Debug)]
pub struct Devices {
    devices: Vec<Device>,
    split: Split,
}

/// How many blocks each device takes.
#[derive(Clone, Debug)]
enum Split {
    Equal,
    Given(Vec<usize>),
    /// As another model, if this one has as many blocks.
    Like(Vec<usize>),
}

impl From<&Device> for Devices {
    fn from(device: &Device) -> Devices {
        Devices { devices: vec![device.clone()], split: Split::Equal }
    }
}

impl From<&Placement> for Devices {
    fn from(placement: &Placement) -> Devices {
        let blocks = &placement.0.blocks;
        let devices = blocks.iter().map(|(number, _)| placement.0.devices[*number].clone()).collect();
        Devices { devices, split: Split::Like(blocks.iter().map(|(_, blocks)| blocks.len()).collect()) }
    }
}

impl Devices {
    /// Opens what was asked for.
    ///
    /// # Errors
    /// If one cannot be opened, or `split` has not as many numbers as there are devices.
    pub fn open(list: &DeviceList, split: Option<&[usize]>) -> Result<Devices, TensorError> {
        let count = list.0.len();
        if let Some(split) = split.filter(|split| split.len() != count) {
            let (given, numbers) = (numbers(split), split.len());
            let message = format!(
                "--split {given} has {numbers} numbers, and --device {list} names {count} devices: give the number of \
                 blocks for each device"
            );
            return Err(TensorError::Device { message });
        }
        let devices = list.0.iter().map(|choice| Device::open(*choice)).collect::<Result<_, _>>()?;
        Ok(Devices { devices, split: split.map_or(Split::Equal, |split| Split::Given(split.to_vec())) })
    }

    /// Each device, in the order of the blocks. There is at least one.
    pub fn each(&self) -> &[Device] {
        &self.devices
    }

    /// How many of `blocks` blocks each device takes.
    fn counts(&self, blocks: usize) -> Result<Vec<usize>, LoadError> {
        let devices = self.devices.len();
        let adds_up = |split: &[usize]| split.iter().try_fold(0, |all: usize, n| all.checked_add(*n)) == Some(blocks);
        match &self.split {
            Split::Given(split) | Split::Like(split) if adds_up(split) => Ok(split.clone()),
            Split::Given(split) => Err(LoadError::Split { split: numbers(split), blocks }),
            _ if devices > blocks.max(1) => Err(LoadError::TooManyDevices { devices, blocks }),
            _ => Ok((0..devices).map(|i| blocks / devices + usize::from(i < blocks % devices)).collect()),
        }
    }
}

fn numbers(split: &[usize]) -> String {
    split.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

/// Which device each block is on. Clone counts one more reference.
#[derive(Clone, Debug)]
pub struct Placement(Arc<Shares>);

#[derive(Debug)]
struct Shares {
    /// Different ones, in the order in which they are first used.
    devices: Vec<Device>,
    /// Blocks that follow each other, and the number of their device.
    blocks: Vec<(usize, Range<usize>)>,
}

impl From<&Device> for Placement {
    fn from(device: &Device) -> Placement {
        Placement(Arc::new(Shares { devices: vec![device.clone()], blocks: vec![(0, 0..usize::MAX)] }))
    }
}

impl Placement {
    /// The blocks of a model on its devices, as they were given, or in equal shares, the first ones larger.
    ///
    /// # Errors
    /// If the numbers of blocks are not those of the model, or there are more devices than blocks.
    pub fn new(devices: &Devices, blocks: usize) -> Result<Placement, LoadError> {
        if let ([device], Split::Equal | Split::Like(_)) = (devices.each(), &devices.split) {
            return Ok(device.into());
        }
        let mut shares = Shares { devices: Vec::new(), blocks: Vec::new() };
        let mut first = 0;
        for (device, count) in devices.each().iter().zip(devices.counts(blocks)?) {
            let number = shares.devices.iter().position(|known| known == device).unwrap_or_else(|| {
                shares.devices.push(device.clone());
                shares.devices.len() - 1
            });
            shares.blocks.push((number, first..first + count));
            first += count;
        }
        Ok(Placement(Arc::new(shares)))
    }

    /// The devices in use, each once.
    pub fn devices(&self) -> &[Device] {
        &self.0.devices
    }

    /// Whether values are on more than one device.
    pub fn is_split(&self) -> bool {
        self.0.devices.len() > 1
    }

    /// The number, among [`devices`](Self::devices), of the device of a part of the model.
    pub fn number(&self, place: RolePlace, block: Option<usize>) -> usize {
        let blocks = &self.0.blocks;
        let share = match (place, block) {
            (RolePlace::Before, _) => blocks.first(),
            (RolePlace::Block, Some(block)) => blocks.iter().find(|(_, blocks)| blocks.contains(&block)),
            (RolePlace::Block | RolePlace::After, _) => blocks.last(),
        };
        share.map_or(0, |(number, _)| *number)
    }

    /// The device of a part of the model.
    pub fn device(&self, place: RolePlace, block: Option<usize>) -> &Device {
        &self.0.devices[self.number(place, block)]
    }

    /// The device of what comes before the first block, and of values that belong to no part of the model.
    pub fn first(&self) -> &Device {
        self.device(RolePlace::Before, None)
    }

    /// The device of what comes after the last block.
    pub fn last(&self) -> &Device {
        self.device(RolePlace::After, None)
    }

    /// The number of the device that a weight is on: that of its block. What several blocks share is on that of the
    /// first of them, and other devices have it too.
    pub fn of_weight(&self, id: WeightId) -> usize {
        match id.stack {
            // An encoder comes before the first block of its decoder.
            Stack::Encoder => self.number(RolePlace::Before, None),
            Stack::Main => self.number(id.role.place(), id.layer.map(usize::from)),
        }
    }

    /// The precision, if all devices have it.
    ///
    /// # Errors
    /// If the driver of one has no such type.
    pub fn holding(&self, precision: Precision) -> Result<Precision, TensorError> {
        self.devices().iter().try_fold(precision, |precision, device| precision.on(device))
    }

    /// The names of the devices, as they are shown: `cpu`, `RTX 4090 and cpu`.
    pub fn names(&self) -> String {
        self.devices().iter().map(Device::name).collect::<Vec<_>>().join(" and ")
    }

    /// Lines that say which devices are in use and why, and what each computes if there are several.
    pub fn description(&self) -> Vec<String> {
        let blocks = &self.0.blocks;
        let mut lines: Vec<String> = self.devices().iter().map(|device| device.reason().to_owned()).collect();
        let share = |(i, (number, range)): (usize, &(usize, Range<usize>))| {
            let mut parts = Vec::new();
            parts.extend((i == 0).then(|| "embeddings".to_owned()));
            parts.extend(match range.len() {
                0 => None,
                1 => Some(format!("block {}", range.start)),
                _ => Some(format!("blocks {}-{}", range.start, range.end - 1)),
            });
            parts.extend((i + 1 == blocks.len()).then(|| "head".to_owned()));
            (!parts.is_empty()).then(|| format!("{} on {}", parts.join(", "), self.0.devices[*number].name()))
        };
        if blocks.len() > 1 {
            lines.push(blocks.iter().enumerate().filter_map(share).collect::<Vec<_>>().join("; "));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::role::Role;

    fn two() -> Devices {
        let list: DeviceList = "vulkan, cpu".parse().unwrap();
        Devices::open(&list, None).expect("a Vulkan adapter (Mesa's software one will do)")
    }

    #[test]
    fn lists_name_their_devices() {
        for text in ["cpu", "gpu:0,gpu:1", "vulkan:0,cpu,vulkan:0"] {
            assert_eq!(text.parse::<DeviceList>().unwrap().to_string(), text);
        }
        assert_eq!(DeviceList::default().to_string(), "auto");
        let refused = |text: &str| text.parse::<DeviceList>().unwrap_err();
        assert_eq!(refused("auto,cpu"), "auto chooses one device: of several, name each, as in gpu:0,gpu:1");
        assert!(refused("cpu,").starts_with("unknown device \"\""), "{}", refused("cpu,"));
        let error = Devices::open(&"cpu,cpu".parse().unwrap(), Some(&[1, 2, 3])).unwrap_err().to_string();
        assert!(error.starts_with("--split 1,2,3 has 3 numbers, and --device cpu,cpu names 2 devices"), "{error}");
    }

    #[test]
    fn blocks_are_shared_equally_or_as_given() {
        let placement = Placement::new(&two(), 5).unwrap();
        let of_block = |placement: &Placement, block| placement.number(RolePlace::Block, Some(block));
        assert_eq!([0, 2, 3, 4].map(|block| of_block(&placement, block)), [0, 0, 1, 1]);
        assert_eq!((placement.first().is_cpu(), placement.last().is_cpu()), (false, true));
        let ids = [WeightId::global(Role::W_E), WeightId::block(3, Role::W_Q), WeightId::global(Role::W_U)];
        assert_eq!(ids.map(|id| placement.of_weight(id)), [0, 1, 1]);
        let name = placement.first().name();
        let shares = format!("embeddings, blocks 0-2 on {name}; blocks 3-4, head on cpu");
        assert_eq!(placement.description()[2], shares);

        let given = |split: &[usize]| Placement::new(&Devices { split: Split::Given(split.to_vec()), ..two() }, 5);
        let none = given(&[0, 5]).unwrap();
        assert_eq!(none.description()[2], format!("embeddings on {name}; blocks 0-4, head on cpu"));
        let like = |blocks| Placement::new(&Devices::from(&none), blocks).unwrap().description()[2].clone();
        assert_eq!(
            (like(5), like(2)),
            (none.description()[2].clone(), format!("embeddings, block 0 on {name}; block 1, head on cpu"))
        );
        let message = given(&[2, 2]).unwrap_err().to_string();
        assert_eq!(message, "--split 2,2 does not add up to the 5 blocks of the model");
        let message = Placement::new(&two(), 1).unwrap_err().to_string();
        assert_eq!(
            message,
            "2 devices are more than the 1 blocks of the model: name fewer, or say with --split who has none"
        );
    }

    #[test]
    fn one_adapter_twice_is_one_device() {
        let cpus = Devices { devices: vec![Device::cpu(), Device::cpu()], split: Split::Equal };
        let placement = Placement::new(&cpus, 2).unwrap();
        assert!(!placement.is_split());
        assert_eq!(placement.description()[1], "embeddings, block 0 on cpu; block 1, head on cpu");
    }
}
