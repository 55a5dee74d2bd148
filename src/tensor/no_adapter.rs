//! What to do where no graphics adapter is found.

use std::fs;
use std::path::Path;

/// The cards that NVIDIA's kernel driver runs, by their addresses or devices: those that `nvidia-smi` lists. The driver
/// has a folder for each, so that no program must be run for it, which hangs where the driver does. `root` is `/`, or a
/// folder that stands for it.
fn nvidia_cards(root: &Path) -> Vec<String> {
    let listed = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    };
    let is_card = |name: &String| name.strip_prefix("nvidia").is_some_and(|n| n.parse::<u32>().is_ok());
    match listed("proc/driver/nvidia/gpus") {
        none if none.is_empty() => listed("dev").into_iter().filter(is_card).collect(),
        addresses => addresses,
    }
}

/// Why a card may not be seen, and what to do about it, in words that follow what was asked for and found.
pub(super) fn advice(root: &Path) -> String {
    let cards = nvidia_cards(root);
    if cards.is_empty() {
        return "use --device cpu, or --device vulkan for a software adapter".into();
    }
    format!(
        "NVIDIA's driver runs a card here ({}), but Vulkan does not see it. In a container, start it with \
         NVIDIA_DRIVER_CAPABILITIES=all (the default, compute and utility, leaves Vulkan out). Otherwise install the \
         Vulkan loader (libvulkan1 on Debian) and the part of NVIDIA's driver that has nvidia_icd.json; if that file \
         is in an unusual place, name it in VK_DRIVER_FILES. `vulkaninfo --summary` shows what Vulkan sees. \
         Until then, use --device cpu",
        cards.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_only_the_kernel_sees_is_named_with_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        assert!(advice(root.path()).starts_with("use --device cpu"));
        let dev = root.path().join("dev");
        fs::create_dir_all(&dev).unwrap();
        for name in ["nvidia0", "nvidiactl", "nvidia-uvm"] {
            fs::write(dev.join(name), "").unwrap();
        }
        assert_eq!(nvidia_cards(root.path()), ["nvidia0"]);
        fs::create_dir_all(root.path().join("proc/driver/nvidia/gpus/0000:01:00.0")).unwrap();
        let advised = advice(root.path());
        for part in ["a card here (0000:01:00.0), but Vulkan", "NVIDIA_DRIVER_CAPABILITIES=all", "--device cpu"] {
            assert!(advised.contains(part), "{part} is not in {advised}");
        }
    }
}
